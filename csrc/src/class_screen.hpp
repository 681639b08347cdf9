#pragma once
// Rows against classes, by bounds alone.
#include <cstdint>
#include <vector>
#include <zoorank/views.hpp>

#include "aligned_buffer.hpp"
#include "class_bounds.hpp"
#include "packed_rows.hpp"
#include "partition.hpp"

namespace zoorank {

/// Where bounds are taken: rows of a pair kernel's frame, made so small that cubes of squared distances are numbers.
template <class T>
bounds_frame<T> frame_of_bounds(T scale, const std::vector<T>& centre);

/// The square, in that frame, of what a class has to exceed to be ruled out: a mean distance of the kernel's frame,
/// which may be off by as much as silhouettes may.
template <class T>
T limit_of(double mean_distance);

template <class T>
class class_screen {
public:
    /// Rows that are taken together.
    static constexpr std::int64_t together = class_sums<T>::together;

    /// What is handed over stays where it is.
    class_screen(matrix_view<T> x, const partition& p, const bounds_frame<T>& frame, const class_bounds<T>& bounds,
                 std::int64_t few);

    /// What one worker writes to.
    struct workspace {
        workspace(const cpu::kernel_set<T>& kernels, std::int64_t depth);
        packed_rows<T> rows;
        aligned_buffer<T> products, limits, survives, apart, beyond;
        aligned_buffer<T> flat, chosen_limits, chosen_squares;
        std::vector<std::int64_t> originals, left, chosen;
        std::vector<T> along, norms, least, flat_squares;
        std::vector<double> sums;
    };
    workspace make_workspace() const { return {kernels_, x_.cols}; }

    /// The class of least mean squared distance to each row at positions [begin, end), but for their own.
    void find_likeliest(std::int64_t begin, std::int64_t end, const std::int64_t* own_class, std::int64_t* likeliest,
                        workspace& space) const;

    /// All classes for the rows at positions [begin, end), at most `together`, from means and a few directions. Takes
    /// space.limits; visit(c, survives) is told for which rows class c is left: 1, or else 0.
    template <class Visit>
    void screen_all(std::int64_t begin, std::int64_t end, workspace& space, Visit visit) const {
        const std::int64_t rows = end - begin, classes = partition_.classes();
        const cpu::operand<T> packed = pack(partition_.order.data() + begin, rows, space);
        if (bounds_.directions() > points_of_class_ - 1) lay_out(begin, rows, packed, space);
        for (std::int64_t first = 0; first < classes; first += classes_together_) {
            const std::int64_t count = classes_together_ < classes - first ? classes_together_ : classes - first;
            multiply(points_.block(first / classes_together_ * together, count * points_of_class_), packed, space);
            for (std::int64_t j = 0; j < count; ++j) {
                screen(bounds_.form(first + j, false), j * points_of_class_, {packed.norms, space.limits.data(), rows},
                       space);
                visit(first + j, static_cast<const T*>(space.survives.data()));
            }
        }
    }

    /// How many rows each level leaves.
    struct level_counts {
        double few = 0, all = 0, reduced = 0;
    };

    /// One class for the rows at some positions, at most `together`, from all of its directions, and then from
    /// distances in these. Takes space.limits; space.survives says for which rows it is left. Counts the first level if
    /// told to.
    level_counts screen_class(std::int64_t c, const std::vector<std::int64_t>& positions, bool count_few,
                              workspace& space) const;

    /// The same for space.chosen, rows of those that screen_all() was last called with, whose first is 0. They are
    /// still in cache; gathering them again would cost more than their products.
    void screen_chosen(std::int64_t c, workspace& space) const;

private:
    struct row_facts {
        const T *squares, *limits;
        std::int64_t count;
    };

    cpu::operand<T> points_of(std::int64_t c) const;
    cpu::operand<T> pack(const std::int64_t* originals, std::int64_t count, workspace& space) const;
    void lay_out(std::int64_t begin, std::int64_t rows, const cpu::operand<T>& packed, workspace& space) const;
    void multiply(const cpu::operand<T>& points, const cpu::operand<T>& rows, workspace& space) const;
    void screen(const cpu::class_form<T>& form, std::int64_t first_product, const row_facts& rows,
                workspace& space) const;
    void add_roots(std::int64_t c, const T* row_squares, workspace& space) const;
    level_counts screen_products(std::int64_t c, const row_facts& rows, bool count_few, workspace& space) const;

    const matrix_view<T> x_;
    const partition& partition_;
    const bounds_frame<T>& frame_;
    const class_bounds<T>& bounds_;
    const cpu::kernel_set<T>& kernels_;
    std::int64_t points_of_class_, classes_together_;
    std::int64_t padded_points_;     // of a class in all_points_
    packed_rows<T> means_, points_;  // a block of the latter has classes_together_ classes
    packed_rows<T> all_points_;      // the mean and all directions of each class
};

}  // namespace zoorank
