#include "battery/daly_sign.hpp"

namespace batgw::daly {

CurrentSign::CurrentSign(std::string_view option)
    : auto_{option == "auto"},
      sign_{auto_                           ? Sign::undecided
              : option == "charge_positive" ? Sign::charge_positive
                                            : Sign::discharge_positive}
{}

std::optional<Current> CurrentSign::apply(Current wire) const
{
    if (sign_ == Sign::undecided) return std::nullopt;
    return sign_ == Sign::charge_positive ? wire : -wire;
}

void CurrentSign::on_current(Current wire, Instant at)
{
    wire_ = wire;
    wire_at_ = at;
}

void CurrentSign::on_flow(std::int64_t way, Instant at)
{
    if (!wire_ || at - wire_at_ > belongs_together) return;
    const Current wire = *wire_;
    wire_.reset();  // one vote per sample
    // Flows and is idle: neither for nor against.
    if (magnitude(wire) < least || way == 0) {
        votes_ = 0;
        return;
    }
    const bool charging = way == 1;
    const Sign seen = (wire > Current{}) == charging ? Sign::charge_positive : Sign::discharge_positive;
    if (sign_ == Sign::undecided) return decide(seen, wire);
    against_ = seen == sign_ ? 0 : against_ + 1;
    in_favour_ = seen == sign_ ? in_favour_ + 1 : 0;
    if (against_ >= polls_to_contradict) contradicted_ = true;
    if (in_favour_ >= polls_to_contradict) contradicted_ = false;
}

void CurrentSign::decide(Sign seen, Current wire)
{
    if (magnitude(wire) < least_to_decide) {
        votes_ = 0;
        return;
    }
    votes_ = seen == candidate_ ? votes_ + 1 : 1;
    candidate_ = seen;
    if (votes_ >= polls_to_decide) sign_ = seen;
}

}  // namespace batgw::daly
