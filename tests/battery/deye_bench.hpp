// A Deye tower as its frames tell it, on the bench: sent once a second, changed by the test.
#pragma once

#include "battery/deye_layout.hpp"
#include "tests/battery/bench.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace batgw::test {

class DeyeBench : public Bench {
public:
    explicit DeyeBench(const std::function<void(BatteryConfig&)>& change = {}) : Bench{"deye", change} { native(); }

    // What a resting tower of `modules` says. Made up, but for the bytes of the page's worked examples.
    void native(unsigned modules = 1)
    {
        said.clear();
        for (const char* text : {"351#4002F401F401E001", "355#3700630000000000", "356#9E140000D5000000", "359#0000000000000000",
                 "35C#C000000000000000", "35E#445930303103E803", "361#E80CDA0CD700D200", "363#2004200200000000",
                 "371#F401F40100000000"})
            say(text);
        counts(modules);
        for (unsigned n = 0; n < modules; ++n) module(n);
    }
    void victron(unsigned modules = 1)
    {
        said.clear();
        for (const char* text : {"351#4002F401F401E001", "355#3700630000000000", "356#9E140000D5000000", "35A#0000000000000000",
                 "35E#50594C4F4E03E803", "35F#00032004E8034459"})
            say(text);
        for (unsigned n = 0; n < modules; ++n) module(n);
    }
    void counts(unsigned modules)
    {
        CanFrame f = deye::counts.blank();
        f.data[0] = f.data[4] = static_cast<std::uint8_t>(modules);
        say(f);
    }
    void module(unsigned n)
    {
        for (const char* text : {"110#0000000000000031", "150#100200003502DE03", "200#E80CDA0CD700D200", "250#D70070FE32005A00",
                 "400#0000030000000300"}) {
            CanFrame f = frame(text);
            f.id += n;
            say(f);
        }
    }
    void say(const CanFrame& f) { said[f.id] = f; }
    void say(std::string_view text) { say(frame(text)); }
    void quiet(std::uint32_t id) { said.erase(id); }
    void quiet_module(unsigned n)
    {
        for (const std::uint32_t first : deye::module_rows) quiet(first + n);
    }
    // All of it once, 10 ms apart, and the rest of the second in peace.
    void second()
    {
        const Instant end = now + 1s;
        for (const auto& [id, f] : said) {
            now += 10ms;
            last_heard[id] = hear(f);
            tick();
        }
        while (now < end) {
            now += 20ms;
            tick();
        }
    }
    void seconds(int n)
    {
        for (int i = 0; i < n; ++i) second();
    }
    // A frame, twice: alarms count from the second on.
    void twice(std::string_view text)
    {
        hear(text);
        now += 1s;
        hear(text);
    }
    const Module* module_at(unsigned address) const
    {
        for (const Module& m : state().modules)
            if (m.address == address) return &m;
        return nullptr;
    }
    bool reports(std::string_view code) const
    {
        for (const ReportedFault& f : state().reported)
            if (f.code == code) return true;
        return false;
    }

    std::map<std::uint32_t, CanFrame> said;
    std::map<std::uint32_t, Heard> last_heard;
};

}  // namespace batgw::test
