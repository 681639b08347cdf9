#include "class_sums.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "cpu/kernel_table.hpp"
#include "small_matrices.hpp"

namespace zoorank {

using cpu::scratch_stride;

namespace {

// Subspace iteration: vectors beyond those wanted, and steps.
constexpr std::int64_t spare_vectors = 8;
constexpr int steps = 4;

template <class T>
constexpr double unit_roundoff = std::numeric_limits<T>::epsilon() / 2;

}  // namespace

template <class T>
double rounding<T>::of_product(std::int64_t depth) noexcept {
    // Sums of 128 products, added up; each value was rounded once or twice before.
    const double additions = static_cast<double>(std::min<std::int64_t>(depth, 128) + depth / 128);
    return (additions + 24) * unit_roundoff<T>;
}

template <class T>
double rounding<T>::of_parts(std::int64_t directions, std::int64_t depth) noexcept {
    return (std::sqrt(static_cast<double>(directions)) + 1) * (of_product(depth) + 64 * unit_roundoff<T>);
}

template <class T>
double rounding<T>::of_mean(std::int64_t depth, double rows) noexcept {
    constexpr auto block = static_cast<double>(class_sums<T>::together);
    return 2 * (block + static_cast<double>(depth) + rows / block + 16) * unit_roundoff<double>;
}

template <class T>
class_sums<T>::class_sums(matrix_view<T> x, const partition& p, const bounds_frame<T>& frame, std::int64_t directions)
    : mean(static_cast<std::size_t>(x.cols)),
      squares(static_cast<std::size_t>(together)),
      along(static_cast<std::size_t>(together * directions)),
      x_(x),
      partition_(p),
      frame_(frame),
      kernels_(cpu::active_set<T>()),
      cols_(x.cols),
      most_(directions),
      products_(cpu::scratch_size),
      packed_(kernels_, together, x.cols),
      z_(mean.size()),
      e_(static_cast<std::size_t>(together * x.cols)),
      turned_(e_.size()),
      turned_along_(along.size()),
      gram_(static_cast<std::size_t>(together * together)) {}

template <class T>
void class_sums<T>::clear() {
    const auto q = static_cast<std::size_t>(most_);
    covariance.assign(q * q, 0.0);
    image.assign(q * z_.size(), 0.0);
    third.assign(z_.size(), 0.0);
    third_along.assign(q, 0.0);
    all_squares.clear();
    cube = 0;
}

template <class T>
void class_sums<T>::load_row(std::int64_t position) {
    const T* row = x_.row(partition_.order[static_cast<std::size_t>(position)]);
    kernels_.load_row({row, cols_, frame_.scale, frame_.centre.data(), false, z_.data()});
}

template <class T>
double class_sums<T>::find_mean(std::int64_t c) {
    std::fill(mean.begin(), mean.end(), 0.0);
    std::vector<double> sums(mean.size()), of_squares(mean.size(), 0.0);
    const std::int64_t end = partition_.begin[static_cast<std::size_t>(c) + 1];
    for (std::int64_t i = partition_.begin[static_cast<std::size_t>(c)]; i < end;) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (const std::int64_t stop = std::min(i + together, end); i < stop; ++i) {
            load_row(i);
            for (std::size_t k = 0; k < sums.size(); ++k) {
                sums[k] += z_[k];
                of_squares[k] += z_[k] * z_[k];
            }
        }
        for (std::size_t k = 0; k < sums.size(); ++k) mean[k] += sums[k];
    }
    const double size = static_cast<double>(partition_.size(c));
    for (double& value : mean) value /= size;
    return std::accumulate(of_squares.begin(), of_squares.end(), 0.0) / size;
}

// `count` rows of `size` at positions from `begin` on, evenly spaced, become the block.
template <class T>
void class_sums<T>::load(std::int64_t begin, std::int64_t size, std::int64_t count) {
    held_ = count;
    for (std::int64_t i = 0; i < count; ++i) {
        load_row(begin + i * size / count);
        T* const e = e_.data() + i * cols_;
        for (std::int64_t k = 0; k < cols_; ++k) {
            const auto at = static_cast<std::size_t>(k);
            e[k] = static_cast<T>(z_[at] - mean[at]);
            turned_[static_cast<std::size_t>(k * count + i)] = e[k];
        }
        squares[static_cast<std::size_t>(i)] = dot(e, e, cols_);
    }
    packed_.pack(e_.data(), cols_, nullptr, count, T(1), nullptr);
}

