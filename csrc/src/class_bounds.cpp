#include "class_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>

#include "cpu/kernel_table.hpp"
#include "packed_rows.hpp"
#include "small_matrices.hpp"
#include "thread_pool.hpp"

namespace zoorank {

using cpu::scratch_stride;

namespace {

// Rows that are taken together: one block of products.
constexpr std::int64_t most_together = 240;

// Subspace iteration: vectors beyond those wanted, and steps.
constexpr std::int64_t spare_vectors = 8;
constexpr int steps = 4;

template <class T>
constexpr double unit_roundoff = std::numeric_limits<T>::epsilon() / 2;

}  // namespace

// Sums over the rows of a class, and its rows, a block at a time.
template <class T>
struct class_bounds<T>::workspace {
    workspace(const cpu::kernel_set<T>& set, std::int64_t features, std::int64_t directions)
        : kernels(set),
          cols(features),
          most(directions),
          products(cpu::scratch_size),
          packed(set, most_together, features),
          z(static_cast<std::size_t>(features)),
          mean(z.size()),
          e(static_cast<std::size_t>(most_together * features)),
          turned(e.size()),
          squares(static_cast<std::size_t>(most_together)),
          along(static_cast<std::size_t>(most_together * directions)),
          turned_along(along.size()),
          gram(static_cast<std::size_t>(most_together * most_together)) {}

    void clear_sums() {
        const auto q = static_cast<std::size_t>(most);
        covariance.assign(q * q, 0.0);
        image.assign(q * z.size(), 0.0);
        third.assign(z.size(), 0.0);
        third_along.assign(q, 0.0);
        square = cube = 0;
    }

    packed_rows<T> pack(const T* rows, std::int64_t count, std::int64_t depth) const {
        packed_rows<T> result(kernels, count, depth);
        result.pack(rows, depth, nullptr, count, T(1), nullptr);
        return result;
    }

    // Products of all rows of a with all of b, both of at most a block: [row of a * scratch_stride + row of b].
    const T* multiply(const cpu::operand<T>& a, const cpu::operand<T>& b, std::int64_t depth) {
        kernels.multiply({a, b, depth, T(1), products.data()});
        return products.data();
    }

    void find_gram() {
        const T* found = multiply(packed.block(0, held), packed.block(0, held), cols);
        for (std::int64_t i = 0; i < held; ++i) std::copy_n(found + i * scratch_stride, held, gram.data() + i * held);
    }

    // Products of `count` rows with each feature of the block: take(row, first feature, products, features).
    template <class Take>
    void multiply_by_features(const T* rows, std::int64_t count, Take take) {
        const packed_rows<T> left = pack(rows, count, held), right = pack(turned.data(), cols, held);
        for (std::int64_t begin = 0; begin < cols; begin += most_together) {
            const std::int64_t features = std::min(most_together, cols - begin);
            const T* found = multiply(left.block(0, count), right.block(begin, features), held);
            for (std::int64_t k = 0; k < count; ++k) take(k, begin, found + k * scratch_stride, features);
        }
    }

