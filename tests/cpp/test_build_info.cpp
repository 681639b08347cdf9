#include <zoorank/build_info.hpp>

#include <algorithm>

#include "check.hpp"

TEST_CASE("the version is the project's") { CHECK(zoorank::build_info().version == ZOORANK_VERSION); }

TEST_CASE("the instruction set in use is one of the supported") {
    const zoorank::build_info_t info = zoorank::build_info();
    const auto& sets = info.supported_instruction_sets;
    CHECK(std::find(sets.begin(), sets.end(), info.instruction_set) != sets.end());
}
