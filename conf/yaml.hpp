// YAML text as a tree that remembers where everything stood. What YAML allows and we do not (anchors, aliases, tags, several
// documents, duplicate keys, keys that are not plain text) is found here.
#pragma once

#include "conf/problem.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::yaml {

struct Node {
    enum class Kind : std::uint8_t { none, scalar, map, list };  // none: nothing written, or ~ or null
    struct Entry;

    Kind kind = Kind::none;
    std::string text;            // scalar, with ${NAME} replaced
    std::string raw;             // scalar, as it stands in the file
    bool bad = false;            // a problem of this value has been reported
    bool quoted = false;         // scalar: between quotes, or a block of text: never a number or a boolean
    int line = 0, column = 0;    // from 1, in characters
    std::vector<Entry> entries;  // map, in the order of the file, every key once
    std::vector<Node> items;     // list

    const Node* find(std::string_view key) const;
};

struct Node::Entry {
    std::string key;
    int line = 0, column = 0;
    Node value;
};

struct Tree {
    std::optional<Node> root;       // nothing when the text is not YAML; kind none for an empty document
    std::vector<Problem> problems;  // without file; in no order
};

// Never throws. `text` is at most `largest_file` long.
Tree parse(std::string_view text);

}  // namespace batgw::yaml
