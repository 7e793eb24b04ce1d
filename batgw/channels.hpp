// All that passes between the bridge's thread and the outside thread. Each way is bounded and never waits.
#pragma once

#include "batgw/black_box.hpp"
#include "batgw/doorbell.hpp"
#include "batgw/log.hpp"
#include "model/mailbox.hpp"
#include "model/snapshot.hpp"

#include <atomic>
#include <memory>
#include <utility>

namespace batgw {

// Warnings that arise outside and that the judge shows (bits of Channels::warnings).
enum class OutsideWarning : unsigned { tls_unverified = 1, state_not_kept = 2, retained_command = 4 };

struct Channels {
    // bridge -> outside
    Mailbox<Snapshot> snapshots;
    Ring<Event, 64> events;
    Ring<LogLine, 64> log;
    Ring<CommandResult, 128> results;
    Ring<Passed, 4096> traffic;  // half a second of both buses at their fullest; the outside looks ten times a second
    Doorbell outside;
    std::atomic<bool> reload_wanted{false};

    // outside -> bridge
    Ring<Command, 128> commands;
    Ring<std::shared_ptr<const Config>, 4> configs;  // checked, and nothing in it that needs a restart
    std::atomic<unsigned> warnings{0};
    Doorbell bridge;

    void warn(OutsideWarning w, bool on)
    {
        const auto bit = static_cast<unsigned>(w);
        const unsigned old = on ? warnings.fetch_or(bit) : warnings.fetch_and(~bit);
        if (((old & bit) != 0) != on) bridge.ring();
    }
};

}  // namespace batgw
