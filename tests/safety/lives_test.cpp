// Lives of a judge: scripts in tests/safety/lives/*.life say what pack, inverter, buses and operator do, *.told is all that the
// judge says meanwhile, with values, units and times. What is told changes on purpose or not at all: after a wanted change
// `BATGW_WRITE_EXPECTED=1 build/dev/test_safety --source-file=*/lives_test.cpp` writes it anew, and the difference is read.
//
// A script has a word and its values on each line; `run` lets time pass. See `words` for what there is.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::test;

namespace {

std::string decimals(std::int64_t milli)
{
    const std::int64_t size = milli < 0 ? -milli : milli;
    std::string rest = std::to_string(size % 1000);
    while (rest.size() < 3) rest.insert(0, 1, '0');
    return (milli < 0 ? "-" : "") + std::to_string(size / 1000) + '.' + rest;
}
template <class Q>
std::string text(const std::optional<Q>& q)
{
    return q ? decimals(q->milli()) : "-";
}
std::string text(const Grant& g)
{
    return decimals(g.power().milli()) + " W " + decimals(g.current().milli()) + " A " + std::string{to_string(g.by())};
}
std::string text(const ActiveFault& f)
{
    std::ostringstream out;
    out << fault_name(f).view() << ' ' << to_string(f.level) << ' ' << to_string(f.direction) << " device "
        << static_cast<int>(f.device) << '.' << static_cast<int>(f.device_number);
    if (f.has_value) out << ' ' << decimals(f.value_milli) << " of " << decimals(f.limit_milli) << ' ' << to_string(f.unit);
    if (f.number != 0) out << " at " << f.number;
    if (f.latched) out << " latched";
    if (f.resettable) out << " resettable";
    if (f.count != 0) out << " times " << f.count;
    return out.str();
}

// Everything a verdict says, as words that are compared one by one.
using Picture = std::vector<std::pair<std::string, std::string>>;
Picture picture(const Verdict& v)
{
    const auto yes = [](bool b) { return std::string{b ? "yes" : "no"}; };
    const ContactorVerdict& c = v.contactors;
    Picture p{{"state", std::string{to_string(v.state)}}, {"worst", std::string{to_string(v.worst)}},
        {"waiting", std::string{to_string(v.waiting)}}, {"contactors", std::string{to_string(c.state)}},
        {"order", std::to_string(static_cast<int>(c.order))}, {"attempts", std::to_string(c.attempts)},
        {"under load", std::to_string(c.opened_under_load) + ' ' + text(c.load)}, {"power", yes(c.power_allowed)},
        {"open", yes(c.proven_open)}, {"upper", text(v.voltage_max) + (v.voltage_max_asked ? " asked" : "")},
        {"lower", text(v.voltage_min) + (v.voltage_min_asked ? " asked" : "")}, {"soc shown", text(v.soc_shown)},
        {"battery link", yes(v.battery_link)}, {"inverter link", yes(v.inverter_link)}, {"valid", yes(v.battery_valid)},
        {"ready", yes(v.ready)}, {"may be silent", yes(v.may_fall_silent)}, {"high", yes(v.high_cause)},
        {"ask against", std::string{to_string(v.ask_against)}}, {"soc override", std::string{to_string(v.override_soc)}},
        {"silent", yes(v.fall_silent)}, {"stopped", yes(v.stopped)}, {"mute", yes(v.mute_battery) + ' ' + yes(v.mute_inverter)},
        {"slow", yes(v.slow_battery) + ' ' + yes(v.slow_inverter)}, {"broken", std::string{v.broken}},
        {"cause", v.first_cause ? std::string{fault_name(*v.first_cause).view()} : "-"}};
    return p;
}

class Life {
public:
    explicit Life(const std::string& script) { play(script); }
    const std::string& told() const { return told_; }

private:
    using Values = std::istringstream;
    using Word = std::function<void(Values&)>;
    template <class Q>
    static Q quantity(Values& in)
    {
        double number = 0;
        REQUIRE((in >> number));
        return Q::from_milli(static_cast<std::int64_t>(std::llround(number * 1000)));
    }
    static Duration time(Values& in) { return Duration{quantity<Percent>(in).milli() * 1000}; }
    static bool on(Values& in)
    {
        std::string word;
        in >> word;
        REQUIRE((word == "on" || word == "off"));
        return word == "on";
    }
    static SignalId signal(Values& in)
    {
        std::string word;
        in >> word;
        for (std::size_t i = 0; i < signal_count; ++i)
            if (to_string(static_cast<SignalId>(i)) == word) return static_cast<SignalId>(i);
        FAIL("no such signal: ", word);
        return {};
    }
    template <class Q>
    Word set(Q House::*member)
    {
        return [this, member](Values& in) { house_.*member = quantity<Q>(in); };
    }
    template <class Q>
    Word reading(Reading<Q> BatteryState::*member)
    {
        return [this, member](Values& in) {
            also_.push_back([this, member, q = quantity<Q>(in)] { (house_.state.*member).set(q, house_.now); });
        };
    }
    Word flag(Reading<bool> BatteryState::*member)
    {
        return [this, member](
                   Values& in) { also_.push_back([this, member, b = on(in)] { (house_.state.*member).set(b, house_.now); }); };
    }
    template <class Q>
    Word inverter(Reading<Q> InverterState::*member)
    {
        return [this, member](Values& in) {
            also_.push_back([this, member, q = quantity<Q>(in)] { (house_.inverter.*member).set(q, house_.now); });
        };
    }

