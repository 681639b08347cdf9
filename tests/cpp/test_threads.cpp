// Callers that meet in the pool, and callers that give up.
#include <zoorank/build_info.hpp>
#include <zoorank/silhouette.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "thread_pool.hpp"

namespace {

struct problem {
    std::vector<float> values;
    std::vector<std::int64_t> labels;
    std::int64_t rows, cols;

    problem(std::int64_t n, std::int64_t d) : rows(n), cols(d) {
        for (std::int64_t i = 0; i < n * cols; ++i) values.push_back(static_cast<float>((i * 7919) % 1009));
        for (std::int64_t i = 0; i < n; ++i) labels.push_back(i % 5);
    }

    double score(const zoorank::options& opt) const {
        return zoorank::silhouette_score(zoorank::matrix_view<float>(values.data(), rows, cols), labels,
                                         zoorank::metric::euclidean, opt);
    }
};

void check_concurrent_calls(const problem& p, zoorank::float_precision precision) {
    zoorank::options opt;
    opt.precision = precision;
    opt.threads = 1;
    const double expected = p.score(opt);
    opt.threads = 3;
    std::atomic<int> different{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 3; ++repeat)
                if (p.score(opt) != expected) ++different;
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(different == 0);
}

}  // namespace

TEST_CASE("calls from several threads at once give the same bits") {
    check_concurrent_calls(problem(700, 16), zoorank::float_precision::float32);
}

// Tiles are the one register state that Linux allocates to a thread at its first use.
TEST_CASE("tiles: calls from several threads at once give the same bits") {
    if (zoorank::build_info().instruction_set != "amx") return;
    check_concurrent_calls(problem(700, 64), zoorank::float_precision::bf16x3);
}

TEST_CASE("every index runs once, on a worker in range") {
    std::vector<std::atomic<int>> runs(1000);
    std::atomic<int> out_of_range{0};
    zoorank::parallel_for(1000, 4, 1000, {}, [&](std::int64_t index, int worker, zoorank::progress_meter& meter) {
        ++runs[static_cast<std::size_t>(index)];
        if (worker < 0 || worker >= 4) ++out_of_range;
        meter.advance(1, worker);
    });
    int wrong = 0;
    for (const std::atomic<int>& count : runs) wrong += count != 1;
    CHECK(wrong == 0);
    CHECK(out_of_range == 0);
}

TEST_CASE("an exception in a task reaches the caller, and the pool goes on") {
    const auto fail = [](std::int64_t index, int, zoorank::progress_meter&) {
        if (index == 7) throw std::runtime_error("task 7");
    };
    for (int repeat = 0; repeat < 20; ++repeat)
        CHECK_THROWS(std::runtime_error, "task 7", zoorank::parallel_for(50, 4, 50, {}, fail));
    CHECK(zoorank::resolve_threads(1) == 1);
}

TEST_CASE("a progress function that returns false cancels the call") {
    zoorank::options opt;
    opt.progress = [](double done) {
        CHECK(done >= 0 && done <= 1);
        return false;
    };
    const auto work_for_ever = [](std::int64_t, int worker, zoorank::progress_meter& meter) {
        for (;;) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            meter.advance(0, worker);
        }
    };
    for (const int threads : {1, 3})
        CHECK_THROWS(zoorank::cancelled, "cancelled", zoorank::parallel_for(10, threads, 10, opt, work_for_ever));
}
