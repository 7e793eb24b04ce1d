// A protocol's declarations as a page's tables and as a DBC file.
#pragma once

#include "batgw/tools.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace batgw {

// Markdown: frames read and sent, signals, options, value topics.
std::string layout_markdown(const Protocol& protocol);
// For SavvyCAN, Wireshark, cantools. Serial protocols have none: empty.
std::string layout_dbc(const Protocol& protocol);

inline constexpr std::string_view layout_begin = "<!-- layout -->", layout_end = "<!-- /layout -->";
// `page` with what stands between the two marks replaced. Nothing: it has no such marks, each once and in this order.
std::optional<std::string> with_layout(std::string_view page, std::string_view layout);

}  // namespace batgw
