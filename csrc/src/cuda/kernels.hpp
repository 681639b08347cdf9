#pragma once
// The launchers: every kernel of the backend behind a plain function. Pointers point to memory of the device.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "control_variates.hpp"
#include "cuda/choice.hpp"
#include "cuda/fold.hpp"
#include "cuda/tiles.hpp"

namespace zoorank::cuda {

/// Rows as they came: sorted position i is x + order[i] * stride (order null: i * stride).
template <class T>
struct source_rows {
    const T* x;
    std::int64_t stride;
    const std::int64_t* order;
    std::int64_t rows, depth;
    T scale;          ///< a power of two
    const T* centre;  ///< subtracted from each scaled row; null for none

    ZOORANK_HOST_DEVICE const T* row(std::int64_t i) const { return x + (order ? order[i] : i) * stride; }
    ZOORANK_HOST_DEVICE T value(const T* row, std::int64_t k) const {
        const T scaled = row[k] * scale;
        return centre ? scaled - centre[k] : scaled;
    }
};

/// One side of tiles: packed rows, and where they came from for pairs that need recomputing.
template <class T>
struct operand {
    const void* packed;  ///< panels, or split images
    const T* norms;      ///< squared length of each packed row, whole tiles
    source_rows<T> from;
};

/// Of none, where kernels look for the first.
inline constexpr unsigned long long no_row = ~0ull;

// prepare.cu

/// What a matrix holds: the bits of the largest |x| and of the smallest but 0, and the first row with a NaN or an
/// infinity. It begins as that of no rows.
struct survey {
    unsigned long long largest_bits = 0;
    unsigned long long least_bits = no_row;
    unsigned long long first_bad_row = no_row;
};
template <class T>
void look_over(const T* x, std::int64_t rows, std::int64_t cols, std::int64_t stride, survey* out, cudaStream_t stream);

/// Rows -> panels and squared lengths; rows beyond the last, up to whole tiles, become zeros.
template <class T>
void pack_panels(const source_rows<T>& from, T* packed, T* norms, cudaStream_t stream);
/// Rows -> split images and squared lengths.
void pack_split(const source_rows<float>& from, void* packed, float* norms, cudaStream_t stream);

/// What brings a row to length 1: x * scale * inverse does. The scale is a power of two, that of all rows or, where the
/// squares of a row vanish under it, the row's own; the inverse of a row of zeros, which has no direction, is 0.
struct unit_factors {
    double scale, inverse;
};
template <class T>
void find_units(const source_rows<T>& from, unit_factors* units, cudaStream_t stream);
/// Rows brought to length 1, one after the other.
template <class T>
void to_directions(const source_rows<T>& from, const unit_factors* units, T* out, cudaStream_t stream);

// pairs_*.cu

/// Sums of the distances of the tiles of a batch; see fold.hpp for what is written.
template <class T>
struct sums_args {
    operand<T> rows, cols;  ///< columns are sorted by class; rows of a triangle are the columns
    tile_batch batch;
    const std::int64_t* class_begin;   ///< of columns: by class, and their number
    const std::int64_t* class_of;      ///< of rows
    const std::int64_t* tile_classes;  ///< of columns, [2t]: class of the first of tile t, [2t + 1]: of its last
    T* partial;                        ///< partial_index()
    double* own;                       ///< of rows: sums over own classes that lie within a tile
};

/// Distances written out: row i of a to row j of b at out[i * out_stride + j].
template <class T>
struct store_args {
    operand<T> a, b;
    T* out;
    std::int64_t out_stride;
    bool root;                              ///< distances, not their squares
    T factors[2];                           ///< whose product may be too large where the distance is not
    const unit_factors *units_a, *units_b;  ///< for cosine: without a direction, the distance is 1. Else null
};

void sum_euclidean(kernel which, const sums_args<float>& args, cudaStream_t stream);
void sum_euclidean(kernel which, const sums_args<double>& args, cudaStream_t stream);
void sum_manhattan(const sums_args<float>& args, cudaStream_t stream);
void sum_manhattan(const sums_args<double>& args, cudaStream_t stream);
void store_squares(const store_args<float>& args, cudaStream_t stream);
void store_squares(const store_args<double>& args, cudaStream_t stream);
void store_manhattan(const store_args<float>& args, cudaStream_t stream);
void store_manhattan(const store_args<double>& args, cudaStream_t stream);

void sum_euclidean_mma(const sums_args<float>& args, cudaStream_t stream);
void sum_euclidean_wgmma(const sums_args<float>& args, cudaStream_t stream);
/// False in a build without compute capability 9.0.
bool wgmma_built();

// fold.cu

template <class T>
struct fold_args {
    tile_batch batch;
    std::int64_t rows, columns;
    const std::int64_t *class_begin, *tile_classes, *class_of;  ///< as in sums_args
    const T* partial;
    stretch_sums<double>* joined;  ///< room for joined_sums() of the batch
    walk_state* states;            ///< of rows
    double* own;                   ///< of rows
};

template <class T>
std::int64_t joined_sums(const tile_batch& batch);
/// Takes the partial sums of a batch into the states of all rows that have not passed it yet.
template <class T>
void fold(const fold_args<T>& args, cudaStream_t stream);

void clear_states(walk_state* states, double* own, std::int64_t rows, cudaStream_t stream);

/// States and own sums -> silhouettes.
struct finish_args {
    const walk_state* states;
    const double* own;
    const std::int64_t *class_begin, *class_of;  ///< as in sums_args
    const std::int64_t* order;                   ///< that of row i goes to samples[order[i]]; null: to samples[i]
    std::int64_t rows;
    double* samples;
    double vanishing;              ///< mean distances below it may have vanished, see vanishing.hpp
    unsigned long long* vanished;  ///< becomes the first place in `samples` of a row of such ones, if there is one
};
void finish(const finish_args& args, cudaStream_t stream);

// means.cu

/// Consecutive sorted positions of one class.
struct chunk {
    std::int64_t class_index, begin, end;
};

template <class T>
struct means_args {
    source_rows<T> from;        ///< sorted by class
    const unit_factors* units;  ///< for cosine: unit rows; null for squared Euclidean
    const std::int64_t *class_begin, *class_of;
    std::int64_t classes;
    const chunk* chunks;
    std::int64_t chunk_count;
    const std::int64_t* first_chunk;  ///< by class, and chunk_count
    double* chunk_sums;               ///< chunk_count x depth
    double* means;                    ///< classes x depth
    double* own;                      ///< by position: the mean distance to the own class
    double* bias;                     ///< by class
};
template <class T>
void compute_means(const means_args<T>& args, cudaStream_t stream);
/// The squared distance of each row to the mean of its class, to `own`.
template <class T>
void compute_radii(const means_args<T>& args, cudaStream_t stream);
/// After those: the biases, and what `own` is to be.
template <class T>
void compute_spreads(const means_args<T>& args, cudaStream_t stream);

/// Positions [begin, begin + count) as rows of double, one after the other.
template <class T>
void load_rows(const means_args<T>& args, std::int64_t begin, std::int64_t count, double* rows, cudaStream_t stream);

/// For `rows` rows from position `first` on, the smallest mean squared distance to a class that is not their own, and
/// what the silhouette becomes.
struct nearest_args {
    operand<double> rows, means;
    std::int64_t first;
    const double *bias, *own;
    const unit_factors* units;
    const std::int64_t *class_begin, *class_of, *order;
    double* samples;
    bool roots;                    ///< of the mean squared distances: the surrogate of Euclidean silhouettes
    double vanishing;              ///< mean squared distances below it may have vanished, see vanishing.hpp
    unsigned long long* vanished;  ///< becomes the first row of such ones, if there is one
};
void nearest_means(const nearest_args& args, cudaStream_t stream);

// references.cu

/// Most classes beside its own whose references a row is compared with.
inline constexpr int most_near_classes = 5;

/// A class, and the root of the mean squared distance of some row to it.
struct near_class {
    std::int64_t class_index;
    double root;
};

/// For `rows` rows from `first` on, as they came: the own class and then the nearest others, nearest first.
struct near_args {
    operand<double> rows, means;
    std::int64_t first;
    const double *bias, *own;                    ///< by class; by sorted position
    const std::int64_t *class_begin, *class_of;  ///< of sorted positions
    const std::int64_t* position_of;             ///< of rows
    std::int64_t slots;                          ///< classes of a row, its own among them
    near_class* found;                           ///< slots of row first + i from i * slots on
};
void find_near_classes(const near_args& args, cudaStream_t stream);

/// Rows [first, first + count) and one set of references.
template <class T>
struct reference_args {
    source_rows<T> from;  ///< as they came
    std::int64_t first, count, slots;
    const near_class* near;                       ///< of row `first` on
    const std::int64_t* indices;                  ///< of the references among all rows
    const std::int64_t *begin, *reference_count;  ///< of the references of each class
    const std::int64_t* first_stratum;            ///< of each class, and their number
    const stratum* strata;
    const std::int64_t* class_begin;
    std::int64_t stride;  ///< most references of a class
    T* distances;         ///< count x slots x stride
    std::int64_t* self;   ///< by row from `first` on: which reference of its class it is, or -1
    double *samples, *errors;
    unsigned long long* vanished;  ///< becomes the first row whose distances may have vanished, see vanishing.hpp
};
template <class T>
void estimate_by_references(const reference_args<T>& args, cudaStream_t stream);

}  // namespace zoorank::cuda
