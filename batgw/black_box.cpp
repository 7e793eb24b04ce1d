#include "batgw/black_box.hpp"

#include "batgw/event_text.hpp"
#include "batgw/log_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace batgw {
namespace {

constexpr std::int64_t worth_telling_mw = 100'000;

bool moved(const Grant& now, const Grant& then)
{
    return now.by() != then.by() || now.is_zero() != then.is_zero() ||
        std::abs(now.power().milli() - then.power().milli()) >= worth_telling_mw;
}

std::string limit_text(const Grant& g) { return fmt::format("{} W ({})", g.power().down_in(1000), to_string(g.by())); }

std::string file_stamp(std::int64_t wall_ms)
{
    const std::time_t seconds = wall_ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc)};
}

// All but `newest`, which a clock that is not set may have given an old name.
void remove_old(const std::string& directory, const std::string& kind, const std::string& newest, std::size_t keep)
{
    std::vector<std::string> old;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{directory, ignored}) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(kind) && name.ends_with(".log") && name != newest) old.push_back(name);
    }
    std::sort(old.begin(), old.end());
    for (std::size_t i = 0; i + keep < old.size() + 1; ++i) std::filesystem::remove(directory + "/" + old[i], ignored);
}

}  // namespace

struct BlackBox::Shared {
    // The capture that is to be written.
    std::vector<std::shared_ptr<const Block>> blocks;  // no frame before `filled` of the last one changes any more
    std::size_t filled = 0;
    Instant from{};
    std::vector<Decision> decisions;
    std::int64_t wall_minus_monotonic_us = 0;
    std::string kind, name, heading;

    Setup setup;
    std::mutex mutex;
    std::condition_variable changed;
    bool full = false, stop = false, done = false;
    bool failing = false;

    std::string stamp(Instant at) const
    {
        const std::int64_t us = std::max<std::int64_t>(at.time_since_epoch().count() + wall_minus_monotonic_us, 0);
        return fmt::format("({}.{:06})", us / 1'000'000, us % 1'000'000);
    }
    std::string line(const Passed& p) const
    {
        const std::string& bus = p.inverter ? setup.inverter : p.second ? setup.battery2 : setup.battery;
        if (!p.serial) return fmt::format("{} {} {}\n", stamp(p.at), bus, frame_text(p.frame));
        std::string text = fmt::format("{} {} {}", stamp(p.at), bus, p.sent ? '>' : '<');
        for (std::size_t i = 0; i < p.frame.len; ++i) text += fmt::format(" {:02X}", p.frame.data[i]);
        return text + "\n";
    }
    // False: the disk did not take it, see errno.
    bool put_all(std::FILE* file) const
    {
        const auto put = [file](const std::string& text) { return std::fputs(text.c_str(), file) >= 0; };
        bool good = put(heading);
        std::size_t told = 0;
        const auto tell_until = [&](const Passed* next) {
            for (; good && told < decisions.size() && (next == nullptr || decisions[told].at <= next->at); ++told)
                good = put(fmt::format("# {} {}\n", stamp(decisions[told].at), decisions[told].text.view()));
        };
        for (const auto& block : blocks)
            for (const Passed& p : std::span{*block}.first(block == blocks.back() ? filled : block_frames)) {
                if (p.at < from) continue;
                tell_until(&p);
                good = good && put(line(p));
                if (!good) return false;
            }
        tell_until(nullptr);
        return good && std::fflush(file) == 0 && ::fsync(::fileno(file)) == 0;
    }
    // What went wrong; empty: nothing.
    std::string write() const
    {
        const std::string temporary = setup.directory + "/capture.new", path = setup.directory + "/" + name;
        const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        std::FILE* const file = fd >= 0 ? ::fdopen(fd, "w") : nullptr;
        if (file == nullptr) return std::strerror(errno);
        const bool good = put_all(file);
        int error = good ? 0 : errno;
        if (std::fclose(file) != 0 && error == 0) error = errno;
        if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
        if (error == 0) return {};
        ::unlink(temporary.c_str());
        return std::strerror(error);
    }
    void run()
    {
        std::unique_lock lock{mutex};
        for (;;) {
            changed.wait(lock, [this] { return full || stop; });
            if (!full) break;
            lock.unlock();
            const std::string error = write();
            if (error.empty()) remove_old(setup.directory, kind, name, files_kept);
            blocks.clear();
            lock.lock();
            full = false;
            if (error.empty())
                setup.say(LogLevel::info, fmt::format("the last minute is kept in {}/{}", setup.directory, name));
            else if (!failing)
                setup.say(LogLevel::warn,
                    fmt::format("the last minute is not kept: cannot write {}/{}: {}", setup.directory, name, error));
            failing = !error.empty();
        }
        done = true;
        changed.notify_all();
    }
};

