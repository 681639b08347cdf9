#pragma once
// What bounds mean distances to each class: its mean, the directions in which it spreads most, and how far it spreads
// in all others. docs/pruning.md derives the bounds.
#include <cstdint>
#include <vector>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "aligned_buffer.hpp"
#include "class_sums.hpp"
#include "cpu/kernels.hpp"
#include "partition.hpp"

namespace zoorank {

template <class T>
class class_bounds {
public:
    /// With `most` directions a class, of which the first `few` are a level of their own. Memory: (most + 1) * cols
    /// values a class and `most` values a row. What is handed over stays where it is.
    class_bounds(matrix_view<T> x, const partition& p, const bounds_frame<T>& frame, std::int64_t most,
                 std::int64_t few);

    /// Means and spreads of all classes; the spreads to be replaced by describe().
    void find_means(int threads, const options& opt);

    /// All else of some classes: O(rows * cols * most) time.
    void describe(const std::vector<std::int64_t>& classes, int threads, const options& opt);

    std::int64_t directions() const noexcept { return most_; }

    /// The mean of class c, and below it its directions.
    const T* points(std::int64_t c) const noexcept { return points_.data() + c * (1 + most_) * cols_; }

    /// For the bound from the first few directions, or from all.
    cpu::class_form<T> form(std::int64_t c, bool all) const noexcept;

    /// Each row of class c in its directions, with the rest of its squared length, less rounding, taken into its norm.
    cpu::operand<T> reduced(std::int64_t c, std::int64_t begin, std::int64_t count) const noexcept;

    /// Of what lies in no direction of class c, at least; `row_square` is the squared length of the row.
    double least_beyond(std::int64_t c, double row_square, double beyond) const noexcept;

    /// Of a row and a class, what distances in the directions of the class tell.
    struct reduced_sum {
        double mean_root;      ///< mean over the class of the roots of the squares below
        double least;          ///< the least of |p - f|^2, and what both rows have in no direction
        double norm;           ///< of them, what the row has
        double row_square;     ///< squared length of the row
        double apart, beyond;  ///< its squared distance to the mean, and what of it lies in no direction
    };

    /// The mean distance of the row to class c, at least.
    double least_mean_distance(std::int64_t c, const reduced_sum& sum) const noexcept;

private:
    // What distances in the directions leave out.
    struct rest {
        double tail = 0;            // the variance in a direction that is none of the class's, at most
        double largest = 0;         // squared distance of a row to the mean, at most
        double largest_beside = 0;  // what of it lies in no direction of the class, at most
        double spread = 0;          // mean squared distance of rows to the mean
        double square = 0;          // squared length of the mean
    };
    const rest& rest_of(std::int64_t c) const noexcept { return rests_[static_cast<std::size_t>(c)]; }
    void describe(std::int64_t c, class_sums<T>& sums);
    void settle(std::int64_t c, class_sums<T>& sums);

    const matrix_view<T> x_;
    const partition& partition_;
    const bounds_frame<T>& frame_;
    const cpu::kernel_set<T>& kernels_;
    const std::int64_t cols_, most_, few_;
    std::vector<T> points_;
    // A level has its numbers at [2 * class + level], and `most` of them for each direction.
    std::vector<cpu::class_form<T>> forms_;
    std::vector<T> offset_, weight_, third_;
    std::vector<rest> rests_;
    std::vector<std::int64_t> reduced_begin_;  // of each class, in rows of padded storage
    aligned_buffer<T> reduced_, reduced_norms_;
};

}  // namespace zoorank
