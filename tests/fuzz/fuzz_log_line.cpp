// Any bytes as a log, line by line: no crash, nothing out of bounds, and what was taken for a frame is one. Times never fall.
#include "batgw/log_clock.hpp"
#include "batgw/log_line.hpp"
#include "batgw/message_text.hpp"
#include "batgw/tools.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace batgw;

namespace {

void demand(bool truth)
{
    if (!truth) __builtin_trap();
}

bool within(std::string_view part, std::string_view whole)
{
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check(const TrafficLine& line, std::string_view text)
{
    demand(within(line.interface, text) && within(line.stamp, text));
    demand((line.kind == TrafficLine::Kind::bad) == !line.problem.empty());
    demand(!line.time_us || *line.time_us >= 0);
    demand(line.serial_size <= line.serial.size());
    if (line.kind != TrafficLine::Kind::data) return;
    demand(line.frame.len <= 8);
    demand(line.frame.id <= (line.frame.extended ? 0x1FFFFFFFU : 0x7FFU));
    for (std::size_t i = line.frame.len; i < 8; ++i) demand(line.frame.data[i] == 0);
    // As cansend has it, it is the same frame.
    const std::string again = frame_text(line.frame);
    const TrafficLine second = parse_can_line(again);
    demand(second.kind == TrafficLine::Kind::data && second.frame == line.frame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view all{reinterpret_cast<const char*>(data), size};
    const auto protocols = all_protocols();
    SteadyStamps steady{size % 2 == 0};
    PlayedTime played{std::chrono::hours{1}};
    Instant before{};
    while (!all.empty()) {
        const auto end = std::min(all.find('\n'), all.size());
        const std::string_view text = all.substr(0, end);
        all.remove_prefix(std::min(end + 1, all.size()));
        const TrafficLine line = parse_can_line(text);
        check(line, text);
        check(parse_serial_line(text), text);
        if (line.kind == TrafficLine::Kind::data)
            for (const Protocol& p : protocols)
                if (const auto* m = find_message(p.messages(), line.frame)) (void)signals_text(*m, line.frame);
        if (!line.time_us) continue;
        const Instant now = played.take(steady.take(*line.time_us).at_us).now;
        demand(now >= before);
        before = now;
    }
    return 0;
}