BlackBox::BlackBox(Setup setup) : setup_{std::move(setup)}, shared_{std::make_shared<Shared>()}
{
    shared_->setup = setup_;
    std::thread{[shared = shared_] { shared->run(); }}.detach();
}

BlackBox::~BlackBox()
{
    for (const auto* capture : {&fault_, &asked_})
        if (*capture) hand_over(**capture, both_clocks());
    std::unique_lock lock{shared_->mutex};
    shared_->stop = true;
    shared_->changed.notify_all();
    shared_->changed.wait_for(lock, std::chrono::seconds{3}, [this] { return shared_->done; });
    shared_->setup.say = [](LogLevel, std::string_view) {};  // a disk that hangs may come back when nobody listens any more
}

// Times never go back in a log: two buses are read one after the other.
void BlackBox::see(const Passed& passed)
{
    newest_ = std::max(passed.at, newest_);
    if (blocks_.empty() || filled_ == block_frames) {
        const Instant wanted = oldest_wanted();
        while (!blocks_.empty() && (blocks_.size() == blocks_kept || blocks_.front()->back().at < wanted)) blocks_.pop_front();
        blocks_.push_back(std::make_shared<Block>());
        filled_ = 0;
    }
    Passed& slot = (*blocks_.back())[filled_++];
    slot = passed;
    slot.at = newest_;
}

Instant BlackBox::oldest_wanted() const
{
    Instant oldest = newest_ - before;
    for (const auto* capture : {&fault_, &asked_})
        if (*capture) oldest = std::min(oldest, (*capture)->from);
    return oldest;
}

void BlackBox::decided(Instant at, std::string_view text)
{
    if (decisions_.size() == decisions_kept) decisions_.pop_front();
    decisions_.push_back({.at = at, .text{}});
    decisions_.back().text.assign(text);
}

void BlackBox::see(const Event& event)
{
    decided(event.at, event_text(event));
    if (event.type != EventType::fault_set && event.type != EventType::fault_class) return;
    const bool trip = event.fault.level >= FaultClass::trip;
    if (!trip && (event.fault.level != FaultClass::block || event.fault.direction != Direction::both)) return;
    if (blocks_.empty()) return;  // nothing was heard or said yet: there is nothing to look at
    const Kind kind = trip ? Kind::trip : Kind::block;
    const auto& last = last_[static_cast<std::size_t>(kind)];
    const bool too_soon = last && event.at - *last < (trip ? trip_pause : block_pause);
    if (fault_ ? fault_->kind == Kind::trip || !trip : too_soon) return;
    // A block that becomes a trip is one story.
    const Instant from = fault_ ? fault_->from : event.at - before;
    fault_ = Capture{.kind = kind, .from = from, .at = event.at, .due = event.at + after, .cause = event_text(event)};
}

CommandResult BlackBox::on_command(const Command& command, const BothClocks& now)
{
    const Instant at = now.monotonic;
    CommandResult r{.kind = command.kind, .code = CommandCode::ok};
    if (command.step == CaptureStep::mark) decided(at, fmt::format("mark: {}", command.reason.view()));
    if (command.step != CaptureStep::stop) {
        r = begin(command, at);
    } else if (!asked_) {
        r.code = CommandCode::unchanged;
        r.text.assign("no capture is under way");
    } else {
        const std::string name = hand_over(*asked_, now);
        asked_.reset();
        r.code = name.empty() ? CommandCode::internal : CommandCode::ok;
        r.text.assign(name.empty() ? "the capture before is still being written" : name);
    }
    return r;
}

