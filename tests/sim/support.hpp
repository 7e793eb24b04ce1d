// A gateway's part, played by hand: the frames a simulated pack or inverter waits for.
#pragma once

#include "battery/byd_atto3_layout.hpp"
#include "sim/byd_atto3_pack.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace batgw::test {

inline std::string text(const CanFrame& f)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string s{digits[f.id >> 8 & 0xF], digits[f.id >> 4 & 0xF], digits[f.id & 0xF], '#'};
    for (std::size_t i = 0; i < f.len; ++i) s += {digits[f.data[i] >> 4], digits[f.data[i] & 0xF]};
    return s;
}

struct Caught {
    Instant at;
    CanFrame frame;
};

// A car to the pack: sends 0x12D every 50 ms and 0x441 every 100 ms.
class Car {
public:
    explicit Car(const sim::BatteryChoice& choice = {}) : pack{choice} {}

    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now += 10ms;
            if (speaking && now >= mode_at) {
                mode_at = now + 50ms;
                CanFrame f = byd_atto3::make_power_mode(mode, counter);
                counter += count_by;
                if (spoil) f.data[7] ^= 1;
                pack.on_frame(f, now);
            }
            if (speaking && report_link && now >= link_at) {
                link_at = now + 100ms;
                pack.on_frame(byd_atto3::make_link_report(link), now);
            }
            Outbox out;
            const Instant next = pack.on_tick(now, out);
            CHECK(next > now);
            CHECK(out.lost() == 0);
            for (const CanFrame& f : out.frames()) heard.push_back({now, f});
        }
    }
    // As a gateway that knows what it does.
    void close()
    {
        mode = byd_atto3::PowerMode::standby;
        link = 12_V;
        run(500ms);
        mode = byd_atto3::PowerMode::close;
        run(200ms);
        link = pack.pack_voltage() - 1_V;
        run(1s);
        mode = byd_atto3::PowerMode::hold;
        run(200ms);
    }
    std::optional<CanFrame> last(std::uint32_t id) const
    {
        for (auto i = heard.rbegin(); i != heard.rend(); ++i)
            if (i->frame.id == id) return i->frame;
        return std::nullopt;
    }
    std::size_t count(std::uint32_t id) const
    {
        return static_cast<std::size_t>(
            std::count_if(heard.begin(), heard.end(), [id](const Caught& h) { return h.frame.id == id; }));
    }
    using Stage = sim::Atto3Contactors::Stage;
    Stage stage() const { return pack.contactors().stage(); }

    sim::BydAtto3Pack pack;
    Instant now{std::chrono::hours{2} + 777777us};
    byd_atto3::PowerMode mode = byd_atto3::PowerMode::standby;
    Voltage link = 12_V;
    bool speaking = true, report_link = true, spoil = false;
    unsigned counter = 5, count_by = 1;
    Instant mode_at{}, link_at{};
    std::vector<Caught> heard;
};

}  // namespace batgw::test
