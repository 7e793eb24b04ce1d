#include "conf/yaml.hpp"

#include "conf/load.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace batgw::yaml {
namespace {

struct TooDeep {
    YAML::Mark at;
};

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// The library counts columns in bytes and from 0.
class Lines {
public:
    explicit Lines(std::string_view text) : text_{text}
    {
        starts_.push_back(0);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') starts_.push_back(i + 1);
            if (continues_character(text[i])) continued_.push_back(i);
        }
    }
    std::size_t count() const { return starts_.size(); }
    std::string_view line(std::size_t i) const
    {
        const std::size_t end = i + 1 < starts_.size() ? starts_[i + 1] - 1 : text_.size();
        return text_.substr(starts_[i], end - starts_[i]);
    }
    std::size_t offset(const YAML::Mark& at) const
    {
        if (at.line < 0 || static_cast<std::size_t>(at.line) >= starts_.size()) return text_.size();
        const std::size_t i = starts_[static_cast<std::size_t>(at.line)] + static_cast<std::size_t>(std::max(at.column, 0));
        return std::min(i, text_.size());
    }
    char character(const YAML::Mark& at) const
    {
        const std::size_t i = offset(at);
        return i < text_.size() ? text_[i] : '\0';
    }
    int column(const YAML::Mark& at) const
    {
        if (at.line < 0 || static_cast<std::size_t>(at.line) >= starts_.size()) return 1;
        const std::size_t start = starts_[static_cast<std::size_t>(at.line)];
        const auto first = std::lower_bound(continued_.begin(), continued_.end(), start);
        const auto last = std::lower_bound(first, continued_.end(), offset(at));
        return 1 + static_cast<int>(offset(at) - start) - static_cast<int>(last - first);
    }

private:
    std::string_view text_;
    std::vector<std::size_t> starts_;
    std::vector<std::size_t> continued_;  // bytes that are not the first of their character
};

// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
public:
    Builder(std::string_view text, const Lines& lines) : text_{text}, lines_{lines} {}

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (++documents_ == 2) complain(mark, "a second document", "one configuration in one file");
    }
    void OnDocumentEnd() override {}
    void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override
    {
        complain(mark, "an anchor", "anchors and aliases are refused: write the value out");
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override
    {
        complain(mark, "an alias", "anchors and aliases are refused: write the value out");
        Node node;
        node.bad = true;
        add(mark, Node::Kind::none, std::move(node));
    }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { add(mark, Node::Kind::none); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/, const std::string& value) override
    {
        const std::size_t before = problems_.size();
        check_tag(mark, tag);
        check_end_of_quote(mark);
        Node node;
        node.bad = problems_.size() > before;
        node.text = value;
        node.raw = value;
        node.quoted = tag == "!";
        add(mark, Node::Kind::scalar, std::move(node));
    }
    void OnSequenceStart(
        const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*a*/, YAML::EmitterStyle::value /*s*/) override
    {
        open(mark, tag, Node::Kind::list);
    }
    void OnMapStart(
        const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*a*/, YAML::EmitterStyle::value /*s*/) override
    {
        open(mark, tag, Node::Kind::map);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

    bool empty() const { return !root_; }
    Node take_root() { return root_ ? std::move(*root_) : Node{}; }
    std::vector<Problem> take_problems() { return std::move(problems_); }

private:
    struct Level {
        Node node;
        std::optional<Node::Entry> waiting;  // map: a key whose value is still to come
        bool skip_value = false;             // map: the key before was no good
        std::unordered_map<std::string, int> seen;
    };

    void complain(const YAML::Mark& at, std::string what, std::string allowed, std::string key = {})
    {
        problems_.push_back({.file = {},
            .line = at.line + 1,
            .column = lines_.column(at),
            .key = std::move(key),
            .what = std::move(what),
            .allowed = std::move(allowed)});
    }
    void check_tag(const YAML::Mark& mark, const std::string& tag)
    {
        if ((tag != "?" && tag != "!" && !tag.empty()) || lines_.character(mark) == '!')
            complain(mark, "a tag", "values are written without tags");
    }
    // The library takes a quote that is still open at the end of the file for a closed one.
    void check_end_of_quote(const YAML::Mark& mark)
    {
        const char quote = lines_.character(mark);
        if (quote != '"' && quote != '\'') return;
        for (std::size_t i = lines_.offset(mark) + 1; i < text_.size(); ++i) {
            if (quote == '"' && text_[i] == '\\')
                ++i;
            else if (text_[i] == quote && quote == '\'' && i + 1 < text_.size() && text_[i + 1] == quote)
                ++i;
            else if (text_[i] == quote)
                return;
        }
        complain(mark, "a quote that is never closed", "");
    }
    std::string path() const
    {
        std::string all;
        for (const Level& level : open_)
            if (level.waiting) all += (all.empty() ? "" : ".") + level.waiting->key;
        return all;
    }
    void open(const YAML::Mark& mark, const std::string& tag, Node::Kind kind)
    {
        check_tag(mark, tag);
        if (open_.size() == deepest_nesting) throw TooDeep{mark};
        Level level;
        level.node.kind = kind;
        place(mark, level.node);
        open_.push_back(std::move(level));
    }
    void close()
    {
        Node done = std::move(open_.back().node);
        open_.pop_back();
        accept(std::move(done));
    }
    void add(const YAML::Mark& mark, Node::Kind kind, Node node = {})
    {
        node.kind = kind;
        place(mark, node);
        accept(std::move(node));
    }
    void place(const YAML::Mark& mark, Node& node) const
    {
        node.line = mark.line + 1;
        node.column = lines_.column(mark);
    }
    void accept(Node node)
    {
        if (open_.empty()) {
            if (!root_) root_ = std::move(node);
        } else if (Level& level = open_.back(); level.node.kind == Node::Kind::list) {
            level.node.items.push_back(std::move(node));
        } else if (level.waiting) {
            // For a value that is not there the library names the place of whatever comes next.
            if (node.kind == Node::Kind::none && node.line != level.waiting->line) {
                node.line = level.waiting->line;
                node.column = level.waiting->column;
            }
            level.waiting->value = std::move(node);
            if (!level.skip_value) level.node.entries.push_back(std::move(*level.waiting));
            level.waiting.reset();
        } else {
            accept_key(level, node);
        }
    }
    void accept_key(Level& level, const Node& node)
    {
        level.skip_value = false;
        if (node.kind != Node::Kind::scalar) {
            problems_.push_back({.file = {},
                .line = node.line,
                .column = node.column,
                .key = path(),
                .what = "a key that is not plain text",
                .allowed = ""});
            level.skip_value = true;
        } else if (const auto [first, is_new] = level.seen.emplace(node.text, node.line); !is_new) {
            const std::string where = path();
            problems_.push_back({.file = {},
                .line = node.line,
                .column = node.column,
                .key = (where.empty() ? "" : where + ".") + node.text,
                .what = "duplicate key",
                .allowed = fmt::format("first in line {}", first->second)});
            level.skip_value = true;
        }
        level.waiting = Node::Entry{.key = node.text, .line = node.line, .column = node.column, .value = {}};
    }

    std::string_view text_;
    const Lines& lines_;
    std::vector<Level> open_;
    std::optional<Node> root_;
    std::vector<Problem> problems_;
    int documents_ = 0;
};

Problem at(int line, int column, std::string what, std::string allowed)
{
    return {.file = {}, .line = line, .column = column, .key = {}, .what = std::move(what), .allowed = std::move(allowed)};
}

// Bytes that have no business in a text file: the library would replace or read on over them. Also UTF-16, by its zero bytes.
std::optional<std::size_t> strange_byte(std::string_view text)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == '\t' || c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n')) continue;
        if (c < 0x20 || c == 0x7F) return i;
        if (c < 0x80) continue;
        const std::size_t more = c >= 0xF0 && c <= 0xF4 ? 3 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xC2 && c < 0xE0 ? 1 : 0;
        if (more == 0 || i + more >= text.size()) return i;
        for (std::size_t k = 1; k <= more; ++k)
            if (!continues_character(text[i + k])) return i;
        i += more;
    }
    return std::nullopt;
}

