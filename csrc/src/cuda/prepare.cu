// Before pairs are computed: look the rows over, sort, scale, centre and pack them. Each is one pass over memory.
#include <cuda_bf16.h>

#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"
#include "cuda/warp.cuh"

namespace zoorank::cuda {
namespace {

__device__ unsigned long long magnitude(float x) { return __float_as_uint(x) & 0x7fffffffu; }
__device__ unsigned long long magnitude(double x) {
    return static_cast<unsigned long long>(__double_as_longlong(x)) & 0x7fffffffffffffffull;
}

// The bits of |x|, taken as an integer, order as |x| does, and above every finite value lie infinity and NaN. Integer
// maxima and minima do not depend on the order in which they are taken.
template <class T>
__global__ void __launch_bounds__(block_threads)
    look_over_kernel(const T* x, std::int64_t rows, std::int64_t cols, std::int64_t stride, survey* out) {
    const unsigned long long infinity = magnitude(static_cast<T>(INFINITY));
    unsigned long long largest = 0, smallest = no_row;
    for (std::int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
        unsigned long long largest_of_row = 0;
        for (std::int64_t k = threadIdx.x; k < cols; k += blockDim.x) {
            const unsigned long long bits = magnitude(x[i * stride + k]);
            largest_of_row = max(largest_of_row, bits);
            if (bits > 0) smallest = min(smallest, bits);
        }
        if (largest_of_row >= infinity) atomicMin(&out->first_bad_row, static_cast<unsigned long long>(i));
        largest = max(largest, largest_of_row);
    }
    for (int lane = 16; lane > 0; lane /= 2) {
        largest = max(largest, __shfl_xor_sync(~0u, largest, lane));
        smallest = min(smallest, __shfl_xor_sync(~0u, smallest, lane));
    }
    if (threadIdx.x % 32 != 0) return;
    atomicMax(&out->largest_bits, largest);
    atomicMin(&out->least_bits, smallest);
}

// One warp a row.
template <class T>
__global__ void __launch_bounds__(block_threads) norms_kernel(source_rows<T> from, std::int64_t padded_rows, T* norms) {
    const std::int64_t row = (std::int64_t(blockIdx.x) * block_threads + threadIdx.x) / 32;
    if (row >= padded_rows) return;
    double sum = 0;
    if (row < from.rows) {
        const T* x = from.row(row);
        for (std::int64_t k = threadIdx.x % 32; k < from.depth; k += 32) {
            const double value = from.value(x, k);
            sum += value * value;
        }
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) norms[row] = static_cast<T>(sum);
}

// One thread a row of a panel and a stage of features; consecutive threads write consecutive rows.
template <class T>
__global__ void __launch_bounds__(tile_side<T>) panels_kernel(source_rows<T> from, std::int64_t blocks, T* packed) {
    const std::int64_t tile = blockIdx.x / blocks, block = blockIdx.x % blocks;
    const std::int64_t row = tile * tile_side<T> + threadIdx.x;
    const T* x = row < from.rows ? from.row(row) : nullptr;
    for (int f = 0; f < panel::features<T>; ++f) {
        const std::int64_t k = block * panel::features<T> + f;
        packed[panel::offset<T>(tile, k, threadIdx.x, blocks)] = x && k < from.depth ? from.value(x, k) : T(0);
    }
}

// One thread a row and eight features: a chunk of hi and the chunk of lo that belongs to it.
__global__ void __launch_bounds__(block_threads)
    split_kernel(source_rows<float> from, std::int64_t blocks, unsigned char* packed) {
    constexpr int chunks = split::features / split::chunk_features;
    static_assert(block_threads == 2 * tile_side<float>, "two passes over an image");
    const std::int64_t tile = blockIdx.x / blocks, block = blockIdx.x % blocks;
    unsigned char* image = packed + split::image_offset(tile, block, blocks);
    for (int i = threadIdx.x; i < tile_side<float> * chunks; i += block_threads) {
        const int r = i / chunks, chunk = i % chunks;
        const std::int64_t row = tile * tile_side<float> + r;
        const float* x = row < from.rows ? from.row(row) : nullptr;
        __align__(16) __nv_bfloat16 hi[split::chunk_features];
        __align__(16) __nv_bfloat16 lo[split::chunk_features];
#pragma unroll
        for (int f = 0; f < split::chunk_features; ++f) {
            const std::int64_t k = block * split::features + chunk * split::chunk_features + f;
            const float value = x && k < from.depth ? from.value(x, k) : 0.0f;
            hi[f] = __float2bfloat16_rn(value);
            lo[f] = __float2bfloat16_rn(value - __bfloat162float(hi[f]));
        }
        uint4 words;
        memcpy(&words, hi, sizeof words);
        *reinterpret_cast<uint4*>(image + split::chunk_offset(r, chunk)) = words;
        memcpy(&words, lo, sizeof words);
        *reinterpret_cast<uint4*>(image + split::chunk_offset(r, chunk + chunks)) = words;
    }
}

// Sum of the squares of a row, of one warp, in units of its own or of all.
template <class T>
__device__ double square_of(const T* x, std::int64_t depth, double scale) {
    double sum = 0;
    for (std::int64_t k = threadIdx.x % 32; k < depth; k += 32) {
        const double value = static_cast<double>(x[k]) * scale;
        sum += value * value;
    }
    return warp_sum(sum);
}

// The power of two that brings the largest |x| of a row near 2^400; one warp.
template <class T>
__device__ double own_scale(const T* x, std::int64_t depth) {
    constexpr int target = 400, limit = 1022;  // those of scale_for() for double
    double largest = 0;
    for (std::int64_t k = threadIdx.x % 32; k < depth; k += 32)
        largest = fmax(largest, fabs(static_cast<double>(x[k])));
    for (int lane = 16; lane > 0; lane /= 2) largest = fmax(largest, __shfl_xor_sync(~0u, largest, lane));
    return largest > 0 ? ldexp(1.0, max(-limit, min(limit, target - ilogb(largest)))) : 1;
}

// One warp a row. As load_direction() does, for the CPU.
template <class T>
__global__ void __launch_bounds__(block_threads) units_kernel(source_rows<T> from, unit_factors* units) {
    constexpr double vanished = 0x1p-900;
    const std::int64_t row = (std::int64_t(blockIdx.x) * block_threads + threadIdx.x) / 32;
    if (row >= from.rows) return;
    const T* x = from.row(row);
    double scale = static_cast<double>(from.scale), square = square_of(x, from.depth, scale);
    if (square < vanished) {
        scale = own_scale(x, from.depth);
        square = square_of(x, from.depth, scale);
    }
    if (threadIdx.x % 32 == 0) units[row] = {scale, square > 0 ? 1 / sqrt(square) : 0};
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    directions_kernel(source_rows<T> from, const unit_factors* units, T* out) {
    const std::int64_t row = blockIdx.x;
    const T* x = from.row(row);
    for (std::int64_t k = threadIdx.x; k < from.depth; k += block_threads)
        out[row * from.depth + k] = static_cast<T>(static_cast<double>(x[k]) * units[row].scale * units[row].inverse);
}

constexpr std::int64_t warps = block_threads / 32;

template <class T>
void compute_norms(const source_rows<T>& from, T* norms, cudaStream_t stream) {
    const std::int64_t all = padded<T>(from.rows);
    launch("computing norms", norms_kernel<T>, {ceil_div(all, warps), block_threads}, stream, from, all, norms);
}

}  // namespace

template <class T>
void look_over(const T* x, std::int64_t rows, std::int64_t cols, std::int64_t stride, survey* out,
               cudaStream_t stream) {
    if (rows == 0) return;
    launch("looking over the rows", look_over_kernel<T>, {least(rows, 4096), block_threads}, stream, x, rows, cols,
           stride, out);
}

template <class T>
void pack_panels(const source_rows<T>& from, T* packed, T* norms, cudaStream_t stream) {
    compute_norms(from, norms, stream);
    const std::int64_t blocks = panel::blocks<T>(from.depth), tiles = ceil_div(from.rows, tile_side<T>);
    launch("packing rows", panels_kernel<T>, {tiles * blocks, tile_side<T>}, stream, from, blocks, packed);
}

void pack_split(const source_rows<float>& from, void* packed, float* norms, cudaStream_t stream) {
    compute_norms(from, norms, stream);
    const std::int64_t blocks = split::blocks(from.depth), tiles = ceil_div(from.rows, tile_side<float>);
    launch("packing rows", split_kernel, {tiles * blocks, block_threads}, stream, from, blocks,
           static_cast<unsigned char*>(packed));
}

template <class T>
void find_units(const source_rows<T>& from, unit_factors* units, cudaStream_t stream) {
    launch("computing lengths", units_kernel<T>, {ceil_div(from.rows, warps), block_threads}, stream, from, units);
}

template <class T>
void to_directions(const source_rows<T>& from, const unit_factors* units, T* out, cudaStream_t stream) {
    launch("computing directions", directions_kernel<T>, {from.rows, block_threads}, stream, from, units, out);
}

#define ZOORANK_INSTANTIATE(T)                                                                          \
    template void look_over(const T*, std::int64_t, std::int64_t, std::int64_t, survey*, cudaStream_t); \
    template void pack_panels(const source_rows<T>&, T*, T*, cudaStream_t);                             \
    template void find_units(const source_rows<T>&, unit_factors*, cudaStream_t);                       \
    template void to_directions(const source_rows<T>&, const unit_factors*, T*, cudaStream_t);
ZOORANK_INSTANTIATE(float)
ZOORANK_INSTANTIATE(double)

}  // namespace zoorank::cuda
