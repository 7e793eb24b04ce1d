#include "battery/byd_atto3_diagnostics.hpp"

#include <algorithm>

namespace batgw::byd_atto3 {
namespace {

constexpr std::uint8_t read_data = 0x22, read_codes_service = 0x19, by_status = 0x02, positive = 0x40;
constexpr std::uint8_t negative = 0x7F, still_working = 0x78;
constexpr unsigned block_size = 8;  // of value answers; code lists come in one go

// Asked often: what people compare with the broadcasts. The others count slowly.
constexpr std::array quick_dids{did::soc, did::voltage, did::current, did::charge_limit, did::discharge_limit};
constexpr std::array slow_dids{did::calibration_first, did::calibration, did::sessions, did::charge_in, did::charge_out,
    did::energy_in, did::energy_out, did::full_charges};

constexpr std::size_t data_length(std::uint16_t id)
{
    return id == did::soc ? 1 : id == did::calibration || id == did::calibration_first ? 4 : 2;
}

constexpr std::int64_t number(std::span<const std::uint8_t> bytes)  // low byte first
{
    std::int64_t n = 0;
    for (std::size_t i = bytes.size(); i > 0; --i) n = n << 8 | bytes[i - 1];
    return n;
}

}  // namespace

Instant Diagnostics::on_tick(Instant now, bool awake, Outbox& out)
{
    if (asked_ != Asked::nothing && now >= give_up_at_) finish();
    if (asked_ != Asked::nothing) {
        send_flow_control(now, out);
        return give_up_at_;
    }
    if (!awake) return end_of_time;
    if (slow_beat_.due(now)) {
        slow_next_ = 0;
        // Codes that are there must be seen to go, and a pack that did not answer gets another chance.
        if (!codes_.empty() || codes_read_ == 0) codes_wanted_ = true;
    }
    if (quick_beat_.due(now)) quick_next_ = 0;
    if (last_sent_ && now - *last_sent_ < spacing) return *last_sent_ + spacing;
    if (codes_wanted_) {
        codes_wanted_ = false;
        ask(Asked::codes, 0, now, out);
    } else if (values_) {
        ask_next_value(now, out);
    }
    return asked_ != Asked::nothing ? give_up_at_ : end_of_time;
}

void Diagnostics::ask_next_value(Instant now, Outbox& out)
{
    if (quick_next_ < quick_dids.size())
        ask(Asked::value, quick_dids[quick_next_++], now, out);
    else if (slow_next_ < slow_dids.size())
        ask(Asked::value, slow_dids[slow_next_++], now, out);
}

void Diagnostics::ask(Asked what, std::uint16_t wanted, Instant now, Outbox& out)
{
    CanFrame f = diagnostic_request.blank();
    if (what == Asked::codes)
        f.data = {0x03, read_codes_service, by_status, 0x09};
    else
        f.data = {0x03, read_data, static_cast<std::uint8_t>(wanted >> 8), static_cast<std::uint8_t>(wanted & 0xFFU)};
    out.send(f);
    asked_ = what;
    did_ = wanted;
    asked_at_ = now;
    last_sent_ = now;
    give_up_at_ = now + (what == Asked::codes ? codes_time : answer_time);
}

void Diagnostics::send_flow_control(Instant now, Outbox& out)
{
    if (!flow_wanted_ || (flow_sent_ && now - *flow_sent_ < flow_spacing)) return;
    CanFrame f = diagnostic_request.blank();
    f.data = {0x30, asked_ == Asked::codes ? std::uint8_t{0} : std::uint8_t{block_size}, 0x05};
    out.send(f);
    flow_wanted_ = false;
    flow_sent_ = now;
    block_left_ = asked_ == Asked::codes ? 0 : block_size;
}

void Diagnostics::finish()
{
    asked_ = Asked::nothing;
    receiving_ = false;
    flow_wanted_ = false;
}

Heard Diagnostics::on_frame(const CanFrame& frame, Instant at, BatteryState& state)
{
    if (asked_ == Asked::nothing || at >= give_up_at_) return Heard::not_mine;
    const unsigned type = frame.data[0] >> 4U, length = frame.data[0] & 0xFU;
    switch (type) {
    case 0:
        if (length < 1 || length > 7) return Heard::implausible;
        return on_answer(std::span{frame.data}.subspan(1, length), at, state);
    case 1: return on_first(frame);
    case 2: return on_consecutive(frame, at, state);
    default: return Heard::implausible;
    }
}

Heard Diagnostics::on_first(const CanFrame& frame)
{
    const std::size_t length = (frame.data[0] & 0xFU) << 8U | frame.data[1];
    const auto begin = std::span{frame.data}.subspan(2);
    if (receiving_ || length <= begin.size() + 1 || !answers_question(begin)) return Heard::implausible;
    std::copy(begin.begin(), begin.end(), buffer_.begin());
    receiving_ = true;
    announced_ = length;
    received_ = begin.size();
    next_number_ = 1;
    flow_wanted_ = true;
    return Heard::used;
}

Heard Diagnostics::on_consecutive(const CanFrame& frame, Instant at, BatteryState& state)
{
    // Nothing may come before we said how.
    if (!receiving_ || flow_wanted_) return Heard::implausible;
    if ((frame.data[0] & 0xFU) != next_number_) {
        finish();  // one is missing: the rest is worth nothing
        return Heard::implausible;
    }
    next_number_ = (next_number_ + 1) & 0xFU;
    for (std::size_t i = 1; i < frame.data.size() && received_ < announced_; ++i, ++received_)
        if (received_ < buffer_.size()) buffer_[received_] = frame.data[i];  // a longer list is cut
    if (received_ < announced_) {
        if (block_left_ > 0 && --block_left_ == 0) flow_wanted_ = true;
        return Heard::used;
    }
    receiving_ = false;
    return on_answer(std::span{buffer_}.first(std::min(announced_, buffer_.size())), at, state);
}

// Service and identifier must be those of the question: another tester's answers come with the same id, and the answer to a seed
// request (67 01 ...) looks like that of DID 01xx to whoever reads only the identifier.
bool Diagnostics::answers_question(std::span<const std::uint8_t> answer) const
{
    if (answer.size() < 3) return false;
    if (asked_ == Asked::codes) return answer[0] == read_codes_service + positive && answer[1] == by_status;
    return answer[0] == read_data + positive && (answer[1] << 8 | answer[2]) == did_;
}

Heard Diagnostics::on_answer(std::span<const std::uint8_t> answer, Instant at, BatteryState& state)
{
    if (answer[0] == negative) return on_negative(answer, at);
    if (!answers_question(answer)) return Heard::implausible;
    if (asked_ == Asked::codes) {
        take_codes(answer.subspan(3));
        finish();
        return Heard::used;
    }
    if (answer.size() < 3 + data_length(did_)) return Heard::implausible;
    const bool taken = take_value(answer.subspan(3), at, state);
    finish();
    return taken ? Heard::used : Heard::implausible;
}

Heard Diagnostics::on_negative(std::span<const std::uint8_t> answer, Instant at)
{
    const std::uint8_t service = asked_ == Asked::codes ? read_codes_service : read_data;
    if (answer.size() < 3 || answer[1] != service) return Heard::implausible;
    if (answer[2] == still_working)
        give_up_at_ = std::min(at + busy_time, asked_at_ + busy_limit);
    else
        finish();
    return Heard::used;
}

void Diagnostics::take_codes(std::span<const std::uint8_t> entries)
{
    codes_.clear();
    for (; entries.size() >= 4; entries = entries.subspan(4)) {
        const TroubleCode c{
            .code = static_cast<std::uint32_t>(entries[0] << 16 | entries[1] << 8 | entries[2]), .status = entries[3]};
        if (c.code != 0 && c.status != 0) codes_.push_back(c);
    }
    ++codes_read_;
}

// False: not a number this quantity can have.
bool Diagnostics::take_value(std::span<const std::uint8_t> data, Instant at, BatteryState& state)
{
    const std::int64_t n = number(data.first(std::min<std::size_t>(data.size(), 2)));
    // One public observation of the charge counters has three bytes.
    const std::int64_t long_n = number(data.first(std::min<std::size_t>(data.size(), 3)));
    const auto put = [at](auto& reading, auto value, bool sane) {
        if (sane) reading.set(value, at, diagnostic_reply.id);
        return sane;
    };
    switch (did_) {
    case did::soc: return put(state.diagnostic_soc, Percent::from_milli(data[0] * 1000), data[0] <= 100);
    case did::voltage:
        return put(state.diagnostic_voltage, Voltage::from_milli(n * 1000), n > 0 && n <= voltage_coarse.valid.max);
    case did::current: return put(state.diagnostic_current, current.value_of(n), n <= current.valid.max);
    case did::charge_limit: return put(state.diagnostic_charge_limit, charge_limit.value_of(n), n <= charge_limit.valid.max);
    case did::discharge_limit:
        return put(state.diagnostic_discharge_limit, discharge_limit.value_of(n), n <= discharge_limit.valid.max);
    case did::sessions: return put(state.sessions, Count::from_milli(n * 1000), true);
    case did::full_charges: return put(state.cycles, Count::from_milli(n * 1000), true);
    case did::charge_in: return put(state.charge_in, Charge::from_milli(long_n * 1000), true);
    case did::charge_out: return put(state.charge_out, Charge::from_milli(long_n * 1000), true);
    case did::energy_in: return put(state.energy_in, Energy::from_milli(n * 1'000'000), true);
    case did::energy_out: return put(state.energy_out, Energy::from_milli(n * 1'000'000), true);
    default: break;
    }
    // Calibration records: state of charge, then capacity in 0.01 Ah.
    const auto capacity = Charge::from_milli(number(data.subspan(2, 2)) * 10);
    if (capacity <= Charge{}) return false;
    if (did_ == did::calibration) return put(state.charge_full, capacity, true);
    built_capacity_ = capacity;
    return true;
}

}  // namespace batgw::byd_atto3
