// The only maker of grants above zero (SAFE-001). The judge uses it, and tests of inverter drivers; no driver may include it,
// which tools/check-includes holds.
#pragma once

#include "model/units.hpp"
#include "model/verdict.hpp"

namespace batgw {

class GrantWriter {
public:
    // Magnitudes. When either is not above zero the grant is exactly nothing (SAFE-094).
    static constexpr Grant write(Power power, Current current, Cause by)
    {
        if (power <= Power{} || current <= Current{}) return Grant{Power{}, Current{}, by};
        return Grant{power, current, by};
    }
    static constexpr Grant nothing(Cause by) { return Grant{Power{}, Current{}, by}; }
};

}  // namespace batgw
