#pragma once
// The rows of one class about its mean, a block at a time, and what the sums over them tell of their spread.
#include <cstdint>
#include <vector>
#include <zoorank/views.hpp>

#include "aligned_buffer.hpp"
#include "cpu/kernels.hpp"
#include "packed_rows.hpp"
#include "partition.hpp"

namespace zoorank {

/// How rows become vectors: x * scale - centre.
template <class T>
struct bounds_frame {
    T scale;
    std::vector<T> centre;
};

/// Bounds of rounding errors; docs/pruning.md has where they come from.
template <class T>
struct rounding {
    /// Of a product of two vectors: at most this share of the product of their lengths.
    static double of_product(std::int64_t depth) noexcept;
    /// Of all parts of a vector along directions: their errors are at most so long a share of its length.
    static double of_parts(std::int64_t directions, std::int64_t depth) noexcept;
    /// Of the mean of so many rows, and of squared lengths about it.
    static double of_mean(std::int64_t depth, double rows) noexcept;
};

template <class T>
class class_sums {
public:
    /// Most rows of a block of products.
    static constexpr std::int64_t together = 240;

    class_sums(matrix_view<T> x, const partition& p, const bounds_frame<T>& frame, std::int64_t directions);

    /// Takes the mean of class c; returns the mean squared length of its rows.
    double find_mean(std::int64_t c);

    /// Writes orthonormal directions of about the largest variances of class c, whose mean has been taken: zeros where
    /// it has no more.
    void find_directions(std::int64_t c, T* directions);

    /// Sums over the rows of class c. visit(first, count) is called with each block, held as below.
    template <class Visit>
    void add(std::int64_t c, const T* directions, Visit visit) {
        clear();
        const std::int64_t begin = partition_.begin[static_cast<std::size_t>(c)], size = partition_.size(c);
        for (std::int64_t i = 0; i < size; i += together) {
            const std::int64_t count = size - i < together ? size - i : together;
            load(begin + i, count, count);
            add_block(directions);
            visit(i, count);
        }
    }

    /// The largest variance of the block in a direction that is none of the class's, at most.
    double variance_beside();

    std::vector<double> mean;
    // Of the block.
    std::vector<double> squares;  ///< squared distance of each row to the mean
    std::vector<T> along;         ///< [row * directions + direction]
    // Over the class.
    std::vector<double> covariance;   ///< between directions
    std::vector<double> image;        ///< [direction * cols + feature], of the covariance applied to directions
    std::vector<double> third;        ///< of rows about the mean times their squared length
    std::vector<double> third_along;  ///< the same along directions
    std::vector<double> all_squares;
    double cube = 0;  ///< of lengths

private:
    void clear();
    void load(std::int64_t begin, std::int64_t size, std::int64_t count);
    void load_row(std::int64_t position);
    void add_block(const T* directions);
    void iterate_with_block(T* directions);
    void iterate_with_class(T* directions);
    void find_gram();
    packed_rows<T> pack(const T* rows, std::int64_t count, std::int64_t depth) const;
    const T* multiply(const cpu::operand<T>& a, const cpu::operand<T>& b, std::int64_t depth);
    template <class Take>
    void multiply_by_features(const T* rows, std::int64_t count, Take take);

    const matrix_view<T> x_;
    const partition& partition_;
    const bounds_frame<T>& frame_;
    const cpu::kernel_set<T>& kernels_;
    const std::int64_t cols_, most_;
    aligned_buffer<T> products_;
    packed_rows<T> packed_;
    std::int64_t held_ = 0;  // rows of the block
    std::vector<double> z_;
    std::vector<T> e_, turned_;    // rows about the mean; [feature * held + row]
    std::vector<T> turned_along_;  // [direction * held + row]
    std::vector<T> gram_;          // products of rows of the block with each other
};

}  // namespace zoorank