    void play(const std::string& script)
    {
        std::istringstream lines{script};
        for (std::string line; std::getline(lines, line);) {
            line = line.substr(0, line.find('#'));
            Values in{line};
            std::string word;
            if (!(in >> word)) continue;
            CAPTURE(line);
            told_ += "> " + line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
            const auto found = words_.find(word);
            REQUIRE((found != words_.end()));
            found->second(in);
        }
    }
    // Every 100 ms something is heard; between, the judge is asked when it wants to be.
    void run(Duration time)
    {
        house_.also = [this] {
            for (const auto& f : also_) f();
        };
        for (const Instant end = house_.now + time; house_.now < end;) {
            const Instant tick = house_.now + 100ms;
            while (house_.judge().next_evaluation() < tick && house_.judge().verdict().sequence > 0) {
                house_.now = std::max(house_.judge().next_evaluation(), house_.now + 1us);
                house_.evaluate();
                look();
            }
            house_.step(tick - house_.now);
            look();
        }
    }
    void say(const std::string& what) { told_ += decimals((house_.now - house_.start) / 1ms) + ' ' + what + '\n'; }
    void look()
    {
        const Verdict& v = house_.verdict();
        if (differs(v)) changed_ = house_.now;
        if (house_.now - changed_ <= 2 * seldom) tell(v);
        events();
        if (house_.now - shown_at_ >= seldom) shown_at_ = house_.now;
    }
    // From the last one, but for what counts time.
    bool differs(const Verdict& v)
    {
        last_.sequence = v.sequence;
        last_.at = v.at;
        if (last_.first_cause && v.first_cause) last_.first_cause->last = v.first_cause->last;
        for (std::size_t i = 0; i < std::min(last_.faults.size(), v.faults.size()); ++i) last_.faults[i].last = v.faults[i].last;
        if (last_ == v) return false;
        last_ = v;
        return true;
    }
    void tell(const Verdict& v)
    {
        Picture now = picture(v);
        for (std::size_t i = 0; i < now.size(); ++i)
            if (now[i].second != before_[i].second) say(now[i].first + ": " + now[i].second);
        before_ = std::move(now);
        std::map<std::string, std::string> faults;
        for (const ActiveFault& f : v.faults)
            faults[std::string{fault_name(f).view()} + std::to_string(static_cast<int>(f.device))] = text(f);
        for (const auto& [name, what] : faults)
            if (!faults_.contains(name)) say("fault " + what);
        for (const auto& [name, what] : faults_)
            if (!faults.contains(name)) say("over " + what);
        // Of a fault that goes on, what changed, but not at every look.
        const bool again = house_.now - shown_at_ >= seldom;
        for (const auto& [name, what] : faults) {
            if (!faults_.contains(name)) shown_[name] = what;
            if (!again || shown_[name] == what) continue;
            say("now " + what);
            shown_[name] = what;
        }
        faults_ = std::move(faults);
        grants(v);
    }
    void events()
    {
        house_.judge().events_since(event_, [&](const Event& e) {
            event_ = e.number;
            if (e.type == EventType::fault_set || e.type == EventType::fault_cleared) return;
            say("event " + std::string{to_string(e.type)} + ' ' + std::string{e.text.view()} + ' ' + std::string{e.from.view()} +
                "->" + std::string{e.to.view()} + " at " + text(e.voltage) + " V " + text(e.current) + " A " + text(e.soc) +
                " %");
        });
    }
    void grants(const Verdict& v)
    {
        const std::string charge = text(v.charge), discharge = text(v.discharge);
        const auto kind = std::tuple{v.charge.by(), v.charge.is_zero(), v.discharge.by(), v.discharge.is_zero()};
        const bool changed = charge != charge_ || discharge != discharge_;
        if (!changed || (kind == kind_ && house_.now - said_ < seldom)) return;
        if (charge != charge_) say("charge " + charge);
        if (discharge != discharge_) say("discharge " + discharge);
        charge_ = charge;
        discharge_ = discharge;
        kind_ = kind;
        said_ = house_.now;
    }
    void operate(const std::function<void(OperatorState&)>& change) { change(house_.inputs.operator_); }

