#include "sim/plant.hpp"

#include "sim/numbers.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace batgw::sim {
namespace {

constexpr double capacitor_f = 0.0015;
constexpr double highest_v = 1000.0;

}  // namespace

Instant Plant::on_tick(Instant now)
{
    const double seconds = started_ ? std::chrono::duration<double>(now - last_).count() : 0.0;
    if (started_ && seconds <= 0) return last_ + step;
    started_ = true;
    last_ = now;

    const Connection connection = battery_.connection();
    const double pack = number(battery_.pack_voltage());
    const Current flow = inverter_.current();
    switch (connection) {
    case Connection::closed:
        if (before_ != Connection::closed) worst_step_ = std::max(worst_step_, std::abs(pack - link_));
        link_ = pack;
        break;
    case Connection::precharge: link_ += (pack - link_) * (1.0 - std::exp(-seconds / precharge_tau_s)); break;
    case Connection::open: link_ *= std::exp(-seconds / discharge_tau_s); break;
    }
    // With nothing behind it the capacitor takes what the inverter does, and is full or empty in no time.
    if (connection != Connection::closed) link_ = std::clamp(link_ + number(flow) * seconds / capacitor_f, 0.0, highest_v);
    battery_.set_current(connection == Connection::closed ? flow : Current{});
    before_ = connection;

    battery_.set_output_voltage(link_voltage());
    inverter_.set_terminal_voltage(link_voltage());
    return now + step;
}

}  // namespace batgw::sim
