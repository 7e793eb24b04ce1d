// The last minute around a fault: what is kept of it, and that it plays back to the same fault.
#include "batgw/black_box.hpp"

#include "batgw/event_text.hpp"
#include "tests/support/world.hpp"
#include "tests/tools/run.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <mutex>

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr std::int64_t wall_ms = 1'700'000'000'000;

constexpr std::string_view house_configuration =
    "battery:\n  protocol: byd-atto3\n  interface: can0\n  cells: 126\n  capacity_wh: 60480\n"
    "inverter:\n  protocol: byd-hvs\n  interface: can1\n";

// A box over a directory, and what it said.
struct Kept {
    explicit Kept(const std::string& where)
        : box{std::make_unique<BlackBox>(BlackBox::Setup{.directory = where,
              .battery = "can0",
              .inverter = "can1",
              .about = "byd-atto3 on can0, byd-hvs on can1",
              .say =
                  [this](LogLevel, std::string_view text) {
                      const std::lock_guard lock{mutex};
                      said.emplace_back(text);
                  }})},
          directory{where}
    {}
    std::size_t lines()
    {
        const std::lock_guard lock{mutex};
        return said.size();
    }
    std::vector<std::string> files() const
    {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator{directory}) {
            const std::string name = entry.path().filename().string();
            if (name.starts_with("capture-")) names.push_back(name);
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    // What a fault at this instant leads to, with a frame before it.
    void fault(Instant at, FaultClass level, Direction direction = Direction::both)
    {
        box->see(Passed{.at = at - 1s, .frame = {.id = 0x123, .len = 1, .data = {0x5A}}});
        Event e{.type = EventType::fault_set, .at = at};
        e.fault.id = FaultId::bat_link_lost;
        e.fault.level = level;
        e.fault.direction = direction;
        box->see(e);
        box->look({}, {.monotonic = at + BlackBox::after, .wall_ms = wall_ms + (at + BlackBox::after).time_since_epoch() / 1ms});
    }
    bool wait_for_file(std::size_t count)
    {
        for (int i = 0; i < 500 && files().size() != count; ++i) std::this_thread::sleep_for(10ms);
        return files().size() == count;
    }

    std::mutex mutex;
    std::vector<std::string> said;
    std::unique_ptr<BlackBox> box;
    std::string directory;
};

// The house, told to the box as the gateway tells it.
void play_on(World& world, BlackBox& box, Duration time)
{
    std::uint64_t events = 0;
    world.bridge.events_since(0, [&](const Event& e) { events = e.number; });
    for (const Instant end = world.now + time; world.now < end;) {
        const std::size_t sent = world.sent.size();
        world.run(10ms);
        for (std::size_t i = sent; i < world.sent.size(); ++i)
            box.see({.at = world.sent[i].at,
                .frame = world.sent[i].frame,
                .inverter = world.sent[i].side == Side::inverter,
                .sent = true});
        world.bridge.events_since(events, [&](const Event& e) {
            events = e.number;
            box.see(e);
        });
        box.look(world.verdict(), {.monotonic = world.now, .wall_ms = wall_ms + world.now.time_since_epoch() / 1ms});
    }
}

// "(1700010800.123456) BLOCK X" of the first line with that text: seconds and the text from there on.
std::pair<double, std::string> first_with(const std::string& text, std::string_view part)
{
    for (const std::string& line : lines_of(text)) {
        const auto at = line.find(part), open = line.find('(');
        if (at == std::string::npos || open == std::string::npos || open > 2) continue;
        return {std::stod(line.substr(open + 1)), line.substr(at)};
    }
    return {0, "nothing"};
}

}  // namespace

