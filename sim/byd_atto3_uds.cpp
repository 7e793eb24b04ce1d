#include "sim/byd_atto3_uds.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace batgw::sim {
namespace {

constexpr std::uint32_t request_id = 0x7E7;
constexpr std::uint8_t padding = 0xAA;
constexpr unsigned no_blocks = std::numeric_limits<unsigned>::max();

Atto3Uds::Bytes refusal(std::uint8_t service, std::uint8_t reason) { return {0x7F, service, reason}; }

CanFrame blank()
{
    CanFrame f{.id = Atto3Uds::reply_id};
    f.data.fill(padding);
    return f;
}

}  // namespace

std::optional<std::uint32_t> trouble_code(std::string_view text)
{
    constexpr std::string_view letters = "PCBU";
    if (text.size() != 7) return std::nullopt;
    const auto letter = letters.find(text.front());
    std::uint32_t digits = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), digits, 16);
    if (letter == std::string_view::npos || error != std::errc{} || end != text.data() + text.size() || digits > 0x3FFFFF)
        return std::nullopt;
    return static_cast<std::uint32_t>(letter) << 22 | digits;
}

Atto3Uds::Bytes Atto3Uds::reply_to(const Bytes& q)
{
    if (q.empty()) return {};
    switch (q[0]) {
    case 0x22: {
        if (q.size() != 3) return refusal(0x22, 0x13);
        const auto data = lookup_(static_cast<std::uint16_t>(q[1] << 8 | q[2]));
        if (!data) return refusal(0x22, 0x31);
        Bytes r{0x62, q[1], q[2]};
        r.insert(r.end(), data->begin(), data->end());
        return r;
    }
    case 0x19: {
        if (q.size() != 3 || q[1] != 0x02) return refusal(0x19, 0x12);
        Bytes r{0x59, 0x02, q[2]};
        for (const TroubleCode& c : codes) {
            const auto byte = [&c](unsigned shift) { return static_cast<std::uint8_t>(c.code >> shift & 0xFF); };
            r.insert(r.end(), {byte(16), byte(8), byte(0), static_cast<std::uint8_t>(c.present ? 0x09 : 0x08)});
        }
        return r;
    }
    case 0x14:
        codes.clear();
        ++erased;
        return {0x54};
    case 0x10: return q.size() == 2 ? Bytes{0x50, q[1]} : refusal(0x10, 0x13);
    default: return refusal(q[0], 0x11);
    }
}

void Atto3Uds::on_frame(const CanFrame& f, Instant at)
{
    if (f.id != request_id || f.extended || f.len != 8) return;
    const unsigned kind = f.data[0] >> 4, length = f.data[0] & 0xFU;
    if (kind == 3 && waiting_) {
        block_left_ = f.data[1] == 0 ? no_blocks : f.data[1];
        separation_ = std::chrono::milliseconds{std::min<unsigned>(f.data[2], 127)};
        waiting_ = false;
        due_ = at + 1ms;
    } else if (kind == 0 && length >= 1 && length <= 7) {
        ++requests;
        answer(reply_to({f.data.begin() + 1, f.data.begin() + 1 + static_cast<std::ptrdiff_t>(length)}), at);
    }
}

void Atto3Uds::answer(const Bytes& reply, Instant at)
{
    reply_ = reply;
    sent_ = 0;
    waiting_ = false;
    due_ = at + answer_after;
}

void Atto3Uds::send_next(Instant now, Outbox& out)
{
    CanFrame f = blank();
    if (sent_ == 0 && reply_.size() <= 7) {
        f.data[0] = static_cast<std::uint8_t>(reply_.size());
        std::copy(reply_.begin(), reply_.end(), f.data.begin() + 1);
        sent_ = reply_.size();
    } else if (sent_ == 0) {
        f.data[0] = static_cast<std::uint8_t>(0x10 | reply_.size() >> 8);
        f.data[1] = static_cast<std::uint8_t>(reply_.size() & 0xFF);
        std::copy_n(reply_.begin(), 6, f.data.begin() + 2);
        sent_ = 6;
        sequence_ = 1;
        waiting_ = true;
        waiting_since_ = now;
    } else {
        f.data[0] = static_cast<std::uint8_t>(0x20 | sequence_);
        sequence_ = (sequence_ + 1) & 0xF;
        const std::size_t n = std::min<std::size_t>(7, reply_.size() - sent_);
        std::copy_n(reply_.begin() + static_cast<std::ptrdiff_t>(sent_), n, f.data.begin() + 1);
        sent_ += n;
        if (block_left_ != no_blocks && --block_left_ == 0) {
            waiting_ = true;
            waiting_since_ = now;
        }
    }
    out.send(f);
    due_ = sent_ >= reply_.size() || waiting_ ? end_of_time : now + std::max<Duration>(separation_, 1ms);
}

Instant Atto3Uds::on_tick(Instant now, Outbox& out)
{
    if (waiting_ && now - waiting_since_ > flow_wait) waiting_ = false;  // nobody wants the rest
    if (now >= due_ && !reply_.empty()) send_next(now, out);
    return due_;
}

}  // namespace batgw::sim
