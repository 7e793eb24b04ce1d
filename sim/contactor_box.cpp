#include "sim/contactor_box.hpp"

#include "sim/numbers.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace batgw::sim {

void ContactorBox::Relay::drive(bool on, Instant now)
{
    if (on != coil) switched = now;
    coil = on;
}

void ContactorBox::Relay::advance(Instant now)
{
    if (coil != closed && now - switched >= (coil ? closes_in : opens_in)) closed = coil;
    if (stuck) closed = *stuck;
}

void ContactorBox::drive(const Coils& coils, Instant now)
{
    if (coils.heartbeat != coils_.heartbeat) beat_at_ = now;
    coils_ = coils;
}

void ContactorBox::advance(Instant now, Voltage pack)
{
    const double seconds = started_ ? std::max(std::chrono::duration<double>(now - last_).count(), 0.0) : 0.0;
    started_ = true;
    last_ = now;
    const bool power = supplied(now);
    negative.drive(power && coils_.negative, now);
    precharge.drive(power && coils_.precharge, now);
    positive.drive(power && coils_.positive, now);
    for (Relay* r : {&negative, &precharge, &positive}) r->advance(now);

    const double pack_v = number(pack);
    const bool through_resistor = negative.closed && precharge.closed && !ways.no_resistor;
    if (connected()) {
        if (!was_connected_) worst_v_ = std::max(worst_v_, std::abs(pack_v - (ways.shorted ? 0 : link_v_)));
        link_v_ = pack_v;
    } else if (through_resistor) {
        const double over = pack_v - link_v_;
        resistor_joule_ += over * over / ways.precharge_ohm * seconds;
        link_v_ += over * (1 - std::exp(-seconds / (ways.precharge_ohm * ways.capacitor_f)));
    } else {
        link_v_ *= std::exp(-seconds / (ways.bleed_ohm * ways.capacitor_f));
    }
    if (ways.fed_v && !connected()) link_v_ = *ways.fed_v;
    if (ways.shorted) link_v_ = 0;
    was_connected_ = connected();
}

ContactorLines ContactorBox::lines(Instant now) const
{
    ContactorLines l;
    l.held = true;
    l.at = now;
    if (ways.has_contacts) {
        const bool seen = !ways.positive_chatters || now.time_since_epoch() % Duration{90ms} < Duration{30ms};
        l.negative_closed = negative.closed;
        l.positive_closed = positive.closed && seen;
    }
    l.interlock_closed = ways.interlock;
    l.stop_released = ways.released;
    return l;
}

Voltage ContactorBox::link() const { return quantity<Voltage>(link_v_); }
Voltage ContactorBox::worst_closing_step() const { return quantity<Voltage>(worst_v_); }

}  // namespace batgw::sim
