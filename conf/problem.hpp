// What is wrong with a configuration, and where.
#pragma once

#include <string>
#include <vector>

namespace batgw {

struct Problem {
    std::string file;
    int line = 0;         // from 1; 0: the file as a whole
    int column = 0;       // from 1, in characters
    std::string key;      // dotted, as in "battery.charge_w"; empty where there is none
    std::string what;     // what is wrong
    std::string allowed;  // what would be right; may be empty
};

// FILE:LINE:COLUMN: KEY: what is wrong (what is allowed). Parts that are not there are left out. One line, no newline at its end.
std::string to_string(const Problem& problem);

// By position in the file; what has no position comes first.
void sort(std::vector<Problem>& problems);

}  // namespace batgw
