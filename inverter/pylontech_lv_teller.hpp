// From the verdict and the battery to what the inverter is told next. Pure: the driver beside it decides when.
#pragma once

#include "inverter/pylontech_lv_frames.hpp"
#include "inverter/set_points.hpp"
#include "model/driver.hpp"

#include <cstdint>
#include <optional>

namespace batgw::pylontech_lv {

// The options that shape what is told.
struct TellerOptions {
    Voltage margin = 200_mV;       // charge and discharge voltage are this much inside the pack's (SAFE-114)
    Percent soc_cap = 100_pct;     // highest shown
    Percent force_soc{};           // force charge at and below; 0: never
    Duration full_charge_after{};  // 97 % not seen for so long; 0: never
    bool pass_requests = true;     // what the battery asks for is asked of the inverter
    std::int64_t modules = 0;      // 0: as many as the battery tells
};

class Teller {
public:
    Teller(const Profile& profile, const TellerOptions& options) : profile_{profile}, options_{options} {}

    // Keeps the last voltage window that is one. To be called with every verdict, also before anything is told.
    void look_at_window(const Verdict& v);
    bool has_window() const { return window_.has_value(); }
    // Once: it does not change while the program runs (SAFE-116). Wants the pack's rated energy and window.
    void identify(const PackFacts& pack, std::string_view maker, std::string_view battery);
    // `running`: limits above zero may be told. Only with a window.
    void look(const InverterView& view, bool running, Instant now);

    const Told& told() const { return told_; }
    bool soc_is_the_batterys() const { return soc_true_; }

private:
    void look_at_cells(const InverterView& view, Instant now);
    void look_at_sensors(const BatteryState& battery, Instant now);
    void look_at_modules(const InverterView& view);
    void look_at_requests(const InverterView& view, Instant now);
    Limits limits_now(const Verdict& v, bool running) const;
    std::int64_t charge_voltage_now(bool charging) const;

    const Profile& profile_;
    TellerOptions options_;
    std::optional<WindowSteps> window_;
    Told told_;
    bool identified_ = false;
    bool voltage_fresh_ = false;
    bool soc_true_ = true;
    bool forcing_ = false;
    std::optional<Instant> full_at_;  // when the battery was last full, or we began to look
};

}  // namespace batgw::pylontech_lv
