#pragma once
// What estimates of silhouettes are made of, over rows that come in blocks: a surrogate of s for every row from class
// means alone, exact s for a few rows, and s of every row from its distances to a few. docs/estimator.md has the
// mathematics.
//
//     row_statistics<float> rows(labels, cols);
//     for (each block) rows.check(block, first_row);
//     for (each block) rows.add_moments(block, first_row);
//     for (each block) rows.surrogate(block, first_row, samples);      // O(rows * classes * cols)
//     exact_rows<float> drawn(rows, some_rows, their_indices);
//     for (each block) drawn.add(block, first_row);                    // O(rows * drawn * cols)
//     drawn.silhouettes(out);
//     reference_rows<float> references(rows, other_rows, their_indices);
//     for (each block) references.estimate(block, first_row, samples, errors);    // O(rows * (classes + references of
//                                                                                 //  a few classes) * cols)
//
// A block is any run of consecutive rows; rows in memory are one block. Results have the same bits for any number of
// threads, and depend on how rows are cut into blocks by rounding only. Const functions of one object may be called
// from several threads at once, others may not. Indices, candidates and blocks are checked: std::invalid_argument says
// what was wrong, also where a pass comes before the one that it needs, and where values are so large that distances of
// other rows vanish beside them. Float rows are compared in float32, whatever options.precision says.
#include <cstdint>
#include <memory>
#include <vector>
#include <zoorank/export.hpp>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

namespace zoorank {

/// Class moments of rows, and silhouettes from them. Memory: O(rows + classes * cols).
template <class T>
class ZOORANK_API row_statistics {
public:
    /// Any metric but precomputed. Throws std::invalid_argument unless there are 2 to n - 1 classes.
    row_statistics(array_view<const std::int64_t> labels, std::int64_t cols, metric how = metric::euclidean);
    ~row_statistics();
    row_statistics(row_statistics&&) noexcept;

    std::int64_t rows() const noexcept;
    std::int64_t classes() const noexcept;
    std::int64_t cols() const noexcept;

    /// First pass, blocks in order. Throws std::invalid_argument naming the first row with NaN or infinity.
    void check(matrix_view<T> block, std::int64_t first_row);

    /// Second pass.
    void add_moments(matrix_view<T> block, std::int64_t first_row, const options& opt = {});

    /// Class c as the point (mean, root of its mean squared distance to the rows of the class), around a centre and in
    /// units of the library's choice, in which squares of differences do not overflow: there the squared distance of
    /// (row, 0) to it is the mean squared distance of the row to the class. Euclidean metrics only. `points` has room
    /// for classes x (cols + 1) values.
    void class_points(array_view<T> points) const;

    /// The distance of each row of the block to the mean of its class, up to a factor. Euclidean metrics only.
    void radii(matrix_view<T> block, std::int64_t first_row, array_view<double> out, const options& opt = {}) const;

    /// From now on, rows of class c are compared with the classes candidates[c * per_class + ...] only.
    void restrict_to(std::vector<std::int64_t> candidates, std::int64_t per_class);

    /// Third pass: s of each row of the block, exact for sqeuclidean and cosine. For euclidean, with the root of each
    /// mean squared distance in place of the mean distance. Not for manhattan.
    void surrogate(matrix_view<T> block, std::int64_t first_row, array_view<double> samples,
                   const options& opt = {}) const;

    /// For exact_rows and reference_rows.
    struct state;
    const state& internals() const noexcept { return *state_; }

private:
    std::unique_ptr<state> state_;
};

/// Exact silhouettes of a few rows. Memory: O(drawn * (cols + classes)).
template <class T>
class ZOORANK_API exact_rows {
public:
    /// Copies the drawn rows, which are rows indices[0], ... of all; `statistics` must have checked every row and stays
    /// where it is. Metrics euclidean and manhattan.
    exact_rows(const row_statistics<T>& statistics, matrix_view<T> drawn, array_view<const std::int64_t> indices);
    ~exact_rows();
    exact_rows(exact_rows&&) noexcept;

    /// After an exception out of it but for a block that is refused, begin again with a new object.
    void add(matrix_view<T> block, std::int64_t first_row, const options& opt = {});

    /// s of each drawn row; every row has to have been added once.
    void silhouettes(array_view<double> samples) const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

/// Estimates of s for every row, from distances to a few reference rows of the classes that can matter: the row's own,
/// and the nearest others by mean squared distance. Memory: O(references * cols).
template <class T>
class ZOORANK_API reference_rows {
public:
    /// With how many classes beside its own a row is compared.
    static constexpr std::int64_t nearest_classes = 5;

    /// Copies the references, which are rows indices[0], ... of all, no two the same. They come in strata, those of a
    /// class side by side: the first drawn[0] references are a random sample of a stratum of sizes[0] rows, and so on,
    /// at least 3 of each unless all. Each class is made of strata. `statistics` must have summed up every row and
    /// stays where it is. Metric euclidean.
    reference_rows(const row_statistics<T>& statistics, matrix_view<T> references,
                   array_view<const std::int64_t> indices, array_view<const std::int64_t> drawn,
                   array_view<const std::int64_t> sizes);
    ~reference_rows();
    reference_rows(reference_rows&&) noexcept;

    /// s of each row of the block, and the standard error of each: 0 where the classes compared are references
    /// altogether. The mean distances that s is made of are unbiased. Memory: 250 bytes a row.
    void estimate(matrix_view<T> block, std::int64_t first_row, array_view<double> samples, array_view<double> errors,
                  const options& opt = {}) const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

extern template class row_statistics<float>;
extern template class row_statistics<double>;
extern template class exact_rows<float>;
extern template class exact_rows<double>;
extern template class reference_rows<float>;
extern template class reference_rows<double>;

}  // namespace zoorank
