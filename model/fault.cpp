#include "model/fault.hpp"

namespace batgw {

FaultName fault_kind(const ActiveFault& fault)
{
    FaultName name{to_string(fault.id)};
    return fault.repeated ? name.append("_REPEAT") : name;
}

FaultName fault_name(const ActiveFault& fault)
{
    FaultName name = fault_kind(fault);
    return fault.detail.empty() ? name : name.append(":").append(fault.detail.view());
}

}  // namespace batgw
