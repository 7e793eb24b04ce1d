// What a simulated pack said in one run, told again in another: as it was, or changed on the way. The pack that plays it hears
// nothing, but for a serial protocol, where the tape answers a question as the pack answered the same one at that time.
#pragma once

#include "sim/simulator.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace batgw::test {

struct Tape {
    struct Piece {
        Duration after{};  // the start; of an answer: the question
        std::uint32_t id = 0;
        std::optional<CanFrame> frame;
        std::optional<Telegram> telegram;
        std::span<std::uint8_t> data()
        {
            return frame ? std::span{frame->data.data(), frame->len} : std::span{telegram->data.data(), telegram->len};
        }
    };
    struct Exchange {
        Duration after{};
        std::vector<std::uint8_t> question;
        std::vector<Piece> answers;
    };
    struct Moment {  // of the DC side
        Duration after{};
        sim::Connection connection{};
        Voltage pack, output;
        Current current;
        Percent soc;
    };
    std::vector<Piece> said;
    std::vector<Exchange> exchanges;
    std::vector<Moment> moments;

    std::set<std::uint32_t> ids() const
    {
        std::set<std::uint32_t> result;
        for (const Piece& p : said) result.insert(p.id);
        for (const Exchange& e : exchanges)
            for (const Piece& p : e.answers) result.insert(p.id);
        return result;
    }
};

// A pack, and a tape that runs with it.
class Recorder final : public sim::SimulatedBattery {
public:
    explicit Recorder(std::unique_ptr<sim::SimulatedBattery> pack) : pack_{std::move(pack)} {}

    void on_frame(const CanFrame& f, Instant at) override { pack_->on_frame(f, at); }
    void on_bytes(std::span<const std::uint8_t> bytes, Instant at) override
    {
        tape.exchanges.push_back({at - start_.value_or(at), {bytes.begin(), bytes.end()}, {}});
        pack_->on_bytes(bytes, at);
    }
    Instant on_tick(Instant now, Outbox& out) override
    {
        if (!start_) start_ = now;
        const Duration after = now - *start_;
        Outbox mine;
        const Instant wake = pack_->on_tick(now, mine);
        for (const CanFrame& f : mine.frames()) {
            tape.said.push_back({after, f.id, f, std::nullopt});
            out.send(f);
        }
        for (const Telegram& t : mine.telegrams()) {
            if (!tape.exchanges.empty())
                tape.exchanges.back().answers.push_back({after - tape.exchanges.back().after, t.id, std::nullopt, t});
            out.send(t);
        }
        tape.moments.push_back({after, connection(), pack_voltage(), output_voltage(), current(), true_soc()});
        return wake;
    }
    std::string command(std::string_view line) override { return pack_->command(line); }
    std::string status() const override { return pack_->status(); }
    sim::Connection connection() const override { return pack_->connection(); }
    Voltage pack_voltage() const override { return pack_->pack_voltage(); }
    void set_current(Current current) override { pack_->set_current(current); }
    Current current() const override { return pack_->current(); }
    void set_output_voltage(Voltage voltage) override { pack_->set_output_voltage(voltage); }
    Voltage output_voltage() const override { return pack_->output_voltage(); }
    Percent true_soc() const override { return pack_->true_soc(); }

    Tape tape;

private:
    std::unique_ptr<sim::SimulatedBattery> pack_;
    std::optional<Instant> start_;
};

// `change` sees every piece with its time on the tape, may change it, and drops it by false. `slower`: all times so many times as
// long.
class Player final : public sim::SimulatedBattery {
public:
    using Change = std::function<bool(Duration, Tape::Piece&)>;
    explicit Player(const Tape& tape, Change change = {}, int slower = 1)
        : tape_{tape},
          change_{std::move(change)},
          slower_{slower}
    {}

    void on_bytes(std::span<const std::uint8_t> bytes, Instant now) override
    {
        const Duration at = on_tape(now);
        const Tape::Exchange* best = nullptr;
        for (const Tape::Exchange& e : tape_.exchanges)
            if (std::ranges::equal(e.question, bytes) && (best == nullptr || e.after <= at)) best = &e;
        if (best == nullptr) return;
        for (const Tape::Piece& p : best->answers) due_.push_back({now + p.after * slower_, p});
    }
    Instant on_tick(Instant now, Outbox& out) override
    {
        if (!start_) start_ = now;
        const Duration at = on_tape(now);
        for (; next_ < tape_.said.size() && tape_.said[next_].after <= at; ++next_) say(tape_.said[next_], at, out);
        for (const Due& d : due_)
            if (d.at <= now) say(d.piece, at, out);
        std::erase_if(due_, [&](const Due& d) { return d.at <= now; });
        while (moment_ + 1 < tape_.moments.size() && tape_.moments[moment_ + 1].after <= at) ++moment_;
        Instant wake = now + 1ms;
        if (next_ < tape_.said.size()) wake = std::min(wake, *start_ + tape_.said[next_].after * slower_);
        for (const Due& d : due_) wake = std::min(wake, d.at);
        return wake;
    }
    std::string command(std::string_view) override { return "error a tape"; }
    std::string status() const override { return "a tape"; }
    sim::Connection connection() const override { return moment().connection; }
    Voltage pack_voltage() const override { return moment().pack; }
    void set_current(Current) override {}
    Current current() const override { return moment().current; }
    void set_output_voltage(Voltage) override {}
    Voltage output_voltage() const override { return moment().output; }
    Percent true_soc() const override { return moment().soc; }

private:
    struct Due {
        Instant at;
        Tape::Piece piece;
    };
    Duration on_tape(Instant now) const { return (now - start_.value_or(now)) / slower_; }
    const Tape::Moment& moment() const { return tape_.moments[moment_]; }
    void say(Tape::Piece piece, Duration at, Outbox& out) const
    {
        if (change_ && !change_(at, piece)) return;
        if (piece.frame) out.send(*piece.frame);
        if (piece.telegram) out.send(*piece.telegram);
    }

    const Tape& tape_;
    Change change_;
    int slower_;
    std::optional<Instant> start_;
    std::size_t next_ = 0, moment_ = 0;
    std::vector<Due> due_;
};

}  // namespace batgw::test
