// Silhouettes of all rows from their distances to a few references of the classes that can matter; the formulas are
// those of csrc/src/control_variates.hpp, which runs here as it is.
//
// A row has its own class and five others, and each has some 64 references: 400 distances, where an exact silhouette
// takes as many as there are rows. Neighbouring rows need other classes, so nothing is packed into tiles: a warp takes
// a row and a class, and adds up squared differences. The references of all classes stay in the second-level cache, and
// without products nothing cancels.
#include "control_variates.hpp"
#include "cuda/launch.cuh"
#include "cuda/simt.cuh"
#include "vanishing.hpp"

namespace zoorank::cuda {
namespace {

constexpr int warps = block_threads / 32;

// The nearest classes of a row so far, nearest first; among equally near ones those that came first.
struct near_list {
    static constexpr int length = most_near_classes;
    double square[length];
    std::int64_t class_index[length];

    __device__ near_list() {
#pragma unroll
        for (int i = 0; i < length; ++i) {
            square[i] = nothing_near;
            class_index[i] = -1;
        }
    }

    __device__ void meet(double found, std::int64_t c) {
        if (!(found < square[length - 1])) return;
        square[length - 1] = found;
        class_index[length - 1] = c;
#pragma unroll
        for (int i = length - 1; i > 0; --i) {
            if (!(square[i] < square[i - 1])) continue;
            const double s = square[i];
            const std::int64_t k = class_index[i];
            square[i] = square[i - 1];
            class_index[i] = class_index[i - 1];
            square[i - 1] = s;
            class_index[i - 1] = k;
        }
    }
};

// Of the four threads that look through a row's distances each has a list of its own, and the first joins the lists.
__global__ void __launch_bounds__(block_threads, 2) near_kernel(const __grid_constant__ near_args args) {
    unsigned char* shared = dynamic_shared();
    constexpr int side = tile_side<double>, threads_a_row = block_threads / side;
    static_assert(block_threads * sizeof(near_list) <= simt_shape<double>::shared_bytes, "room for all lists");
    const int mine = threadIdx.x / threads_a_row;
    const std::int64_t row = std::int64_t(blockIdx.x) * side + mine;
    const bool exists = row < args.rows.from.rows;
    const std::int64_t position = exists ? args.position_of[args.first + row] : -1;
    const std::int64_t own_class = exists ? args.class_of[position] : -1;
    near_list list;
    past_means(args.rows, args.means, args.bias, own_class, shared,
               [&](double distance, std::int64_t c) { list.meet(distance, c); });
    near_list* lists = reinterpret_cast<near_list*>(shared);
    lists[threadIdx.x] = list;
    __syncthreads();
    if (!exists || threadIdx.x % threads_a_row != 0) return;
    near_class* found = args.found + row * args.slots;
    const bool alone = args.class_begin[own_class + 1] - args.class_begin[own_class] == 1;
    found[0] = {own_class, alone ? 0 : sqrt(args.own[position])};
    int taken[threads_a_row] = {};
    for (std::int64_t slot = 1; slot < args.slots; ++slot) {
        int best = 0;
        for (int i = 1; i < threads_a_row; ++i) {
            const near_list &one = lists[threadIdx.x + best], &other = lists[threadIdx.x + i];
            const double a = one.square[taken[best]], b = other.square[taken[i]];
            if (b < a || (b == a && other.class_index[taken[i]] < one.class_index[taken[best]])) best = i;
        }
        const near_list& from = lists[threadIdx.x + best];
        found[slot] = {from.class_index[taken[best]], sqrt(from.square[taken[best]])};
        ++taken[best];
    }
}

// One warp a row and a class.
template <class T>
__global__ void __launch_bounds__(block_threads) distances_kernel(const __grid_constant__ reference_args<T> args) {
    constexpr int at_once = 4;
    const std::int64_t index = std::int64_t(blockIdx.x) * warps + threadIdx.x / 32, row = index / args.slots;
    const int lane = threadIdx.x % 32;
    if (row >= args.count) return;
    const std::int64_t c = args.near[index].class_index, count = args.reference_count[c];
    const std::int64_t* references = args.indices + args.begin[c];
    const T* x = args.from.row(args.first + row);
    const T scale = args.from.scale;
    T* out = args.distances + index * args.stride;
    std::int64_t self = -1;
    for (std::int64_t first = 0; first < count; first += at_once) {
        const T* y[at_once];
        T sums[at_once] = {};
#pragma unroll
        for (int i = 0; i < at_once; ++i) {
            const std::int64_t reference = references[least(first + i, count - 1)];
            if (reference == args.first + row) self = least(first + i, count - 1);
            y[i] = args.from.row(reference);
        }
        for (std::int64_t k = lane; k < args.from.depth; k += 32) {
            const T value = x[k] * scale;
#pragma unroll
            for (int i = 0; i < at_once; ++i) {
                const T difference = value - y[i][k] * scale;
                sums[i] += difference * difference;
            }
        }
#pragma unroll
        for (int i = 0; i < at_once; ++i) {
            const T square = warp_sum(sums[i]);
            if (lane == 0 && first + i < count) out[first + i] = sqrt(square);
        }
    }
    if (lane == 0 && index % args.slots == 0) args.self[row] = self;
}

// One thread a row.
template <class T>
__global__ void __launch_bounds__(block_threads) estimates_kernel(const __grid_constant__ reference_args<T> args) {
    const std::int64_t row = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    if (row >= args.count) return;
    mean_estimate own{0, 0}, nearest{0, 0};
    for (std::int64_t slot = 0; slot < args.slots; ++slot) {
        const near_class near = args.near[row * args.slots + slot];
        const std::int64_t c = near.class_index, size = args.class_begin[c + 1] - args.class_begin[c];
        if (slot == 0 && size == 1) {
            args.samples[args.first + row] = 0;
            args.errors[args.first + row] = 0;
            return;
        }
        const std::int64_t strata = args.first_stratum[c];
        const mean_estimate found = estimate_of(args.distances + (row * args.slots + slot) * args.stride,
                                                args.strata + strata, args.first_stratum[c + 1] - strata, near.root,
                                                size, slot == 0, slot == 0 ? args.self[row] : -1);
        if (slot == 0)
            own = found;
        else if (slot == 1 || found.mean < nearest.mean)
            nearest = found;
    }
    if (own.mean < vanishing_distance<T> && nearest.mean < vanishing_distance<T>)
        atomicMin(args.vanished, static_cast<unsigned long long>(args.first + row));
    args.samples[args.first + row] = silhouette_of(own.mean, nearest.mean);
    args.errors[args.first + row] = error_of(own, nearest);
}

}  // namespace

void find_near_classes(const near_args& args, cudaStream_t stream) {
    launch("looking for near classes", near_kernel,
           {ceil_div(args.rows.from.rows, tile_side<double>), block_threads, simt_shape<double>::shared_bytes}, stream,
           args);
}

template <class T>
void estimate_by_references(const reference_args<T>& args, cudaStream_t stream) {
    launch("computing distances to references", distances_kernel<T>,
           {ceil_div(args.count * args.slots, warps), block_threads}, stream, args);
    launch("estimating silhouettes", estimates_kernel<T>, {ceil_div(args.count, block_threads), block_threads}, stream,
           args);
}

template void estimate_by_references(const reference_args<float>&, cudaStream_t);
template void estimate_by_references(const reference_args<double>&, cudaStream_t);

}  // namespace zoorank::cuda
