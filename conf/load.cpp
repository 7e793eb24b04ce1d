#include "conf/load.hpp"

#include "conf/draft.hpp"
#include "conf/effective.hpp"
#include "model/chemistry.hpp"
#include "model/interface_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace batgw {
namespace {

using yaml::Node;

bool starts_name(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool in_name(char c) { return starts_name(c) || (c >= '0' && c <= '9'); }

std::string joined(const std::vector<std::string_view>& words)
{
    std::string out;
    for (const auto word : words) out += fmt::format("{}{}", out.empty() ? "" : ", ", word);
    return out;
}
std::string dotted(std::string_view section, std::string_view key)
{
    return section.empty() ? std::string{key} : fmt::format("{}.{}", section, key);
}

// Replaces ${NAME} and $$ in every value. It happens in the finished tree, so that what is put in stays a value (CONF-003).
class Expander {
public:
    Expander(const Definitions& definitions, Draft& draft) : definitions_{definitions}, draft_{draft} {}

    void expand(Node& node, const std::string& key)
    {
        if (node.kind == Node::Kind::scalar) node.text = expanded(node, key);
        for (Node& item : node.items) expand(item, key);
        for (Node::Entry& entry : node.entries) expand(entry.value, dotted(key, entry.key));
    }

private:
    std::string expanded(Node& node, const std::string& key)
    {
        std::string out;
        const std::string& in = node.raw;
        for (std::size_t i = 0; i < in.size(); ++i) {
            if (in[i] != '$') {
                out += in[i];
            } else if (i + 1 < in.size() && in[i + 1] == '$') {
                out += in[++i];
            } else if (const std::size_t end = in.find('}', i);
                       i + 1 < in.size() && in[i + 1] == '{' && end != std::string::npos) {
                out += replaced(node, key, std::string_view{in}.substr(i + 2, end - i - 2));
                i = end;
            } else {
                complain(node, key, "a single $", "${NAME}, or $$ for a dollar");
                return out;
            }
        }
        return out;
    }
    std::string replaced(Node& node, const std::string& key, std::string_view name)
    {
        if (name.empty() || !starts_name(name.front()) || !std::all_of(name.begin(), name.end(), in_name)) {
            complain(node, key, fmt::format("{} cannot be a name", shown(name)),
                "${NAME} of A-Z a-z 0-9 _, not beginning with a digit");
            return {};
        }
        if (auto value = definitions_.find(name)) return *value;
        complain(node, key, fmt::format("{} is not defined", name), "an environment variable, or -D NAME=value");
        return {};
    }
    void complain(Node& node, const std::string& key, std::string what, std::string allowed)
    {
        draft_.complain({node.line, node.column}, key, std::move(what), std::move(allowed));
        node.bad = true;
    }

    const Definitions& definitions_;
    Draft& draft_;
};

// Finds keys that do not exist and sections that are not sections; gathers where the values of the others stand.
class Structure {
public:
    explicit Structure(Draft& draft) : draft_{draft} {}

    void walk(const Node& node, std::string_view section)
    {
        for (const Node::Entry& entry : node.entries) one(entry, dotted(section, entry.key));
    }
    const Node* value(std::string_view key) const
    {
        const auto at = values_.find(key);
        return at != values_.end() ? at->second : nullptr;
    }
    // Sections that stand in the file, empty or not, and where.
    std::optional<Place> section(std::string_view name) const
    {
        const auto at = sections_.find(name);
        return at != sections_.end() ? std::optional{at->second} : std::nullopt;
    }

private:
    void one(const Node::Entry& entry, const std::string& name)
    {
        const Place key_place{entry.line, entry.column};
        const Key* key = find_key(name);
        if (key != nullptr) {
            values_.emplace(name, &entry.value);
            const Place value_place{entry.value.line, entry.value.column};
            draft_.written.emplace(name, entry.value.kind == Node::Kind::none ? key_place : value_place);
        } else if (!is_section(name)) {
            unknown(entry, name);
        } else if (entry.value.kind == Node::Kind::map) {
            sections_.emplace(name, key_place);
            walk(entry.value, name);
        } else if (entry.value.kind == Node::Kind::none) {
            sections_.emplace(name, key_place);
        } else if (!entry.value.bad) {
            draft_.complain({entry.value.line, entry.value.column}, name, "not a section", "keys: " + joined(names_in(name)));
        }
    }
    void unknown(const Node::Entry& entry, const std::string& name)
    {
        // A file with more of them than that is not one of ours: no need to guess what was meant.
        constexpr int most_hints = 500;
        std::string hint;
        if (++unknown_ <= most_hints) {
            const auto siblings = names_in(section_of(name));
            if (const auto meant = nearest(entry.key, siblings))
                hint = fmt::format("nearest known: {}", *meant);
            else if (const auto elsewhere = same_name(entry.key))
                hint = fmt::format("nearest known: {}", *elsewhere);
            else
                hint = "known: " + joined(siblings);
        }
        draft_.complain({entry.line, entry.column}, name, "unknown key", hint);
    }
    // A key that stands in the wrong section.
    static std::optional<std::string_view> same_name(std::string_view written)
    {
        for (const Key& key : all_keys())
            if (last_part(key.name) == written) return key.name;
        return std::nullopt;
    }

    Draft& draft_;
    std::map<std::string, const Node*, std::less<>> values_;
    std::map<std::string, Place, std::less<>> sections_;
    int unknown_ = 0;
};

class Loader {
public:
    Loader(const DriverCatalogue& catalogue, const Definitions& definitions) : catalogue_{catalogue}, definitions_{definitions} {}

    void read(Node& root)
    {
        Expander{definitions_, draft_}.expand(root, "");
        structure_.walk(root, "");
        require_sections();
        read_section("battery.");
        read_section("inverter.");
        find_drivers();
        apply_drivers();
        read_battery2();
        for (const std::string_view section : {"contactors.", "safety.", "log.", "state_directory", "control_socket"})
            read_section(section);
        read_mqtt();
        for (const Key& key : all_keys())
            if (const Node* node = structure_.value(key.name); node != nullptr && key.kind == KeyKind::unavailable)
                read_unavailable(key, *node, draft_);
        dependent_defaults();
        check_consistency(draft_);
    }
    Draft& draft() { return draft_; }
    std::vector<std::string> take_notes() { return std::move(notes_); }

private:
    Config& config() { return draft_.config; }

    void require_sections()
    {
        for (const std::string_view section : {"battery", "inverter"}) {
            const auto place = structure_.section(section);
            for (const Key& key : all_keys())
                if (key.required && section_of(key.name) == section && structure_.value(key.name) == nullptr)
                    missing(key, place.value_or(Place{1, 1}));
        }
        if (const auto place = structure_.section("battery2");
            has_second_pack() && structure_.value("battery2.interface") == nullptr)
            missing(*find_key("battery2.interface"), place.value_or(Place{1, 1}));
        if (const auto place = structure_.section("mqtt"); place && structure_.value("mqtt.host") == nullptr)
            missing(*find_key("mqtt.host"), *place);
    }
    void missing(const Key& key, Place place)
    {
        draft_.complain(place, key.name, "missing", std::string{key.allowed});
        draft_.bad.emplace(key.name);
    }
    void read_section(std::string_view prefix)
    {
        for (const Key& key : all_keys()) {
            if (!key.name.starts_with(prefix) || key.set == nullptr) continue;
            const Node* node = structure_.value(key.name);
            if (node == nullptr) continue;
            if (const auto value = read_value(key, *node, draft_)) key.set(config(), *value);
        }
    }
    template <class Info>
    const Info* driver(std::string_view key, const std::string& name, std::span<const Info* const> known)
    {
        if (draft_.is_bad(key)) return nullptr;
        std::vector<std::string_view> names;
        for (const Info* info : known) {
            if (info->name == name) return info;
            names.push_back(info->name);
        }
        const auto meant = nearest(name, names);
        draft_.complain(draft_.written.find(key)->second, key,
            shown(name) + " is not known" + (meant ? fmt::format("; nearest is {}", *meant) : ""), joined(names));
        draft_.bad.emplace(key);
        return nullptr;
    }
    void find_drivers()
    {
        draft_.battery = driver("battery.protocol", config().battery.protocol, catalogue_.batteries);
        draft_.inverter = driver("inverter.protocol", config().inverter.protocol, catalogue_.inverters);
        if (draft_.battery != nullptr)
            config().battery.options =
                read_options(draft_.battery->options, structure_.value("battery.options"), "battery.options", draft_);
        if (draft_.inverter != nullptr)
            config().inverter.options =
                read_options(draft_.inverter->options, structure_.value("inverter.options"), "inverter.options", draft_);
    }
    // Chemistry, then battery driver, then inverter driver; the file's own words come after.
    void apply_drivers()
    {
        BatteryConfig& b = config().battery;
        if (draft_.battery != nullptr && !draft_.is_written("battery.chemistry")) b.chemistry = draft_.battery->profile.chemistry;
        config().safety = default_safety(b.chemistry);
        if (draft_.battery != nullptr) {
            config().safety.contactors.mode = draft_.battery->profile.contactor_mode;
            if (draft_.battery->adjust != nullptr) draft_.battery->adjust(b, config().safety);
        }
        if (draft_.inverter != nullptr && draft_.inverter->adjust != nullptr)
            draft_.inverter->adjust(config().inverter, config().safety);
        draft_.profile = config();
    }
    // A section whose keys are all commented out is none.
    bool has_second_pack() const
    {
        return std::any_of(
            draft_.written.begin(), draft_.written.end(), [](const auto& key) { return key.first.starts_with("battery2."); });
    }
    // What is not written of the second pack is as the first has it.
    void read_battery2()
    {
        if (!has_second_pack()) return;
        BatteryConfig& second = config().battery2.emplace(config().battery);
        second.interface.clear();
        read_section("battery2.");
        const Node* options = structure_.value("battery2.options");
        if (draft_.battery != nullptr && options != nullptr)
            second.options = read_options(draft_.battery->options, options, "battery2.options", draft_);
    }
    void read_mqtt()
    {
        if (!structure_.section("mqtt")) return;
        config().mqtt.emplace();
        read_section("mqtt.");
        bool tls = false;
        for (const Key& key : all_keys())
            tls = tls || (key.name.starts_with("mqtt.tls.") && structure_.value(key.name) != nullptr);
        config().mqtt->tls.on = tls;
        if (tls && structure_.value("mqtt.port") == nullptr) config().mqtt->port = 8883;
    }
    void dependent_defaults()
    {
        BatteryConfig& b = config().battery;
        if (!draft_.is_written("battery.charge_w")) b.charge = b.max_charge;
        if (!draft_.is_written("battery.discharge_w")) b.discharge = b.max_discharge;
        if (config().battery2) {
            BatteryConfig& second = *config().battery2;
            const auto like_first = [&](std::string_view name, Power first, Power ceiling) {
                const bool own = !draft_.is_written(std::string{"battery."}.append(name)) || first > ceiling;
                return own ? ceiling : first;
            };
            if (!draft_.is_written("battery2.charge_w")) second.charge = like_first("charge_w", b.charge, second.max_charge);
            if (!draft_.is_written("battery2.discharge_w"))
                second.discharge = like_first("discharge_w", b.discharge, second.max_discharge);
            default_bitrate(second.interface, second.bitrate);
        }
        default_bitrate(b.interface, b.bitrate);
        default_bitrate(config().inverter.interface, config().inverter.bitrate);
        SafetyConfig& s = config().safety;
        const bool may_be_alone = s.inverter_link.black_start || s.inverter_link.information_only;
        if (may_be_alone && !draft_.is_written("safety.inverter_link.lost_open_after_s"))
            s.inverter_link.lost_open_after = for_ever;  // SAFE-181
        observe_if_untried();
    }
    // Nobody else sets up an adapter, and nearly all of these protocols run at this rate.
    static void default_bitrate(const std::string& interface, std::optional<std::uint32_t>& bitrate)
    {
        const auto name = parse_interface(interface);
        if (name && is_adapter(name->kind) && !bitrate) bitrate = adapter_bitrate;
    }
    // SAFE-308: a driver that was tried less than required only observes.
    void observe_if_untried()
    {
        const Verification required = config().safety.process.require_verification;
        const auto check = [&](std::string_view what, std::string_view name, Verification tried) {
            if (tried >= required) return;
            config().safety.observe = true;
            notes_.push_back(
                fmt::format("observing only: {} driver {} is verified by '{}', safety.process.require_verification asks for '{}'",
                    what, name, to_string(tried), to_string(required)));
        };
        if (draft_.battery != nullptr) check("battery", draft_.battery->name, draft_.battery->profile.verified);
        if (draft_.inverter != nullptr) check("inverter", draft_.inverter->name, draft_.inverter->verified);
    }

    const DriverCatalogue& catalogue_;
    const Definitions& definitions_;
    Draft draft_;
    Structure structure_{draft_};
    std::vector<std::string> notes_;
};

Loaded load_checked(
    std::string_view text, std::string_view file, const DriverCatalogue& catalogue, const Definitions& definitions)
{
    Loaded out;
    if (text.size() > largest_file) {
        out.problems.push_back({.file = {},
            .line = 0,
            .column = 0,
            .key = {},
            .what = fmt::format("{} bytes", text.size()),
            .allowed = "at most 1 MiB"});
    } else {
        yaml::Tree tree = yaml::parse(text);
        out.problems = std::move(tree.problems);
        const bool is_text = tree.root && tree.root->kind != Node::Kind::map && tree.root->kind != Node::Kind::none;
        if (is_text) {
            out.problems.push_back({.file = {},
                .line = tree.root->line,
                .column = tree.root->column,
                .key = {},
                .what = "not a configuration",
                .allowed = "keys: " + joined(names_in(""))});
        } else if (tree.root) {
            Loader loader{catalogue, definitions};
            loader.read(*tree.root);
            for (Problem& p : loader.draft().problems) out.problems.push_back(std::move(p));
            if (out.problems.empty()) {
                out.config = std::move(loader.draft().config);
                out.warnings = loader.take_notes();
                for (std::string& line : switched_off(*out.config, catalogue))
                    out.warnings.push_back("switched off: " + std::move(line));
            }
        }
    }
    for (Problem& p : out.problems) p.file = file;
    sort(out.problems);
    return out;
}

Loaded only_problem(std::string_view file, std::string what, std::string allowed)
{
    Loaded out;
    out.problems.push_back(
        {.file = std::string{file}, .line = 0, .column = 0, .key = {}, .what = std::move(what), .allowed = std::move(allowed)});
    return out;
}

class File {
public:
    // Does not wait for the other end of a pipe.
    explicit File(const std::string& path) : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)} {}
    ~File()
    {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};

// Up to one byte more than allowed, so that a file that is too long shows.
std::optional<std::string> contents(int fd)
{
    std::string text(largest_file + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::nullopt;
        if (n == 0) break;
        size += static_cast<std::size_t>(n);
    }
    text.resize(size);
    return text;
}

Loaded load_opened(const std::string& path, const DriverCatalogue& catalogue, const Definitions& definitions)
{
    const File file{path};
    if (file.fd() < 0) return only_problem(path, fmt::format("cannot be opened: {}", std::strerror(errno)), "a readable file");
    struct stat status {};
    if (::fstat(file.fd(), &status) != 0)
        return only_problem(path, fmt::format("cannot be read: {}", std::strerror(errno)), "a readable file");
    if (!S_ISREG(status.st_mode)) return only_problem(path, "not a regular file", "a text file");
    if (status.st_size > static_cast<off_t>(largest_file))
        return only_problem(path, fmt::format("{} bytes", status.st_size), "at most 1 MiB");
    const auto text = contents(file.fd());
    if (!text) return only_problem(path, fmt::format("cannot be read: {}", std::strerror(errno)), "a readable file");
    Loaded out = load(*text, path, catalogue, definitions);
    if (out.config && out.config->mqtt && !out.config->mqtt->password.empty() && (status.st_mode & S_IROTH) != 0)
        out.warnings.push_back(fmt::format("{} holds a password and everybody may read it: chmod o-rwx", path));
    return out;
}

}  // namespace

std::optional<std::string> environment_variable(std::string_view name)
{
    const char* value = std::getenv(std::string{name}.c_str());
    return value != nullptr ? std::optional<std::string>{value} : std::nullopt;
}

std::optional<std::string> Definitions::find(std::string_view name) const
{
    if (const auto at = given.find(name); at != given.end()) return at->second;
    return environment ? environment(name) : std::nullopt;
}

Loaded load(std::string_view text, std::string_view file, const DriverCatalogue& catalogue, const Definitions& definitions)
{
    try {
        return load_checked(text, file, catalogue, definitions);
    } catch (const std::exception& e) {
        return only_problem(file, fmt::format("cannot be checked: {}", e.what()), "");
    }
}

Loaded load_file(const std::string& path, const DriverCatalogue& catalogue, const Definitions& definitions)
{
    try {
        return load_opened(path, catalogue, definitions);
    } catch (const std::exception& e) {
        return only_problem(path, fmt::format("cannot be checked: {}", e.what()), "");
    }
}

}  // namespace batgw
