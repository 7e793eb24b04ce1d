// How the tools read: as it comes, in bounded memory, and to the end.
#include "batgw/log_clock.hpp"
#include "batgw/log_reader.hpp"
#include "tests/tools/run.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr const char* frame = "(1436509052.249713) can0 444#9E01881364649865\n";

std::string repeated(std::string_view text, std::size_t times)
{
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("a live pipe is decoded line by line, before the next line comes")
{
    // The writer goes on only when it has seen its frame decoded.
    const Folder folder;
    const std::string out = folder.file("decoded");
    const Ran ran = run(": >" + out +
        "; { for n in 1 2 3; do printf '%s\\n' '444#9E01881364649865'; i=0; "
        "while [ $(wc -l <" +
        out +
        ") -lt $n ] && [ $i -lt 500 ]; do sleep 0.02; i=$((i + 1)); done; [ $i -lt 500 ] || echo late >&2; done; } | "
        "batgw decode byd-atto3 >" +
        out);
    CHECK(ran.err.find("late") == std::string::npos);
    CHECK(ran.err.find("byd-atto3: 3 frames in 3 lines, 3 used") != std::string::npos);
}

TEST_CASE("a line without an end is given up, and the next one is read")
{
    const Folder folder;
    const std::string log = folder.write("long.log", std::string(300'000, 'x') + "\n" + frame + std::string(2000, 'y'));
    const Ran ran = run("batgw decode byd-atto3 " + log);
    CHECK(ran.status == 3);
    CHECK(lines_of(ran.out).size() == 1);
    CHECK(ran.err.find("long.log:1: too long: 'xxx") != std::string::npos);
    CHECK(ran.err.find("long.log:3: too long: 'yyy") != std::string::npos);
    CHECK(ran.err.find("2 bad lines") != std::string::npos);
    CHECK(ran.err.size() < 1000);
}

TEST_CASE("a log that ends amid a line, without a newline, or with carriage returns is read to its end")
{
    const Folder folder;
    const Ran cut =
        run("batgw decode byd-atto3 " + folder.write("cut.log", std::string{frame} + "(1436509052.349713) can0 444#9E0"));
    CHECK(cut.status == 3);
    CHECK(lines_of(cut.out).size() == 1);
    const Ran bare = run("batgw decode byd-atto3 " + folder.write("bare.log", "444#9E01881364649865"));
    CHECK(bare.status == 0);
    CHECK(lines_of(bare.out).size() == 1);
    const Ran returns = run("batgw decode byd-atto3 " + folder.write("dos.log", "444#9E01881364649865\r\n\r\n"));
    CHECK(returns.status == 0);
    const Ran nothing = run("batgw decode byd-atto3 </dev/null");
    CHECK(nothing.status == 1);
    CHECK(nothing.err.find("nothing of byd-atto3") != std::string::npos);
}

TEST_CASE("a compressed log says how to read it")
{
    const Folder folder;
    const Ran ran =
        run("printf '\\037\\213\\010\\000' >" + folder.file("x.gz") + "; batgw decode byd-atto3 " + folder.file("x.gz"));
    CHECK(ran.status == 1);
    CHECK(ran.err.find("zcat") != std::string::npos);
}

TEST_CASE("a long log is read in the memory of a short one")
{
    const Folder folder;
    const std::string log = folder.write("long.log", repeated(frame, 200'000));
    // 10 MB of log within an address space that the program alone nearly fills.
    const Ran ran = run("ulimit -v 200000; batgw decode byd-atto3 " + log + " | tail -1");
    if (ran.err.find("AddressSanitizer") != std::string::npos || ran.err.find("ThreadSanitizer") != std::string::npos) return;
    CHECK(ran.err.find("200000 frames in 200000 lines, 200000 used") != std::string::npos);
}

TEST_CASE("a reader that goes away ends the program quietly; a full disk does not")
{
    const Folder folder;
    const std::string log = folder.write("long.log", repeated(frame, 20'000));
    const Ran head = run("batgw decode byd-atto3 " + log + " | head -1");
    CHECK(lines_of(head.out).size() == 1);
    CHECK(head.err.find("batgw:") == std::string::npos);
    const Ran full = run("batgw decode byd-atto3 " + log + " >/dev/full");
    CHECK(full.status == 1);
    CHECK(full.err.find("batgw: ") != std::string::npos);
}

TEST_CASE("an interrupt ends a live decode with its summary")
{
    const Ran ran = run("sleep 5 | { batgw decode byd-atto3 & pid=$!; sleep 0.5; kill -INT $pid; wait $pid; echo status $?; }");
    CHECK(ran.err.find("0 frames in 0 lines") != std::string::npos);
}

TEST_CASE("times of a log never fall, and a clock that was set back keeps its distances")
{
    SteadyStamps stamps{false};
    CHECK(stamps.take(100'000'000).at_us == 100'000'000);
    CHECK(stamps.take(101'000'000).at_us == 101'000'000);
    const auto slip = stamps.take(100'500'000);  // a little out of order
    CHECK(slip.at_us == 101'000'000);
    CHECK(!slip.jumped);
    CHECK(stamps.slips() == 1);
    const auto back = stamps.take(50'000'000);
    CHECK(back.jumped);
    CHECK(back.back_us == 51'000'000);
    CHECK(back.at_us == 101'000'000);
    CHECK(stamps.take(50'250'000).at_us == 101'250'000);

    SteadyStamps deltas{true};
    CHECK(deltas.take(0).at_us == 0);
    CHECK(deltas.take(250'000).at_us == 250'000);
    CHECK(deltas.take(0).at_us == 250'000);
    CHECK(deltas.take(750'000).at_us == 1'000'000);
}

TEST_CASE("however wild the times of a log are, nothing overflows")
{
    constexpr std::int64_t largest = 99'999'999'999'999'999;  // eleven digits of seconds
    SteadyStamps stamps{false};
    PlayedTime played{10min};
    Instant before{};
    for (int i = 0; i < 1000; ++i) {
        const auto step = stamps.take(i % 2 == 0 ? largest : 0);
        const Instant now = played.take(step.at_us).now;
        CHECK(now >= before);
        before = now;
    }
    SteadyStamps deltas{true};
    for (int i = 0; i < 1000; ++i) CHECK(deltas.take(largest).at_us <= SteadyStamps::latest_us);
}

TEST_CASE("a gap is shortened for the gateway, and its times still tell those of the log")
{
    PlayedTime played{10min};
    CHECK(played.take(1'000'000'000).now == PlayedTime::start);
    CHECK(played.take(1'060'000'000).now == PlayedTime::start + 60s);
    const auto gap = played.take(1'060'000'000 + 3600LL * 1'000'000);
    CHECK(gap.cut == 50min);
    CHECK(gap.now == PlayedTime::start + 60s + 10min);
    CHECK(played.stamp(gap.now) == 4'660'000'000);
    CHECK(played.take(4'661'000'000).now == gap.now + 1s);
    CHECK(played.stamp(gap.now + 1s) == 4'661'000'000);
}
