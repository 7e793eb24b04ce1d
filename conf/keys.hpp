// Every key of batgw.yaml, in one table: loading, printing, comparing and the reference page all walk it. A new key is one entry.
#pragma once

#include "model/config.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace batgw {

// A key's value: nothing (not written, or the word that stands for it), true or false, a number in its base unit (thousandths,
// microseconds, or itself), a text or choice, a list of them, several numbers, a curve.
using KeyValue = std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<std::string>,
    std::vector<std::int64_t>, std::vector<CurvePoint>>;

enum class KeyKind : std::uint8_t { boolean, number, numbers, text, choice, choices, curve, options, unavailable };

// `profile`: not looser than what chemistry and drivers say. `own_profile`: only where a driver says something of its own.
enum class Looser : std::uint8_t { free, profile_max, profile_min, own_profile_max, own_profile_min };

// Where a number's bounds come from: its own, or the hard bounds of the cell chemistry (SAFE-060).
enum class BoundKind : std::uint8_t { own, cell, cell_deep };

struct Complaint {
    std::string what, allowed;
};

struct Key {
    std::string_view name;  // dotted
    KeyKind kind = KeyKind::unavailable;
    std::string_view help{};          // one line
    std::string_view default_text{};  // for the reference page where the default depends; the only value of an unavailable key
    bool restart = false;             // not changed live (SAFE-242)
    bool secret = false;
    bool required = false;  // no default
    // Numbers. Bounds and step in base units; `scale` base units make one unit of the file.
    std::int64_t scale = 1, step = 1, min = 0, max = 0;
    BoundKind bounds = BoundKind::own;
    Looser looser = Looser::free;
    std::string_view word{};  // stands for "nothing"
    std::span<const std::string_view> choices{};
    std::string_view allowed{};                                     // text: what is allowed
    std::optional<Complaint> (*check)(std::string_view) = nullptr;  // text
    KeyValue (*get)(const Config&) = nullptr;
    void (*set)(Config&, const KeyValue&) = nullptr;

    constexpr Key needs_restart() const
    {
        Key k = *this;
        k.restart = true;
        return k;
    }
    constexpr Key no_default() const
    {
        Key k = *this;
        k.required = true;
        return k;
    }
    constexpr Key hidden() const
    {
        Key k = *this;
        k.secret = true;
        return k;
    }
    constexpr Key or_word(std::string_view w) const
    {
        Key k = *this;
        k.word = w;
        return k;
    }
    constexpr Key whole() const
    {
        Key k = *this;
        k.step = k.scale;
        return k;
    }
    constexpr Key limit(Looser l) const
    {
        Key k = *this;
        k.looser = l;
        return k;
    }
    constexpr Key within(BoundKind b) const
    {
        Key k = *this;
        k.bounds = b;
        return k;
    }
    constexpr Key otherwise(std::string_view text) const
    {
        Key k = *this;
        k.default_text = text;
        return k;
    }
};

// In the order of the file; keys of one section stand together.
std::span<const Key> all_keys();
const Key* find_key(std::string_view name);
bool is_section(std::string_view name);                            // "safety.cell"
std::vector<std::string_view> names_in(std::string_view section);  // keys and sections right below; "" is the top

inline std::string_view section_of(std::string_view name)
{
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}
inline std::string_view last_part(std::string_view name)
{
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

// Whether this configuration has the key at all: those of `mqtt:` and `mqtt.tls:` need the section.
bool has(const Config& config, const Key& key);

std::string_view unit_of(const Key& key);  // "V", "ms"; empty without one
struct NumberBounds {
    std::int64_t min, max;
};
// `profile`: the configuration before the file's `safety:` was read.
NumberBounds bounds_of(const Key& key, const Config& profile);
std::string print_number(std::int64_t base, std::int64_t scale);  // "3.5"
std::string print_bounds(const Key& key, NumberBounds bounds);    // "2..3.8 V, or never"

}  // namespace batgw
