#include "cuda/limits.hpp"

#include <algorithm>
#include <chrono>

#include "cuda/choice.hpp"
#include "cuda/launch.cuh"
#include "cuda/limits.cuh"
#include "cuda/ptx.cuh"

namespace zoorank::cuda {
namespace {

// 4 x 4 products of m16n8k16 a warp, as in a tile of pairs, all operands in registers.
__global__ void __launch_bounds__(block_threads, 2) products_kernel(int rounds, float* out) {
    constexpr int side = 4;
    unsigned a[side][4], b[side][2];
    float sums[side][side][4] = {};
    unsigned seed = blockIdx.x * block_threads + threadIdx.x;
#pragma unroll
    for (int i = 0; i < side; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) a[i][j] = two_values(++seed);
#pragma unroll
        for (int j = 0; j < 2; ++j) b[i][j] = two_values(++seed);
    }
    for (int round = 0; round < rounds; ++round)
#pragma unroll
        for (int i = 0; i < side; ++i)
#pragma unroll
            for (int j = 0; j < side; ++j) multiply_fragments(sums[i][j], a[i], b[j][0], b[j][1]);
    float total = 0;
#pragma unroll
    for (int i = 0; i < side; ++i)
#pragma unroll
        for (int j = 0; j < side; ++j) total += sums[i][j][0] + sums[i][j][1] + sums[i][j][2] + sums[i][j][3];
    keep(total, out);
}

template <class T>
__global__ void __launch_bounds__(block_threads, 4) multiply_add_kernel(int rounds, float* out) {
    constexpr int chains = 16;
    const T factor = T(0.999) + T(1e-7) * T(threadIdx.x), term = T(1e-3);
    T values[chains];
#pragma unroll
    for (int i = 0; i < chains; ++i) values[i] = T(i) + T(threadIdx.x);
    for (int round = 0; round < rounds; ++round)
#pragma unroll
        for (int i = 0; i < chains; ++i) values[i] = values[i] * factor + term;
    T total = 0;
#pragma unroll
    for (int i = 0; i < chains; ++i) total += values[i];
    keep(float(total), out);
}

__global__ void __launch_bounds__(block_threads) copy_kernel(const uint4* from, uint4* to, std::int64_t count) {
    constexpr int at_once = 4;
    const std::int64_t step = std::int64_t(gridDim.x) * block_threads;
    std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    for (; i + (at_once - 1) * step < count; i += at_once * step) {
        uint4 values[at_once];
#pragma unroll
        for (int j = 0; j < at_once; ++j) values[j] = from[i + j * step];
#pragma unroll
        for (int j = 0; j < at_once; ++j) to[i + j * step] = values[j];
    }
    for (; i < count; i += step) to[i] = from[i];
}

__global__ void __launch_bounds__(block_threads) fill_kernel(uint4* to, std::int64_t count) {
    const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    const unsigned seed = static_cast<unsigned>(i);
    if (i < count) to[i] = {two_values(seed), two_values(seed + 1), two_values(seed + 2), two_values(seed + 3)};
}

template <class T>
double run_multiply_adds(int rounds, int multiprocessors, float* out, cudaStream_t stream) {
    const std::int64_t blocks = 4 * std::int64_t(multiprocessors);
    launch("measuring multiply-adds", multiply_add_kernel<T>, {blocks, block_threads}, stream, rounds, out);
    return 2.0 * 16 * block_threads * rounds * static_cast<double>(blocks);
}

double run_products(int rounds, int multiprocessors, float* out, cudaStream_t stream) {
    const std::int64_t blocks = 2 * std::int64_t(multiprocessors);
    launch("measuring products", products_kernel, {blocks, block_threads}, stream, rounds, out);
    return 2.0 * 16 * 8 * 16 * 16 * (block_threads / 32) * rounds * static_cast<double>(blocks);
}

class stopwatch {
public:
    stopwatch(cudaStream_t stream, std::chrono::milliseconds warm_up) : stream_(stream), warm_up_(warm_up) {
        for (cudaEvent_t& event : events_) check(cudaEventCreate(&event), "creating an event");
    }
    ~stopwatch() {
        for (const cudaEvent_t event : events_)
            if (event) cudaEventDestroy(event);
    }
    stopwatch(const stopwatch&) = delete;
    stopwatch& operator=(const stopwatch&) = delete;

    // Work done, whatever it is counted in, over the seconds it took on the device.
    template <class Work>
    double rate(const Work& work) {
        check(cudaEventRecord(events_[0], stream_), "recording an event");
        const double done = work();
        check(cudaEventRecord(events_[1], stream_), "recording an event");
        check(cudaEventSynchronize(events_[1]), "measuring");
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, events_[0], events_[1]), "reading an event");
        return done / (1e-3 * static_cast<double>(milliseconds));
    }

    // The best of some runs, once the clocks have had time to rise.
    template <class Work>
    double best(const Work& work) {
        const auto begin = std::chrono::steady_clock::now();
        double found = 0;
        while (std::chrono::steady_clock::now() - begin < warm_up_) found = std::max(found, rate(work));
        for (int i = 0; i < 5; ++i) found = std::max(found, rate(work));
        return found;
    }

private:
    cudaStream_t stream_;
    std::chrono::milliseconds warm_up_;
    cudaEvent_t events_[2] = {};
};

}  // namespace

device_limits measure_limits(place where, const limits_effort& effort) {
    const current_device guard(where.device);
    int multiprocessors = 0;
    check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, where.device),
          "asking for the device");
    const capability has = capability_of(where.device);
    const bool wgmma = choose_kernel("", least_split_depth, has.major, has.minor, wgmma_built()) == kernel::wgmma;
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    const std::int64_t copied = std::min(effort.copy_bytes, static_cast<std::int64_t>(free) / 4);
    const std::int64_t count = copied / static_cast<std::int64_t>(sizeof(uint4));

    const buffer<float> out(1, where.stream);
    const buffer<uint4> from(count, where.stream), to(count, where.stream);
    launch("filling memory", fill_kernel, {ceil_div(count, block_threads), block_threads}, where.stream, from.get(),
           count);
    stopwatch watch(where.stream, std::chrono::milliseconds(effort.warm_up_milliseconds));
    device_limits found{};
    found.bfloat16 =
        watch.best([&] { return run_products(effort.products, multiprocessors, out.get(), where.stream); });
    if (wgmma)
        found.bfloat16 = std::max(found.bfloat16, watch.best([&] {
            return run_products_wgmma(effort.products, multiprocessors, out.get(), where.stream);
        }));
    found.float32 = watch.best(
        [&] { return run_multiply_adds<float>(effort.multiply_adds, multiprocessors, out.get(), where.stream); });
    found.float64 = watch.best(
        [&] { return run_multiply_adds<double>(effort.multiply_adds / 8, multiprocessors, out.get(), where.stream); });
    found.copy = watch.best([&] {
        launch("copying", copy_kernel, {16 * std::int64_t(multiprocessors), block_threads}, where.stream,
               static_cast<const uint4*>(from.get()), to.get(), count);
        return 2.0 * static_cast<double>(count) * static_cast<double>(sizeof(uint4));
    });
    return found;
}

}  // namespace zoorank::cuda
