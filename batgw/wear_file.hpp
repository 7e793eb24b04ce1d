// What the contactors have been through (SAFE-154), as a file of the state directory. New contactors: delete it while the gateway
// does not run.
#pragma once

#include "model/units.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace batgw {

inline constexpr std::string_view wear_file = "wear";

struct WearRecord {
    struct Opening {
        std::int64_t wall_ms = 0;
        std::optional<Current> current;  // empty: nobody knew it
    };
    unsigned openings = 0;     // under load, ever
    std::deque<Opening> last;  // of them, oldest first

    // There have been `count` in all; the newest with this current.
    void count_to(unsigned count, const std::optional<Current>& current, std::int64_t wall_ms);
    static constexpr std::size_t last_max = 50;
};

struct RestoredWear {
    WearRecord record;
    std::string note;  // for the log; empty: nothing to say
};
// A record that is not understood counts as worn: unknown is not zero.
RestoredWear restore_wear(const std::string& directory);
std::string wear_text(const WearRecord& record);

}  // namespace batgw