// A mark keeps the minute around it. What `start` began goes on, with whatever marks.
CommandResult BlackBox::begin(const Command& command, Instant now)
{
    CommandResult r{.kind = command.kind, .code = CommandCode::ok};
    const bool mark = command.step == CaptureStep::mark;
    const auto& last = last_[static_cast<std::size_t>(Kind::asked)];
    if (asked_ && (mark || asked_->goes_on)) {
        r.code = mark ? CommandCode::ok : CommandCode::unchanged;
        r.text.assign(mark ? "noted in the capture under way" : "a capture is under way");
    } else if (!asked_ && last && now - *last < asked_pause) {
        r.code = CommandCode::rate_limited;
        r.text.assign("one capture a minute");
    } else if (mark) {
        asked_ = Capture{.kind = Kind::asked,
            .from = now - before,
            .at = now,
            .due = now + after,
            .cause = std::string{command.reason.view()}};
        r.text.assign("the minute around it is kept");
    } else {
        if (!asked_) asked_ = Capture{.kind = Kind::asked, .from = now, .at = now, .cause = "a command"};
        asked_->goes_on = true;
        asked_->due = now + asked_most;
        r.text.assign("until stop, for 10 minutes at most");
    }
    return r;
}

// Its first frame would be overwritten before long.
bool BlackBox::full(const Capture& capture) const
{
    return capture.goes_on && blocks_.size() == blocks_kept && blocks_[blocks_kept / 8]->front().at >= capture.from;
}

void BlackBox::look(const Verdict& verdict, const BothClocks& now)
{
    if (verdict.sequence > 0 && (!shown_ || moved(verdict.charge, charge_) || moved(verdict.discharge, discharge_))) {
        shown_ = true;
        charge_ = verdict.charge;
        discharge_ = verdict.discharge;
        decided(verdict.at, fmt::format("limits charge {}, discharge {}", limit_text(charge_), limit_text(discharge_)));
    }
    for (auto* capture : {&fault_, &asked_}) {
        if (!*capture || (now.monotonic < (*capture)->due && !full(**capture))) continue;
        hand_over(**capture, now);
        capture->reset();
        return;  // the other one finds this one written the next time
    }
}

std::string BlackBox::hand_over(const Capture& capture, const BothClocks& now)
{
    last_[static_cast<std::size_t>(capture.kind)] = capture.at;
    const std::lock_guard lock{shared_->mutex};
    if (shared_->full) {
        setup_.say(LogLevel::warn, "the last minute is not kept: the one before is still being written");
        return {};
    }
    shared_->blocks.assign(blocks_.begin(), blocks_.end());
    shared_->filled = filled_;
    shared_->from = capture.from;
    shared_->decisions.clear();
    std::copy_if(decisions_.begin(), decisions_.end(), std::back_inserter(shared_->decisions),
        [&](const Decision& d) { return d.at >= capture.from; });
    std::stable_sort(
        shared_->decisions.begin(), shared_->decisions.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
    shared_->wall_minus_monotonic_us = now.wall_ms * 1000 - now.monotonic.time_since_epoch().count();
    constexpr std::array<std::string_view, 3> kinds{"capture-block-", "capture-trip-", "capture-asked-"};
    shared_->kind = kinds[static_cast<std::size_t>(capture.kind)];
    const std::int64_t at_ms = (shared_->wall_minus_monotonic_us + capture.at.time_since_epoch().count()) / 1000;
    shared_->name = shared_->kind + file_stamp(std::max<std::int64_t>(at_ms, 0)) + ".log";
    shared_->heading = fmt::format("# {}\n# captured for: {}\n", setup_.about, capture.cause);
    shared_->full = true;
    shared_->changed.notify_all();
    return shared_->name;
}

}  // namespace batgw
