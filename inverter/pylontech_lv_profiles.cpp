#include "inverter/pylontech_lv_profiles.hpp"

#include "inverter/pylontech_lv_layout.hpp"

#include <algorithm>

namespace batgw::pylontech_lv {
namespace {

// The order of the maker's text.
constexpr std::array plain{Slot::status, Slot::limits, Slot::charge_state, Slot::measurements, Slot::requests, Slot::maker};
// Old and new Pylontech side by side: no inverter is known that requires the absence of either.
constexpr std::array superset{
    Slot::status, Slot::limits, Slot::charge_state, Slot::measurements, Slot::requests, Slot::maker, Slot::alarms};
constexpr std::array sma{Slot::limits, Slot::charge_state, Slot::measurements, Slot::alarms, Slot::maker, Slot::product};

constexpr std::array superset_more{Slot::module_counts, Slot::extremes, Slot::installed_capacity};
constexpr std::array victron_more{Slot::name_first, Slot::name_second, Slot::module_counts, Slot::extremes, Slot::lowest_cell,
    Slot::highest_cell, Slot::coldest_spot, Slot::hottest_spot, Slot::energy, Slot::installed_capacity};
constexpr std::array capacity_only{Slot::installed_capacity};

constexpr std::array<std::uint32_t, 1> pylontech_life{alive_id};
constexpr std::array<std::uint32_t, 3> venus_life{alive_id, inverter_extra.id, inverter_brand.id};
constexpr std::array<std::uint32_t, 2> luxpower_life{alive_id, order.id};

constexpr std::array all{
    Profile{.name = "superset", .together = superset, .one_by_one = superset_more, .life = venus_life},
    Profile{.name = "pylontech", .together = plain, .one_by_one = {}, .life = pylontech_life},
    Profile{.name = "victron", .together = sma, .one_by_one = victron_more, .life = venus_life, .tail = Tail::soc_fine},
    // Nothing but these ids, never closer than 200 ms, no field that means nothing (so no padding), and only ranges it takes.
    Profile{.name = "sma",
        .together = sma,
        .one_by_one = {},
        .life = venus_life,
        .tail = Tail::soc_fine,
        .padding = Padding::never,
        .alarm_stops_both = true,
        .inverter_measures = true,
        .spacing = std::chrono::milliseconds{200},
        .extra_spacing = std::chrono::milliseconds{200},
        .most = 1200_A,
        .charge_voltage_min = 41_V,
        .charge_voltage_max = 63_V,
        .discharge_voltage_min = 41_V,
        .discharge_voltage_max = 48_V},
    Profile{.name = "luxpower",
        .together = plain,
        .one_by_one = capacity_only,
        .life = luxpower_life,
        .tail = Tail::cells,
        .padding = Padding::always,
        .lux_fields = true},
    Profile{.name = "solark", .together = plain, .one_by_one = capacity_only, .life = pylontech_life, .padding = Padding::always},
};

static_assert(std::equal(all.begin(), all.end(), profile_names.begin(), profile_names.end(),
    [](const Profile& p, std::string_view name) { return p.name == name; }));

struct Shape {
    Slot slot{};
    std::uint32_t id = 0;
    std::uint8_t natural = 8;  // bytes that mean something without a tail
    bool by_verdict = false;
};
constexpr std::array shapes{
    Shape{Slot::status, status.id, 7, true},
    Shape{Slot::limits, limits.id, 8, true},
    Shape{Slot::charge_state, charge_state.id, 4, true},
    Shape{Slot::measurements, measurements.id, 6},
    Shape{Slot::requests, requests.id, 2, true},
    Shape{Slot::maker, maker.id, 8},
    Shape{Slot::alarms, alarms.id, 8, true},
    Shape{Slot::product, product.id, 8},
    Shape{Slot::name_first, name_first.id, 8},
    Shape{Slot::name_second, name_second.id, 8},
    Shape{Slot::module_counts, module_counts.id, 8, true},
    Shape{Slot::extremes, extremes.id, 8},
    Shape{Slot::lowest_cell, lowest_cell.id, 8},
    Shape{Slot::highest_cell, highest_cell.id, 8},
    Shape{Slot::coldest_spot, coldest_spot.id, 8},
    Shape{Slot::hottest_spot, hottest_spot.id, 8},
    Shape{Slot::energy, energy.id, 8},
    Shape{Slot::installed_capacity, installed_capacity.id, 8},
};
constexpr const Shape& shape_of(Slot slot) { return shapes[static_cast<std::size_t>(slot)]; }

constexpr std::uint8_t length(Slot slot, const Profile& p, bool natural)
{
    if (p.padding == Padding::always || (p.padding == Padding::by_option && !natural)) return 8;
    return slot == Slot::charge_state && p.tail == Tail::soc_fine ? std::uint8_t{6} : shape_of(slot).natural;
}

constexpr TxRule rule(Slot slot, const Profile& p, bool natural)
{
    return {.id = shape_of(slot).id,
        .len = length(slot, p, natural),
        .min_spacing = tells_limits(slot) ? p.extra_spacing : p.spacing,
        .period = beat,
        .carries_verdict = shape_of(slot).by_verdict};
}

// Lists of a length that only the compiler counts.
template <class Rule, std::size_t N>
struct List {
    std::array<Rule, N> items{};
    std::size_t count = 0;
    constexpr void add(const Rule& rule) { items[count++] = rule; }
    constexpr std::span<const Rule> all() const { return {items.data(), count}; }
};
using TxList = List<TxRule, 32>;
using RxList = List<RxRule, 16>;

struct Traffic {
    TxList sends;
    RxList receives;
};

constexpr void add(Traffic& t, const Profile& p, bool natural)
{
    const auto sent = [&t](const TxRule& wanted) {
        return std::any_of(t.sends.all().begin(), t.sends.all().end(),
            [&wanted](const TxRule& r) { return r.id == wanted.id && r.len == wanted.len; });
    };
    for (const auto& slots : {p.together, p.one_by_one})
        for (const Slot slot : slots)
            if (const TxRule r = rule(slot, p, natural); !sent(r)) t.sends.add(r);
    for (const std::uint32_t id : p.life) {
        const auto known = t.receives.all();
        if (std::any_of(known.begin(), known.end(), [id](const RxRule& r) { return r.id == id; })) continue;
        t.receives.add({id, false});
        t.receives.add({id, true});  // seen from a Schneider
    }
}

constexpr auto traffics = [] {
    std::array<std::array<Traffic, 2>, all.size()> t{};
    for (std::size_t i = 0; i < all.size(); ++i)
        for (const bool natural : {false, true}) add(t[i][natural ? 1 : 0], all[i], natural);
    return t;
}();
constexpr Traffic whole_traffic = [] {
    Traffic t;
    for (const Profile& p : all)
        for (const bool natural : {false, true}) add(t, p, natural);
    return t;
}();

}  // namespace

const Profile& find_profile(std::string_view name)
{
    const auto* const found = std::find_if(all.begin(), all.end(), [name](const Profile& p) { return p.name == name; });
    return found == all.end() ? all.front() : *found;
}

TxRule rule_of(Slot slot, const Profile& profile, bool natural) { return rule(slot, profile, natural); }

InverterTraffic traffic_of(const Profile& profile, bool natural)
{
    const Traffic& t = traffics[static_cast<std::size_t>(&profile - all.data())][natural ? 1 : 0];
    return {.receives = t.receives.all(), .sends = t.sends.all()};
}

InverterTraffic traffic_of_all() { return {.receives = whole_traffic.receives.all(), .sends = whole_traffic.sends.all()}; }

}  // namespace batgw::pylontech_lv
