#include "class_screen.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/kernel_table.hpp"

namespace zoorank {
namespace {

// From the frame of pairs to that of bounds, as a power of two.
template <class T>
constexpr int shrinking = sizeof(T) == 4 ? 38 : 390;

// Squared distances that are less have lost digits beside the largest values, and products of them vanish.
constexpr double least_square = 0x1p-30;

// What an exact mean may be off by.
template <class T>
constexpr double mean_tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;

}  // namespace

template <class T>
bounds_frame<T> frame_of_bounds(T scale, const std::vector<T>& centre) {
    bounds_frame<T> frame{std::ldexp(scale, -shrinking<T>), {}};
    for (const T value : centre) frame.centre.push_back(std::ldexp(value, -shrinking<T>));
    return frame;
}

template <class T>
T limit_of(double mean_distance) {
    const double shrunk = std::ldexp(mean_distance, -shrinking<T>) * (1 + mean_tolerance<T>);
    return static_cast<T>(shrunk * shrunk * (1 + 8 * static_cast<double>(std::numeric_limits<T>::epsilon())));
}

template <class T>
class_screen<T>::workspace::workspace(const cpu::kernel_set<T>& kernels, std::int64_t depth)
    : rows(kernels, together, depth),
      products(cpu::scratch_size),
      limits(together),
      survives(together),
      apart(together),
      beyond(together),
      flat(together * depth),
      chosen_limits(together),
      chosen_squares(together) {}

template <class T>
class_screen<T>::class_screen(matrix_view<T> x, const partition& p, const bounds_frame<T>& frame,
                              const class_bounds<T>& bounds, std::int64_t few)
    : x_(x),
      partition_(p),
      frame_(frame),
      bounds_(bounds),
      kernels_(cpu::active_set<T>()),
      points_of_class_(1 + few),
      classes_together_(together / points_of_class_) {
    const std::int64_t stride = 1 + bounds.directions(), classes = p.classes();
    const std::int64_t blocks = (classes + classes_together_ - 1) / classes_together_;
    std::vector<std::int64_t> order(static_cast<std::size_t>(blocks * together), 0), first;
    for (std::int64_t c = 0; c < classes; ++c) {
        first.push_back(c * stride);
        for (std::int64_t k = 0; k < points_of_class_; ++k)
            order[static_cast<std::size_t>(c / classes_together_ * together + c % classes_together_ * points_of_class_ +
                                           k)] = c * stride + k;
    }
    points_ = packed_rows<T>(kernels_, blocks * together, x.cols);
    points_.pack(bounds.points(0), x.cols, order.data(), blocks * together, T(1), nullptr);
    means_ = packed_rows<T>(kernels_, classes, x.cols);
    means_.pack(bounds.points(0), x.cols, first.data(), classes, T(1), nullptr);
    // Little beside the rows: few of these are in classes with many directions.
    padded_points_ = (stride + kernels_.panel - 1) / kernels_.panel * kernels_.panel;
    std::vector<std::int64_t> all(static_cast<std::size_t>(classes * padded_points_));
    for (std::int64_t i = 0; i < classes * padded_points_; ++i)
        all[static_cast<std::size_t>(i)] = i / padded_points_ * stride + std::min(i % padded_points_, stride - 1);
    all_points_ = packed_rows<T>(kernels_, classes * padded_points_, x.cols);
    all_points_.pack(bounds.points(0), x.cols, all.data(), classes * padded_points_, T(1), nullptr);
}

template <class T>
cpu::operand<T> class_screen<T>::pack(const std::int64_t* originals, std::int64_t count, workspace& space) const {
    space.rows.pack(x_.data, x_.stride, originals, count, frame_.scale, frame_.centre.data());
    return space.rows.block(0, count);
}

template <class T>
void class_screen<T>::multiply(const cpu::operand<T>& points, const cpu::operand<T>& rows, workspace& space) const {
    kernels_.multiply({points, rows, x_.cols, T(1), space.products.data()});
}

template <class T>
void class_screen<T>::screen(const cpu::class_form<T>& form, std::int64_t first_product, const row_facts& rows,
                             workspace& space) const {
    kernels_.screen({form, space.products.data() + first_product * cpu::scratch_stride, rows.squares, rows.limits,
                     static_cast<T>(least_square), rows.count, space.survives.data(), space.apart.data(),
                     space.beyond.data()});
}

template <class T>
cpu::operand<T> class_screen<T>::points_of(std::int64_t c) const {
    return all_points_.block(c * padded_points_, 1 + bounds_.directions());
}

// The rows of a block once more, side by side but not in panels, and their squared lengths.
template <class T>
void class_screen<T>::lay_out(std::int64_t begin, std::int64_t rows, const cpu::operand<T>& packed,
                              workspace& space) const {
    const T* const centre = frame_.centre.data();
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* const x = x_.row(partition_.order[static_cast<std::size_t>(begin + r)]);
        T* const to = space.flat.data() + r * x_.cols;
        for (std::int64_t k = 0; k < x_.cols; ++k) to[k] = x[k] * frame_.scale - centre[k];
    }
    space.flat_squares.assign(packed.norms, packed.norms + rows);
}

