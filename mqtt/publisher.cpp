#include "mqtt/publisher.hpp"

#include "mqtt/alarms_json.hpp"
#include "mqtt/cells_json.hpp"
#include "mqtt/result_json.hpp"

#include <algorithm>
#include <utility>

namespace batgw::mqtt {
namespace {

Values::Setup value_setup(const MqttConfig& config, const MqttContext& context)
{
    Values::Setup setup;
    setup.topic = config.topic;
    setup.interval = config.value_interval;
    setup.qos = config.legacy_qos;
    setup.cells = config.cells != "off";
    setup.cells_expected = context.cells_expected;
    if (config.legacy_topics) {
        setup.battery = context.battery;
        setup.inverter = context.inverter;
    }
    return setup;
}

}  // namespace

Publisher::Publisher(const MqttConfig& config, const MqttContext& context)
    : config_{config},
      context_{context},
      values_{value_setup(config, context)},
      teleperiod_{config.teleperiod}
{
    for (unsigned i = 1; context.packs > 1 && i <= context.packs; ++i) {
        Values::Setup setup = value_setup(config, context);
        setup.scope = "battery" + std::to_string(i);
        setup.inverter = nullptr;
        packs_.push_back({.scope = setup.scope, .values = Values{setup}});
    }
}

void Publisher::on_snapshot(const Snapshot& snapshot) { snapshot_ = snapshot; }

void Publisher::reconfigure(const MqttConfig& config, const MqttContext& context)
{
    const auto snapshot = snapshot_;
    *this = Publisher{config, context};
    snapshot_ = snapshot;
}

const OperatorState& Publisher::operator_state() const { return snapshot_->operator_; }

Outgoing Publisher::message(std::string_view suffix, std::string payload, int qos, bool retain) const
{
    return {.topic = config_.topic + "/" + std::string{suffix},
        .payload = std::move(payload),
        .qos = qos,
        .retain = retain,
        .correlation = {}};
}

Outgoing Publisher::online() const { return message("LWT", "Online", config_.legacy_qos, true); }
Outgoing Publisher::offline() const { return message("LWT", "Offline", config_.legacy_qos, true); }

void Publisher::set_teleperiod(Duration period, Instant now)
{
    teleperiod_ = period;
    next_tele_ = now + period;
}

Publisher::Marks Publisher::marks() const
{
    const Verdict& v = snapshot_->verdict;
    return {.transitions = snapshot_->transitions,
        .state = v.state,
        .contactors = v.contactors.state,
        .battery_link = v.battery_link,
        .inverter_link = v.inverter_link,
        .charge = !v.charge.is_zero(),
        .discharge = !v.discharge.is_zero(),
        .operator_state = snapshot_->operator_,
        .faults = alarms_signature(*snapshot_)};
}

void Publisher::publish_status(std::vector<Outgoing>& out) const
{
    if (!config_.legacy_topics) return;
    Outgoing status = message("STATUS", status_json(snapshot_->operator_), config_.legacy_qos, config_.retain_status);
    status.keep = Keep::each;
    out.push_back(std::move(status));
}

void Publisher::publish_state(const Moment& moment, std::vector<Outgoing>& out)
{
    out.push_back(
        message("STATE", state_json(*snapshot_, context_.battery ? &context_.battery->profile : nullptr, moment), 0, true));
    state_at_ = moment.now;
    sequence_told_ = snapshot_->verdict.sequence;
    watched_told_ = watched(*snapshot_);
    told_ = marks();
}

void Publisher::publish_alarms(const Moment& moment, std::vector<Outgoing>& out)
{
    out.push_back(message("ALARMS", alarms_json(*snapshot_, moment), 1, true));
    alarms_told_ = alarms_signature(*snapshot_);
}

void Publisher::publish_availability(bool all, std::vector<Outgoing>& out)
{
    const auto one = [&](std::optional<bool>& told, bool alive, std::string_view suffix) {
        if (told == alive && !all) return;
        told = alive;
        out.push_back(message(suffix, alive ? "online" : "offline", 1, true));
    };
    one(battery_told_, snapshot_->verdict.battery_link, "battery/availability");
    for (std::size_t i = 0; i < std::min(packs_.size(), snapshot_->packs.size()); ++i)
        one(packs_[i].link_told, snapshot_->packs[i].verdict.battery_link, packs_[i].scope + "/availability");
    one(inverter_told_, snapshot_->verdict.inverter_link, "inverter/availability");
}

void Publisher::publish_cells(const Moment& moment, bool all, std::vector<Outgoing>& out)
{
    if (config_.cells != "all") return;
    publish_cells(snapshot_->battery, "battery", cells_at_, cells_told_, moment, all, out);
    for (std::size_t i = 0; i < std::min(packs_.size(), snapshot_->packs.size()); ++i) {
        Pack& p = packs_[i];
        publish_cells(snapshot_->packs[i].battery, p.scope, p.cells_at, p.cells_told, moment, all, out);
    }
}

void Publisher::publish_cells(const BatteryState& battery, std::string_view scope, std::optional<Instant>& at,
    std::uint32_t& told, const Moment& moment, bool all, std::vector<Outgoing>& out) const
{
    const std::uint32_t samples = battery.cells.samples();
    const bool due = samples != told && (!at || moment.now - *at >= config_.cells_interval);
    if (!due && !all) return;
    auto json = cells_json(battery, snapshot_->verdict.sequence, snapshot_->now, context_.cells_expected);
    if (!json) return;
    out.push_back(message(std::string{scope} + "/CELLS", std::move(*json), 0, false));
    told = samples;
    at = moment.now;
}

void Publisher::collect_values(Instant now, bool all, std::vector<Outgoing>& out)
{
    const Instant at = std::max(now, snapshot_->now);
    values_.collect(*snapshot_, at, all, out);
    for (std::size_t i = 0; i < std::min(packs_.size(), snapshot_->packs.size()); ++i)
        packs_[i].values.collect(snapshot_->packs[i].battery, at, all, out);
}

void Publisher::refresh(const Moment& moment, std::vector<Outgoing>& out)
{
    if (!snapshot_) return;
    publish_status(out);
    collect_values(moment.now, true, out);
    publish_state(moment, out);
    publish_alarms(moment, out);
    publish_cells(moment, true, out);
    publish_availability(true, out);
    next_tele_ = moment.now + teleperiod_;
}

void Publisher::step(const Moment& moment, std::vector<Outgoing>& out)
{
    if (!snapshot_) return;
    const Instant now = moment.now;
    if (next_tele_ && now >= *next_tele_) {
        // A will of an earlier life of ours may have come late: say again that we are here.
        out.push_back(online());
        refresh(moment, out);
        return;
    }
    const bool newer = snapshot_->verdict.sequence > sequence_told_;
    const auto since_state = state_at_ ? now - *state_at_ : for_ever;
    if (newer && marks() != told_ && states_.take(now))
        publish_state(moment, out);
    else if (newer && since_state >= config_.state_interval && moved(watched_told_, watched(*snapshot_)))
        publish_state(moment, out);
    else if (newer && since_state >= config_.state_refresh)
        publish_state(moment, out);

    if (alarms_signature(*snapshot_) != alarms_told_ && alarms_.take(now)) publish_alarms(moment, out);
    publish_availability(false, out);
    collect_values(now, false, out);
    publish_cells(moment, false, out);
}

}  // namespace batgw::mqtt
