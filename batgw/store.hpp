// What survives a restart, in the state directory: faults that stay (SAFE-044), the operator's restrictions (SAFE-196), the last
// events of BLOCK or worse (SAFE-047), the wear of the contactors (SAFE-154), and how the last runs ended (SAFE-215). Files are
// written whole, beside the old one, and renamed over it, by a thread of its own: a slow or full disk delays nobody.
#pragma once

#include "batgw/latch_file.hpp"
#include "batgw/wear_file.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/snapshot.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace batgw {

struct Restored {
    std::optional<OperatorState> state;  // empty: nothing was kept
    std::string note;                    // for the log; empty: nothing to say
    bool damaged = false;                // a file was there and could not be understood: `state` is then paused (fail safe)
};

// Reads what keep_operator() wrote. A damaged file is moved aside, not lost.
Restored restore_operator(const std::string& directory, const BatteryConfig& battery);

class Store {
public:
    // `trouble(true, why)` when writing fails, `trouble(false, "")` when it works again; `latches_done` when the newest latches
    // are on the disk, or could not be brought there. Both are called from the writing thread.
    Store(
        std::string directory, std::function<void(bool, std::string_view)> trouble, std::function<void()> latches_done = [] {});
    // Waits up to 3 s for what is still to be written.
    ~Store();

    void keep_operator(const OperatorState& state);
    void keep_event(const Event& event);
    // The latched ones among them, whenever something about them changed.
    void keep_latches(std::span<const ActiveFault> faults, const BothClocks& now);
    // On their way to the disk; not when that has failed.
    bool writing_latches() const;
    // These are what the file holds already.
    void latches_kept(std::span<const ActiveFault> faults) { latches_ = latches_signature(faults); }
    void keep_start(const StartRecord& record);
    // Whenever contactors have opened under load; `wear_kept` is what the file holds already.
    void keep_wear(const ContactorVerdict& contactors, std::int64_t wall_ms);
    void wear_kept(WearRecord record) { wear_ = std::move(record); }

private:
    struct Shared;
    void write(std::string name, std::string content);
    std::shared_ptr<Shared> shared_;
    std::deque<std::string> events_;  // one JSON text each, oldest first, at most 64
    std::optional<std::string> operator_, latches_;
    WearRecord wear_;
};

}  // namespace batgw
