#include "batgw/log_merge.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>

namespace batgw {

LogMerge::LogMerge(const std::vector<std::string>& files, bool serial, bool delta) : serial_{serial}, delta_{delta}
{
    sources_.reserve(files.size());
    for (const std::string& file : files) sources_.push_back({.reader = LogReader{file}, .stamps = SteadyStamps{delta}});
}

// False: not a line that plays.
bool LogMerge::take(Source& source, const LogReader::Line& line)
{
    const auto refuse = [&](std::string_view problem) {
        bad_.tell(source.reader.name(), line.number, problem, line.text);
        return false;
    };
    if (line.too_long) return refuse("too long");
    source.line = parse_can_line(line.text);
    if (source.line.kind == TrafficLine::Kind::bad && serial_) source.line = parse_serial_line(line.text);
    if (source.line.kind == TrafficLine::Kind::bad) return refuse(source.line.problem);
    if (source.line.kind == TrafficLine::Kind::nothing) return false;
    if (!source.line.time_us) return refuse("no time");
    if (!delta_ && relative_.value_or(source.line.relative) != source.line.relative)
        throw std::runtime_error{
            fmt::format("{}:{}: some times count from 1970 and some from zero; such logs do not fit together",
                source.reader.name(), line.number)};
    relative_ = source.line.relative;
    source.number = line.number;
    const auto step = source.stamps.take(*source.line.time_us);
    if (step.jumped)
        fmt::print(stderr, "{}:{}: the time goes back by {} s; from here on distances count (--delta for logs of candump -t d)\n",
            source.reader.name(), line.number, time_text(step.back_us));
    source.at_us = step.at_us;
    return true;
}

std::uint64_t LogMerge::slips() const
{
    std::uint64_t all = 0;
    for (const Source& s : sources_) all += s.stamps.slips();
    return all;
}

void LogMerge::advance(Source& source, const std::function<void()>& before_waiting)
{
    source.there = false;
    while (const auto line = source.reader.next(before_waiting))
        if (take(source, *line)) {
            source.there = true;
            return;
        }
}

std::optional<LogMerge::Next> LogMerge::next(const std::function<void()>& before_waiting)
{
    if (!started_)
        for (Source& s : sources_) advance(s, before_waiting);
    started_ = true;
    if (last_ != nullptr) advance(*last_, before_waiting);
    last_ = nullptr;
    for (Source& s : sources_)
        if (s.there && (last_ == nullptr || s.at_us < last_->at_us)) last_ = &s;
    if (last_ == nullptr) return std::nullopt;
    return Next{&last_->line, last_->at_us, &last_->reader.name(), last_->number};
}

}  // namespace batgw
