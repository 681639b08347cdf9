#include "class_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "class_sums.hpp"
#include "cpu/kernel_table.hpp"
#include "small_matrices.hpp"
#include "thread_pool.hpp"

namespace zoorank {

template <class T>
class_bounds<T>::class_bounds(matrix_view<T> x, const partition& p, const bounds_frame<T>& frame, std::int64_t most,
                              std::int64_t few)
    : x_(x),
      partition_(p),
      frame_(frame),
      kernels_(cpu::active_set<T>()),
      cols_(x.cols),
      most_(most),
      few_(few),
      points_(static_cast<std::size_t>(p.classes() * (1 + most) * x.cols)),
      forms_(static_cast<std::size_t>(2 * p.classes())),
      offset_(static_cast<std::size_t>(2 * p.classes() * most)),
      weight_(offset_.size()),
      third_(offset_.size()),
      rests_(static_cast<std::size_t>(p.classes())),
      reduced_begin_(1, 0) {
    for (std::int64_t c = 0; c < p.classes(); ++c)
        reduced_begin_.push_back(reduced_begin_.back() +
                                 (p.size(c) + kernels_.panel - 1) / kernels_.panel * kernels_.panel);
    reduced_ = aligned_buffer<T>(reduced_begin_.back() * most);
    reduced_norms_ = aligned_buffer<T>(reduced_begin_.back());
}

template <class T>
void class_bounds<T>::find_means(int threads, const options& opt) {
    std::vector<std::unique_ptr<class_sums<T>>> spaces(static_cast<std::size_t>(threads));
    parallel_for(partition_.classes(), threads, x_.rows, opt, [&](std::int64_t c, int worker, progress_meter& meter) {
        auto& space = spaces[static_cast<std::size_t>(worker)];
        if (!space) space = std::make_unique<class_sums<T>>(x_, partition_, frame_, most_);
        const double square = space->find_mean(c);
        T* const point = points_.data() + c * (1 + most_) * cols_;
        for (std::int64_t k = 0; k < cols_; ++k) point[k] = static_cast<T>(space->mean[static_cast<std::size_t>(k)]);
        const double own = dot(point, point, cols_);
        cpu::class_form<T>& form = forms_[static_cast<std::size_t>(2 * c)];
        form.square = static_cast<T>(own);
        form.spread = static_cast<T>(std::max(square - own, 0.0));
        meter.advance(partition_.size(c), worker);
    });
}

template <class T>
void class_bounds<T>::describe(const std::vector<std::int64_t>& classes, int threads, const options& opt) {
    std::int64_t rows = 0;
    for (const std::int64_t c : classes) rows += partition_.size(c);
    std::vector<std::unique_ptr<class_sums<T>>> spaces(static_cast<std::size_t>(threads));
    parallel_for(static_cast<std::int64_t>(classes.size()), threads, rows, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     auto& space = spaces[static_cast<std::size_t>(worker)];
                     if (!space) space = std::make_unique<class_sums<T>>(x_, partition_, frame_, most_);
                     const std::int64_t c = classes[static_cast<std::size_t>(index)];
                     describe(c, *space);
                     meter.advance(partition_.size(c), worker);
                 });
}

template <class T>
cpu::class_form<T> class_bounds<T>::form(std::int64_t c, bool all) const noexcept {
    return forms_[static_cast<std::size_t>(2 * c + all)];
}

template <class T>
cpu::operand<T> class_bounds<T>::reduced(std::int64_t c, std::int64_t begin, std::int64_t count) const noexcept {
    const std::int64_t at = reduced_begin_[static_cast<std::size_t>(c)] + begin;
    return {reduced_.data() + at * most_, reduced_norms_.data() + at, nullptr, 0, nullptr, count};
}

