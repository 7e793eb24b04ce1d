// The lines of `contactors.mode: gpio` on a GPIO chip of the kernel, by libgpiod. Outputs are asked for as inactive, and are
// inactive when this object goes (SAFE-159); polarity is the kernel's business, so that 1 is always energised or closed.
#pragma once

#include "bus/bus.hpp"
#include "bus/event.hpp"
#include "model/config.hpp"
#include "model/contactor_lines.hpp"
#include "model/time.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct event_base;
struct gpiod_chip;
struct gpiod_line;

namespace batgw {

struct GpioSpec {
    std::string chip;  // name, path, number or label, as libgpiod looks it up
    SafetyConfig::Contactors::Gpio lines;
    GpioBias bias = GpioBias::as_is;  // of the inputs
};

// Why lines cannot be had: a word for telemetry, a sentence for the log.
struct GpioTrouble {
    std::string_view word;
    std::string text;
};

// All lines of a specification, or none. Movable handle; releases with the outputs inactive.
class GpioRequest {
public:
    // Empty, and why.
    static std::unique_ptr<GpioRequest> open(const GpioSpec& spec, GpioTrouble& trouble);
    ~GpioRequest();
    GpioRequest(const GpioRequest&) = delete;
    GpioRequest& operator=(const GpioRequest&) = delete;

    // False: the chip is gone.
    bool drive(const Coils& coils);
    bool read(ContactorLines& into);
    // Readable when an input changed; not all chips tell.
    std::vector<int> edge_fds() const;
    void drain_edges();

    static constexpr std::size_t outputs = 5, inputs = 5;

private:
    GpioRequest() = default;
    struct Line {
        gpiod_line* line = nullptr;
        bool level = false;  // of an output, as last set
        bool edges = false;
    };
    bool request_output(std::size_t i, std::optional<unsigned> offset, bool active_low, const GpioSpec& spec, GpioTrouble& why);
    bool request_input(std::size_t i, std::optional<unsigned> offset, bool active_low, const GpioSpec& spec, GpioTrouble& why);

    gpiod_chip* chip_ = nullptr;
    std::array<Line, outputs> outputs_{};
    std::array<Line, inputs> inputs_{};
};

class GpioListener {
public:
    virtual ~GpioListener() = default;
    // After every look at the inputs, and when the lines were got or lost. Never from inside drive().
    virtual void on_lines(const ContactorLines& lines, Instant now) = 0;
};

// Keeps the lines: tries again every 2 s, looks at the inputs on every edge and every 20 ms.
class GpioLines {
public:
    GpioLines(event_base* base, GpioSpec spec, GpioListener& listener, BusLog& log);

    void drive(const Coils& coils);
    const ContactorLines& lines() const { return lines_; }
    // Read anew when the loop was held up: what was seen before that says nothing of now.
    const ContactorLines& lines_now(Instant now);

    static constexpr Duration try_again = 2s, look_every = 20ms;

private:
    void open();
    void lose(std::string_view word, const std::string& text);
    void on_timer();
    void on_edge();
    void look();
    void read();

    event_base* base_;
    GpioSpec spec_;
    GpioListener& listener_;
    BusLog& log_;
    std::unique_ptr<GpioRequest> request_;
    std::vector<EventHandle> edges_;
    EventHandle timer_;
    ContactorLines lines_;
    std::string told_;  // the last trouble in the log
};

// SAFE-159. Drivers of Raspberry Pi kernels can leave an output as it is when its program has ended. The name of the parameter
// file that says so; nothing when none does. `root` stands before /sys.
std::optional<std::string> outputs_persist(const std::string& root = "");

}  // namespace batgw