    House house_;
    std::vector<std::function<void()>> also_;
    std::string told_;
    Verdict last_{};
    Instant changed_{};
    Picture before_ = picture(Verdict{});
    std::map<std::string, std::string> faults_, shown_;
    std::string charge_, discharge_;
    std::tuple<Cause, bool, Cause, bool> kind_{};
    static constexpr Duration seldom = 5s;
    Instant said_{}, shown_at_{};
    std::uint64_t event_ = 0;

    const std::map<std::string, Word> words_{
        // Before the first `run`.
        {"nmc", [this](Values&) { house_ = House{Chemistry::nmc}; }},
        {"mode",
            [this](Values& in) {
                std::string w;
                in >> w;
                house_.safety.contactors.mode = w == "bms_command" ? ContactorMode::bms_command : ContactorMode::none;
            }},
        {"observe", [this](Values&) { house_.safety.observe = true; }},
        {"require_insulation", [this](Values&) { house_.safety.insulation.required = true; }},
        {"scaling", [this](Values&) { house_.safety.soc.scaling = true; }},
        {"bands", [this](Values&) { house_.safety.soc.bands = true; }},
        {"provides",
            [this](Values& in) {
                const SignalId s = signal(in);
                house_.profile.signals[index(s)] = {.provided = true, .period = time(in)};
            }},
        {"request_bits", [this](Values&) { house_.safety.inverter_link.request_bits = true; }},
        {"soc_override", [this](Values&) { house_.safety.inverter_link.soc_override = true; }},
        {"silence", [this](Values&) { house_.safety.inverter_link.silence = true; }},
        {"part", [this](Values&) { house_.safety.inverter_link.contactors = true; }},
        {"unverified", [this](Values&) { house_.profile.verified = house_.inverter_verified = Verification::none; }},
        {"capacity", [this](Values& in) { house_.battery.capacity = quantity<Energy>(in); }},
        // Time.
        {"run", [this](Values& in) { run(time(in)); }},
        // What the pack says; seconds, volts, amperes, watts, degrees, per cent.
        {"cell_max", set(&House::cell_max)},
        {"cell_min", set(&House::cell_min)},
        {"voltage", set(&House::voltage)},
        {"current", set(&House::current)},
        {"temperature_max", set(&House::temperature_max)},
        {"temperature_min", set(&House::temperature_min)},
        {"soc", set(&House::soc)},
        {"charge_limit", set(&House::charge_limit)},
        {"discharge_limit", set(&House::discharge_limit)},
        {"charge_limit_current", reading(&BatteryState::charge_limit_current)},
        {"discharge_limit_current", reading(&BatteryState::discharge_limit_current)},
        {"charge_voltage_wanted", reading(&BatteryState::charge_voltage_wanted)},
        {"discharge_voltage_wanted", reading(&BatteryState::discharge_voltage_wanted)},
        {"link_voltage", reading(&BatteryState::link_voltage)},
        {"insulation", reading(&BatteryState::insulation)},
        {"insulation_measured", flag(&BatteryState::insulation_measured)},
        {"charge_allowed", flag(&BatteryState::charge_allowed)},
        {"discharge_allowed", flag(&BatteryState::discharge_allowed)},
        {"contactor",
            [this](Values& in) {
                std::string w;
                in >> w;
                for (const ContactorFeedback f : {ContactorFeedback::unknown, ContactorFeedback::open,
                         ContactorFeedback::precharging, ContactorFeedback::closed})
                    if (to_string(f) == w) house_.contactor = f;
            }},
        {"phase",
            [this](Values& in) {
                unsigned n = 0;
                in >> n;
                house_.state.phase = static_cast<ContactorPhase>(n);
            }},
        {"close_failures", [this](Values& in) { in >> house_.state.close_failures; }},
        {"opened_by_itself", [this](Values& in) { house_.state.opened_by_itself = on(in); }},
        {"closed_by_itself", [this](Values& in) { house_.state.closed_by_itself = on(in); }},
        {"feedback_wrong", [this](Values& in) { house_.state.feedback_wrong = on(in); }},
        {"not_opening", [this](Values& in) { house_.state.not_opening = on(in); }},
        {"reported",
            [this](Values& in) {
                unsigned level = 0;
                std::string code;
                in >> level >> code;
                ReportedFault f{.level = static_cast<FaultClass>(level), .direction = Direction::both};
                f.code.assign(code);
                house_.state.reported.clear();
                if (level > 0) house_.state.reported.push_back(f);
            }},
        {"cells", [this](Values& in) { in >> house_.facts.cells.emplace(); }},
        {"energy_rated", [this](Values& in) { house_.facts.energy_rated = quantity<Energy>(in); }},
        {"pack_speaks", [this](Values& in) { house_.pack_speaks = on(in); }},
        {"silent", [this](Values& in) { house_.silent.insert(signal(in)); }},
        {"heard_again", [this](Values& in) { house_.silent.erase(signal(in)); }},
        {"second_battery", [this](Values& in) { house_.second_battery = on(in); }},
        // The inverter, the buses.
        {"inverter_speaks", [this](Values& in) { house_.inverter_speaks = on(in); }},
        {"inverter_voltage", inverter(&InverterState::voltage)},
        {"inverter_current", inverter(&InverterState::current)},
        {"told_charge", inverter(&InverterState::sent_charge_limit)},
        {"told_discharge", inverter(&InverterState::sent_discharge_limit)},
        {"battery_bus", [this](Values& in) { bus(house_.battery_bus, in); }},
        {"inverter_bus", [this](Values& in) { bus(house_.inverter_bus, in); }},
        {"battery_drops", [this](Values& in) { in >> house_.battery_bus.counters.queue_drops; }},
        {"own_ids", [this](Values& in) { in >> house_.battery_traffic.own_ids; }},
        {"refused", [this](Values& in) { in >> house_.inverter_traffic.refused; }},
        // People.
        {"charge", [this](Values& in) { operate([&, b = on(in)](OperatorState& o) { o.charge = b; }); }},
        {"discharge", [this](Values& in) { operate([&, b = on(in)](OperatorState& o) { o.discharge = b; }); }},
        {"open", [this](Values& in) { operate([&, b = on(in)](OperatorState& o) { o.contactors_open = b; }); }},
        {"pause", [this](Values& in) { operate([&, b = on(in)](OperatorState& o) { o.paused = b; }); }},
        {"max_charge",
            [this](Values& in) {
                operate([&, p = quantity<Power>(in)](OperatorState& o) {
                    o.max_charge = p;
                    o.charge_limit_default = false;
                });
            }},
        {"max_charge_current",
            [this](Values& in) { operate([&, c = quantity<Current>(in)](OperatorState& o) { o.max_charge_current = c; }); }},
        {"max_discharge_current",
            [this](Values& in) { operate([&, c = quantity<Current>(in)](OperatorState& o) { o.max_discharge_current = c; }); }},
        {"reset",
            [this](Values& in) {
                std::string fault;
                in >> fault;
                const ResetOutcome o =
                    house_.judge().reset({.fault = fault, .reason = "looked at it", .source = CommandSource::local}, house_.now);
                say("reset: " + std::string{o.text.view()} + ' ' + std::to_string(o.reset));
            }},
        {"close", [this](Values&) { say(house_.judge().request_close(house_.now) ? "may close" : "may not close"); }},
        {"stop", [this](Values&) { house_.inputs.stop_requested = true; }},
        {"stop_now", [this](Values&) { house_.inputs.stop_now = true; }},
        {"clock", [this](Values& in) { house_.inputs.clock_valid = on(in); }},
        {"warnings", [this](Values& in) { in >> house_.inputs.outside_warnings; }},
        {"suspended", [this](Values&) { house_.inputs.stale_until = house_.now; }},
        {"gap", [this](Values& in) { house_.now += time(in); }},
    };
    static void bus(BusStatus& status, Values& in)
    {
        std::string word;
        in >> word;
        for (int i = 0; i < 6; ++i)
            if (to_string(static_cast<BusState>(i)) == word) status.state = static_cast<BusState>(i);
    }
};

std::string content(const std::filesystem::path& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE("lives: the judge says what it said before, value for value and at the same time")
{
    std::vector<std::filesystem::path> scripts;
    for (const auto& entry : std::filesystem::directory_iterator{"tests/safety/lives"})
        if (entry.path().extension() == ".life") scripts.push_back(entry.path());
    std::sort(scripts.begin(), scripts.end());
    REQUIRE(scripts.size() > 5);
    for (const auto& script : scripts) {
        CAPTURE(script);
        const std::string told = Life{content(script)}.told();
        auto expected = script;
        expected.replace_extension(".told");
        if (std::getenv("BATGW_WRITE_EXPECTED") != nullptr) std::ofstream{expected, std::ios::binary} << told;
        const std::string wanted = content(expected);
        if (told == wanted) continue;
        const auto differs = std::mismatch(told.begin(), told.end(), wanted.begin(), wanted.end()).first - told.begin();
        const auto from = told.rfind('\n', static_cast<std::size_t>(std::max<std::ptrdiff_t>(differs - 1, 0)));
        FAIL_CHECK("differs from line: ", told.substr(from == std::string::npos ? 0 : from + 1, 120));
    }
}