template <class T>
void class_bounds<T>::describe(std::int64_t c, class_sums<T>& sums) {
    T* const point = points_.data() + c * (1 + most_) * cols_;
    T* const directions = point + cols_;
    sums.find_mean(c);
    for (std::int64_t k = 0; k < cols_; ++k) point[k] = static_cast<T>(sums.mean[static_cast<std::size_t>(k)]);
    if (most_ > 0) sums.find_directions(c, directions);
    rest& known = rests_[static_cast<std::size_t>(c)] = {};
    const double lost = 3 * rounding<T>::of_parts(most_, cols_), size = static_cast<double>(partition_.size(c));
    sums.add(c, directions, [&](std::int64_t first, std::int64_t rows) {
        known.tail += sums.variance_beside() * static_cast<double>(rows) / size;
        const std::int64_t at = reduced_begin_[static_cast<std::size_t>(c)] + first;
        if (most_ > 0)
            kernels_.pack({sums.along.data(), most_, nullptr, rows, most_, T(1), nullptr, reduced_.data() + at * most_,
                           reduced_norms_.data() + at});
        for (std::int64_t i = 0; i < rows; ++i) {
            const double square = sums.squares[static_cast<std::size_t>(i)];
            const T* along = sums.along.data() + i * most_;
            const double beside = square - dot(along, along, most_);
            known.largest = std::max(known.largest, square);
            known.largest_beside = std::max(known.largest_beside, beside + lost * square);
            if (most_ > 0) reduced_norms_.data()[at + i] += static_cast<T>(std::max(beside - lost * square, 0.0));
        }
    });
    settle(c, sums);
}

// The numbers of both levels, each with what rounding may have taken from it.
template <class T>
void class_bounds<T>::settle(std::int64_t c, class_sums<T>& sums) {
    constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
    const double size = static_cast<double>(partition_.size(c));
    const double spread = std::accumulate(sums.all_squares.begin(), sums.all_squares.end(), 0.0) / size;
    const double s = std::sqrt(spread), error = rounding<T>::of_parts(most_, cols_);
    const auto q = static_cast<std::size_t>(most_);
    const T* const point = points_.data() + c * (1 + most_) * cols_;
    const T* const directions = point + cols_;
    for (double& value : sums.covariance) value /= size;
    // What the covariance makes of a direction, less its part along the directions: a stray in others.
    double stray = 0, beside = 0;
    std::vector<double> image(static_cast<std::size_t>(cols_)), third(image.size());
    for (std::size_t f = 0; f < third.size(); ++f) third[f] = sums.third[f] / size;
    for (std::size_t k = 0; k < q; ++k) {
        for (std::size_t f = 0; f < image.size(); ++f) image[f] = sums.image[k * image.size() + f] / size;
        const double along_third = sums.third_along[k] / size;
        for (std::size_t f = 0; f < third.size(); ++f)
            third[f] -= along_third * static_cast<double>(directions[k * third.size() + f]);
        for (std::size_t l = 0; l < q; ++l) {
            const double share = sums.covariance[k * q + l];
            if (l != k) beside += share * share;
            for (std::size_t f = 0; f < image.size(); ++f)
                image[f] -= share * static_cast<double>(directions[l * image.size() + f]);
        }
        stray += dot(image.data(), image.data(), cols_);
    }
    const double variance_error = 3 * error * spread;
    stray = std::sqrt(stray) + std::sqrt(beside) + variance_error;
    const double third_error = 3 * error * sums.cube / size;
    const double third_beside = std::sqrt(dot(third.data(), third.data(), cols_));
    double variance = 0, fourth = 0;
    for (const double square : sums.all_squares) {
        variance += (square - spread) * (square - spread) / size;
        fourth += square * square / size;
    }
    const double deviation = std::sqrt(variance) + 8 * unit * std::sqrt(fourth);

    rest& known = rests_[static_cast<std::size_t>(c)];
    known.square = dot(point, point, cols_);
    known.spread = spread;
    constexpr double generous = 1 + 0x1p-9;  // for errors of p in its square, and of single operations
    for (const bool all : {false, true}) {
        const auto level = static_cast<std::size_t>(2 * c + all);
        const std::size_t count = all ? q : static_cast<std::size_t>(few_);
        T* const offset = offset_.data() + level * q;
        T* const weight = weight_.data() + level * q;
        T* const third_of = third_.data() + level * q;
        double tail = known.tail, rest_of_spread = spread, third_rest = third_beside * third_beside;
        for (std::size_t k = 0; k < q; ++k) {
            if (k < count) {
                rest_of_spread -= sums.covariance[k * q + k];
                continue;
            }
            tail = std::max(tail, sums.covariance[k * q + k] + variance_error);
            third_rest += sums.third_along[k] / size * (sums.third_along[k] / size);
        }
        tail += 2 * stray;
        const double third_norm = std::sqrt(third_rest) + third_error;
        // 4 t |z| <= 2 t (a + |z|^2 / a) for any a > 0: of about the size of z.
        const double a = std::sqrt(2 * std::max(rest_of_spread, 1e-3 * spread));
        double constant = deviation * deviation, largest = tail;
        if (s > 0) {
            constant += 2 * third_norm * a + 2 * third_error * s;
            tail += third_norm / (2 * a);
        }
        for (std::size_t k = 0; k < count; ++k) {
            const double along_variance = sums.covariance[k * q + k] + variance_error + 2 * stray;
            largest = std::max(largest, along_variance);
            offset[k] = static_cast<T>(dot(directions + static_cast<std::int64_t>(k) * cols_, point, cols_));
            weight[k] = static_cast<T>(generous * (4 * along_variance + (s > 0 ? 2 * third_error / s : 0)));
            third_of[k] = static_cast<T>(generous * 4 * sums.third_along[k] / size);
        }
        const double noise = 0x1p13 * largest * error * error + 4 * tail * 6 * error;
        constexpr double above = 1 + 4 * unit, below = 1 - 4 * unit;
        const double summed = rounding<T>::of_mean(cols_, size);
        forms_[level] = {static_cast<T>(known.square),
                         static_cast<T>(spread * (below - summed)),
                         static_cast<T>(generous * 4 * tail),
                         static_cast<T>(generous * constant),
                         static_cast<T>((rounding<T>::of_product(cols_) + summed) * above),
                         static_cast<T>(generous * noise),
                         offset,
                         weight,
                         third_of,
                         static_cast<std::int64_t>(count)};
    }
}