template <class T>
packed_rows<T> class_sums<T>::pack(const T* rows, std::int64_t count, std::int64_t depth) const {
    packed_rows<T> result(kernels_, count, depth);
    result.pack(rows, depth, nullptr, count, T(1), nullptr);
    return result;
}

// Products of all rows of a with all of b, both of at most a block: [row of a * scratch_stride + row of b].
template <class T>
const T* class_sums<T>::multiply(const cpu::operand<T>& a, const cpu::operand<T>& b, std::int64_t depth) {
    kernels_.multiply({a, b, depth, T(1), products_.data()});
    return products_.data();
}

// Products of rows over the block with each feature of it: take(row, first feature, products, features).
template <class T>
template <class Take>
void class_sums<T>::multiply_by_features(const T* rows, std::int64_t count, Take take) {
    const packed_rows<T> left = pack(rows, count, held_), right = pack(turned_.data(), cols_, held_);
    for (std::int64_t begin = 0; begin < cols_; begin += together) {
        const std::int64_t features = std::min(together, cols_ - begin);
        const T* found = multiply(left.block(0, count), right.block(begin, features), held_);
        for (std::int64_t k = 0; k < count; ++k) take(k, begin, found + k * scratch_stride, features);
    }
}

template <class T>
void class_sums<T>::find_gram() {
    const T* found = multiply(packed_.block(0, held_), packed_.block(0, held_), cols_);
    for (std::int64_t i = 0; i < held_; ++i) std::copy_n(found + i * scratch_stride, held_, gram_.data() + i * held_);
}

template <class T>
void class_sums<T>::find_directions(std::int64_t c, T* directions) {
    const std::int64_t begin = partition_.begin[static_cast<std::size_t>(c)], size = partition_.size(c);
    load(begin, size, std::min(size, together));
    iterate_with_block(directions);
    if (size <= together) return;
    add(c, directions, [](std::int64_t, std::int64_t) {});
    iterate_with_class(directions);
}

// The directions of largest variance of the block, by subspace iteration with its Gram matrix.
template <class T>
void class_sums<T>::iterate_with_block(T* directions) {
    const std::int64_t rows = held_, count = std::min(most_ + spare_vectors, rows), found = std::min(most_, rows);
    find_gram();
    const packed_rows<T> gram = pack(gram_.data(), rows, rows);
    std::vector<T> basis(static_cast<std::size_t>(count * rows)), next(basis.size());
    std::minstd_rand random;
    for (T& value : basis) value = static_cast<T>(static_cast<double>(random()) / 0x1p30 - 1);
    const auto iterate = [&] {
        const T* products = multiply(pack(basis.data(), count, rows).block(0, count), gram.block(0, rows), rows);
        for (std::int64_t k = 0; k < count; ++k)
            std::copy_n(products + k * scratch_stride, rows, next.data() + k * rows);
    };
    for (int step = 0; step < steps; ++step) {
        iterate();
        basis.swap(next);
        orthonormalise(basis.data(), count, rows);
    }
    iterate();
    std::vector<double> between(static_cast<std::size_t>(count * count)), values, turn;
    for (std::int64_t k = 0; k < count; ++k)
        for (std::int64_t l = 0; l <= k; ++l)
            between[static_cast<std::size_t>(k * count + l)] = between[static_cast<std::size_t>(l * count + k)] =
                dot(basis.data() + k * rows, next.data() + l * rows, rows);
    diagonalise(between, count, values, turn);
    std::vector<T> best(static_cast<std::size_t>(found * rows), T(0));
    for (std::int64_t k = 0; k < found; ++k)
        for (std::int64_t l = 0; l < count; ++l) {
            const T share = static_cast<T>(turn[static_cast<std::size_t>(k * count + l)]);
            const T* from = basis.data() + l * rows;
            for (std::int64_t i = 0; i < rows; ++i) best[static_cast<std::size_t>(k * rows + i)] += share * from[i];
        }
    std::fill_n(directions, most_ * cols_, T(0));
    multiply_by_features(best.data(), found,
                         [&](std::int64_t k, std::int64_t first, const T* products, std::int64_t features) {
                             std::copy_n(products, features, directions + k * cols_ + first);
                         });
    orthonormalise(directions, most_, cols_);
}

