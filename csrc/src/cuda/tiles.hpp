#pragma once
// Where things lie: tiles of pairs, batches of tiles, packed rows. Index arithmetic only, for host and device alike, so
// that it is tested without a GPU.
//
// Rows are sorted by class and taken `tile_side` at a time, wherever classes begin and end. A tile is the square of all
// pairs of two such groups of rows. Of the T x T tiles those on and above the diagonal are computed; tile (I, J), I <
// J, gives the sums of the rows of I over the columns of J and those of the columns over the rows. A diagonal tile
// holds each of its pairs twice and gives sums of rows alone.
#include <cstdint>

#include "host_device.hpp"

namespace zoorank::cuda {

/// Rows and columns of a tile. Threads of a block are twice as many as rows of a float tile.
template <class T>
inline constexpr int tile_side = sizeof(T) == 4 ? 128 : 64;

inline constexpr int block_threads = 256;

ZOORANK_HOST_DEVICE constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
ZOORANK_HOST_DEVICE constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
ZOORANK_HOST_DEVICE constexpr std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

/// Rows in whole tiles.
template <class T>
ZOORANK_HOST_DEVICE constexpr std::int64_t padded(std::int64_t rows) {
    return ceil_div(rows, tile_side<T>) * tile_side<T>;
}

struct tile_index {
    std::int64_t row, col;
};

/// Tile rows [first, first + rows), computed by one launch, of a triangle of `side` tile rows: all pairs of sorted
/// rows. Or of a rectangle with `side` tile columns: all pairs of a few rows with the sorted rows, which says nothing
/// of the columns. Tiles are numbered in bands of 16 tile rows, within a band column after column: some 260 blocks that
/// run at the same time then share 16 tile rows and as many tile columns, which the second-level cache holds. Column
/// after column of a whole batch, of a hundred tile rows say, would fetch the rows' images from memory for every tile.
/// Numbers below the diagonal of a triangle exist and have nothing to do; they are at most rows^2 / 2.
struct tile_batch {
    static constexpr std::int64_t band = 16;

    std::int64_t first, rows, side;
    bool rectangle = false;

    ZOORANK_HOST_DEVICE std::int64_t first_column() const { return rectangle ? 0 : first; }
    ZOORANK_HOST_DEVICE std::int64_t columns() const { return side - first_column(); }
    ZOORANK_HOST_DEVICE std::int64_t tiles() const { return rows * columns(); }
    ZOORANK_HOST_DEVICE tile_index at(std::int64_t number) const {
        const std::int64_t above = number / (band * columns()) * band, height = least(band, rows - above);
        const std::int64_t in_band = number - above * columns();
        return {first + above + in_band % height, first_column() + in_band / height};
    }
    ZOORANK_HOST_DEVICE std::int64_t number_of(tile_index t) const {
        const std::int64_t row = t.row - first, above = row / band * band;
        return above * columns() + (t.col - first_column()) * least(band, rows - above) + row - above;
    }
    ZOORANK_HOST_DEVICE bool computes(tile_index t) const { return rectangle || t.row <= t.col; }
    ZOORANK_HOST_DEVICE bool on_diagonal(tile_index t) const { return !rectangle && t.row == t.col; }
    ZOORANK_HOST_DEVICE bool speaks_of_columns(tile_index t) const { return !rectangle && t.row < t.col; }
};

/// What a tile says of one of its rows (or columns) is three numbers; see fold.hpp. They are kept slot by slot.
inline constexpr int slots = 3;

template <class T>
ZOORANK_HOST_DEVICE constexpr std::int64_t partial_index(std::int64_t tiles, int slot, bool of_columns,
                                                         std::int64_t tile, int row) {
    return ((slot * 2 + (of_columns ? 1 : 0)) * tiles + tile) * tile_side<T> + row;
}

template <class T>
constexpr std::int64_t bytes_per_tile() {
    return std::int64_t(slots) * 2 * tile_side<T> * std::int64_t(sizeof(T));
}

/// Tile rows of one batch, of `rows` tile rows and `columns` tile columns that are left: as many as `budget` bytes of
/// partial sums allow, but 16, if there are that many, so that what is read of the columns is used 16 times.
template <class T>
std::int64_t rows_of_batch(std::int64_t rows, std::int64_t columns, std::int64_t budget) {
    constexpr std::int64_t fewest = 16;
    const std::int64_t affordable = budget / (columns * bytes_per_tile<T>());
    return least(rows, most(fewest, affordable));
}

/// Packed rows for tensor cores. A value x is held as hi + lo, both bfloat16, hi being x rounded and lo the rest
/// rounded. 32 features of a row are 128 bytes: four chunks of eight hi, then the four of lo. 128 such rows are an
/// image of 16 KB, and it is the very image that shared memory holds, swizzled so that eight rows at one chunk meet all
/// 32 banks: chunk c of row r lies at place c ^ (r mod 8), the 128-byte swizzle of the hardware. So a stage of the
/// pipeline is one contiguous copy. Images of one tile follow each other, feature block by feature block.
namespace split {
inline constexpr int features = 32, row_bytes = 128, chunk_bytes = 16, chunk_features = 8;
inline constexpr int image_bytes = row_bytes * tile_side<float>;

ZOORANK_HOST_DEVICE constexpr std::int64_t blocks(std::int64_t depth) { return ceil_div(depth, features); }

/// Byte of chunk `chunk` of row `row` within its image; chunks 0 to 3 are hi, 4 to 7 lo.
ZOORANK_HOST_DEVICE constexpr int chunk_offset(int row, int chunk) {
    return row * row_bytes + ((chunk ^ (row & 7)) * chunk_bytes);
}

/// Byte of the image of tile `tile` and feature block `block`.
ZOORANK_HOST_DEVICE constexpr std::int64_t image_offset(std::int64_t tile, std::int64_t block, std::int64_t blocks) {
    return (tile * blocks + block) * image_bytes;
}
}  // namespace split

/// Packed rows for ordinary cores: panels of tile_side rows, feature after feature, so that a stage is contiguous too.
namespace panel {
template <class T>
inline constexpr int features = 64 / int(sizeof(T));  ///< of one stage: 16 float, 8 double

template <class T>
ZOORANK_HOST_DEVICE constexpr std::int64_t blocks(std::int64_t depth) {
    return ceil_div(depth, features<T>);
}

template <class T>
ZOORANK_HOST_DEVICE constexpr std::int64_t offset(std::int64_t tile, std::int64_t feature, int row,
                                                  std::int64_t blocks) {
    return (tile * blocks * features<T> + feature) * tile_side<T> + row;
}
}  // namespace panel

}  // namespace zoorank::cuda
