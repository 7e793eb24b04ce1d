// The last minute around a fault, for whoever has to find out why: what both buses carried, as candump writes it, and between the
// frames, as comments, what was decided. `batgw replay` and `batgw decode` read it back.
#pragma once

#include "batgw/latch_file.hpp"
#include "model/can_frame.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/snapshot.hpp"
#include "model/text.hpp"
#include "model/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batgw {

// What went by on a bus. Of a serial line: up to eight bytes of it.
struct Passed {
    Instant at{};
    CanFrame frame;
    bool inverter = false;  // on the inverter's bus
    bool sent = false;      // by us
    bool second = false;    // on that of the second battery
    bool serial = false;
};

// Everything here is called from one thread and blocks on nothing: files are written by a thread of its own, a disk that hangs
// costs captures and no more.
class BlackBox {
public:
    struct Setup {
        std::string directory;
        std::string battery, inverter, battery2{};            // names of the buses in the log
        std::string about;                                    // first line of each file
        std::function<void(LogLevel, std::string_view)> say;  // from either thread
    };
    explicit BlackBox(Setup setup);
    // Writes what is still to be written; waits at most 3 s for it.
    ~BlackBox();

    void see(const Passed& passed);
    // A TRIP or worse, or a BLOCK of both directions, begins a capture.
    void see(const Event& event);
    // A person wants one, or a line in the one under way. `code` and `text` answer it; anything else of the result is the
    // caller's.
    CommandResult on_command(const Command& command, const BothClocks& now);
    // At least every second: tells of limits that moved, and writes when a capture is whole.
    void look(const Verdict& verdict, const BothClocks& now);

    static constexpr Duration before = 55s, after = 5s;  // the fault
    // Not sooner after the last one of its kind: a loose connector fills no disk.
    static constexpr Duration block_pause = 10min, trip_pause = 1min, asked_pause = 1min;
    static constexpr Duration asked_most = 10min;  // what is begun by hand and not ended
    // Memory is taken by the block, as much as a minute needs; of fuller buses less than a minute is kept.
    static constexpr std::size_t block_frames = 1024, blocks_kept = 64, decisions_kept = 512;
    static constexpr unsigned files_kept = 4;  // of each kind

private:
    struct Decision {
        Instant at{};
        Text<160> text;
    };
    enum class Kind : std::uint8_t { block, trip, asked };
    struct Capture {
        Kind kind{};
        Instant from{}, at{}, due{};
        std::string cause;
        bool goes_on = false;  // until it is ended
    };
    struct Shared;
    void decided(Instant at, std::string_view text);
    // The name of the file that it becomes; empty: the one before is still being written, and this one is lost.
    std::string hand_over(const Capture& capture, const BothClocks& now);
    CommandResult begin(const Command& command, Instant now);
    Instant oldest_wanted() const;
    bool full(const Capture& capture) const;

    using Block = std::array<Passed, block_frames>;
    Setup setup_;
    std::deque<std::shared_ptr<Block>> blocks_;  // the last one is filled to `filled_`
    std::size_t filled_ = 0;
    std::deque<Decision> decisions_;
    Instant newest_{};
    std::optional<Capture> fault_, asked_;        // under way
    std::array<std::optional<Instant>, 3> last_;  // of each kind
    bool shown_ = false;
    Grant charge_, discharge_;
    std::shared_ptr<Shared> shared_;
};

}  // namespace batgw
