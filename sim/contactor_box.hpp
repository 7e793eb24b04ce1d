// A box of contactors whose coils hang on lines of the gateway: relays with delays, a precharge resistor, the inverter's link
// capacitor, auxiliary contacts, interlock, emergency stop, a drop-out relay on the heartbeat. Told the time, like all
// simulators.
#pragma once

#include "model/contactor_lines.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <optional>

namespace batgw::sim {

class ContactorBox {
public:
    struct Relay {
        Duration closes_in = 30ms, opens_in = 15ms;
        std::optional<bool> stuck;  // welded, or dead
        bool coil = false, closed = false;
        Instant switched{};

        void drive(bool on, Instant now);
        void advance(Instant now);
    };
    // Everything that can be wrong with it; to be set from outside at any time.
    struct Ways {
        double precharge_ohm = 100, capacitor_f = 0.0015, bleed_ohm = 5000;
        bool shorted = false;         // the link
        bool no_resistor = false;     // the precharge resistor has burnt out
        std::optional<double> fed_v;  // the inverter holds its link there by itself
        bool interlock = true, released = true;
        bool positive_chatters = false;  // its auxiliary contact: 30 ms closed, 60 ms open
        bool drop_out_relay = false;     // takes the supply from the coils 1 s after the last change of the heartbeat
        bool has_contacts = true;
    };

    // What the gateway drives from now on, and what it may read.
    void drive(const Coils& coils, Instant now);
    ContactorLines lines(Instant now) const;
    // Moves relays and link on to `now`; steps of at most a few milliseconds.
    void advance(Instant now, Voltage pack);

    bool connected() const { return negative.closed && positive.closed; }
    Voltage link() const;
    Voltage worst_closing_step() const;  // over the contactors at the moment both were closed: what an inrush would have been
    double precharge_joule() const { return resistor_joule_; }

    Relay negative, precharge, positive;
    Ways ways;

    static constexpr Duration drop_out = 1s;

private:
    bool supplied(Instant now) const { return !ways.drop_out_relay || now - beat_at_ <= drop_out; }

    Coils coils_;
    Instant last_{}, beat_at_{};
    bool started_ = false, was_connected_ = false;
    double link_v_ = 0, worst_v_ = 0, resistor_joule_ = 0;
};

}  // namespace batgw::sim
