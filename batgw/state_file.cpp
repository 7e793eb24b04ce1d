#include "batgw/state_file.hpp"

#include "bus/event.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace batgw {
namespace {

constexpr std::size_t largest_kept = 64 * 1024;  // bytes; our own are a few hundred

std::string why(std::string_view what, const std::string& path)
{
    return fmt::format("{} {}: {}", what, path, std::strerror(errno));
}

// CRC-32 of IEEE 802.3.
std::uint32_t checksum(std::string_view text)
{
    std::uint32_t crc = 0xFFFFFFFF;
    for (const char c : text) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

std::string heading(std::string_view kind, std::string_view text)
{
    return fmt::format("batgw {} 1 {} {:08x}\n", kind, text.size(), checksum(text));
}

}  // namespace

std::string write_whole(const std::string& directory, std::string_view name, std::string_view content)
{
    const std::string path = fmt::format("{}/{}", directory, name);
    const std::string temporary = path + ".new";
    {
        const Fd file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)};
        if (!file) return why("cannot write", temporary);
        while (!content.empty()) {
            const auto n = ::write(file.get(), content.data(), content.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return why("cannot write", temporary);
            content.remove_prefix(static_cast<std::size_t>(n));
        }
        if (::fsync(file.get()) != 0) return why("cannot write", temporary);
    }
    if (std::rename(temporary.c_str(), path.c_str()) != 0) return why("cannot rename to", path);
    const Fd folder{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder || ::fsync(folder.get()) != 0) return why("cannot sync", directory);
    return {};
}

int read_whole(const std::string& path, std::string& text)
{
    const Fd file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    if (!file) return errno;
    struct stat about {};
    if (::fstat(file.get(), &about) != 0) return errno;
    if (!S_ISREG(about.st_mode)) return EINVAL;
    std::array<char, 4096> part{};
    while (text.size() <= largest_kept) {
        const auto n = ::read(file.get(), part.data(), part.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return 0;
        text.append(part.data(), static_cast<std::size_t>(n));
    }
    return 0;
}

std::string sealed(std::string_view kind, std::string_view text) { return heading(kind, text).append(text); }

std::optional<std::string_view> unsealed(std::string_view kind, std::string_view content)
{
    const auto end = content.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view text = content.substr(end + 1);
    if (content.substr(0, end + 1) != heading(kind, text)) return std::nullopt;
    return text;
}

}  // namespace batgw
