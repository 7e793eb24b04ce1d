#include "mqtt/moment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace batgw::mqtt {

std::string utc_text(std::int64_t wall_ms)
{
    namespace chrono = std::chrono;
    // Years 1970 to 9999: what the text has room for. A clock beyond that is wrong anyway.
    const chrono::sys_time<chrono::milliseconds> time{
        chrono::milliseconds{std::clamp<std::int64_t>(wall_ms, 0, 253'402'300'799'999)}};
    const auto day = chrono::floor<chrono::days>(time);
    const chrono::year_month_day date{day};
    const chrono::hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
        clock.seconds().count(), clock.subseconds().count());
}

}  // namespace batgw::mqtt
