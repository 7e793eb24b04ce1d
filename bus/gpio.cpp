#include "bus/gpio.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <gpiod.h>

namespace batgw {
namespace {

constexpr const char* consumer_name = "batgw";

using Gpio = SafetyConfig::Contactors::Gpio;
struct OutputName {
    std::string_view name;
    std::optional<unsigned> Gpio::*offset;
    bool Coils::*level;
};
struct InputName {
    std::string_view name;
    std::optional<unsigned> Gpio::*offset;
    std::optional<bool> ContactorLines::*value;
};
// What is switched off first when all of it is: main+, then main-.
constexpr std::array<OutputName, GpioRequest::outputs> output_names{{{"positive", &Gpio::positive, &Coils::positive},
    {"precharge", &Gpio::precharge, &Coils::precharge}, {"negative", &Gpio::negative, &Coils::negative},
    {"economiser", &Gpio::economiser, &Coils::economiser}, {"heartbeat", &Gpio::heartbeat, &Coils::heartbeat}}};
constexpr std::array<InputName, GpioRequest::inputs> input_names{
    {{"negative_feedback", &Gpio::negative_feedback, &ContactorLines::negative_closed},
        {"precharge_feedback", &Gpio::precharge_feedback, &ContactorLines::precharge_closed},
        {"positive_feedback", &Gpio::positive_feedback, &ContactorLines::positive_closed},
        {"interlock", &Gpio::interlock, &ContactorLines::interlock_closed},
        {"emergency_stop", &Gpio::emergency_stop, &ContactorLines::stop_released}}};

int flags_of(bool active_low) { return active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0; }
int flags_of(GpioBias bias)
{
    switch (bias) {
    case GpioBias::as_is: break;
    case GpioBias::off: return GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE;
    case GpioBias::pull_up: return GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
    case GpioBias::pull_down: return GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN;
    }
    return 0;
}

GpioTrouble chip_trouble(const std::string& chip, int error)
{
    switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return {"missing", fmt::format("GPIO chip {} is not there", chip)};
    case EACCES:
    case EPERM: return {"denied", fmt::format("GPIO chip {}: no permission; the account needs its group, often gpio", chip)};
    case ENOTTY:
    case EINVAL: return {"no chip", fmt::format("{} is no GPIO chip", chip)};
    default: return {"error", fmt::format("GPIO chip {}: {}", chip, std::strerror(error))};
    }
}

GpioTrouble line_trouble(const std::string& chip, std::string_view name, unsigned offset, int error)
{
    const std::string where = fmt::format("GPIO line {} of {} ({})", offset, chip, name);
    if (error == EBUSY) return {"busy", where + " is used by another program or driver"};
    if (error == EACCES || error == EPERM) return {"denied", where + ": no permission"};
    return {"error", fmt::format("{}: {}", where, std::strerror(error))};
}

// Who has it, where the kernel knows.
std::string holder(gpiod_line* line)
{
    const char* who = gpiod_line_consumer(line);
    return who != nullptr ? fmt::format(": {}", who) : "";
}

}  // namespace

bool GpioRequest::request_output(
    std::size_t i, std::optional<unsigned> offset, bool active_low, const GpioSpec& spec, GpioTrouble& why)
{
    if (!offset) return true;
    gpiod_line* line = gpiod_chip_get_line(chip_, *offset);
    const gpiod_line_request_config config{consumer_name, GPIOD_LINE_REQUEST_DIRECTION_OUTPUT, flags_of(active_low)};
    if (line != nullptr && gpiod_line_request(line, &config, 0) == 0) {
        outputs_[i].line = line;
        return true;
    }
    why = line_trouble(spec.chip, output_names[i].name, *offset, errno);
    if (line != nullptr && why.word == "busy") why.text += holder(line);
    return false;
}

