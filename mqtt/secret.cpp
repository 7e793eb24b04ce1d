#include "mqtt/secret.hpp"

#include <array>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace batgw::mqtt {

std::optional<std::string> read_secret(const std::string& path)
{
    // Non-blocking: a FIFO in place of the file must not hold anybody up.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return std::nullopt;
    std::array<char, 4096> bytes{};
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    ::close(fd);
    if (n < 0) return std::nullopt;
    std::string_view text{bytes.data(), static_cast<std::size_t>(n)};
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    return std::string{text};
}

bool world_readable(const std::string& path)
{
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

std::optional<std::string> service_credential(const char* name)
{
    const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
    if (!directory) return std::nullopt;
    return read_secret(std::string{directory} + "/" + name);
}

}  // namespace batgw::mqtt
