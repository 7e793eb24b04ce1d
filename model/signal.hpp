// A CAN frame's layout, declared once and checked by the compiler.
#pragma once

#include "model/can_frame.hpp"
#include "model/units.hpp"

#include <bit>
#include <chrono>
#include <concepts>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>

namespace batgw {

enum class Order : std::uint8_t { big, little };

// Where a signal's bits are.
//   be(first, n): counted as written on paper. Bit 0 is the top bit of byte 0.
//   le(first, n): counted by weight. Bit 0 is the bottom bit of byte 0.
struct Bits {
    Order order;
    std::uint8_t first;
    std::uint8_t count;
    bool is_signed = false;
};
constexpr Bits be(unsigned first, unsigned count)
{
    return {Order::big, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count)};
}
constexpr Bits le(unsigned first, unsigned count)
{
    return {Order::little, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count)};
}
constexpr Bits two_s(Bits b)
{
    b.is_signed = true;
    return b;
}

namespace detail {

// The eight data bytes as one number, first byte most (big) or least (little) significant.
constexpr std::uint64_t word(const CanFrame& f, Order order)
{
    const auto w = std::bit_cast<std::uint64_t>(f.data);
    const bool native = (order == Order::big) == (std::endian::native == std::endian::big);
    return native ? w : __builtin_bswap64(w);
}
constexpr void set_word(CanFrame& f, Order order, std::uint64_t w)
{
    const bool native = (order == Order::big) == (std::endian::native == std::endian::big);
    f.data = std::bit_cast<std::array<std::uint8_t, 8>>(native ? w : __builtin_bswap64(w));
}
constexpr std::uint64_t ones(unsigned n) { return n >= 64 ? ~0ULL : (1ULL << n) - 1; }
constexpr unsigned shift(Bits b) { return b.order == Order::big ? 64U - b.first - b.count : b.first; }

// The frame's bits that a signal owns, in be-word coordinates, for overlap checks.
constexpr std::uint64_t owned(Bits b)
{
    const std::uint64_t mask = ones(b.count) << shift(b);
    if (b.order == Order::big) return mask;
    return __builtin_bswap64(mask);
}

}  // namespace detail

constexpr std::int64_t read_raw(const CanFrame& f, Bits b)
{
    const std::uint64_t raw = detail::word(f, b.order) >> detail::shift(b) & detail::ones(b.count);
    const bool negative = b.is_signed && (raw >> (b.count - 1) & 1) != 0;
    return static_cast<std::int64_t>(negative ? raw | ~detail::ones(b.count) : raw);
}

constexpr void write_raw(CanFrame& f, Bits b, std::int64_t raw)
{
    const std::uint64_t mask = detail::ones(b.count) << detail::shift(b);
    const std::uint64_t bits = static_cast<std::uint64_t>(raw) << detail::shift(b);
    detail::set_word(f, b.order, (detail::word(f, b.order) & ~mask) | (bits & mask));
}

struct RawRange {
    std::int64_t min;
    std::int64_t max;
};
constexpr RawRange all_codes(Bits b)
{
    const auto top = static_cast<std::int64_t>(detail::ones(b.is_signed ? b.count - 1U : b.count));
    return {b.is_signed ? -top - 1 : 0, top};
}

// How a value becomes a whole number of steps: measurements to nearest; limits down or up, whichever is the safe side.
enum class Round : std::uint8_t { nearest, down, up };

// A number on the wire: value = zero + raw * step. Raw codes outside `valid`
// mean "no reading", which is how most packs say a sensor is missing.
template <class Q>
struct Signal {
    using Value = Q;
    std::string_view name;
    Bits bits;
    typename Q::Difference step;
    Q zero{};
    RawRange valid = all_codes(bits);
    Round round = Round::nearest;

    constexpr Q value_of(std::int64_t raw) const { return Q::from_milli(zero.milli() + raw * step.milli()); }
    constexpr std::optional<Q> operator()(const CanFrame& f) const
    {
        const std::int64_t raw = read_raw(f, bits);
        if (raw < valid.min || raw > valid.max) return std::nullopt;
        return value_of(raw);
    }
    // Saturates, never wraps: a value that does not fit is sent as the nearest one that does.
    constexpr void put(CanFrame& f, Q value) const
    {
        auto above_zero = value - zero;
        const std::int64_t size = step.milli() < 0 ? -step.milli() : step.milli();
        std::int64_t raw = round == Round::down ? above_zero.down_in(size)
            : round == Round::up                ? above_zero.up_in(size)
                                                : above_zero.in(size);
        if (step.milli() < 0) raw = -raw;
        if (raw < valid.min) raw = valid.min;
        if (raw > valid.max) raw = valid.max;
        write_raw(f, bits, raw);
    }
};

// One bit.
struct Flag {
    using Value = bool;
    std::string_view name;
    Bits bits;
    constexpr bool operator()(const CanFrame& f) const { return read_raw(f, bits) != 0; }
    constexpr void put(CanFrame& f, bool on) const { write_raw(f, bits, on ? 1 : 0); }
};

