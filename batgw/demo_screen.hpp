// What `batgw demo` shows in the terminal.
#pragma once

#include "model/snapshot.hpp"
#include "mqtt/ear.hpp"
#include "sim/simulator.hpp"

namespace batgw {

class DemoScreen {
public:
    // `plain`: a line for each show(); otherwise a screen drawn anew, when standard output is a terminal.
    explicit DemoScreen(bool plain);
    bool live() const { return live_; }
    void show(const Snapshot& s, const sim::SimulatedInverter& inverter, const MqttEar::Heard& heard, std::uint16_t port) const;

private:
    bool live_;
};

}  // namespace batgw
