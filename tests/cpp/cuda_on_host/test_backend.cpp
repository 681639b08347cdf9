// The whole CUDA backend, kernels included, compiled for the host and held against the CPU engine. See emulator.hpp for
// what that finds and what it cannot.
#include "../../cuda/backend_checks.hpp"
#include "../check.hpp"
#include "cuda/limits.hpp"
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
const std::vector<sizes> split_sizes{{130, 64, 3}, {270, 161, 70}};

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

TEST_CASE("limits count what their loops do") {
    // On one multiprocessor, and every loop takes a millisecond by the emulator's clock.
    const cuda::device_limits found = cuda::measure_limits({0, nullptr}, {3, 16, 1 << 14, 0});
    CHECK_CLOSE(found.bfloat16, 2 * 2.0 * 128 * 128 * 64 * 3 / 1e-3, 1);  // wgmma's, which does more
    CHECK_CLOSE(found.float32, 4 * 2 * 16 * 256 * 16 / 1e-3, 1);
    CHECK_CLOSE(found.float64, 4 * 2 * 16 * 256 * 2 / 1e-3, 1);
    CHECK_CLOSE(found.copy, 2 * (1 << 14) / 1e-3, 1);
}