// Not every chip can tell of edges; then the input is only looked at.
bool GpioRequest::request_input(
    std::size_t i, std::optional<unsigned> offset, bool active_low, const GpioSpec& spec, GpioTrouble& why)
{
    if (!offset) return true;
    gpiod_line* line = gpiod_chip_get_line(chip_, *offset);
    if (line == nullptr) {
        why = line_trouble(spec.chip, input_names[i].name, *offset, errno);
        return false;
    }
    const int flags = flags_of(active_low) | flags_of(spec.bias);
    const gpiod_line_request_config with_edges{consumer_name, GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES, flags};
    const gpiod_line_request_config plain{consumer_name, GPIOD_LINE_REQUEST_DIRECTION_INPUT, flags};
    bool edges = gpiod_line_request(line, &with_edges, 0) == 0;
    if (edges) {
        const int fd = gpiod_line_event_get_fd(line);
        edges = fd >= 0 && ::fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
        if (!edges) gpiod_line_release(line);
    }
    if (!edges && gpiod_line_request(line, &plain, 0) != 0) {
        why = line_trouble(spec.chip, input_names[i].name, *offset, errno);
        if (why.word == "busy") why.text += holder(line);
        return false;
    }
    inputs_[i] = {.line = line, .level = false, .edges = edges};
    return true;
}

std::unique_ptr<GpioRequest> GpioRequest::open(const GpioSpec& spec, GpioTrouble& trouble)
{
    std::unique_ptr<GpioRequest> r{new GpioRequest};
    r->chip_ = gpiod_chip_open_lookup(spec.chip.c_str());
    if (r->chip_ == nullptr) {
        trouble = chip_trouble(spec.chip, errno);
        return nullptr;
    }
    const unsigned count = gpiod_chip_num_lines(r->chip_);
    const auto in_range = [&](std::string_view name, std::optional<unsigned> offset) {
        if (!offset || *offset < count) return true;
        trouble = {"range", fmt::format("GPIO line {} ({}): {} has lines 0 to {}", *offset, name, spec.chip, count - 1)};
        return false;
    };
    for (std::size_t i = 0; i < outputs; ++i)
        if (!in_range(output_names[i].name, spec.lines.*output_names[i].offset)) return nullptr;
    for (std::size_t i = 0; i < inputs; ++i)
        if (!in_range(input_names[i].name, spec.lines.*input_names[i].offset)) return nullptr;

    const auto low = [&](std::size_t bit) { return ((spec.lines.active_low >> bit) & 1U) != 0; };
    for (std::size_t i = 0; i < outputs; ++i)
        if (!r->request_output(i, spec.lines.*output_names[i].offset, low(Gpio::first_output + i), spec, trouble)) return nullptr;
    for (std::size_t i = 0; i < inputs; ++i)
        if (!r->request_input(i, spec.lines.*input_names[i].offset, low(Gpio::first_input + i), spec, trouble)) return nullptr;
    return r;
}

GpioRequest::~GpioRequest()
{
    for (Line& o : outputs_)
        if (o.line != nullptr) gpiod_line_set_value(o.line, 0);
    for (Line& o : outputs_)
        if (o.line != nullptr) gpiod_line_release(o.line);
    for (Line& i : inputs_)
        if (i.line != nullptr) gpiod_line_release(i.line);
    if (chip_ != nullptr) gpiod_chip_close(chip_);
}

// What is switched off goes before what is switched on.
bool GpioRequest::drive(const Coils& coils)
{
    bool good = true;
    for (const bool to : {false, true})
        for (std::size_t i = 0; i < outputs; ++i) {
            Line& o = outputs_[i];
            const bool level = coils.*output_names[i].level;
            if (o.line == nullptr || level != to || o.level == level) continue;
            if (gpiod_line_set_value(o.line, level ? 1 : 0) == 0)
                o.level = level;
            else
                good = false;
        }
    return good;
}

