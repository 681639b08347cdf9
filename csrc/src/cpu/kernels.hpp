#pragma once
// The table of kernels of one instruction set. Files compiled for different instruction sets share this header, so it
// knows plain pointers and integers only: an inline function or a std container here could be compiled for AVX-512,
// picked by the linker for everybody, and crash an older processor.
#include <cstdint>

namespace zoorank::cpu {

/// Positions [begin, end) of a block that belong to one class.
struct segment {
    std::int32_t begin, end;
};

/// Largest block that a kernel is handed, in rows and in columns; a multiple of every panel.
inline constexpr std::int64_t block_side = 256;

/// Room for the products of one block, with slack for whole vectors past the end of a row.
inline constexpr std::int64_t scratch_stride = block_side + 32;
inline constexpr std::int64_t scratch_size = (block_side + 2) * scratch_stride;

/// Rows to be packed: row r is x + order[r] * stride (order null: r * stride).
template <class T>
struct pack_args {
    const T* x;
    std::int64_t stride;
    const std::int64_t* order;
    std::int64_t rows, depth;
    T scale;          ///< a power of two
    const T* centre;  ///< subtracted from each scaled row; null for none
    T* packed;        ///< in the layout of the set: whole panels, the last one filled up with zeros
    T* norms;         ///< squared length of each packed row, rows rounded up to whole panels
};

/// One side of a block: packed rows, and where they came from for pairs that need recomputing.
template <class T>
struct operand {
    const T* packed;
    const T* norms;
    const T* x;
    std::int64_t stride;
    const std::int64_t* order;
    std::int64_t count;  ///< at most block_side
};

template <class T>
struct block_args {
    operand<T> a, b;
    std::int64_t depth;
    T scale;
    T* scratch;  ///< scratch_size elements, aligned to 64 bytes
};

/// Sums of distances: row r of a to the columns of each segment of b, and column c of b to the rows of each of a.
template <class T>
struct sums_args {
    block_args<T> block;
    bool diagonal;  ///< a and b are the same rows: each pair once, none with itself
    const segment* row_segments;
    const segment* col_segments;
    std::int64_t row_segment_count, col_segment_count;
    double* row_sums;  ///< added to: [col segment * row_sums_stride + row]
    double* col_sums;  ///< added to: [row segment * col_sums_stride + column]
    std::int64_t row_sums_stride, col_sums_stride;
};

template <class T>
struct store_args {
    block_args<T> block;
    T* out;  ///< distance of row r to column c: [r * out_stride + c]
    std::int64_t out_stride;
};

/// Some rows of a matrix, as they are, with a few packed points.
template <class T>
struct chosen_args {
    const T* rows;
    std::int64_t stride;
    const std::int64_t* chosen;
    std::int64_t count;
    operand<T> points;
    std::int64_t depth;
    T* products;  ///< of point k with the i-th chosen row: [k * scratch_stride + i]
};

/// What bounds the mean distance of a row to a class; docs/pruning.md has the formula. With g = |x|^2 + |m|^2, m the
/// mean of the class, v_k some directions and p_k = x.v_k - offset[k], the mean squared distance is |x - m|^2 + spread,
/// and the variance of squared distances at most
///   sum over k of p_k (weight[k] p_k - third[k])  +  tail (|x - m|^2 - |p|^2)  +  variance,
/// but for rounding: the squares are off by slack * g at most, the variance by noise * g.
template <class T>
struct class_form {
    T square, spread, tail, variance, slack, noise;
    const T *offset, *weight, *third;
    std::int64_t directions;
};

/// Rows against one class.
template <class T>
struct screen_args {
    class_form<T> form;
    const T* products;  ///< of the mean, then of each direction, with each row: [k * scratch_stride + row]
    const T* norms;     ///< squared length of each row
    const T* limits;    ///< square of what a mean distance has to exceed to be ruled out
    T least;            ///< smaller mean squared distances are never ruled out: their products would vanish
    std::int64_t count;
    T* survives;        ///< 0 where the class is ruled out, else 1; this and what follows has room for whole vectors
    T *apart, *beyond;  ///< |x - m|^2 and what of it lies in no direction; null: not wanted
};

/// Sums of roots of |x|^2 + |y|^2 - 2 x.y for each row x of a, over the rows y of b.
template <class T>
struct roots_args {
    block_args<T> block;
    double* sums;  ///< added to
    T* least;      ///< of the squares; lowered
};

/// A walk along one sorted feature; see sweep.inl.
template <class T>
struct sweep_args {
    const T* values;                ///< ascending
    const std::int64_t* positions;  ///< of the row that each value belongs to
    std::int64_t count;
    const std::int64_t* class_of;  ///< of each position
    std::int64_t first_class;
    std::int64_t classes;  ///< from first_class on; slope and offset have room for whole vectors
    T *slope, *offset;     ///< of each class below the first value; of each class above the last when done
    T* sums;               ///< added to: [position * sums_stride + class]
    std::int64_t sums_stride;
};

/// A row, scaled and centred, or brought to length 1.
template <class T>
struct row_args {
    const T* x;
    std::int64_t count;
    T scale;           ///< a power of two
    const T* centre;   ///< subtracted from the scaled row; null for none
    bool unit_length;  ///< of a row without a centre
    double* z;         ///< where it goes
};

/// Most rows whose medians are taken.
inline constexpr std::int64_t median_rows = 15;

/// The median of each feature over a few rows; of an even number the upper one.
template <class T>
struct medians_args {
    const T* const* rows;
    std::int64_t row_count, features;
    T scale;  ///< of the result, a power of two
    T* medians;
};

/// How one instruction set computes in one type. A null pointer: not what the set is for.
template <class T>
struct kernel_set {
    std::int64_t panel;       ///< rows of a packed panel; the first row of an operand begins one
    std::int64_t block_rows;  ///< of the blocks that suit it best: whole register tiles, at most block_side
    std::int64_t (*packed_row)(std::int64_t depth);  ///< elements that a packed row takes
    void (*pack)(const pack_args<T>&);
    void (*sum_euclidean)(const sums_args<T>&);
    void (*sum_manhattan)(const sums_args<T>&);
    void (*store_euclidean)(const store_args<T>&);
    void (*store_sqeuclidean)(const store_args<T>&);
    void (*store_manhattan)(const store_args<T>&);
    void (*multiply)(const block_args<T>&);  ///< leaves products in the scratch: [row of a * scratch_stride + row of b]
    void (*multiply_chosen)(const chosen_args<T>&);
    void (*screen)(const screen_args<T>&);
    void (*sum_roots)(const roots_args<T>&);
    void (*sweep)(const sweep_args<T>&);
    bool (*load_row)(const row_args<T>&);  ///< false: no unit length, of zeros or of a row whose squares vanish
    double (*squared_distance)(const T* x, const T* y, std::int64_t count);
    T (*largest_magnitude)(const T* x, std::int64_t count);  ///< not finite where any of them is not
    void (*medians)(const medians_args<T>&);
    /// `steps` rounds of independent multiply-adds, flops_per_step each; what comes out has no meaning but to be used.
    T (*multiply_adds)(std::int64_t steps, T factor, T addend);
    std::int64_t flops_per_step;
};

struct kernel_table {
    const char* name;
    kernel_set<float> f32;
    kernel_set<double> f64;
    kernel_set<float> bf16x3;  ///< Euclidean distances of floats as products of bf16, see tiles.inl; or nothing
};

extern const kernel_table kernels_baseline;
extern const kernel_table kernels_avx2;
extern const kernel_table kernels_avx512;
extern const kernel_table kernels_amx;

}  // namespace zoorank::cpu