// A whole number with no unit: page, counter, state code.
struct Code {
    using Value = std::int64_t;
    std::string_view name;
    Bits bits;
    RawRange valid = all_codes(bits);
    constexpr std::optional<std::int64_t> operator()(const CanFrame& f) const
    {
        const std::int64_t raw = read_raw(f, bits);
        if (raw < valid.min || raw > valid.max) return std::nullopt;
        return raw;
    }
    constexpr void put(CanFrame& f, std::int64_t raw) const
    {
        write_raw(f, bits, raw < valid.min ? valid.min : raw > valid.max ? valid.max : raw);
    }
};

// Not defined on purpose: reaching one of these while the compiler evaluates a
// Message is the compile error, and its name is the message.
void signal_has_no_bits();
void signal_does_not_fit_the_frame();
void signals_overlap();
void signal_step_is_zero();
void two_signals_share_a_name();
void valid_range_is_empty_or_outside_the_field();

// An identifier of 29 bits, where a bare number is one of 11.
struct Extended {
    std::uint32_t id;
};

// Identifiers in a row that carry the same layout, such as one for each module of a tower.
struct Row {
    std::uint32_t first;
    std::uint8_t count;
};

// What a message is declared with: a bare number, `Extended` or `Row`.
struct Identifiers {
    constexpr Identifiers(std::uint32_t id) : first{id} {}
    constexpr Identifiers(Extended id) : first{id.id}, extended{true} {}
    constexpr Identifiers(Row row) : first{row.first}, count{row.count} {}
    std::uint32_t first;
    bool extended = false;
    std::uint8_t count = 1;
};

// What is known of how a frame comes: zero period means not documented.
template <class... S>
struct Message {
    std::uint32_t id;
    bool extended;
    std::uint8_t count;  // identifiers in a row, from `id`
    std::uint8_t len;
    std::string_view name;
    std::chrono::milliseconds period;
    std::tuple<S...> signals;

    consteval Message(Identifiers ids, std::uint8_t len_, std::string_view name_, std::chrono::milliseconds period_, S... s)
        : id{ids.first},
          extended{ids.extended},
          count{ids.count},
          len{len_},
          name{name_},
          period{period_},
          signals{s...}
    {
        [[maybe_unused]] std::uint64_t taken = 0;
        const std::array<std::string_view, sizeof...(S)> names{s.name...};
        for (std::size_t i = 0; i < sizeof...(S); ++i)
            for (std::size_t j = 0; j < i; ++j)
                if (names[i] == names[j]) two_signals_share_a_name();
        (check(s, taken), ...);
    }

    constexpr bool matches(const CanFrame& f) const { return f.id == id && f.len == len && f.extended == extended; }
    // `n`: which of a row, from 0.
    constexpr CanFrame blank(unsigned n = 0) const { return {.id = id + n, .extended = extended, .len = len}; }

private:
    template <class T>
    consteval void check(const T& s, std::uint64_t& taken) const
    {
        if (s.bits.count == 0) signal_has_no_bits();
        if (s.bits.first + s.bits.count > 8 * len) signal_does_not_fit_the_frame();
        const std::uint64_t mine = detail::owned(s.bits);
        if ((taken & mine) != 0) signals_overlap();
        taken |= mine;
        if constexpr (requires { s.step; })
            if (s.step.milli() == 0) signal_step_is_zero();
        if constexpr (requires { s.valid; }) {
            const RawRange all = all_codes(s.bits);
            if (s.valid.min > s.valid.max || s.valid.min < all.min || s.valid.max > all.max)
                valid_range_is_empty_or_outside_the_field();
        }
    }
};

// The same declarations with the types rubbed off: what docs and generic tests walk.
struct SignalView {
    std::string_view name;
    Bits bits;
    std::int64_t step_milli;
    std::int64_t zero_milli;
    RawRange valid;
    std::string_view unit;
};
struct MessageView {
    std::uint32_t id;
    bool extended;
    std::uint8_t len;
    std::string_view name;
    std::chrono::milliseconds period;
    std::span<const SignalView> signals;
    std::uint8_t count = 1;  // identifiers in a row that carry this layout, from `id`

    constexpr bool carried_by(std::uint32_t frame_id, bool frame_extended) const
    {
        return frame_extended == extended && frame_id >= id && frame_id - id < count;
    }
};

template <class Tag>
constexpr SignalView view(const Signal<Quantity<Tag>>& s)
{
    return {s.name, s.bits, s.step.milli(), s.zero.milli(), s.valid, Tag::unit};
}
constexpr SignalView view(const Flag& f) { return {f.name, f.bits, 1000, 0, {0, 1}, ""}; }
constexpr SignalView view(const Code& c) { return {c.name, c.bits, 1000, 0, c.valid, ""}; }

template <const auto& M>
inline constexpr auto signal_views = std::apply(
    [](const auto&... s) { return std::array<SignalView, sizeof...(s)>{view(s)...}; }, M.signals);
template <const auto&... M>
inline constexpr std::array message_views{MessageView{M.id, M.extended, M.len, M.name, M.period, signal_views<M>, M.count}...};

}  // namespace batgw
