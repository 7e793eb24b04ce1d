#include "sim/pack_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

namespace batgw::sim {
namespace {

struct Point {
    double soc, volts;
};
constexpr std::array rest_curve{Point{-0.10, 2.000}, Point{-0.03, 2.600}, Point{0.000, 3.016}, Point{0.024, 3.075},
    Point{0.05, 3.135}, Point{0.16, 3.198}, Point{0.23, 3.230}, Point{0.30, 3.254}, Point{0.44, 3.270}, Point{0.55, 3.278},
    Point{0.73, 3.305}, Point{0.85, 3.310}, Point{0.95, 3.317}, Point{0.997, 3.357}, Point{1.000, 3.413}, Point{1.010, 3.650},
    Point{1.050, 4.100}};

constexpr double look_every_s = 1.0;
constexpr double heat_j_per_k = 350e3;  // of some 400 kg
constexpr double cooling_w_per_k = 25.0;

}  // namespace

double lfp_rest_voltage(double soc)
{
    if (!(soc > rest_curve.front().soc)) return rest_curve.front().volts;
    const auto above = std::find_if(rest_curve.begin(), rest_curve.end(), [soc](const Point& p) { return p.soc >= soc; });
    if (above == rest_curve.end()) return rest_curve.back().volts;
    const Point& a = *std::prev(above);
    return a.volts + (above->volts - a.volts) * (soc - a.soc) / (above->soc - a.soc);
}

PackModel::PackModel(const Settings& settings)
    : settings_{settings},
      chance_{settings.seed},
      cells_(settings.cells),
      sensor_offsets_(settings.sensors),
      soc_{settings.soc},
      celsius_{settings.temperature_c}
{
    for (Cell& c : cells_) {
        c.soc_offset = settings.imbalance * chance_.swing();
        c.drift = 2e-8 * chance_.swing();  // some 0.2 % a day
        c.resistance = settings.resistance_ohm * (1.0 + 0.1 * chance_.swing());
        ohms_ += c.resistance;
    }
    for (double& offset : sensor_offsets_) offset = 1.2 * chance_.swing();
    look();
}

void PackModel::look()
{
    rest_sum_ = 0;
    for (Cell& c : cells_) {
        c.wander = 0.98 * c.wander + 0.0002 * chance_.swing();
        c.rest = lfp_rest_voltage(soc_ + c.soc_offset) + c.wander;
        rest_sum_ += c.rest;
    }
}

void PackModel::advance(double seconds, double current_a)
{
    if (!(seconds > 0)) return;
    current_a_ = current_a;
    const double ah = current_a * seconds / 3600.0, kwh = ah * pack_voltage() / 1000.0;
    soc_ += ah / settings_.capacity_ah;
    (ah > 0 ? charged_ah_ : discharged_ah_) += std::abs(ah);
    (kwh > 0 ? charged_kwh_ : discharged_kwh_) += std::abs(kwh);

    const double heat_w = current_a * current_a * ohms_ - cooling_w_per_k * (celsius_ - settings_.ambient_c);
    celsius_ += heat_w * seconds / heat_j_per_k;

    since_look_s_ += seconds;
    if (since_look_s_ < look_every_s) return;
    for (Cell& c : cells_) c.soc_offset += c.drift * since_look_s_;
    since_look_s_ = 0;
    look();
}

double PackModel::cell_voltage(unsigned i) const
{
    if (const auto pinned = pinned_cells_.find(i); pinned != pinned_cells_.end()) return pinned->second;
    const Cell& c = cells_[i];
    return std::max(0.0, c.rest + current_a_ * c.resistance);
}

double PackModel::pack_voltage() const
{
    if (pinned_cells_.empty()) return std::max(0.0, rest_sum_ + current_a_ * ohms_);
    double sum = 0;
    for (unsigned i = 0; i < settings_.cells; ++i) sum += cell_voltage(i);
    return sum;
}

double PackModel::temperature(unsigned i) const
{
    if (const auto pinned = pinned_sensors_.find(i); pinned != pinned_sensors_.end()) return pinned->second;
    return celsius_ + sensor_offsets_[i];
}

void PackModel::set_soc(double soc)
{
    soc_ = soc;
    look();
}

void PackModel::set_temperature(double celsius) { celsius_ = settings_.ambient_c = celsius; }

}  // namespace batgw::sim
