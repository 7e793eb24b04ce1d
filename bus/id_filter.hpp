// What a kernel would do with CAN_RAW_FILTER, for buses that have no kernel (SAFE-265): the ids that the driver reads and those
// that we send, each in its own frame format.
#pragma once

#include "model/driver.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace batgw::bus {

class IdFilter {
public:
    IdFilter() = default;  // lets everything through
    IdFilter(std::span<const RxRule> receives, std::span<const TxRule> sends, bool all) : all_{all}
    {
        for (const RxRule& r : receives) ids_.push_back(key(r.id, r.extended));
        for (const TxRule& s : sends) ids_.push_back(key(s.id, s.extended));
        std::sort(ids_.begin(), ids_.end());
    }
    bool passes(std::uint32_t id, bool extended) const
    {
        return all_ || std::binary_search(ids_.begin(), ids_.end(), key(id, extended));
    }
    bool passes(const CanFrame& f) const { return passes(f.id, f.extended); }
    bool only_extended() const
    {
        return !all_ && !ids_.empty() && std::all_of(ids_.begin(), ids_.end(), [](std::uint32_t k) { return (k & flag) != 0; });
    }

private:
    static constexpr std::uint32_t flag = 0x8000'0000U;
    static constexpr std::uint32_t key(std::uint32_t id, bool extended) { return id | (extended ? flag : 0U); }
    bool all_ = true;
    std::vector<std::uint32_t> ids_;
};

}  // namespace batgw::bus