    const cpu::kernel_set<T>& kernels;
    const std::int64_t cols, most;
    aligned_buffer<T> products;
    std::int64_t held = 0;  // rows of the block
    packed_rows<T> packed;
    std::vector<double> z, mean;
    std::vector<T> e, turned;            // rows of the block about the mean of the class; [feature * held + row]
    std::vector<double> squares;         // squared length of each
    std::vector<T> along, turned_along;  // [row * most + direction]; [direction * held + row]
    std::vector<T> gram;
    std::vector<double> covariance, image, third, third_along, all_squares;
    double square = 0, cube = 0;
};

template <class T>
double class_bounds<T>::product_error(std::int64_t depth) noexcept {
    // Sums of 128 products, added up; each value was rounded once or twice before.
    const double additions = static_cast<double>(std::min<std::int64_t>(depth, 128) + depth / 128);
    return (additions + 24) * unit_roundoff<T>;
}

template <class T>
double class_bounds<T>::part_error(std::int64_t directions, std::int64_t depth) noexcept {
    return (std::sqrt(static_cast<double>(directions)) + 1) * (product_error(depth) + 64 * unit_roundoff<T>);
}

// Of a mean over rows that is taken in double, and of a squared length.
template <class T>
double class_bounds<T>::sum_error(std::int64_t depth, double rows) noexcept {
    const double additions = static_cast<double>(most_together + depth) + rows / static_cast<double>(most_together);
    return 2 * (additions + 16) * unit_roundoff<double>;
}

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
    std::vector<std::unique_ptr<workspace>> spaces(static_cast<std::size_t>(threads));
    parallel_for(partition_.classes(), threads, x_.rows, opt, [&](std::int64_t c, int worker, progress_meter& meter) {
        auto& space = spaces[static_cast<std::size_t>(worker)];
        if (!space) space = std::make_unique<workspace>(kernels_, cols_, most_);
        const double square = find_mean(c, *space);
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
    std::vector<std::unique_ptr<workspace>> spaces(static_cast<std::size_t>(threads));
    parallel_for(static_cast<std::int64_t>(classes.size()), threads, rows, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     auto& space = spaces[static_cast<std::size_t>(worker)];
                     if (!space) space = std::make_unique<workspace>(kernels_, cols_, most_);
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

// `count` rows of those at positions from `begin` on, evenly spaced, about the mean of the class.
template <class T>
void class_bounds<T>::load(std::int64_t begin, std::int64_t size, std::int64_t count, workspace& space) const {
    space.held = count;
    for (std::int64_t i = 0; i < count; ++i) {
        load_row(begin + i * size / count, space);
        T* const e = space.e.data() + i * cols_;
        for (std::int64_t k = 0; k < cols_; ++k) {
            const auto at = static_cast<std::size_t>(k);
            e[k] = static_cast<T>(space.z[at] - space.mean[at]);
            space.turned[static_cast<std::size_t>(k * count + i)] = e[k];
        }
        space.squares[static_cast<std::size_t>(i)] = dot(e, e, cols_);
    }
    space.packed.pack(space.e.data(), cols_, nullptr, count, T(1), nullptr);
}

// Returns the mean squared length of a row.
template <class T>
double class_bounds<T>::find_mean(std::int64_t c, workspace& space) const {
    std::fill(space.mean.begin(), space.mean.end(), 0.0);
    std::vector<double> sums(space.mean.size()), squares(space.mean.size(), 0.0);
    const std::int64_t end = partition_.begin[static_cast<std::size_t>(c) + 1];
    for (std::int64_t i = partition_.begin[static_cast<std::size_t>(c)]; i < end;) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (const std::int64_t stop = std::min(i + most_together, end); i < stop; ++i) {
            load_row(i, space);
            for (std::size_t k = 0; k < sums.size(); ++k) {
                sums[k] += space.z[k];
                squares[k] += space.z[k] * space.z[k];
            }
        }
        for (std::size_t k = 0; k < sums.size(); ++k) space.mean[k] += sums[k];
    }
    const double size = static_cast<double>(partition_.size(c));
    for (double& value : space.mean) value /= size;
    return std::accumulate(squares.begin(), squares.end(), 0.0) / size;
}

template <class T>
void class_bounds<T>::load_row(std::int64_t position, workspace& space) const {
    const T* row = x_.row(partition_.order[static_cast<std::size_t>(position)]);
    kernels_.load_row({row, cols_, frame_.scale, frame_.centre.data(), false, space.z.data()});
}

// The directions of largest variance of the block, by subspace iteration with its Gram matrix.
template <class T>
void class_bounds<T>::find_directions(T* directions, workspace& space) const {
    const std::int64_t rows = space.held, count = std::min(most_ + spare_vectors, rows), found = std::min(most_, rows);
    space.find_gram();
    const packed_rows<T> gram = space.pack(space.gram.data(), rows, rows);
    std::vector<T> basis(static_cast<std::size_t>(count * rows)), image(basis.size());
    std::minstd_rand random;
    for (T& value : basis) value = static_cast<T>(static_cast<double>(random()) / 0x1p30 - 1);
    const auto multiply = [&] {
        const T* products =
            space.multiply(space.pack(basis.data(), count, rows).block(0, count), gram.block(0, rows), rows);
        for (std::int64_t k = 0; k < count; ++k)
            std::copy_n(products + k * scratch_stride, rows, image.data() + k * rows);
    };
    for (int step = 0; step < steps; ++step) {
        multiply();
        basis = image;
        orthonormalise(basis.data(), count, rows);
    }
    multiply();
    std::vector<double> between(static_cast<std::size_t>(count * count)), values, turn;
    for (std::int64_t k = 0; k < count; ++k)
        for (std::int64_t l = 0; l <= k; ++l)
            between[static_cast<std::size_t>(k * count + l)] = between[static_cast<std::size_t>(l * count + k)] =
                dot(basis.data() + k * rows, image.data() + l * rows, rows);
    diagonalise(between, count, values, turn);
    std::vector<T> best(static_cast<std::size_t>(found * rows), T(0));
    for (std::int64_t k = 0; k < found; ++k)
        for (std::int64_t l = 0; l < count; ++l) {
            const T share = static_cast<T>(turn[static_cast<std::size_t>(k * count + l)]);
            for (std::int64_t i = 0; i < rows; ++i)
                best[static_cast<std::size_t>(k * rows + i)] += share * basis[static_cast<std::size_t>(l * rows + i)];
        }
    space.multiply_by_features(best.data(), found,
                               [&](std::int64_t k, std::int64_t first, const T* products, std::int64_t features) {
                                   std::copy_n(products, features, directions + k * cols_ + first);
                               });
    orthonormalise(directions, most_, cols_);
}

// Takes the block into the sums over the class.
template <class T>
void class_bounds<T>::add_block(const T* directions, workspace& space) const {
    const std::int64_t rows = space.held;
    if (most_ > 0) {
        const packed_rows<T> packed = space.pack(directions, most_, cols_);
        const T* products = space.multiply(space.packed.block(0, rows), packed.block(0, most_), cols_);
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t k = 0; k < most_; ++k) {
                const T value = products[i * scratch_stride + k];
                space.along[static_cast<std::size_t>(i * most_ + k)] = value;
                space.turned_along[static_cast<std::size_t>(k * rows + i)] = value;
            }
    }
    for (std::int64_t i = 0; i < rows; ++i) {
        const double square = space.squares[static_cast<std::size_t>(i)];
        space.square += square;
        space.cube += square * std::sqrt(square);
        const T *along = space.along.data() + i * most_, *e = space.e.data() + i * cols_;
        for (std::int64_t k = 0; k < most_; ++k) {
            const double value = along[k];
            space.third_along[static_cast<std::size_t>(k)] += value * square;
            double* const to = space.covariance.data() + k * most_;
            for (std::int64_t l = 0; l < most_; ++l) to[l] += value * static_cast<double>(along[l]);
        }
        for (std::int64_t k = 0; k < cols_; ++k)
            space.third[static_cast<std::size_t>(k)] += square * static_cast<double>(e[k]);
    }
    if (most_ > 0)
        space.multiply_by_features(space.turned_along.data(), most_,
                                   [&](std::int64_t k, std::int64_t first, const T* products, std::int64_t features) {
                                       double* const to = space.image.data() + k * cols_ + first;
                                       for (std::int64_t f = 0; f < features; ++f)
                                           to[f] += static_cast<double>(products[f]);
                                   });
}

// Better directions from those of some rows: one more step of the iteration, with the covariance of all.
template <class T>
void class_bounds<T>::refine(T* directions, workspace& space) const {
    std::vector<double> values, turn, next(static_cast<std::size_t>(cols_));
    diagonalise(space.covariance, most_, values, turn);
    for (std::int64_t k = 0; k < most_; ++k) {
        std::fill(next.begin(), next.end(), 0.0);
        for (std::int64_t l = 0; l < most_; ++l) {
            const double share = turn[static_cast<std::size_t>(k * most_ + l)];
            const double* image = space.image.data() + l * cols_;
            for (std::int64_t f = 0; f < cols_; ++f) next[static_cast<std::size_t>(f)] += share * image[f];
        }
        const double length = std::sqrt(dot(next.data(), next.data(), cols_));
        for (std::int64_t f = 0; f < cols_; ++f)
            directions[k * cols_ + f] = length > 0 ? static_cast<T>(next[static_cast<std::size_t>(f)] / length) : T(0);
    }
    orthonormalise(directions, most_, cols_);
}

// The largest variance of the block in a direction that is none of the class's, at most: of a matrix A without negative
// eigenvalues the largest is no larger than the fourth root of the trace of A^4.
template <class T>
double class_bounds<T>::variance_beside(workspace& space) const {
    const std::int64_t rows = space.held;
    const double size = static_cast<double>(rows);
    double spread = 0;
    for (std::int64_t i = 0; i < rows; ++i) spread += space.squares[static_cast<std::size_t>(i)] / size;
    if (spread == 0) return 0;
    space.find_gram();
    if (most_ > 0) {
        const packed_rows<T> along = space.pack(space.along.data(), rows, most_);
        const T* products = space.multiply(along.block(0, rows), along.block(0, rows), most_);
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < rows; ++j)
                space.gram[static_cast<std::size_t>(i * rows + j)] -= products[i * scratch_stride + j];
    }
    for (std::int64_t i = 0; i < rows * rows; ++i)
        space.gram[static_cast<std::size_t>(i)] /= static_cast<T>(size * spread);
    const packed_rows<T> gram = space.pack(space.gram.data(), rows, rows);
    const T* products = space.multiply(gram.block(0, rows), gram.block(0, rows), rows);
    double of_products = 0;
    for (std::int64_t i = 0; i < rows; ++i)
        of_products += dot(products + i * scratch_stride, products + i * scratch_stride, rows);
    const double of_matrix = dot(space.gram.data(), space.gram.data(), rows * rows);
    const double largest = std::sqrt(std::sqrt(of_products) + product_error(rows) * of_matrix);
    return spread * (largest * (1 + 4 * unit_roundoff<T>)+3 * part_error(most_, cols_));
}

template <class T>
void class_bounds<T>::describe(std::int64_t c, workspace& space) {
    const std::int64_t begin = partition_.begin[static_cast<std::size_t>(c)], size = partition_.size(c);
    T* const point = points_.data() + c * (1 + most_) * cols_;
    T* const directions = point + cols_;
    find_mean(c, space);
    for (std::int64_t k = 0; k < cols_; ++k) point[k] = static_cast<T>(space.mean[static_cast<std::size_t>(k)]);
    const auto for_each_block = [&](auto visit) {
        space.clear_sums();
        for (std::int64_t i = 0; i < size; i += most_together) {
            const std::int64_t count = std::min(most_together, size - i);
            load(begin + i, count, count, space);
            add_block(directions, space);
            visit(i);
        }
    };
    if (most_ > 0) {
        load(begin, size, std::min(size, most_together), space);
        find_directions(directions, space);
        if (size > most_together) {
            for_each_block([](std::int64_t) {});
            refine(directions, space);
        }
    }
    rest& known = rests_[static_cast<std::size_t>(c)] = {};
    space.all_squares.clear();
    const double lost = 3 * part_error(most_, cols_);
    for_each_block([&](std::int64_t first) {
        const std::int64_t rows = space.held, at = reduced_begin_[static_cast<std::size_t>(c)] + first;
        known.tail += variance_beside(space) * static_cast<double>(rows) / static_cast<double>(size);
        if (most_ > 0)
            kernels_.pack({space.along.data(), most_, nullptr, rows, most_, T(1), nullptr, reduced_.data() + at * most_,
                           reduced_norms_.data() + at});
        for (std::int64_t i = 0; i < rows; ++i) {
            const double square = space.squares[static_cast<std::size_t>(i)];
            const T* along = space.along.data() + i * most_;
            const double beside = square - dot(along, along, most_);
            space.all_squares.push_back(square);
            known.largest = std::max(known.largest, square);
            known.largest_beside = std::max(known.largest_beside, beside + lost * square);
            if (most_ > 0) reduced_norms_.data()[at + i] += static_cast<T>(std::max(beside - lost * square, 0.0));
        }
    });
    settle(c, space);
}

// The numbers of both levels, each with what rounding may have taken from it.
template <class T>
void class_bounds<T>::settle(std::int64_t c, workspace& space) {
    const double size = static_cast<double>(space.all_squares.size()), spread = space.square / size;
    const double s = std::sqrt(spread), error = part_error(most_, cols_);
    const auto q = static_cast<std::size_t>(most_);
    const T* const point = points_.data() + c * (1 + most_) * cols_;
    const T* const directions = point + cols_;
    for (double& value : space.covariance) value /= size;
    // What the covariance makes of a direction, less its part along the directions: a stray in others.
    double stray = 0, beside = 0;
    std::vector<double> image(static_cast<std::size_t>(cols_)), third(image.size());
    for (std::size_t f = 0; f < third.size(); ++f) third[f] = space.third[f] / size;
    for (std::size_t k = 0; k < q; ++k) {
        for (std::size_t f = 0; f < image.size(); ++f) image[f] = space.image[k * image.size() + f] / size;
        const double along_third = space.third_along[k] / size;
        for (std::size_t f = 0; f < third.size(); ++f)
            third[f] -= along_third * static_cast<double>(directions[k * third.size() + f]);
        for (std::size_t l = 0; l < q; ++l) {
            const double share = space.covariance[k * q + l];
            if (l != k) beside += share * share;
            for (std::size_t f = 0; f < image.size(); ++f)
                image[f] -= share * static_cast<double>(directions[l * image.size() + f]);
        }
        stray += dot(image.data(), image.data(), cols_);
    }
    const double variance_error = 3 * error * spread;
    stray = std::sqrt(stray) + std::sqrt(beside) + variance_error;
    const double third_error = 3 * error * space.cube / size;
    const double third_beside = std::sqrt(dot(third.data(), third.data(), cols_));
    double variance = 0, fourth = 0;
    for (const double square : space.all_squares) {
        variance += (square - spread) * (square - spread) / size;
        fourth += square * square / size;
    }
    const double deviation = std::sqrt(variance) + 8 * unit_roundoff<T> * std::sqrt(fourth);

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
                rest_of_spread -= space.covariance[k * q + k];
                continue;
            }
            tail = std::max(tail, space.covariance[k * q + k] + variance_error);
            third_rest += space.third_along[k] / size * (space.third_along[k] / size);
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
            const double along_variance = space.covariance[k * q + k] + variance_error + 2 * stray;
            largest = std::max(largest, along_variance);
            offset[k] = static_cast<T>(dot(directions + static_cast<std::int64_t>(k) * cols_, point, cols_));
            weight[k] = static_cast<T>(generous * (4 * along_variance + (s > 0 ? 2 * third_error / s : 0)));
            third_of[k] = static_cast<T>(generous * 4 * space.third_along[k] / size);
        }
        const double noise = 0x1p13 * largest * error * error + 4 * tail * 6 * error;
        constexpr double above = 1 + 4 * unit_roundoff<T>, below = 1 - 4 * unit_roundoff<T>;
        const double summed = sum_error(cols_, size);
        forms_[level] = {static_cast<T>(known.square),
                         static_cast<T>(spread * (below - summed)),
                         static_cast<T>(generous * 4 * tail),
                         static_cast<T>(generous * constant),
                         static_cast<T>((product_error(cols_) + summed) * above),
                         static_cast<T>(generous * noise),
                         offset,
                         weight,
                         third_of,
                         static_cast<std::int64_t>(count)};
    }
}

template class class_bounds<float>;
template class class_bounds<double>;

}  // namespace zoorank
