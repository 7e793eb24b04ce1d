// A Daly driver on the bench, and a board that answers from a table, at once.
#pragma once

#include "tests/battery/bench.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::test {

using Bytes = std::vector<std::uint8_t>;

inline std::string hex(std::span<const std::uint8_t> data)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text;
    for (const std::uint8_t b : data) {
        if (!text.empty()) text += ' ';
        text += digits[b >> 4];
        text += digits[b & 15];
    }
    return text;
}

// A frame of board 1: command and eight bytes of data; the rest is added.
inline Bytes telegram(std::string_view command_and_data, std::uint8_t address = 1)
{
    const Bytes d = bytes(command_and_data);
    Bytes f{0xA5, address, d.at(0), 8};
    f.insert(f.end(), d.begin() + 1, d.end());
    f.resize(12);
    unsigned sum = 0;
    for (const std::uint8_t b : f) sum += b;
    f.push_back(static_cast<std::uint8_t>(sum));
    return f;
}

// The 14S board of the complete public capture: idle, 52.8 V, 50 %.
inline const std::map<std::uint32_t, std::string>& captured_board()
{
    static const std::map<std::uint32_t, std::string> answers{
        {0x90, "A5 01 90 08 02 10 00 00 75 30 01 F4 EA"},
        {0x91, "A5 01 91 08 0E C8 05 0E 9C 09 01 F4 C2"},
        {0x92, "A5 01 92 08 3D 01 3D 01 9C 09 01 F4 56"},
        {0x93, "A5 01 93 08 00 01 01 10 00 00 4E 20 C1"},
        {0x94, "A5 01 94 08 0E 01 00 00 02 00 00 20 73"},
        {0x95,
            "A5 01 95 08 01 0E C0 0E C2 0E C7 20 D7 A5 01 95 08 02 0E C8 0E C8 0E C6 20 E5 A5 01 95 08 03 0E C2 0E C2 0E 9C 20 B0"
            "A5 01 95 08 04 0E C4 0E C4 0E C4 20 DD A5 01 95 08 05 0E C3 0E C0 0E C4 20 D9"},
        {0x96, "A5 01 96 08 01 3D 00 00 00 00 00 00 82 A5 01 96 08 02 00 00 00 00 00 00 00 46"},
        {0x97, "A5 01 97 08 00 00 00 00 00 00 00 00 45"},
        {0x98, "A5 01 98 08 00 00 00 00 00 00 00 00 46"},
    };
    return answers;
}

struct DalyBench : Bench {
    explicit DalyBench(const std::function<void(BatteryConfig&)>& change = {}, std::optional<ContactorMode> mode = {})
        : Bench{"daly-uart", change, mode}
    {
        on_written = [this](const Telegram& t) {
            ++asked[t.id];
            if (deaf) return;
            if (t.id == 0x93 && !frozen && answers.contains(0x93)) answers[0x93][13] = "0123456789ABCDEF"[life_++ % 16];
            if (const auto a = answers.find(t.id); a != answers.end()) pending_.push_back({now + answer_time, a->second});
        };
        // The life counter moves, so that frame is made anew each time.
        answers[0x93] = "93 00 01 01 10 00 00 4E 20";
    }
    // Answers of whole frames as text, or, for short ones, command and data.
    void play(const std::map<std::uint32_t, std::string>& table)
    {
        for (const auto& [command, text] : table)
            if (command != 0x93) answers[command] = text;
    }
    // Time passes: the driver asks, the board answers.
    void live(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now += 5ms;
            while (!pending_.empty() && pending_.front().at <= now) {
                const std::string text = pending_.front().text;
                pending_.erase(pending_.begin());
                const Bytes data = bytes(text);
                read(data.size() == 9 ? telegram(text) : data);
            }
            if (now >= wake) tick();
        }
    }
    bool reports(std::string_view code) const
    {
        for (const ReportedFault& f : state().reported)
            if (f.code == code) return true;
        return false;
    }
    std::vector<std::string> orders() const
    {
        std::vector<std::string> result;
        for (const Written& w : written)
            if (w.telegram.id >= 0xD0) result.push_back(hex(w.telegram.bytes()));
        return result;
    }
    unsigned count(Heard h) const { return static_cast<unsigned>(counted[static_cast<std::size_t>(h)]); }

    std::map<std::uint32_t, std::string> answers;
    std::map<std::uint32_t, unsigned> asked;
    Duration answer_time = 65ms;
    bool deaf = false, frozen = false;

private:
    struct Pending {
        Instant at;
        std::string text;
    };
    std::vector<Pending> pending_;
    unsigned life_ = 0;
};

}  // namespace batgw::test