bool GpioRequest::read(ContactorLines& into)
{
    into.outputs_agree = true;
    for (const Line& o : outputs_) {
        if (o.line == nullptr) continue;
        const int value = gpiod_line_get_value(o.line);
        if (value < 0) return false;
        if ((value != 0) != o.level) into.outputs_agree = false;
    }
    for (std::size_t i = 0; i < inputs; ++i) {
        if (inputs_[i].line == nullptr) continue;
        const int value = gpiod_line_get_value(inputs_[i].line);
        if (value < 0) return false;
        into.*input_names[i].value = value != 0;
    }
    return true;
}

std::vector<int> GpioRequest::edge_fds() const
{
    std::vector<int> fds;
    for (const Line& i : inputs_)
        if (i.edges) fds.push_back(gpiod_line_event_get_fd(i.line));
    return fds;
}

// What the edges say is not believed: the lines are read.
void GpioRequest::drain_edges()
{
    for (const Line& i : inputs_) {
        if (!i.edges) continue;
        std::array<gpiod_line_event, 16> events{};
        while (gpiod_line_event_read_multiple(i.line, events.data(), static_cast<unsigned>(events.size())) ==
            static_cast<int>(events.size())) {}
    }
}

GpioLines::GpioLines(event_base* base, GpioSpec spec, GpioListener& listener, BusLog& log)
    : base_{base},
      spec_{std::move(spec)},
      listener_{listener},
      log_{log}
{
    timer_ = make_event<&GpioLines::on_timer>(base_, -1, EV_PERSIST, *this);
    open();
}

void GpioLines::open()
{
    GpioTrouble trouble;
    request_ = GpioRequest::open(spec_, trouble);
    if (!request_) return lose(trouble.word, trouble.text);
    told_.clear();
    for (const int fd : request_->edge_fds()) edges_.push_back(watch<&GpioLines::on_edge>(base_, fd, EV_READ, *this));
    log_.line(BusLog::Level::info,
        fmt::format("GPIO {}: contactor lines taken, outputs off{}", spec_.chip,
            edges_.empty() ? "; it tells of no edges, inputs are polled" : ""));
    lines_ = {};
    lines_.held = true;
    lines_.at = monotonic_now();
    if (!request_->read(lines_)) return lose("read", fmt::format("GPIO {}: lines cannot be read", spec_.chip));
    constexpr timeval every{0, std::chrono::microseconds{look_every}.count()};
    event_add(timer_.get(), &every);
}

void GpioLines::lose(std::string_view word, const std::string& text)
{
    edges_.clear();
    request_.reset();
    lines_ = {};
    lines_.trouble.assign(word);
    if (text != told_) log_.line(BusLog::Level::error, text + "; tried again every 2 s");
    told_ = text;
    constexpr timeval later{std::chrono::seconds{2}.count(), 0};
    event_add(timer_.get(), &later);
}

void GpioLines::drive(const Coils& coils)
{
    if (!request_ || request_->drive(coils)) return;
    lose("write", fmt::format("GPIO {}: an output cannot be set", spec_.chip));
}

const ContactorLines& GpioLines::lines_now(Instant now)
{
    if (request_ && now - lines_.at > 2 * look_every) read();
    return lines_;
}

void GpioLines::read()
{
    if (request_->read(lines_))
        lines_.at = monotonic_now();
    else
        lose("read", fmt::format("GPIO {}: lines cannot be read", spec_.chip));
}

void GpioLines::on_edge()
{
    if (!request_) return;
    request_->drain_edges();
    look();
}

void GpioLines::on_timer()
{
    if (!request_) open();
    look();
}

void GpioLines::look()
{
    if (request_) read();
    listener_.on_lines(lines_, monotonic_now());
}

std::optional<std::string> outputs_persist(const std::string& root)
{
    for (const std::string_view driver : {"pinctrl_bcm2835", "pinctrl_rp1"}) {
        const std::string file = fmt::format("{}/sys/module/{}/parameters/persist_gpio_outputs", root, driver);
        std::ifstream in{file};
        char value = 0;
        // What is there and cannot be read is taken for the worse.
        if (in && (!(in >> value) || (value != 'N' && value != 'n' && value != '0'))) return file;
    }
    return std::nullopt;
}

}  // namespace batgw
