#include "mqtt/json.hpp"

#include <nlohmann/json.hpp>

namespace batgw::mqtt {

std::string quoted(std::string_view text)
{
    return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Json& Json::milli_short(std::optional<std::int64_t> value, unsigned decimals)
{
    if (!value) return null();
    std::int64_t count = scaled(*value, decimals);
    while (decimals > 0 && count % 10 == 0) {
        count /= 10;
        --decimals;
    }
    return raw(fixed_text(count, decimals));
}

}  // namespace batgw::mqtt
