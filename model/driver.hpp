// What a driver is: a value fed with frames and time. No sockets, no clock, no log, no policy.
#pragma once

#include "model/battery_state.hpp"
#include "model/can_frame.hpp"
#include "model/config.hpp"
#include "model/fixed_vector.hpp"
#include "model/inverter_state.hpp"
#include "model/signal.hpp"
#include "model/time.hpp"
#include "model/verdict.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace batgw {

// What a driver made of a frame. The bridge counts, per bus.
enum class Heard : std::uint8_t { used, not_mine, bad_length, bad_checksum, bad_counter, implausible };
inline constexpr std::size_t heard_count = 6;
constexpr std::string_view to_string(Heard h)
{
    constexpr std::array<std::string_view, heard_count> names{
        "used", "not_mine", "bad_length", "bad_checksum", "bad_counter", "implausible"};
    return names[static_cast<std::size_t>(h)];
}

using HeardCounts = std::array<std::uint64_t, heard_count>;

// What a driver of a serial protocol writes in one piece. `id`: what it asks for or orders, as in the driver's allow-list; it is
// not on the wire by itself.
struct Telegram {
    std::uint32_t id = 0;
    std::uint8_t len = 0;
    std::array<std::uint8_t, 64> data{};
    static constexpr bool extended = false;  // for those who handle frames and telegrams alike

    std::span<const std::uint8_t> bytes() const { return {data.data(), len}; }
    friend constexpr bool operator==(const Telegram&, const Telegram&) = default;
};

// A serial line, as the protocol wants it: always 8 data bits and one stop bit, no flow control.
struct SerialLine {
    std::uint32_t baud = 9600;
    enum class Parity : std::uint8_t { none, even, odd } parity = Parity::none;
};

// What a driver wants sent now. Bounded: a driver that floods the bus is a bug, and the excess is counted, not sent.
class Outbox {
public:
    void send(const CanFrame& f)
    {
        if (!frames_.push_back(f)) ++lost_;
    }
    void send(const Telegram& t)
    {
        if (!telegrams_.push_back(t)) ++lost_;
    }
    std::span<const CanFrame> frames() const { return {frames_.begin(), frames_.size()}; }
    std::span<const Telegram> telegrams() const { return {telegrams_.begin(), telegrams_.size()}; }
    unsigned lost() const { return lost_; }
    void clear()
    {
        frames_.clear();
        telegrams_.clear();
        lost_ = 0;
    }

private:
    FixedVector<CanFrame, 32> frames_;
    FixedVector<Telegram, 16> telegrams_;
    unsigned lost_ = 0;
};

// One line of a driver's transmit allow-list (SAFE-006). What is not listed is not sent.
struct TxRule {
    std::uint32_t id;  // of a frame, or of a telegram
    std::uint8_t len = 8;
    bool extended = false;
    Duration min_spacing{};  // between two of this id (and page); a frame with a lower limit may come sooner, 100 ms apart
    Duration period{};       // a pending frame older than this is dropped, not sent late (SAFE-263)
    bool carries_verdict =
        true;            // limit, state of charge, permission or contactor request: must be built from a verdict <= 1 s old
    bool paged = false;  // byte 0 is a page: pages are different messages
};

// What a driver reads: the receive filter (SAFE-265).
struct RxRule {
    std::uint32_t id = 0;
    bool extended = false;
};

enum class OptionType : std::uint8_t { boolean, integer, number, text, choice };

// One key of `options:`; conf checks it as strictly as any other key. Optional ones have an empty default text and may stay
// "unset" (type text or choice only).
struct OptionRule {
    std::string_view name;
    OptionType type;
    std::string_view default_text;  // as it would be written in the file
    double min = 0, max = 0;        // integer, number
    std::span<const std::string_view> choices{};
    std::string_view help;  // one line, with unit and why
};

// Per signal: does this battery deliver it, how often, and how old may it get where the driver knows better.
struct SignalProfile {
    bool provided = false;
    Duration period{};  // zero: not documented
    std::optional<Duration>
        max_age;           // tighter than the class floor, or the number to use where the period is not known; <= class ceiling
    bool at_once = false;  // a lost measurement takes its limits to zero without a ramp (SAFE-023)
};

struct BatteryProfile {
    Chemistry chemistry = Chemistry::lfp;
    ContactorMode contactor_mode = ContactorMode::none;
    Verification verified = Verification::none;
    bool states_limits = false;        // the battery declares its own power or current limits
    bool states_contactor = false;     // gives contactor feedback
    bool wants_cell_count = false;     // closing waits for a known cell count
    bool commands_contactors = false;  // takes `bms_command`, though that is not the mode it starts with
    bool count_from_battery =
        false;  // set points and power wait until the battery has told its cells itself, and not only the file
    std::array<SignalProfile, signal_count> signals{};
    constexpr const SignalProfile& operator[](SignalId id) const { return signals[index(id)]; }
};

// What a battery driver is given at start.
struct BatterySetup {
    const BatteryConfig& config;
    AgeLimits ages;
    // As configured. With `none` the driver asks nothing of contactors. Empty: the profile's own.
    std::optional<ContactorMode> contactor_mode{};
};