TEST_CASE("a fault that is captured, replayed, is the same fault at the same time")
{
    const Folder folder;
    Kept kept{folder.file("")};
    World world;
    world.tap = [&](Side side, const CanFrame& frame) {
        kept.box->see({.at = world.now, .frame = frame, .inverter = side == Side::inverter});
    };
    world.start_up();
    play_on(world, *kept.box, 70s);
    REQUIRE(kept.files().empty());
    std::string part, kind;
    SUBCASE("a pack that falls silent")
    {
        world.pack_cable = false;
        play_on(world, *kept.box, 20s);
        part = "BLOCK SIG_STALE";
        kind = "capture-block-";
    }
    SUBCASE("a cell far too high")
    {
        CHECK(world.pack->command("cell 17 3.75").starts_with("ok"));
        play_on(world, *kept.box, 20s);
        part = "TRIP CELL_HIGH_CRIT";
        kind = "capture-trip-";
    }
    REQUIRE(kept.wait_for_file(1));
    const std::string name = kept.files().front();
    CHECK(name.starts_with(kind));
    kept.box.reset();

    const std::string log = folder.read(name);
    CHECK(log.starts_with("# byd-atto3 on can0, byd-hvs on can1\n# captured for: "));
    const auto [then, fault] = first_with(log, part);
    CHECK(then > 1'700'000'000);
    CHECK(log.find(" can0 12D#") != std::string::npos);  // ours are there, too
    CHECK(log.find(" can1 110#") != std::string::npos);
    CHECK(log.find("limits charge 0 W") != std::string::npos);
    const auto lines = lines_of(log);
    CHECK(lines.size() > 2000);
    const double first = first_with(log, " can0 ").first, last = std::stod(lines.back().substr(lines.back().find('(') + 1));
    CHECK(then - first > 50);
    CHECK(last - first < 75);

    const std::string config = folder.write("batgw.yaml", house_configuration);
    const Ran ran = run("batgw replay --no-frames -f " + config + " " + folder.file(name));
    CHECK(ran.status == 0);
    const auto [again, same] = first_with(ran.out, part);
    CHECK(same == fault);
    CHECK(std::abs(again - then) < 0.3);
    const Ran decoded = run("batgw decode byd-atto3 --interface can0 " + folder.file(name));
    CHECK(decoded.err.find("refused") == std::string::npos);
}

TEST_CASE("a capture is begun by a TRIP or worse, or by a BLOCK both ways, and by nothing that a house does every day")
{
    const Folder folder;
    Kept kept{folder.file("")};
    kept.fault(Instant{100s}, FaultClass::warn);
    kept.fault(Instant{200s}, FaultClass::derate);
    kept.fault(Instant{300s}, FaultClass::block, Direction::charge);
    kept.fault(Instant{400s}, FaultClass::block, Direction::discharge);
    std::this_thread::sleep_for(100ms);
    CHECK(kept.files().empty());
    kept.fault(Instant{500s}, FaultClass::block);
    CHECK(kept.wait_for_file(1));
    kept.fault(Instant{500s} + BlackBox::block_pause - 1s, FaultClass::block);  // too soon
    kept.fault(Instant{500s} + BlackBox::block_pause + 10s, FaultClass::emergency);
    CHECK(kept.wait_for_file(2));
    CHECK(kept.files().back().starts_with("capture-trip-"));
}

TEST_CASE("a fault before the first frame leaves no capture: there is nothing to look at")
{
    const Folder folder;
    Kept kept{folder.file("")};
    Event e{.type = EventType::fault_set, .at = Instant{100s}};
    e.fault.level = FaultClass::trip;
    e.fault.direction = Direction::both;
    kept.box->see(e);
    kept.box->look({}, {.monotonic = Instant{200s}, .wall_ms = wall_ms});
    kept.box.reset();
    CHECK(kept.files().empty());
    CHECK(kept.lines() == 0);
}

TEST_CASE("of either kind the four newest captures are kept, and other files are left alone")
{
    const Folder folder;
    folder.write("latches", "somebody else's");
    Kept kept{folder.file("")};
    for (unsigned i = 1; i <= 6; ++i) {
        kept.fault(Instant{i * 2h}, FaultClass::trip);
        REQUIRE(kept.wait_for_file(std::min(i, BlackBox::files_kept)));
        std::this_thread::sleep_for(50ms);
    }
    kept.fault(Instant{14h}, FaultClass::block);
    REQUIRE(kept.wait_for_file(BlackBox::files_kept + 1));
    CHECK(kept.files()[1].starts_with("capture-trip-20231115T0413"));  // of the third
    CHECK(folder.read("latches") == "somebody else's");
}

// SAFE-218
TEST_CASE("memory is bounded: of more frames than a full bus has, the newest are kept")
{
    const Folder folder;
    Kept kept{folder.file("")};
    constexpr std::size_t kept_most = BlackBox::blocks_kept * BlackBox::block_frames;
    const std::size_t many = kept_most + 1000;
    for (std::size_t i = 0; i < many; ++i)
        kept.box->see({.at = Instant{100s} + Duration{static_cast<std::int64_t>(i)},
            .frame = {.id = 0x100,
                .len = 4,
                .data = {static_cast<std::uint8_t>(i >> 24), static_cast<std::uint8_t>(i >> 16),
                    static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}}});
    kept.fault(Instant{102s}, FaultClass::trip);
    REQUIRE(kept.wait_for_file(1));
    kept.box.reset();
    const auto lines = lines_of(folder.read(kept.files().front()));
    // One more came with the fault; the oldest block gave way for the last.
    CHECK(lines.size() == kept_most - BlackBox::block_frames + 1001 + 3);  // heading and the fault
    CHECK(lines[2].ends_with(fmt::format("100#{:08X}", BlackBox::block_frames)));
}

TEST_CASE("a full disk costs the captures and one line, and it goes on when there is room again")
{
    const Folder folder;
    std::filesystem::create_symlink("/dev/full", folder.file("capture.new"));
    Kept kept{folder.file("")};
    kept.fault(Instant{1h}, FaultClass::trip);
    for (int i = 0; i < 500 && kept.lines() == 0; ++i) std::this_thread::sleep_for(10ms);
    REQUIRE(kept.lines() == 1);
    CHECK(kept.said[0].find("No space left on device") != std::string::npos);
    CHECK(kept.files().empty());
    CHECK_FALSE(std::filesystem::exists(folder.file("capture.new")));  // nothing half done stays
    std::filesystem::create_symlink("/dev/full", folder.file("capture.new"));
    kept.fault(Instant{2h}, FaultClass::trip);
    std::this_thread::sleep_for(300ms);
    CHECK(kept.lines() == 1);
    kept.fault(Instant{3h}, FaultClass::trip);
    CHECK(kept.wait_for_file(1));
}

TEST_CASE("what passed a serial line is kept as bytes with their direction")
{
    const Folder folder;
    Kept kept{folder.file("")};
    kept.box->see({.at = Instant{99s}, .frame = {.id = 0, .len = 2, .data = {0xA5, 0x40}}, .sent = true, .serial = true});
    kept.box->see({.at = Instant{99s}, .frame = {.id = 0, .len = 3, .data = {0xA5, 0x01, 0x90}}, .serial = true});
    kept.fault(Instant{100s}, FaultClass::trip);
    kept.box.reset();  // what is due is written at the end
    REQUIRE(kept.files().size() == 1);
    const auto lines = lines_of(folder.read(kept.files().front()));
    REQUIRE(lines.size() == 6);
    CHECK(lines[2] == "(1700000099.000000) can0 > A5 40");
    CHECK(lines[3] == "(1700000099.000000) can0 < A5 01 90");
}

namespace {

CommandResult ask_box(Kept& kept, Instant at, CaptureStep step, std::string_view note = {})
{
    Command c;
    c.kind = CommandKind::capture;
    c.step = step;
    c.reason.assign(note);
    return kept.box->on_command(c, {.monotonic = at, .wall_ms = wall_ms + at.time_since_epoch() / 1ms});
}
void pass_by(Kept& kept, Instant at, std::uint8_t content)
{
    kept.box->see(Passed{.at = at, .frame = {.id = 0x123, .len = 1, .data = {content}}});
    kept.box->look({}, {.monotonic = at, .wall_ms = wall_ms + at.time_since_epoch() / 1ms});
}

}  // namespace

TEST_CASE("a mark keeps the minute around it, with its note")
{
    const Folder folder;
    Kept kept{folder.file("")};
    for (int s = 0; s < 100; ++s) pass_by(kept, Instant{s * 1s}, static_cast<std::uint8_t>(s));
    CHECK(ask_box(kept, Instant{100s}, CaptureStep::mark, "lights flickered").code == CommandCode::ok);
    CHECK(ask_box(kept, Instant{102s}, CaptureStep::mark, "again").text == "noted in the capture under way");
    for (int s = 103; s < 110; ++s) pass_by(kept, Instant{s * 1s}, static_cast<std::uint8_t>(s));
    REQUIRE(kept.wait_for_file(1));
    const std::string log = folder.read(kept.files().front());
    CHECK(kept.files().front().starts_with("capture-asked-"));
    CHECK(log.find("# captured for: lights flickered\n") != std::string::npos);
    CHECK(log.find("mark: lights flickered\n") != std::string::npos);
    CHECK(log.find("mark: again\n") != std::string::npos);
    CHECK(log.find("can0 123#2C\n") == std::string::npos);  // 44 s
    CHECK(log.find("can0 123#2D\n") != std::string::npos);  // 45 s
    CHECK(log.find("can0 123#69\n") != std::string::npos);  // 105 s
    CHECK(log.find("can0 123#6A\n") == std::string::npos);
    CHECK(ask_box(kept, Instant{140s}, CaptureStep::mark, "too soon").code == CommandCode::rate_limited);
    CHECK(ask_box(kept, Instant{161s}, CaptureStep::mark, "later").code == CommandCode::ok);
}

TEST_CASE("what is begun by hand goes on until it is ended, for ten minutes, or until its first frames would be lost")
{
    const Folder folder;
    Kept kept{folder.file("")};
    CHECK(ask_box(kept, Instant{5s}, CaptureStep::stop).code == CommandCode::unchanged);
    pass_by(kept, Instant{9s}, 9);
    CHECK(ask_box(kept, Instant{10s}, CaptureStep::start).code == CommandCode::ok);
    CHECK(ask_box(kept, Instant{11s}, CaptureStep::start).code == CommandCode::unchanged);
    for (int s = 12; s < 200; ++s) pass_by(kept, Instant{s * 1s}, static_cast<std::uint8_t>(s));
    CHECK(kept.files().empty());
    const CommandResult stopped = ask_box(kept, Instant{200s}, CaptureStep::stop);
    CHECK(stopped.code == CommandCode::ok);
    REQUIRE(kept.wait_for_file(1));
    CHECK(stopped.text == kept.files().front());
    const std::string log = folder.read(kept.files().front());
    CHECK(log.find("can0 123#09\n") == std::string::npos);
    CHECK(log.find("can0 123#0C\n") != std::string::npos);
    CHECK(log.find("can0 123#C7\n") != std::string::npos);
    CHECK(lines_of(log).size() == 2 + 188);

    CHECK(ask_box(kept, Instant{300s}, CaptureStep::start).code == CommandCode::ok);
    pass_by(kept, Instant{899s}, 1);
    CHECK(kept.files().size() == 1);
    pass_by(kept, Instant{900s}, 2);
    REQUIRE(kept.wait_for_file(2));

    CHECK(ask_box(kept, Instant{1000s}, CaptureStep::start).code == CommandCode::ok);
    for (std::size_t i = 0; i < BlackBox::blocks_kept * BlackBox::block_frames; ++i)
        kept.box->see(Passed{.at = Instant{1000s} + i * 1ms, .frame = {.id = 0x124, .len = 0}});
    kept.box->look({}, {.monotonic = Instant{1066s}, .wall_ms = wall_ms + 1'066'000});
    REQUIRE(kept.wait_for_file(3));
    CHECK(ask_box(kept, Instant{1067s}, CaptureStep::stop).code == CommandCode::unchanged);
}

TEST_CASE("a capture by hand and one for a fault do not disturb each other")
{
    const Folder folder;
    Kept kept{folder.file("")};
    pass_by(kept, Instant{9s}, 9);
    ask_box(kept, Instant{10s}, CaptureStep::start);
    kept.fault(Instant{100s}, FaultClass::block);
    REQUIRE(kept.wait_for_file(1));
    CHECK(kept.files().front().starts_with("capture-block-"));
    pass_by(kept, Instant{120s}, 120);
    CHECK(ask_box(kept, Instant{130s}, CaptureStep::stop).code == CommandCode::ok);
    REQUIRE(kept.wait_for_file(2));
    CHECK(folder.read(kept.files().front()).find("can0 123#78\n") != std::string::npos);
}