// What of the squared distance of a row to the mean lies in no direction, at least.
template <class T>
double class_bounds<T>::least_beyond(std::int64_t c, double row_square, double beyond) const noexcept {
    return std::max(beyond - 6 * rounding<T>::of_parts(most_, cols_) * (row_square + rest_of(c).square), 0.0);
}

template <class T>
double class_bounds<T>::least_mean_distance(std::int64_t c, const reduced_sum& sum) const noexcept {
    const rest& known = rest_of(c);
    constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
    const double part_error = rounding<T>::of_parts(most_, cols_), both = sum.row_square + known.square;
    const double product_error = rounding<T>::of_product(most_) * (sum.norm + known.largest + known.largest_beside);
    if (!(sum.least > 4 * product_error)) return 0;
    // All distances in the directions may be off by so much, and so may the least of them.
    const double strayed = 2 * part_error * (std::sqrt(both) + std::sqrt(known.largest));
    const double least_root = std::sqrt(sum.least - product_error) - strayed;
    const double mean_root = sum.mean_root * (1 - 64 * unit) - product_error / std::sqrt(sum.least) - strayed;
    if (!(least_root > 0 && mean_root > 0)) return 0;
    const double summed = rounding<T>::of_mean(cols_, static_cast<double>(partition_.size(c)));
    const double mean_square =
        (sum.apart + known.spread) * (1 + summed) + (rounding<T>::of_product(cols_) + summed) * both;
    const double beyond = sum.beyond + 6 * part_error * both;
    const double variance = 4 * known.tail * beyond;  // of what the directions leave out of a squared distance
    const double least = least_root * least_root;
    const double share = std::min(2 * std::sqrt(beyond * known.largest_beside) / least, 1.0);
    const double curvature = 0.5 / std::pow(1 + std::sqrt(1 - share), 2);
    const double spread = std::sqrt(std::max(mean_square - mean_root * mean_root, 0.0));
    const double bound = mean_root - std::sqrt(variance) / 2 * spread / (mean_root * least_root) -
                         curvature * variance / (least * least_root);
    return std::max(bound, 0.0);
}

template class class_bounds<float>;
template class class_bounds<double>;

}  // namespace zoorank
