// batgw layout: prints declarations, and keeps the pages of the protocols in step with them (make docs).
#include "batgw/commands.hpp"
#include "batgw/layout.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace batgw {
namespace {

std::string contents(const std::string& path)
{
    std::ifstream in{path, std::ios::binary};
    std::stringstream text;
    text << in.rdbuf();
    if (!in) throw std::runtime_error{path + ": cannot be read"};
    return text.str();
}

// False: the page differs, and was left as it is.
bool look_at(const Protocol& p, const std::string& folder, bool write)
{
    const std::string path = fmt::format("{}/{}.md", folder, p.name());
    const std::string page = contents(path);
    const auto wanted = with_layout(page, layout_markdown(p));
    if (!wanted)
        throw std::runtime_error{fmt::format("{}: wants one `{}` and behind it one `{}`", path, layout_begin, layout_end)};
    if (*wanted == page) return true;
    if (!write) {
        fmt::print(stderr, "{}: not as declared; `make docs` writes it\n", path);
        return false;
    }
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    out << *wanted;
    if (!out.flush()) throw std::runtime_error{path + ": cannot be written"};
    fmt::print("{}: written\n", path);
    return true;
}

}  // namespace

int print_layout(const LayoutOptions& options)
{
    std::vector<Protocol> chosen = all_protocols();
    if (!options.protocol.empty()) chosen = {find_protocol(options.protocol)};
    if (!options.write.empty() || !options.check.empty()) {
        bool same = true;
        for (const Protocol& p : chosen)
            same = look_at(p, options.write.empty() ? options.check : options.write, !options.write.empty()) && same;
        return same ? status_fine : status_failed;
    }
    if (options.protocol.empty()) throw std::invalid_argument{"which protocol? `batgw list` prints them"};
    const std::string text = options.dbc ? layout_dbc(chosen.front()) : layout_markdown(chosen.front());
    if (text.empty()) throw std::invalid_argument{fmt::format("{} is a serial protocol: no DBC", options.protocol)};
    fmt::print("{}", text);
    finish_output();
    return status_fine;
}

}  // namespace batgw
