#include <zoorank/build_info.hpp>

#include "check.hpp"

TEST_CASE("the version is the project's") { CHECK(zoorank::build_info().version == ZOORANK_VERSION); }

TEST_CASE("a build that cannot use CUDA says why") {
    const zoorank::build_info_t info = zoorank::build_info();
    CHECK(info.cuda_built || !info.cuda_unavailable_reason.empty());
}
