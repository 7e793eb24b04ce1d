// A log, line by line, in bounded memory: a file, or standard input as it comes.
#pragma once

#include "batgw/log_line.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batgw {

class LogReader {
public:
    // "-": standard input. Throws std::runtime_error when it cannot be opened, or is compressed.
    explicit LogReader(const std::string& path);
    ~LogReader();
    LogReader(LogReader&& other) noexcept;
    LogReader(const LogReader&) = delete;
    LogReader& operator=(const LogReader&) = delete;
    LogReader& operator=(LogReader&&) = delete;

    struct Line {
        std::string_view text;  // until the next call; cut when too long
        std::uint64_t number;   // from 1
        bool too_long;
    };
    // Nothing at the end, or once SIGINT came. `before_waiting` is called before each read, which may block. Throws when reading
    // fails.
    std::optional<Line> next(const std::function<void()>& before_waiting);
    const std::string& name() const { return name_; }  // for messages

private:
    bool fill();
    std::string name_;
    int fd_ = 0;  // standard input
    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;
    std::uint64_t number_ = 0;
    bool started_ = false, at_end_ = false;
};

// From now on SIGINT ends reading instead of the program, so that what was counted is told.
void end_reading_on_interrupt();

}  // namespace batgw
