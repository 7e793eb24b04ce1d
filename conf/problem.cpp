#include "conf/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace batgw {

std::string to_string(const Problem& p)
{
    std::string out = p.file;
    if (p.line > 0) out += fmt::format(":{}:{}", p.line, p.column);
    if (!out.empty()) out += ": ";
    if (!p.key.empty()) out += p.key + ": ";
    out += p.what;
    if (!p.allowed.empty()) out += " (" + p.allowed + ")";
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return out;
}

void sort(std::vector<Problem>& problems)
{
    std::stable_sort(problems.begin(), problems.end(),
        [](const Problem& a, const Problem& b) { return std::tie(a.line, a.column) < std::tie(b.line, b.column); });
}

}  // namespace batgw
