// A whole day and night, in virtual time.
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

TEST_CASE("a day and a night of cycling bring no trip, no open contactor, no late frame and no limit above the configuration")
{
    World w;
    w.start_up();
    const std::vector<std::pair<Power, Duration>> day{{8_kW, 4h}, {Power{}, 1h}, {-6_kW, 7h}, {3_kW, 6h}, {-2_kW, 6h}};
    for (const auto& [wish, time] : day) {
        w.inverter->set_wish(wish);
        for (Duration t{}; t < time; t += 10min) {
            w.run(10min);
            CHECK(w.verdict().charge.power() <= 10_kW);
            CHECK(w.verdict().discharge.power() <= 10_kW);
            CHECK(w.verdict().worst < FaultClass::trip);
            CHECK(w.verdict().contactors.state == ContactorState::closed);
            w.sent.clear();
        }
    }
    CHECK(w.inverter->report().problems.empty());
}
