// The whole CUDA backend, kernels included, compiled for the host and held against the CPU engine. See emulator.hpp for
// what that finds and what it cannot.
#include "../../cuda/backend_checks.hpp"
#include "../check.hpp"
#include "emulator.hpp"

using namespace backend_checks;

namespace {

template <class Body>
void with_checker(const Body& body) {
    for (const auto how : {emulator::copies::early, emulator::copies::late}) {
        emulator::copying = how;
        checker check({0, nullptr}, [](const result& found) { CHECK_CLOSE(found.error, 0.0, found.allowed); });
        body(check);
        CHECK(check.count() > 0 && check.wrong() == 0);
    }
}

// More tiles than one, more stages than a ring has, rows and features that fill neither.
const std::vector<sizes> split_sizes{{130, 64, 3}, {300, 70, 7}, {290, 161, 120}};

}  // namespace

TEST_CASE("mma.sync: layouts, stages and sums") {
    with_checker([](checker& check) { check_kernel(check, "mma", split_sizes); });
}

TEST_CASE("wgmma: descriptors, barriers, stages and sums") {
    with_checker([](checker& check) { check_kernel(check, "wgmma", split_sizes); });
}

TEST_CASE("ordinary cores, float32") {
    with_checker([](checker& check) {
        check_kernel(check, "simt", {{130, 5, 3}, {300, 70, 120}});
        check_others<float>(check, {{200, 19, 5}});
    });
}

TEST_CASE("ordinary cores, float64") {
    with_checker([](checker& check) { check_others<double>(check, {{150, 19, 5}, {140, 9, 100}}); });
}