template <class T>
void class_screen<T>::find_likeliest(std::int64_t begin, std::int64_t end, const std::int64_t* own_class,
                                     std::int64_t* likeliest, workspace& space) const {
    const std::int64_t rows = end - begin;
    const cpu::operand<T> packed = pack(partition_.order.data() + begin, rows, space);
    T* const least = space.limits.data();
    std::fill_n(least, rows, std::numeric_limits<T>::infinity());
    std::fill_n(likeliest, rows, std::int64_t{-1});
    for (std::int64_t first = 0; first < partition_.classes(); first += together) {
        const std::int64_t count = std::min(together, partition_.classes() - first);
        multiply(means_.block(first, count), packed, space);
        for (std::int64_t j = 0; j < count; ++j) {
            const cpu::class_form<T> form = bounds_.form(first + j, false);
            const T* products = space.products.data() + j * cpu::scratch_stride;
            const T own = form.square + form.spread;
            for (std::int64_t r = 0; r < rows; ++r) {
                const T square = own - 2 * products[r];
                if (!(square < least[r]) || own_class[r] == first + j) continue;
                least[r] = square;
                likeliest[r] = first + j;
            }
        }
    }
}

// Distances of some rows to class c in the directions of the class, with what lies in none: sums of roots, and the
// least.
template <class T>
void class_screen<T>::add_roots(std::int64_t c, const T* row_squares, workspace& space) const {
    const std::int64_t directions = bounds_.directions(), size = partition_.size(c);
    const T* const offset = bounds_.form(c, true).offset;
    const auto count = static_cast<std::int64_t>(space.left.size());
    space.along.resize(static_cast<std::size_t>(count * directions));
    for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t k = 0; k < directions; ++k)
            space.along[static_cast<std::size_t>(i * directions + k)] =
                space.products.data()[(k + 1) * cpu::scratch_stride + space.left[static_cast<std::size_t>(i)]] -
                offset[k];
    packed_rows<T> reduced(kernels_, count, directions);
    reduced.pack(space.along.data(), directions, nullptr, count, T(1), nullptr);
    cpu::operand<T> block = reduced.block(0, count);
    space.norms.resize(space.left.size());
    for (std::size_t i = 0; i < space.left.size(); ++i) {
        const std::int64_t r = space.left[i];
        space.norms[i] =
            block.norms[i] + static_cast<T>(bounds_.least_beyond(c, static_cast<double>(row_squares[r]),
                                                                 static_cast<double>(space.beyond.data()[r])));
    }
    block.norms = space.norms.data();
    space.sums.assign(space.left.size(), 0.0);
    space.least.assign(space.left.size(), std::numeric_limits<T>::max());
    for (std::int64_t j = 0; j < size; j += together)
        kernels_.sum_roots(
            {{block, bounds_.reduced(c, j, std::min(together, size - j)), directions, T(1), space.products.data()},
             space.sums.data(),
             space.least.data()});
}

// From the products of all points of class c with some rows.
template <class T>
typename class_screen<T>::level_counts class_screen<T>::screen_products(std::int64_t c, const row_facts& rows,
                                                                        bool count_few, workspace& space) const {
    const auto wide = [](T value) { return static_cast<double>(value); };
    T* const survives = space.survives.data();
    level_counts counts;
    if (count_few) {
        screen(bounds_.form(c, false), 0, rows, space);
        counts.few = std::accumulate(survives, survives + rows.count, 0.0);
    }
    screen(bounds_.form(c, true), 0, rows, space);
    space.left.clear();
    for (std::int64_t r = 0; r < rows.count; ++r)
        if (survives[r] > 0) space.left.push_back(r);
    counts.all = counts.reduced = static_cast<double>(space.left.size());
    if (space.left.empty() || bounds_.directions() == 0) return counts;
    add_roots(c, rows.squares, space);
    for (std::size_t i = 0; i < space.left.size(); ++i) {
        const std::int64_t r = space.left[i];
        if (!(wide(space.least[i]) > least_square)) continue;
        const double bound = bounds_.least_mean_distance(
            c, {space.sums[i] / static_cast<double>(partition_.size(c)), wide(space.least[i]), wide(space.norms[i]),
                wide(rows.squares[r]), wide(space.apart.data()[r]), wide(space.beyond.data()[r])});
        if (!(bound * bound > wide(rows.limits[r]))) continue;
        survives[r] = 0;
        counts.reduced -= 1;
    }
    return counts;
}

template <class T>
typename class_screen<T>::level_counts class_screen<T>::screen_class(std::int64_t c,
                                                                     const std::vector<std::int64_t>& positions,
                                                                     bool count_few, workspace& space) const {
    const auto rows = static_cast<std::int64_t>(positions.size());
    space.originals.resize(positions.size());
    for (std::size_t r = 0; r < positions.size(); ++r)
        space.originals[r] = partition_.order[static_cast<std::size_t>(positions[r])];
    const cpu::operand<T> packed = pack(space.originals.data(), rows, space);
    multiply(points_of(c), packed, space);
    return screen_products(c, {packed.norms, space.limits.data(), rows}, count_few, space);
}

template <class T>
void class_screen<T>::screen_chosen(std::int64_t c, workspace& space) const {
    const auto count = static_cast<std::int64_t>(space.chosen.size());
    kernels_.multiply_chosen(
        {space.flat.data(), x_.cols, space.chosen.data(), count, points_of(c), x_.cols, space.products.data()});
    for (std::int64_t i = 0; i < count; ++i) {
        const auto row = static_cast<std::size_t>(space.chosen[static_cast<std::size_t>(i)]);
        space.chosen_limits.data()[i] = space.limits.data()[row];
        space.chosen_squares.data()[i] = space.flat_squares[row];
    }
    screen_products(c, {space.chosen_squares.data(), space.chosen_limits.data(), count}, false, space);
}

template bounds_frame<float> frame_of_bounds(float, const std::vector<float>&);
template bounds_frame<double> frame_of_bounds(double, const std::vector<double>&);
template float limit_of<float>(double);
template double limit_of<double>(double);
template class class_screen<float>;
template class class_screen<double>;

}  // namespace zoorank
