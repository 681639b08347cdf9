#pragma once
// Which kernel a problem runs on, and in what portions.
#include <string>
#include <vector>

#include "cuda/tiles.hpp"

namespace zoorank::cuda {

/// Kernels for Euclidean silhouettes of float rows; all else runs on ordinary cores.
enum class kernel {
    simt,   ///< ordinary cores
    mma,    ///< tensor cores of any device
    wgmma,  ///< those of compute capability 9.0
};

/// Fewest features for which the rounding of split rows averages out below that of float32 sums. In simulations with
/// truncating accumulators the error in s was 1.5e-6 at 64 features and 3.7e-6 at 16, where 5e-6 is promised.
inline constexpr std::int64_t least_split_depth = 64;

/// `wish` is what ZOORANK_CUDA_KERNEL says, empty or "auto" for no wish.
kernel choose_kernel(const std::string& wish, std::int64_t depth, int major, int minor, bool has_wgmma);

const char* name_of(kernel which);

/// The triangle of tiles in batches whose partial sums take about `budget` bytes.
template <class T>
std::vector<tile_batch> plan_batches(std::int64_t side, std::int64_t budget) {
    std::vector<tile_batch> batches;
    for (std::int64_t first = 0; first < side;) {
        const tile_batch batch{first, rows_of_batch<T>(side - first, side - first, budget), side};
        batches.push_back(batch);
        first += batch.rows;
    }
    return batches;
}

/// A rectangle of `rows` x `side` tiles likewise.
template <class T>
std::vector<tile_batch> plan_rectangle(std::int64_t rows, std::int64_t side, std::int64_t budget) {
    std::vector<tile_batch> batches;
    for (std::int64_t first = 0; first < rows;) {
        const tile_batch batch{first, rows_of_batch<T>(rows - first, side, budget), side, true};
        batches.push_back(batch);
        first += batch.rows;
    }
    return batches;
}

}  // namespace zoorank::cuda
