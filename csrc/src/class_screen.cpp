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
      beyond(together) {}

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
void class_screen<T>::screen(const cpu::class_form<T>& form, std::int64_t first_product, const cpu::operand<T>& rows,
                             workspace& space) const {
    kernels_.screen({form, space.products.data() + first_product * cpu::scratch_stride, rows.norms, space.limits.data(),
                     static_cast<T>(least_square), rows.count, space.survives.data(), space.apart.data(),
                     space.beyond.data()});
}

template <class T>
packed_rows<T> class_screen<T>::points_of(std::int64_t c) const {
    packed_rows<T> points(kernels_, 1 + bounds_.directions(), x_.cols);
    points.pack(bounds_.points(c), x_.cols, nullptr, 1 + bounds_.directions(), T(1), nullptr);
    return points;
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
void class_screen<T>::add_roots(std::int64_t c, const cpu::operand<T>& rows, workspace& space) const {
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
            block.norms[i] + static_cast<T>(bounds_.least_beyond(c, static_cast<double>(rows.norms[r]),
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

template <class T>
typename class_screen<T>::level_counts class_screen<T>::screen_class(std::int64_t c, const packed_rows<T>& points,
                                                                     const std::vector<std::int64_t>& positions,
                                                                     bool count_few, workspace& space) const {
    const auto rows = static_cast<std::int64_t>(positions.size());
    T* const survives = space.survives.data();
    space.originals.resize(positions.size());
    for (std::size_t r = 0; r < positions.size(); ++r)
        space.originals[r] = partition_.order[static_cast<std::size_t>(positions[r])];
    const cpu::operand<T> packed = pack(space.originals.data(), rows, space);
    multiply(points.block(0, 1 + bounds_.directions()), packed, space);
    level_counts counts;
    if (count_few) {
        screen(bounds_.form(c, false), 0, packed, space);
        counts.few = std::accumulate(survives, survives + rows, 0.0);
    }
    screen(bounds_.form(c, true), 0, packed, space);
    space.left.clear();
    for (std::int64_t r = 0; r < rows; ++r)
        if (survives[r] > 0) space.left.push_back(r);
    counts.all = counts.reduced = static_cast<double>(space.left.size());
    if (space.left.empty() || bounds_.directions() == 0) return counts;
    add_roots(c, packed, space);
    for (std::size_t i = 0; i < space.left.size(); ++i) {
        const std::int64_t r = space.left[i];
        const auto wide = [](T value) { return static_cast<double>(value); };
        if (!(wide(space.least[i]) > least_square)) continue;
        const double bound = bounds_.least_mean_distance(
            c, {space.sums[i] / static_cast<double>(partition_.size(c)), wide(space.least[i]), wide(space.norms[i]),
                wide(packed.norms[r]), wide(space.apart.data()[r]), wide(space.beyond.data()[r])});
        if (!(bound * bound > wide(space.limits.data()[r]))) continue;
        survives[r] = 0;
        counts.reduced -= 1;
    }
    return counts;
}

template bounds_frame<float> frame_of_bounds(float, const std::vector<float>&);
template bounds_frame<double> frame_of_bounds(double, const std::vector<double>&);
template float limit_of<float>(double);
template double limit_of<double>(double);
template class class_screen<float>;
template class class_screen<double>;

}  // namespace zoorank
