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
constexpr int chains = 12;               // more than latency times ports, fewer than there are registers

#if defined(__x86_64__) || defined(__i386__)
#define ZOORANK_FOR(features) __attribute__((target(features)))
#else
#define ZOORANK_FOR(features)
#endif

// Chains of multiply-adds that do not wait for one another. A macro, since a template is compiled for one instruction
// set before it is inlined into a function for another.
#define ZOORANK_MULTIPLY_ADDS(name, features, T, bytes)                                                    \
    ZOORANK_FOR(features) T name(T factor, T addend) {                                                     \
        using vec = T __attribute__((vector_size(bytes)));                                                 \
        vec sums[chains];                                                                                  \
        for (int c = 0; c < chains; ++c) sums[c] = vec{} + static_cast<T>(c);                              \
        for (std::int64_t step = 0; step < steps; ++step) {                                                \
            _Pragma("GCC unroll 12") for (int c = 0; c < chains; ++c) sums[c] = sums[c] * factor + addend; \
        }                                                                                                  \
        T total = 0;                                                                                       \
        for (int c = 0; c < chains; ++c)                                                                   \
            for (std::size_t lane = 0; lane < bytes / sizeof(T); ++lane) total += sums[c][lane];           \
        return total;                                                                                      \
    }

struct loops {
    const char* instruction_set;
    float (*f32)(float, float);
    double (*f64)(double, double);
    int width;  // bytes of a vector
};

#if defined(__x86_64__) || defined(__i386__)
ZOORANK_MULTIPLY_ADDS(avx512_f32, "avx512f,fma", float, 64)
ZOORANK_MULTIPLY_ADDS(avx512_f64, "avx512f,fma", double, 64)
ZOORANK_MULTIPLY_ADDS(avx2_f32, "avx2,fma", float, 32)
ZOORANK_MULTIPLY_ADDS(avx2_f64, "avx2,fma", double, 32)
ZOORANK_MULTIPLY_ADDS(baseline_f32, "sse2", float, 16)
ZOORANK_MULTIPLY_ADDS(baseline_f64, "sse2", double, 16)
#else
ZOORANK_MULTIPLY_ADDS(baseline_f32, "", float, 16)
ZOORANK_MULTIPLY_ADDS(baseline_f64, "", double, 16)
#endif

constexpr loops table[] = {
#if defined(__x86_64__) || defined(__i386__)
    {"avx512", avx512_f32, avx512_f64, 64},
    {"avx2", avx2_f32, avx2_f64, 32},
#endif
    {"baseline", baseline_f32, baseline_f64, 16},
};

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
double multiply_add_rate(T (*loop)(T, T), int width, int threads) {
    const double flops = 2.0 * chains * static_cast<double>(steps) * width / sizeof(T);
    std::atomic<bool> finite{true};
    const double rate = best_rate(threads, flops, [&](std::int64_t) {
        // Towards 1: never a denormal, never an infinity. Looked at, so that the loop has to be run.
        if (!(loop(T(0.5), T(0.5)) > 0)) finite = false;
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
    for (const std::string& name : cpu::supported_instruction_sets())
        for (const loops& set : table)
            if (name == set.instruction_set)
                rates.push_back({name, multiply_add_rate(set.f32, set.width, threads),
                                 multiply_add_rate(set.f64, set.width, threads)});
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
