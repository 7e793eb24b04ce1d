#include "mqtt/desk.hpp"

#include <algorithm>

namespace batgw::mqtt {

CommandDesk::CommandDesk(const MqttConfig& config, CommandRules rules) { reconfigure(config, std::move(rules)); }

void CommandDesk::reconfigure(const MqttConfig& config, CommandRules rules)
{
    topic_ = config.topic;
    legacy_qos_ = config.legacy_qos;
    legacy_topics_ = config.legacy_topics;
    retain_status_ = config.retain_status;
    rules_ = std::move(rules);
}

void CommandDesk::publish_status(const OperatorState& state, std::vector<Outgoing>& out) const
{
    if (!legacy_topics_) return;
    out.push_back({.topic = topic_ + "/STATUS",
        .payload = status_json(state),
        .qos = legacy_qos_,
        .retain = retain_status_,
        .keep = Keep::each,
        .correlation = {}});
}

// A stranger's choice of topic: never one of ours, where it could pass for a message of the gateway, and never a pattern.
CommandDesk::ReplyTo CommandDesk::reply_to(const Received& r) const
{
    const std::string_view t = r.response_topic;
    const bool fine = !t.empty() && t.size() <= 256 && t[0] != '$' &&
        t.find_first_of(std::string_view{"+#\0", 3}) == std::string_view::npos &&
        !(t.starts_with(topic_) && (t.size() == topic_.size() || t[topic_.size()] == '/')) && r.correlation.size() <= 256;
    return fine ? ReplyTo{std::string{t}, std::string{r.correlation}} : ReplyTo{};
}

void CommandDesk::answer(const Result& result, const ReplyTo& reply, const Moment& moment, std::vector<Outgoing>& out) const
{
    Outgoing message{.topic = topic_ + "/RESULT",
        .payload = result_json(result, moment),
        .qos = 1,
        .retain = false,
        .keep = Keep::deliver,
        .correlation = {}};
    if (!reply.topic.empty()) {
        Outgoing copy = message;
        copy.topic = reply.topic;
        copy.correlation = reply.correlation;
        out.push_back(std::move(copy));
    }
    out.push_back(std::move(message));
}

CommandDesk::Outcome CommandDesk::on_message(const Received& received, const OperatorState& status, const Moment& moment,
    const std::function<bool(const Command&)>& submit, std::vector<Outgoing>& out)
{
    Outcome outcome;
    const auto name = command_name(received.topic, topic_);
    if (!name) return outcome;
    outcome.is_command = true;
    ParsedCommand parsed = parse_command(*name, received.payload, received.retained, rules_);
    const ReplyTo reply = reply_to(received);
    Result result{.id = parsed.id,
        .command = parsed.name,
        .code = CommandCode::ok,
        .text = {},
        .guard = {},
        .status = status,
        .duration = {}};

    const Refusal* refusal = parsed.refusal();
    outcome.retained = refusal && refusal->code == CommandCode::retained;
    switch (rate_.ask(parsed.exempt, moment.now)) {
    case CommandRate::Answer::pass: break;
    case CommandRate::Answer::refuse_silently: return outcome;
    case CommandRate::Answer::refuse:
        result.code = CommandCode::rate_limited;
        result.text = "more than 10 commands a second";
        answer(result, reply, moment, out);
        return outcome;
    }

    if (const auto* teleperiod = std::get_if<Teleperiod>(&parsed.what)) {
        outcome.teleperiod = *teleperiod;
        result.text = "done";
        answer(result, reply, moment, out);
        return outcome;
    }
    if (auto* command = std::get_if<Command>(&parsed.what)) {
        command->received = moment.now;
        command->ticket = ++last_ticket_;
        if (pending_.size() < pending_max && submit && submit(*command)) {
            std::string echo = command->kind == CommandKind::ping ? std::string{received.payload} : std::string{};
            pending_.push_back({command->ticket, moment.now, parsed.name, parsed.id, std::move(echo), reply});
            return outcome;
        }
        result.code = CommandCode::internal;
        result.text = "too many commands are waiting";
    } else {
        result.code = refusal->code;
        result.text = refusal->text;
    }
    answer(result, reply, moment, out);
    publish_status(status, out);
    return outcome;
}

void CommandDesk::on_result(const CommandResult& r, const Moment& moment, std::vector<Outgoing>& out)
{
    const auto p = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& one) { return one.ticket == r.ticket; });
    if (p == pending_.end()) return;  // answered already, as too late
    const std::string_view text = p->echo.empty() ? r.text.view() : std::string_view{p->echo};
    answer({.id = p->id,
               .command = p->name,
               .code = r.code,
               .text = text,
               .guard = r.guard.view(),
               .status = r.status,
               .duration = r.answered - p->received},
        p->reply, moment, out);
    publish_status(r.status, out);
    pending_.erase(p);
}

void CommandDesk::expire(const OperatorState& status, const Moment& moment, std::vector<Outgoing>& out)
{
    while (!pending_.empty() && moment.now - pending_.front().received >= patience) {
        const Pending& p = pending_.front();
        answer({.id = p.id,
                   .command = p.name,
                   .code = CommandCode::internal,
                   .text = "no answer; it may still be carried out",
                   .status = status,
                   .duration = moment.now - p.received},
            p.reply, moment, out);
        publish_status(status, out);
        pending_.pop_front();
    }
}

}  // namespace batgw::mqtt
