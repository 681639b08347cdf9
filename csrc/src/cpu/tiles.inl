// Float rows on a matrix unit that multiplies bf16 and adds in float: "bf16x3". Included inside the unnamed namespace
// of an instruction set, after kernel_set.inl, where `tile_unit` is defined: eight tiles of 16 rows of 64 bytes, which
// it can zero, load, store and multiply (product<C, A, B>: C += A * B, pairs of bf16).
//
// A value is taken apart, x = hi + lo + r, hi and lo rounded to the 8 bits of bf16: |lo| <= 2^-9 |x|, |r| <= 2^-18 |x|.
// The product keeps hi*hi + hi*lo + lo*hi, and |x|^2 is that of hi + lo. So what comes out is
//   t = |x' - y'|^2 + 2 lo_x . lo_y   where x' = hi + lo is the row rounded to 17 bits.
// With n = |x|^2 + |y|^2 and s = t / n, sqrt(t) is then off by a factor of at most
//   2^-18 (|x| + |y|) / sqrt(t) + 2^-18 |x| |y| / t  <=  2^-18 (sqrt(2 / s) + 1 / (2 s)),
// beside the rounding of sums in float: 2^-17.1 where s = 1, 2^-15 where s = 1/8. Both terms are reached only if the
// rounding errors of all features conspire; those of unrelated features cancel, to 1e-6 and less from 32 features on.
// Whether they do is measured on the data before this set is chosen: see precision.cpp.
template <class Metric>
struct of_tiles : Metric {
    static constexpr float cancellation_share(std::int64_t) { return 1.0F / 8; }
};

constexpr std::int64_t tile_side = 32;      // rows and columns that four accumulating tiles cover
constexpr std::int64_t step_features = 32;  // that one tile of rows holds
constexpr std::int64_t tile_rows = 16, tile_bytes = 1024;
constexpr std::int64_t step_bytes = 4 * tile_bytes;  // 32 rows of a step: hi of both halves, then lo of both

// Steps of one pass over a block: 32 rows of it take 32 KB, and stay in the first-level cache while the columns of the
// block, 256 KB of them, come from the second.
constexpr std::int64_t most_steps = 8;

constexpr std::int64_t steps_of(std::int64_t depth) { return (depth + step_features - 1) / step_features; }

// A panel is 32 rows, twice: as rows of a product, then as columns, where the tiles hold pairs of features of one row
// below each other.
constexpr std::int64_t panel_bytes(std::int64_t depth) { return 2 * steps_of(depth) * step_bytes; }

constexpr std::int64_t packed_tile_row(std::int64_t depth) {
    return panel_bytes(depth) / tile_side / static_cast<std::int64_t>(sizeof(float));
}

#include "cpu/bf16.inl"

using halves = std::uint16_t __attribute__((vector_size(simd<float>::width * sizeof(std::uint16_t))));
using words = std::uint32_t __attribute__((vector_size(simd<float>::width * sizeof(std::uint32_t))));

