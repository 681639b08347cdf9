#include <zoorank/limits.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

constexpr int runs = 8;
constexpr std::int64_t steps = 1 << 20;  // a few milliseconds: long for a clock, short beside a time slice

// What `work(worker)` does in a second at best, when each of the threads does `amount` of it in a run.
template <class Work>
double best_rate(int threads, double amount, Work work) {
    double best = 0;
    for (int run = 0; run < runs; ++run) {
        const auto begin = std::chrono::steady_clock::now();
        parallel_for(threads, threads, threads, {}, [&](std::int64_t index, int, progress_meter&) { work(index); });
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
        best = std::max(best, amount * threads / taken.count());
    }
    return best;
}

template <class T>
double multiply_add_rate(const cpu::kernel_set<T>& kernels, int threads) {
    const double flops = static_cast<double>(steps) * static_cast<double>(kernels.flops_per_step);
    std::atomic<bool> finite{true};
    const double rate = best_rate(threads, flops, [&](std::int64_t) {
        // Towards 1: never a denormal, never an infinity. Looked at, so that the loop has to be run.
        if (!(kernels.multiply_adds(steps, T(0.5), T(0.5)) > 0)) finite = false;
    });
    return finite ? rate : 0;
}

// The sum of all words, so that every one has to be fetched.
std::uint64_t sweep(const std::uint64_t* words, std::int64_t count) {
    using vec = std::uint64_t __attribute__((vector_size(16)));
    const auto* vectors = reinterpret_cast<const vec*>(words);
    vec sums[8]{};
    for (std::int64_t i = 0; i + 8 <= count / 2; i += 8)
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) sums[c] += vectors[i + c];
    std::uint64_t total = 0;
    for (const vec& sum : sums) total += sum[0] + sum[1];
    return total;
}

}  // namespace

std::vector<arithmetic_rate> arithmetic_rates(int threads) {
    threads = resolve_threads(threads);
    std::vector<arithmetic_rate> rates;
    for (const cpu::kernel_table* set : cpu::supported_kernels())
        rates.push_back({set->name, multiply_add_rate(set->f32, threads), multiply_add_rate(set->f64, threads),
                         set->bf16x3.multiply_adds ? multiply_add_rate(set->bf16x3, threads) : 0});
    return rates;
}

double read_rate(int threads, std::int64_t bytes) {
    threads = resolve_threads(threads);
    const std::int64_t each = bytes / threads / 128 * 16;  // words, in whole strides of the sweep
    if (each < 16) throw std::invalid_argument("too few bytes to read: " + std::to_string(bytes));
    aligned_buffer<std::uint64_t> words(each * threads);
    std::fill(words.data(), words.data() + each * threads, std::uint64_t{1});
    std::atomic<bool> complete{true};
    const double rate = best_rate(threads, static_cast<double>(each) * 8, [&](std::int64_t index) {
        if (sweep(words.data() + index * each, each) != static_cast<std::uint64_t>(each)) complete = false;
    });
    return complete ? rate : 0;
}

}  // namespace zoorank
