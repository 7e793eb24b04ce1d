#include "mqtt/value_text.hpp"

#include "mqtt/moment.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

using namespace batgw::mqtt;

// MQTT-021
TEST_CASE("a value is decimal text with exactly its decimals")
{
    struct Row {
        std::int64_t count;
        unsigned decimals;
        const char* text;
    };
    constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
    for (const Row& r : {Row{417, 0, "417"}, Row{0, 0, "0"}, Row{-5, 0, "-5"}, Row{-1, 1, "-0.1"}, Row{-5, 1, "-0.5"},
             Row{0, 1, "0.0"}, Row{964, 1, "96.4"}, Row{3287, 3, "3.287"}, Row{12, 3, "0.012"}, Row{-12, 3, "-0.012"},
             Row{1000, 3, "1.000"}, Row{5, 4, "0.0005"}, Row{123456, 4, "12.3456"}, Row{100, 2, "1.00"},
             Row{most, 0, "9223372036854775807"}, Row{least, 0, "-9223372036854775808"}, Row{most, 3, "9223372036854775.807"},
             Row{least, 4, "-922337203685477.5808"}, Row{least, 1, "-922337203685477580.8"}})
        CHECK(fixed_text(r.count, r.decimals) == r.text);
}

TEST_CASE("thousandths are rounded to the nearest count, halves away from zero")
{
    CHECK(scaled(432'149, 1) == 4321);
    CHECK(scaled(432'150, 1) == 4322);
    CHECK(scaled(-432'150, 1) == -4322);
    CHECK(scaled(-449, 0) == 0);
    CHECK(scaled(-500, 0) == -1);
    CHECK(scaled(499, 0) == 0);
    CHECK(scaled(3'287, 3) == 3287);
    CHECK(scaled(3'287, 4) == 32870);
    CHECK(scaled(std::numeric_limits<std::int64_t>::max(), 4) == std::numeric_limits<std::int64_t>::max());
    CHECK(scaled(std::numeric_limits<std::int64_t>::min(), 4) == std::numeric_limits<std::int64_t>::min());
    CHECK(scaled(std::numeric_limits<std::int64_t>::max(), 0) == 9223372036854776);
}

// MQTT-034
TEST_CASE("the wall clock is shown as UTC with milliseconds")
{
    CHECK(utc_text(0) == "1970-01-01T00:00:00.000Z");
    CHECK(utc_text(1'772'352'930'120) == "2026-03-01T08:15:30.120Z");
    CHECK(utc_text(951'782'400'007) == "2000-02-29T00:00:00.007Z");
    CHECK(utc_text(-5) == "1970-01-01T00:00:00.000Z");
    CHECK(utc_text(std::numeric_limits<std::int64_t>::max()) == "9999-12-31T23:59:59.999Z");
}
