// Fault conditions as a component sees them now. Persistence, holds and latching are the fault table's business; `since` is not
// filled.
#pragma once

#include "model/fault.hpp"
#include "model/fixed_vector.hpp"

namespace batgw {

using Conditions = FixedVector<ActiveFault, 12>;

inline ActiveFault condition(FaultId id, FaultClass level, Direction direction, Device device)
{
    ActiveFault f;
    f.id = id;
    f.level = level;
    f.direction = direction;
    f.device = device;
    return f;
}

}  // namespace batgw