class BatteryDriver {
public:
    virtual ~BatteryDriver() = default;
    // `at`: when the frame was received. Never later than the `now` of the next on_tick.
    virtual Heard on_frame(const CanFrame&, Instant) { return Heard::not_mine; }
    // Serial protocols: bytes in the order they came, cut anywhere. Counts what it made of each telegram in them.
    virtual void on_bytes(std::span<const std::uint8_t>, Instant, HeardCounts&) {}
    // Sends what is due and says when it next wants to be called (> now). Early calls do nothing. `order` and the inverter-side
    // voltage and current (unknown: empty) come from the newest verdict and the inverter.
    struct Orders {
        ContactorOrder contactors = ContactorOrder::keep;
        std::optional<Current> inverter_current;
    };
    virtual Instant on_tick(Instant now, const Orders& orders, Outbox& out) = 0;
    // Facts known by now, from configuration and from what the battery said. Unknown stays empty.
    virtual PackFacts facts() const = 0;

    const BatteryState& state() const { return state_; }
    void set_ages(const AgeLimits& ages) { state_.set_ages(ages); }

protected:
    BatteryState state_;
};

// What an inverter driver may look at: judged, read-only.
struct InverterView {
    const Verdict& verdict;
    const BatteryState& battery;
    // Counts frames that were given up because a lower verdict came before the bus took them: what they said was never told.
    std::uint64_t overtaken = 0;
};

class InverterDriver {
public:
    virtual ~InverterDriver() = default;
    virtual Heard on_frame(const CanFrame& frame, Instant at) = 0;
    // As for the battery. Called after every verdict in which something an inverter must learn at once has changed, too.
    virtual Instant on_tick(Instant now, const InverterView& view, Outbox& out) = 0;

    const InverterState& state() const { return state_; }

protected:
    InverterState state_;
};

// One value topic: <scope>/<key>/<type> (MQTT-020). `milli` gives thousandths of the topic's unit, nothing when not fresh.
enum class ValueType : std::uint8_t { temperature, voltage, current, power, amphour, watthour, energy, percent, count, raw };
constexpr std::string_view to_string(ValueType t)
{
    constexpr std::array<std::string_view, 10> names{
        "temperature", "voltage", "current", "power", "amphour", "watthour", "energy", "percent", "count", "raw"};
    return names[static_cast<std::size_t>(t)];
}
struct BatteryValue {
    std::string_view key;  // empty: <scope>/<type>
    ValueType type;
    std::uint8_t decimals;
    std::optional<std::int64_t> (*milli)(const BatteryState&, Instant now);
};
struct InverterValue {
    std::string_view key;
    ValueType type;
    std::uint8_t decimals;
    std::optional<std::int64_t> (*milli)(const InverterState&, Instant now);
};

// A whole telegram in bytes of a serial line.
struct FoundTelegram {
    CanFrame frame;          // its content under the identifier that `messages` declares
    std::size_t end = 0;     // where the bytes behind it begin
    bool to_device = false;  // a question or an order, not an answer
};

struct BatteryDriverInfo {
    std::string_view name;               // as written in the configuration
    std::string_view models;             // what it is for, one line
    std::optional<SerialLine> serial{};  // on a serial line; empty: on CAN
    BatteryProfile profile;
    std::unique_ptr<BatteryDriver> (*make)(const BatterySetup&);
    // Puts the driver's own numbers over those of the chemistry, before the file's `safety:` section is read. May be null.
    void (*adjust)(const BatteryConfig&, SafetyConfig&);
    std::span<const OptionRule> options;
    std::span<const MessageView> messages;
    std::span<const RxRule> receives;
    std::span<const TxRule> sends;
    std::span<const BatteryValue> values;
    // Keys of the per-cell and per-sensor value topics: "cell" gives battery/cell0/voltage. Empty: none.
    std::string_view cell_key, sensor_key;
    // Of serial protocols, for those who read logs: the first whole and sound telegram. Null: nobody has written it.
    std::optional<FoundTelegram> (*find_telegram)(std::span<const std::uint8_t>) = nullptr;
};

// Options that do not go together: the one to blame, what is wrong with it ("is ..."), what would do.
struct Objection {
    std::string_view option, what, allowed;
};

// What an inverter driver reads and sends under one configuration.
struct InverterTraffic {
    std::span<const RxRule> receives;
    std::span<const TxRule> sends;
};

struct InverterDriverInfo {
    std::string_view name;
    std::string_view models;
    Verification verified = Verification::none;
    std::unique_ptr<InverterDriver> (*make)(const InverterConfig&);
    void (*adjust)(const InverterConfig&, SafetyConfig&);  // link time-out and the like; may be null
    std::span<const OptionRule> options;
    std::span<const MessageView> messages;
    std::span<const RxRule> receives;
    std::span<const TxRule> sends;
    std::span<const InverterValue> values;
    bool asks_for_charge = false;  // the protocol has bits that ask the inverter to charge (SAFE-113 request_bits)
    // What is wrong with options that are good alone but not together. Null: all go together.
    std::optional<Objection> (*objection)(const Options&) = nullptr;
    // Of a protocol whose identifiers depend on an option: the part of `receives` and `sends` that is in use. Null: all of them.
    InverterTraffic (*in_use)(const InverterConfig&) = nullptr;

    InverterTraffic traffic(const InverterConfig& config) const
    {
        return in_use != nullptr ? in_use(config) : InverterTraffic{receives, sends};
    }
};

// How conf and the command line find drivers without including them.
struct DriverCatalogue {
    std::span<const BatteryDriverInfo* const> batteries;
    std::span<const InverterDriverInfo* const> inverters;
    const BatteryDriverInfo* battery(std::string_view name) const
    {
        for (const auto* d : batteries)
            if (d->name == name) return d;
        return nullptr;
    }
    const InverterDriverInfo* inverter(std::string_view name) const
    {
        for (const auto* d : inverters)
            if (d->name == name) return d;
        return nullptr;
    }
};

}  // namespace batgw