Problem strange_byte_problem(std::string_view text, std::size_t i)
{
    const std::string_view before = text.substr(0, i);
    const std::size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto column = 1 + std::count_if(before.begin() + static_cast<std::ptrdiff_t>(start), before.end(), [](char c) {
        return !continues_character(c);
    });
    return at(static_cast<int>(line), static_cast<int>(column),
        fmt::format("a byte {:#04x} that is not text", static_cast<unsigned char>(text[i])), "UTF-8 without control characters");
}

// The library takes tabs for indentation and counts each as one blank.
void find_tabs(const Lines& lines, std::vector<Problem>& problems)
{
    for (std::size_t i = 0; i < lines.count(); ++i) {
        const std::string_view line = lines.line(i);
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string_view::npos || line[first] == '#') continue;
        if (const std::size_t tab = line.substr(0, first).find('\t'); tab != std::string_view::npos)
            problems.push_back(at(static_cast<int>(i) + 1, static_cast<int>(tab) + 1, "a tab in the indentation", "blanks"));
    }
}

}  // namespace

const Node* Node::find(std::string_view key) const
{
    for (const Entry& entry : entries)
        if (entry.key == key) return &entry.value;
    return nullptr;
}

Tree parse(std::string_view text)
{
    Tree tree;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (const auto i = strange_byte(text)) {
        tree.problems.push_back(strange_byte_problem(text, *i));
        return tree;
    }
    const Lines lines{text};
    find_tabs(lines, tree.problems);
    Builder builder{text, lines};
    bool whole = false;
    const auto failed = [&](const YAML::Mark& mark, const std::string& what, const std::string& allowed) {
        const bool known = mark.line >= 0;
        tree.problems.push_back(at(known ? mark.line + 1 : 0, known ? lines.column(mark) : 0, what, allowed));
    };
    try {
        std::istringstream in{std::string{text}};
        YAML::Parser parser{in};
        while (parser.HandleNextDocument(builder)) {}
        whole = true;
    } catch (const TooDeep& e) {
        failed(e.at, fmt::format("nested deeper than {}", deepest_nesting), "");
    } catch (const YAML::Exception& e) {
        if (lines.character(e.mark) == '*' && e.mark.line >= 0)
            failed(e.mark, "an alias", "anchors and aliases are refused: write the value out");
        else
            failed(e.mark, "not valid YAML: " + e.msg, "");
    } catch (const std::exception& e) {
        failed(YAML::Mark::null_mark(), fmt::format("cannot be read as YAML: {}", e.what()), "");
    }
    for (Problem& p : builder.take_problems()) tree.problems.push_back(std::move(p));
    if (whole) tree.root = builder.take_root();
    return tree;
}

}  // namespace batgw::yaml
