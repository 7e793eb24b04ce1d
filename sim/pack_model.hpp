// Cells in series with a charge, a resistance and a temperature. No protocol.
#pragma once

#include "sim/chance.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace batgw::sim {

// Rest voltage of an LFP cell in V at a state of charge (1 is full): once published for these packs; what is beyond full and
// empty is a guess, steep as LFP is.
double lfp_rest_voltage(double soc);

class PackModel {
public:
    struct Settings {
        unsigned cells = 126;
        unsigned sensors = 10;
        double capacity_ah = 150.0;
        double soc = 0.55;  // 1 is full
        double temperature_c = 21.0;
        double ambient_c = 20.0;
        double resistance_ohm = 0.0006;  // of one cell
        double imbalance = 0.002;        // of the state of charge, either way
        std::uint64_t seed = 1;
    };
    explicit PackModel(const Settings& settings);

    // `current_a`: positive charges; constant over this time.
    void advance(double seconds, double current_a);

    unsigned cells() const { return settings_.cells; }
    unsigned sensors() const { return settings_.sensors; }
    double cell_voltage(unsigned i) const;  // 0-based, under the present current
    double pack_voltage() const;
    double temperature(unsigned i) const;  // °C
    double soc() const { return soc_; }
    double capacity_ah() const { return settings_.capacity_ah; }
    double charged_ah() const { return charged_ah_; }
    double discharged_ah() const { return discharged_ah_; }
    double charged_kwh() const { return charged_kwh_; }
    double discharged_kwh() const { return discharged_kwh_; }

    void set_soc(double soc);
    void set_temperature(double celsius);  // the whole pack, as if it had stood there for a day
    // Whatever the rest does, this cell or sensor shows this.
    void pin_cell(unsigned i, double volts) { pinned_cells_[i] = volts; }
    void pin_sensor(unsigned i, double celsius) { pinned_sensors_[i] = celsius; }
    void unpin()
    {
        pinned_cells_.clear();
        pinned_sensors_.clear();
    }
    void unpin_cell(unsigned i) { pinned_cells_.erase(i); }

private:
    void look();  // rest voltages anew

    struct Cell {
        double soc_offset = 0;  // against the pack
        double drift = 0;       // change of that offset per second
        double wander = 0;      // V, slow noise
        double resistance = 0;
        double rest = 0;  // V
    };
    Settings settings_;
    Chance chance_;
    std::vector<Cell> cells_;
    std::vector<double> sensor_offsets_;
    std::map<unsigned, double> pinned_cells_, pinned_sensors_;
    double soc_, celsius_, current_a_ = 0;
    double rest_sum_ = 0, ohms_ = 0;
    double since_look_s_ = 0;
    double charged_ah_ = 4321.0, discharged_ah_ = 4210.0, charged_kwh_ = 1742.0, discharged_kwh_ = 1688.0;  // it has lived before
};

}  // namespace batgw::sim
