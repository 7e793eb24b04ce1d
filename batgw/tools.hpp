// What the commands that work on records and declarations share. No bus, no network.
#pragma once

#include "batgw/log_line.hpp"
#include "model/driver.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batgw {

inline constexpr int status_fine = 0, status_failed = 1, status_with_trouble = 3;  // 2: wrong arguments

// One protocol of either side.
struct Protocol {
    const BatteryDriverInfo* battery = nullptr;
    const InverterDriverInfo* inverter = nullptr;

    std::string_view kind() const { return battery != nullptr ? "battery" : "inverter"; }
    std::string_view name() const { return battery != nullptr ? battery->name : inverter->name; }
    std::string_view models() const { return battery != nullptr ? battery->models : inverter->models; }
    Verification verified() const { return battery != nullptr ? battery->profile.verified : inverter->verified; }
    std::optional<SerialLine> serial() const { return battery != nullptr ? battery->serial : std::nullopt; }
    std::span<const OptionRule> options() const { return battery != nullptr ? battery->options : inverter->options; }
    std::span<const MessageView> messages() const { return battery != nullptr ? battery->messages : inverter->messages; }
};
// Batteries first, in the order of the registries.
std::vector<Protocol> all_protocols();
// Throws std::invalid_argument, with the nearest name, when there is none of this name.
Protocol find_protocol(std::string_view name);

// The driver's options: its defaults, and what is given as NAME=VALUE. Throws std::invalid_argument for what the configuration
// would refuse.
Options options_of(const Protocol& protocol, const std::vector<std::string>& given);

// Which identifiers a protocol uses under one configuration, where options shift them (InverterDriverInfo::in_use).
class Traffic {
public:
    // `config` is only looked at for inverters.
    Traffic(const Protocol& protocol, const InverterConfig& config);
    std::span<const RxRule> receives() const { return receives_; }
    std::span<const TxRule> sends() const { return sends_; }
    bool sends(const CanFrame& frame) const;
    // The frame with the identifier under which it is declared.
    CanFrame declared(CanFrame frame) const;

private:
    std::span<const RxRule> receives_, receives_declared_;
    std::span<const TxRule> sends_, sends_declared_;
};
// With the default options: what is declared.
Traffic default_traffic(const Protocol& protocol);

// Lines that are no frame: the first are named on standard error, all are counted.
class BadLines {
public:
    void tell(std::string_view log, std::uint64_t number, std::string_view problem, std::string_view text);
    std::uint64_t count() const { return count_; }

private:
    static constexpr std::uint64_t told = 10;
    std::uint64_t count_ = 0;
};

// Standard output was written completely? Throws std::runtime_error if not.
void finish_output();

// "1436509052.249713"
std::string time_text(std::int64_t us);
// "CAN", "serial, 9600 baud 8N1"
std::string bus_text(const std::optional<SerialLine>& serial);
std::string_view option_type(OptionType type);
// Number and noun: "1 frame", "2 frames".
std::string counted(std::uint64_t n, std::string_view noun);

}  // namespace batgw