// Takes a vector to bf16 as to_bf16() does, writes it to `out`, and returns what it has become.
inline simd<float>::vec store_bf16(char* out, simd<float>::vec x) {
    words bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const halves upper = __builtin_convertvector(bits, halves);
    __builtin_memcpy(out, &upper, sizeof upper);
    bits <<= 16;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

// The features of one row that a step takes; adds their squares to `squares`.
inline void pack_tile_step(const float* x, float scale, const float* centre, char* row,
                           simd<double>::vec (&squares)[2]) {
    constexpr int width = simd<float>::width, half = simd<double>::width;
    for (int k = 0; k < step_features; k += width) {
        const simd<float>::vec value = load(x + k) * scale - (centre ? load(centre + k) : simd<float>::vec{});
        const simd<float>::vec high = store_bf16(row + 2 * k, value);
        const simd<float>::vec low = store_bf16(row + 2 * tile_bytes + 2 * k, value - high);
        float kept[width];
        store(kept, high + low);
        for (int part = 0; part < 2; ++part) {
            const simd<double>::vec wide = simd<double>::widened(kept + part * half);
            squares[part] += wide * wide;
        }
    }
}

// One row of a panel, as row; its squared length.
inline float pack_tile_row(const float* x, const pack_args<float>& args, char* row) {
    simd<double>::vec squares[2] = {};
    const float* centre = args.centre;
    const std::int64_t whole = args.depth / step_features * step_features, rest = args.depth - whole;
    for (std::int64_t first = 0; first < whole; first += step_features, row += step_bytes)
        pack_tile_step(x + first, args.scale, centre ? centre + first : nullptr, row, squares);
    if (rest > 0) {
        float last[step_features] = {}, last_centre[step_features] = {};
        __builtin_memcpy(last, x + whole, static_cast<std::size_t>(rest) * sizeof(float));
        if (centre) __builtin_memcpy(last_centre, centre + whole, static_cast<std::size_t>(rest) * sizeof(float));
        pack_tile_step(last, args.scale, last_centre, row, squares);
    }
    return static_cast<float>(simd<double>::sum(squares[0] + squares[1]));
}

// A tile of rows -> the tile of the same rows as columns.
inline void transpose_tile(const char* from, char* to) {
    constexpr int side = 16;
    std::uint32_t rows[side * side], cols[side * side];
    __builtin_memcpy(rows, from, sizeof rows);
    for (int r = 0; r < side; ++r)
        for (int c = 0; c < side; ++c) cols[r * side + c] = rows[c * side + r];
    __builtin_memcpy(to, cols, sizeof cols);
}

inline void pack_tiles(const pack_args<float>& args) {
    constexpr std::int64_t rows_ahead = 8;
    const std::int64_t side_bytes = steps_of(args.depth) * step_bytes;
    char* panel = reinterpret_cast<char*>(args.packed);
    for (std::int64_t first = 0; first < args.rows; first += tile_side, panel += 2 * side_bytes) {
        if (args.rows - first < tile_side) __builtin_memset(panel, 0, static_cast<std::size_t>(side_bytes));
        for (std::int64_t r = 0; r < tile_side; ++r) {
            const std::int64_t row = first + r;
            prefetch_rows(args, row + rows_ahead, row + rows_ahead + 1);
            char* to = panel + r / tile_rows * tile_bytes + r % tile_rows * (tile_bytes / tile_rows);
            args.norms[row] = row < args.rows
                                  ? pack_tile_row(args.x + (args.order ? args.order[row] : row) * args.stride, args, to)
                                  : 0;
        }
        for (std::int64_t at = 0; at < side_bytes; at += tile_bytes)
            transpose_tile(panel + at, panel + side_bytes + at);
    }
}

inline void four_products() {
    tile_unit::product<0, 4, 6>();
    tile_unit::product<1, 4, 7>();
    tile_unit::product<2, 5, 6>();
    tile_unit::product<3, 5, 7>();
}

// Adds to `out`, or writes there, the products of 32 rows and 32 columns over some steps. After each step
// `background(step)` does a share of what is to be done with the products before: the vector units have nothing else to
// do, and the processor looks far enough ahead to keep both busy.
template <class Background>
void product_tiles(const char* rows, const char* cols, std::int64_t steps, float* out, bool accumulate,
                   Background background) {
    constexpr std::int64_t stride = scratch_stride * static_cast<std::int64_t>(sizeof(float));
    float* const lower = out + tile_rows * scratch_stride;
    if (accumulate) {
        tile_unit::load<0>(out, stride);
        tile_unit::load<1>(out + tile_rows, stride);
        tile_unit::load<2>(lower, stride);
        tile_unit::load<3>(lower + tile_rows, stride);
    } else {
        tile_unit::zero<0>();
        tile_unit::zero<1>();
        tile_unit::zero<2>();
        tile_unit::zero<3>();
    }
    constexpr std::int64_t row_bytes = tile_bytes / tile_rows;
    for (std::int64_t step = 0; step < steps; ++step, rows += step_bytes, cols += step_bytes) {
        // lo * hi, hi * hi, hi * lo: each pair of operands shares one with the pair before, 8 loads for 12 products.
        tile_unit::load<4>(rows + 2 * tile_bytes, row_bytes);
        tile_unit::load<6>(cols, row_bytes);
        tile_unit::load<7>(cols + tile_bytes, row_bytes);
        tile_unit::load<5>(rows + 3 * tile_bytes, row_bytes);
        four_products();
        tile_unit::load<4>(rows, row_bytes);
        tile_unit::load<5>(rows + tile_bytes, row_bytes);
        four_products();
        tile_unit::load<6>(cols + 2 * tile_bytes, row_bytes);
        tile_unit::load<7>(cols + 3 * tile_bytes, row_bytes);
        four_products();
        background(step);
    }
    tile_unit::store<0>(out, stride);
    tile_unit::store<1>(out + tile_rows, stride);
    tile_unit::store<2>(lower, stride);
    tile_unit::store<3>(lower + tile_rows, stride);
}

// All products of a block, tile by tile along strips of 32 rows. Each finished tile is announced to `epilogue`, which
// works on it in shares during the next one. With `upper`, a strip begins at its own columns.
template <class Epilogue>
void product_tile_block(const block_args<float>& args, bool upper, Epilogue& epilogue) {
    const std::int64_t steps = steps_of(args.depth), passes = (steps + most_steps - 1) / most_steps;
    const std::int64_t panel = panel_bytes(args.depth);
    const char* const rows = reinterpret_cast<const char*>(args.a.packed);
    const char* const cols = reinterpret_cast<const char*>(args.b.packed) + panel / 2;
    tile_unit::begin();
    for (std::int64_t pass = 0; pass < passes; ++pass) {
        const std::int64_t first = steps * pass / passes, count = steps * (pass + 1) / passes - first;
        const bool last = pass + 1 == passes;
        for (std::int64_t row = 0; row < args.a.count; row += tile_side)
            for (std::int64_t col = upper ? row : 0; col < args.b.count; col += tile_side) {
                product_tiles(rows + row / tile_side * panel + first * step_bytes,
                              cols + col / tile_side * panel + first * step_bytes, count,
                              args.scratch + row * scratch_stride + col, pass > 0, [&](std::int64_t step) {
                                  if (last) epilogue.work(step, count);
                              });
                if (last) epilogue.complete(row, col);
            }
    }
    tile_unit::end();
    epilogue.finish();
}

#include "cpu/tile_sums.inl"

// Distances are written out a strip at a time.
template <class Metric>
struct tile_store {
    const store_args<float>& args;

    void work(std::int64_t, std::int64_t) {}
    void complete(std::int64_t row, std::int64_t col) {
        if (col + tile_side < args.block.b.count) return;
        const std::int64_t end = row + tile_side;
        store_strip<float, Metric>(args, row, end < args.block.a.count ? end : args.block.a.count);
    }
    void finish() {}
};

template <class Metric>
void store_tile_block(const store_args<float>& args) {
    tile_store<Metric> epilogue{args};
    product_tile_block(args.block, false, epilogue);
}

template <class Metric>
void sum_tile_block(const sums_args<float>& args) {
    tile_sums<Metric> epilogue(args);
    product_tile_block(args.block, args.diagonal, epilogue);
}

// Twelve tile products a round count as the 32 x 32 x 32 multiply-adds of floats that they are used for.
inline float multiply_add_tiles(std::int64_t steps, float factor, float addend) {
    constexpr int values = tile_bytes / sizeof(std::uint16_t);
    std::uint16_t factors[values];
    for (int i = 0; i < values; ++i) factors[i] = to_bf16(factor);
    float sums[tile_rows * tile_rows] = {};
    tile_unit::begin();
    tile_unit::load<4>(factors, tile_bytes / tile_rows);
    tile_unit::load<5>(factors, tile_bytes / tile_rows);
    tile_unit::load<6>(factors, tile_bytes / tile_rows);
    tile_unit::load<7>(factors, tile_bytes / tile_rows);
    tile_unit::zero<0>();
    tile_unit::zero<1>();
    tile_unit::zero<2>();
    tile_unit::zero<3>();
    for (std::int64_t step = 0; step < steps; ++step) {
        four_products();
        four_products();
        four_products();
    }
    tile_unit::store<0>(sums, tile_bytes / tile_rows);
    tile_unit::end();
    return sums[0] + addend;
}

constexpr kernel_set<float> make_tile_set() {
    kernel_set<float> set{};
    set.panel = tile_side;
    set.block_rows = 256;
    set.packed_row = &packed_tile_row;
    set.pack = &pack_tiles;
    set.sum_euclidean = &sum_tile_block<of_tiles<euclidean<float>>>;
    set.store_euclidean = &store_tile_block<of_tiles<euclidean<float>>>;
    set.store_sqeuclidean = &store_tile_block<of_tiles<sqeuclidean<float>>>;
    set.multiply_adds = &multiply_add_tiles;
    set.flops_per_step = 2 * tile_side * tile_side * step_features;
    return set;
}
