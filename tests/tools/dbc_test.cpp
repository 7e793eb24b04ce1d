// The exported DBC, read by a decoder that knows only what the DBC format says, tells the same values as the declarations.
#include "batgw/layout.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <random>
#include <sstream>
#include <vector>

using namespace batgw;

namespace {

struct DbcSignal {
    std::string name;
    unsigned start = 0, length = 0;
    bool little = false, is_signed = false;
    double factor = 0, offset = 0;
};
struct DbcMessage {
    std::string name;
    unsigned length = 0;
    std::vector<DbcSignal> signals;
};

// Numbers of messages and signals are as in the format's grammar; everything else must not be there.
std::map<std::uint32_t, DbcMessage> read_dbc(const std::string& text)
{
    std::map<std::uint32_t, DbcMessage> messages;
    DbcMessage* current = nullptr;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        CAPTURE(line);
        std::uint32_t id = 0;
        char name[64], order = 0, sign = 0;
        DbcSignal s;
        unsigned length = 0;
        if (std::sscanf(line.c_str(), "BO_ %u %63[A-Za-z0-9_]: %u Vector__XXX", &id, name, &length) == 3) {
            REQUIRE(messages.emplace(id, DbcMessage{name, length, {}}).second);  // each identifier once
            current = &messages[id];
        } else if (std::sscanf(line.c_str(), " SG_ %63[A-Za-z0-9_] : %u|%u@%c%c (%lf,%lf) [", name, &s.start, &s.length, &order,
                       &sign, &s.factor, &s.offset) == 7) {
            REQUIRE(current != nullptr);
            REQUIRE((order == '0' || order == '1'));
            REQUIRE((sign == '+' || sign == '-'));
            s.name = name;
            s.little = order == '1';
            s.is_signed = sign == '-';
            current->signals.push_back(s);
        } else {
            const bool other = line.empty() || line == "VERSION \"\"" || line == "NS_ :" || line == "BS_:" || line == "BU_:" ||
                line.starts_with("CM_ BO_ ");
            REQUIRE(other);
        }
    }
    return messages;
}

// Bit by bit. Little endian counts up from the lowest bit; big endian starts at the highest and goes down in each byte, then on
// to the top of the next.
std::int64_t raw_of(const DbcSignal& s, const CanFrame& frame)
{
    std::uint64_t raw = 0;
    unsigned bit = s.start;
    for (unsigned i = 0; i < s.length; ++i) {
        const std::uint64_t value = frame.data[bit / 8] >> (bit % 8) & 1U;
        if (s.little) {
            raw |= value << i;
            ++bit;
        } else {
            raw = raw << 1U | value;
            bit = bit % 8 == 0 ? bit + 15 : bit - 1;
        }
    }
    if (s.is_signed && (raw >> (s.length - 1) & 1U) != 0 && s.length < 64) raw |= ~std::uint64_t{0} << s.length;
    return static_cast<std::int64_t>(raw);
}

}  // namespace

TEST_CASE("the exported DBC tells the same values as the declarations, for every driver on CAN")
{
    std::mt19937_64 random{20260501};
    std::size_t compared = 0;
    for (const Protocol& p : all_protocols()) {
        CAPTURE(p.name());
        if (p.serial()) {
            CHECK(layout_dbc(p).empty());
            continue;
        }
        auto messages = read_dbc(layout_dbc(p));
        REQUIRE(!messages.empty());
        for (const MessageView& m : p.messages()) {
            const auto last = m.id + m.count - 1U;  // of a row
            const auto found = messages.find(m.extended ? last | 0x80000000U : last);
            REQUIRE(found != messages.end());
            if (found->second.name != std::string{m.name} + (m.count > 1 ? "_" + std::to_string(m.count) : ""))
                continue;  // a second declaration of one identifier: only a comment
            REQUIRE(found->second.length == m.len);
            REQUIRE(found->second.signals.size() == m.signals.size());
            for (int round = 0; round < 200; ++round) {
                CanFrame frame{.id = m.id, .extended = m.extended, .len = m.len};
                for (auto& byte : frame.data) byte = static_cast<std::uint8_t>(random());
                for (std::size_t i = 0; i < m.signals.size(); ++i) {
                    const SignalView& declared = m.signals[i];
                    const DbcSignal& exported = found->second.signals[i];
                    const std::int64_t raw = read_raw(frame, declared.bits);
                    bool same = raw_of(exported, frame) == raw;
                    const double value = static_cast<double>(raw) * exported.factor + exported.offset;
                    const double wanted = (static_cast<double>(declared.zero_milli) +
                                              static_cast<double>(raw) * static_cast<double>(declared.step_milli)) /
                        1000;
                    same = same && std::abs(value - wanted) <= 1e-9 * (1 + std::abs(wanted));
                    ++compared;
                    if (!same) {
                        CAPTURE(declared.name);
                        CHECK(value == wanted);
                    }
                }
            }
        }
    }
    CHECK(compared > 10'000);
}

TEST_CASE("the smallest DBC that shows both byte orders, signs and 29 bits")
{
    static constexpr std::array<SignalView, 2> signals{SignalView{"big-one", two_s(be(4, 12)), -100, 500'000, {-2048, 2047}, "A"},
        SignalView{"2nd", le(16, 8), 1000, 0, {0, 255}, "°C"}};
    static const std::array<MessageView, 2> messages{
        MessageView{0x4210, true, 8, "one", {}, signals}, MessageView{0x4210, true, 8, "two", {}, {}}};
    InverterDriverInfo info;
    info.name = "made-up";
    info.messages = messages;
    const std::string dbc = layout_dbc({.inverter = &info});
    CHECK(dbc.find("BO_ 2147500560 one: 8 Vector__XXX\n"
                   " SG_ big_one : 3|12@0- (-0.1,500) [295.3|704.8] \"A\" Vector__XXX\n"
                   " SG_ _2nd : 16|8@1+ (1,0) [0|255] \"degC\" Vector__XXX\n") != std::string::npos);
    CHECK(dbc.find("CM_ BO_ 2147500560 \"also: two\";") != std::string::npos);
}