// Better directions from those of some rows: one more step, with the covariance of all.
template <class T>
void class_sums<T>::iterate_with_class(T* directions) {
    std::vector<double> values, turn, next(static_cast<std::size_t>(cols_));
    diagonalise(covariance, most_, values, turn);
    for (std::int64_t k = 0; k < most_; ++k) {
        std::fill(next.begin(), next.end(), 0.0);
        for (std::int64_t l = 0; l < most_; ++l) {
            const double share = turn[static_cast<std::size_t>(k * most_ + l)];
            const double* from = image.data() + l * cols_;
            for (std::int64_t f = 0; f < cols_; ++f) next[static_cast<std::size_t>(f)] += share * from[f];
        }
        const double length = std::sqrt(dot(next.data(), next.data(), cols_));
        for (std::int64_t f = 0; f < cols_; ++f)
            directions[k * cols_ + f] = length > 0 ? static_cast<T>(next[static_cast<std::size_t>(f)] / length) : T(0);
    }
    orthonormalise(directions, most_, cols_);
}

// Takes the block into the sums over the class.
template <class T>
void class_sums<T>::add_block(const T* directions) {
    const std::int64_t rows = held_;
    if (most_ > 0) {
        const packed_rows<T> packed = pack(directions, most_, cols_);
        const T* products = multiply(packed_.block(0, rows), packed.block(0, most_), cols_);
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t k = 0; k < most_; ++k) {
                const T value = products[i * scratch_stride + k];
                along[static_cast<std::size_t>(i * most_ + k)] = value;
                turned_along_[static_cast<std::size_t>(k * rows + i)] = value;
            }
    }
    for (std::int64_t i = 0; i < rows; ++i) {
        const double square = squares[static_cast<std::size_t>(i)];
        all_squares.push_back(square);
        cube += square * std::sqrt(square);
        const T *parts = along.data() + i * most_, *e = e_.data() + i * cols_;
        for (std::int64_t k = 0; k < most_; ++k) {
            const double value = parts[k];
            third_along[static_cast<std::size_t>(k)] += value * square;
            double* const to = covariance.data() + k * most_;
            for (std::int64_t l = 0; l < most_; ++l) to[l] += value * static_cast<double>(parts[l]);
        }
        for (std::int64_t k = 0; k < cols_; ++k)
            third[static_cast<std::size_t>(k)] += square * static_cast<double>(e[k]);
    }
    if (most_ == 0) return;
    multiply_by_features(turned_along_.data(), most_,
                         [&](std::int64_t k, std::int64_t first, const T* products, std::int64_t features) {
                             double* const to = image.data() + k * cols_ + first;
                             for (std::int64_t f = 0; f < features; ++f) to[f] += static_cast<double>(products[f]);
                         });
}

// Of a matrix A without negative eigenvalues the largest is no larger than the fourth root of the trace of A^4.
template <class T>
double class_sums<T>::variance_beside() {
    const std::int64_t rows = held_;
    const double size = static_cast<double>(rows);
    const double spread = std::accumulate(squares.begin(), squares.begin() + rows, 0.0) / size;
    if (spread == 0) return 0;
    find_gram();
    if (most_ > 0) {
        const packed_rows<T> parts = pack(along.data(), rows, most_);
        const T* products = multiply(parts.block(0, rows), parts.block(0, rows), most_);
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < rows; ++j)
                gram_[static_cast<std::size_t>(i * rows + j)] -= products[i * scratch_stride + j];
    }
    for (std::int64_t i = 0; i < rows * rows; ++i) {
        T& product = gram_[static_cast<std::size_t>(i)];
        product = static_cast<T>(static_cast<double>(product) / (size * spread));  // which may vanish in T
    }
    const packed_rows<T> gram = pack(gram_.data(), rows, rows);
    const T* products = multiply(gram.block(0, rows), gram.block(0, rows), rows);
    double of_products = 0;
    for (std::int64_t i = 0; i < rows; ++i)
        of_products += dot(products + i * scratch_stride, products + i * scratch_stride, rows);
    const double of_matrix = dot(gram_.data(), gram_.data(), rows * rows);
    const double largest = std::sqrt(std::sqrt(of_products) + rounding<T>::of_product(rows) * of_matrix);
    return spread * (largest * (1 + 4 * unit_roundoff<T>)+3 * rounding<T>::of_parts(most_, cols_));
}

template struct rounding<float>;
template struct rounding<double>;
template class class_sums<float>;
template class class_sums<double>;

}  // namespace zoorank
