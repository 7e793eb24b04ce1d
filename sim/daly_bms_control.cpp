// Text control of the simulated Daly board.
#include "sim/daly_bms.hpp"
#include "sim/pack_control.hpp"

#include <array>
#include <cmath>

namespace batgw::sim {

std::span<const Control<DalyBms>> DalyBms::command_table()
{
    using P = DalyBms;
    static constexpr std::array<Control<DalyBms>, 28> table{{
        {"help", "help", &P::do_help},
        {"status", "status", &P::do_status},
        {"current", "current AMPERES (positive charges; only without an inverter)", &P::do_current},
        {"beside", "beside AMPERES (of a charger or a load that asks no gateway)", &P::do_beside},
        {"soc", "soc PERCENT", &P::do_soc},
        {"silent", "silent on|off (no answer to anything)", &P::do_silent},
        {"sleep", "sleep on|off (questions come back as they are)", &P::do_sleep},
        {"echo", "echo on|off (an adapter that hears itself)", &P::do_echo},
        {"nodata", "nodata on|off (answers are all zero)", &P::do_nodata},
        {"delay", "delay MILLISECONDS (before every answer, on top)", &P::do_delay},
        {"lose", "lose PERCENT (of the answers)", &P::do_lose},
        {"damage", "damage PERCENT (of the frames: one bit flips)", &P::do_damage},
        {"chatter", "chatter on|off (an answer to something else before each)", &P::do_chatter},
        {"stop", "stop COMMAND (hexadecimal: not answered any more)", &P::do_stop},
        {"resume", "resume COMMAND|all", &P::do_resume},
        {"frames", "frames needed|more|all (of cells and temperatures)", &P::do_frames},
        {"base", "base 0|1 (first number of those frames)", &P::do_base},
        {"order", "order forwards|backwards (of those frames)", &P::do_order},
        {"sign", "sign discharge|charge (what counts upwards)", &P::do_sign},
        {"host", "host 40|80|any (the address that is answered)", &P::do_host},
        {"cell", "cell NUMBER VOLTS|off (counted from 1)", &P::do_cell},
        {"temp", "temp CELSIUS, or temp SENSOR CELSIUS", &P::do_temp},
        {"fault", "fault BYTE BIT on|off, or fault code NUMBER", &P::do_fault},
        {"switch", "switch charge|discharge on|off|stuck|free (by hand)", &P::do_switch},
        {"freeze", "freeze on|off (the state of charge stands still)", &P::do_freeze},
        {"voltage", "voltage VOLTS|off (a lie about the pack voltage)", &P::do_voltage},
        {"life", "life on|off (off: the life counter stands still)", &P::do_life},
        {"mend", "mend (everything above off)", &P::do_mend},
    }};
    return table;
}

std::string DalyBms::command(std::string_view line) { return sim::obey(*this, command_table(), line, answer_); }

std::string DalyBms::status() const
{
    const auto on = [](const Mosfet& m) { return std::string{conducts(m) ? "on" : "off"}; };
    return text_of(model_.pack_voltage(), 1) + " V " + text_of(flowing_a(), 1) + " A " + text_of(model_.soc() * 100.0, 1) +
        " % charge " + on(charge_) + " discharge " + on(discharge_);
}

bool DalyBms::do_help(const Words&)
{
    answer_ = help_of(command_table());
    return true;
}

bool DalyBms::do_status(const Words&)
{
    answer_ = "ok " + status();
    return true;
}

bool DalyBms::do_current(const Words& w)
{
    const auto amps = number_in(w, -500, 500);
    if (amps) current_a_ = *amps;
    return amps.has_value();
}

bool DalyBms::do_beside(const Words& w)
{
    const auto amps = number_in(w, -500, 500);
    if (amps) beside_a_ = *amps;
    return amps.has_value();
}

bool DalyBms::do_soc(const Words& w)
{
    const auto percent = number_in(w, 0, 102);
    if (percent) model_.set_soc(*percent / 100.0);
    return percent.has_value();
}

bool DalyBms::do_silent(const Words& w) { return set_switch(w, silent_); }
bool DalyBms::do_sleep(const Words& w) { return set_switch(w, asleep_); }
bool DalyBms::do_echo(const Words& w) { return set_switch(w, echoes_); }
bool DalyBms::do_nodata(const Words& w) { return set_switch(w, no_data_); }
bool DalyBms::do_chatter(const Words& w) { return set_switch(w, chatters_); }

bool DalyBms::do_life(const Words& w)
{
    bool moves = true;
    if (!set_switch(w, moves)) return false;
    life_stands_ = !moves;
    return true;
}

bool DalyBms::do_delay(const Words& w)
{
    const auto ms = number_in(w, 0, 60'000);
    if (ms) delay_ = std::chrono::milliseconds{std::lround(*ms)};
    return ms.has_value();
}

bool DalyBms::do_lose(const Words& w)
{
    const auto percent = number_in(w, 0, 100);
    if (percent) lost_percent_ = static_cast<unsigned>(*percent);
    return percent.has_value();
}

bool DalyBms::do_damage(const Words& w)
{
    const auto percent = number_in(w, 0, 100);
    if (percent) damaged_percent_ = static_cast<unsigned>(*percent);
    return percent.has_value();
}

bool DalyBms::do_stop(const Words& w) { return stop_frames(w, stopped_); }

bool DalyBms::do_resume(const Words& w) { return resume_frames(w, stopped_); }

bool DalyBms::do_frames(const Words& w)
{
    const std::string_view what = w.size() == 2 ? w[1] : std::string_view{};
    if (what != "needed" && what != "more" && what != "all") return false;
    frames_ = what == "needed" ? Frames::needed : what == "more" ? Frames::one_more : Frames::all;
    return true;
}

bool DalyBms::do_base(const Words& w)
{
    if (w.size() != 2 || (w[1] != "0" && w[1] != "1")) return false;
    from_zero_ = w[1] == "0";
    return true;
}

bool DalyBms::do_order(const Words& w)
{
    if (w.size() != 2 || (w[1] != "forwards" && w[1] != "backwards")) return false;
    backwards_ = w[1] == "backwards";
    return true;
}

bool DalyBms::do_sign(const Words& w)
{
    if (w.size() != 2 || (w[1] != "discharge" && w[1] != "charge")) return false;
    counts_charge_ = w[1] == "charge";
    return true;
}

bool DalyBms::do_host(const Words& w)
{
    const std::string_view what = w.size() == 2 ? w[1] : std::string_view{};
    if (what != "40" && what != "80" && what != "any") return false;
    host_ = what == "40" ? daly::host_upper : what == "80" ? daly::host_uart : std::uint8_t{0};
    return true;
}

bool DalyBms::do_cell(const Words& w)
{
    return set_cell(w, 1, [this](std::size_t) -> PackModel& { return model_; });
}

bool DalyBms::do_temp(const Words& w)
{
    return set_temperature(w, 1, [this](std::size_t) -> PackModel& { return model_; });
}

bool DalyBms::do_fault(const Words& w)
{
    if (w.size() == 3 && w[1] == "code") {
        const auto code = number_of(w[2]);
        if (!code || *code < 0 || *code > 255) return false;
        forced_faults_[7] = static_cast<std::uint8_t>(*code);
        return true;
    }
    const auto byte = w.size() == 4 ? number_of(w[1]) : std::nullopt, bit = w.size() == 4 ? number_of(w[2]) : std::nullopt;
    const auto on = w.size() == 4 ? switch_of(w[3]) : std::nullopt;
    if (!byte || !bit || !on || *byte < 0 || *byte > 6 || *bit < 0 || *bit > 7) return false;
    auto& target = forced_faults_[static_cast<std::size_t>(*byte)];
    const unsigned mask = 1U << static_cast<unsigned>(*bit);
    target = static_cast<std::uint8_t>(*on ? target | mask : target & ~mask);
    return true;
}

bool DalyBms::do_switch(const Words& w)
{
    if (w.size() != 3 || (w[1] != "charge" && w[1] != "discharge")) return false;
    Mosfet& m = w[1] == "charge" ? charge_ : discharge_;
    if (w[2] == "stuck" || w[2] == "free")
        m.stuck = w[2] == "stuck";
    else if (const auto on = switch_of(w[2]))
        m.told_on = *on;
    else
        return false;
    return true;
}

bool DalyBms::do_freeze(const Words& w)
{
    bool on = false;
    if (!set_switch(w, on)) return false;
    if (on)
        frozen_soc_ = shown_soc();
    else
        frozen_soc_.reset();
    return true;
}

bool DalyBms::do_voltage(const Words& w) { return set_or_off(w, lied_voltage_, 0, 6553); }

bool DalyBms::do_mend(const Words&)
{
    silent_ = asleep_ = echoes_ = no_data_ = chatters_ = life_stands_ = counts_charge_ = from_zero_ = backwards_ = false;
    frames_ = Frames::needed;
    delay_ = Duration{};
    beside_a_ = 0;
    lost_percent_ = damaged_percent_ = 0;
    stopped_.clear();
    host_ = 0;
    forced_faults_.fill(0);
    frozen_soc_.reset();
    lied_voltage_.reset();
    charge_.stuck = discharge_.stuck = false;
    model_.unpin();
    return true;
}

}  // namespace batgw::sim
