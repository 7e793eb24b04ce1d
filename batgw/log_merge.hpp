// Several logs as one, by time. Of each only the line at hand is in memory.
#pragma once

#include "batgw/log_clock.hpp"
#include "batgw/log_reader.hpp"
#include "batgw/tools.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batgw {

class LogMerge {
public:
    // `serial`: lines of bytes are understood, too. Throws when a log cannot be opened.
    LogMerge(const std::vector<std::string>& files, bool serial, bool delta);

    struct Next {
        const TrafficLine* line;  // until the next call
        std::int64_t at_us;       // never falls
        const std::string* log;
        std::uint64_t number;
    };
    // The next frame, remote, error or FD line, or bytes. Nothing at the end of all. Throws when logs that count from 1970 and
    // logs that count from zero are mixed.
    std::optional<Next> next(const std::function<void()>& before_waiting);

    std::uint64_t slips() const;  // lines a little out of order
    std::uint64_t bad() const { return bad_.count(); }

private:
    struct Source {
        LogReader reader;
        SteadyStamps stamps;
        TrafficLine line{};
        std::int64_t at_us = 0;
        std::uint64_t number = 0;
        bool there = false;
    };
    void advance(Source& source, const std::function<void()>& before_waiting);
    bool take(Source& source, const LogReader::Line& line);

    std::vector<Source> sources_;
    bool serial_, delta_;
    Source* last_ = nullptr;
    bool started_ = false;
    std::optional<bool> relative_;
    BadLines bad_;
};

}  // namespace batgw
