// With z_i the rows (unit rows for cosine), m_c the mean of class c and v_c its mean squared distance to m_c,
//
//     mean over j in c of |z_i - z_j|^2  =  |z_i - m_c|^2 + v_c,
//
// so the nearest class is a nearest neighbour search among K points, and no pairs of rows are needed. The cosine
// distance 1 - z_i.z_j is half of |z_i - z_j|^2, except that a row of zeros has no direction: scikit-learn puts it at
// distance 1 from everything. With e = 1 for such a row and 0 for others (z = 0 stays 0),
//
//     2 (1 - z_i.z_j)  =  |z_i - z_j|^2 + e_i + e_j.
//
// All of it is computed in double, also for float input: a difference of means does not average rounding errors away
// as a mean of n distances does, and K columns cost little.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "lanes.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

using cpu::block_side;

constexpr std::int64_t chunk_rows = 4096;

// Consecutive sorted positions of one class.
struct chunk {
    std::int64_t class_index, begin, end;
};

std::vector<chunk> chunks_of(const partition& p) {
    std::vector<chunk> chunks;
    for (std::int64_t c = 0; c < p.classes(); ++c)
        for (std::int64_t i = p.begin[static_cast<std::size_t>(c)]; i < p.begin[static_cast<std::size_t>(c) + 1];
             i += chunk_rows)
            chunks.push_back({c, i, std::min(i + chunk_rows, p.begin[static_cast<std::size_t>(c) + 1])});
    return chunks;
}

template <class T>
class means_engine {
public:
    means_engine(matrix_view<T> x, const partition& p, metric how, int threads, const options& opt)
        : x_(x),
          partition_(p),
          directions_(how == metric::cosine),
          kernels_(cpu::active_set<double>()),
          threads_(threads),
          options_(opt),
          scale_(checked_scale(x, "X")),
          centre_(directions_ ? std::vector<T>() : robust_centre(x, p.order.data(), x.rows, scale_)),
          chunks_(chunks_of(p)),
          means_(static_cast<std::size_t>(p.classes() * x.cols), 0.0),
          bias_(static_cast<std::size_t>(p.classes()), 0.0),
          own_(static_cast<std::size_t>(x.rows), 0.0),
          excess_(directions_ ? static_cast<std::size_t>(x.rows) : 0, 0.0) {}

    void run(array_view<double> samples) {
        compute_means();
        compute_spreads();
        compare_with_means(samples);
    }

private:
    static const options& options_without_progress() {
        static const options none;
        return none;
    }

    // Rows of a class lie anywhere in x: without this, waiting for the first lines of each takes a third of the time.
    void prefetch(std::int64_t position) const {
        if (position >= x_.rows) return;
        constexpr std::int64_t line = 64 / sizeof(T);
        const T* row = x_.row(partition_.order[static_cast<std::size_t>(position)]);
        for (std::int64_t k = 0; k < x_.cols; k += line) __builtin_prefetch(row + k);
    }

    // Sorted position -> z in double; returns the row's e.
    double load(std::int64_t position, double* z) const {
        const T* row = x_.row(partition_.order[static_cast<std::size_t>(position)]);
        prefetch(position + 1);
        const double scale = static_cast<double>(scale_);
        if (!directions_) {
            for (std::int64_t k = 0; k < x_.cols; ++k)
                z[k] = static_cast<double>(row[k]) * scale - static_cast<double>(centre_[static_cast<std::size_t>(k)]);
            return 0;
        }
        for (std::int64_t k = 0; k < x_.cols; ++k) z[k] = static_cast<double>(row[k]) * scale;
        const double square = squared_length(z, x_.cols);
        if (square == 0) return 1;
        const double shrink = 1 / std::sqrt(square);
        for (std::int64_t k = 0; k < x_.cols; ++k) z[k] *= shrink;
        return 0;
    }

    double* mean_of(std::int64_t c) { return means_.data() + c * x_.cols; }

    // Sums by chunk, added up in the order of chunks. Class sums are taken around the class's first row, which keeps
    // the mean of a tight class far from the origin exact to the last digits.
    void compute_means() {
        const auto width = static_cast<std::size_t>(x_.cols);
        std::vector<std::vector<double>> sums(chunks_.size());
        parallel_for(static_cast<std::int64_t>(chunks_.size()), threads_, x_.rows, options_without_progress(),
                     [&](std::int64_t index, int, progress_meter&) {
                         const chunk& part = chunks_[static_cast<std::size_t>(index)];
                         std::vector<double>& sum = sums[static_cast<std::size_t>(index)];
                         sum.assign(width, 0.0);
                         std::vector<double> z(width), origin(width);
                         load(partition_.begin[static_cast<std::size_t>(part.class_index)], origin.data());
                         for (std::int64_t i = part.begin; i < part.end; ++i) {
                             const double excess = load(i, z.data());
                             if (directions_) excess_[static_cast<std::size_t>(i)] = excess;
                             for (std::size_t k = 0; k < width; ++k) sum[k] += z[k] - origin[k];
                         }
                     });
        for (std::size_t index = 0; index < chunks_.size(); ++index) {
            double* mean = mean_of(chunks_[index].class_index);
            for (std::size_t k = 0; k < width; ++k) mean[k] += sums[index][k];
        }
        std::vector<double> origin(width);
        for (std::int64_t c = 0; c < partition_.classes(); ++c) {
            load(partition_.begin[static_cast<std::size_t>(c)], origin.data());
            for (std::size_t k = 0; k < width; ++k)
                mean_of(c)[k] = origin[k] + mean_of(c)[k] / static_cast<double>(partition_.size(c));
        }
    }

    // The squared distance of each row to its own mean, from differences; then the bias v_c + mean e of each class,
    // and the mean distance of each row to the others of its class.
    void compute_spreads() {
        parallel_for(static_cast<std::int64_t>(chunks_.size()), threads_, x_.rows, options_without_progress(),
                     [&](std::int64_t index, int, progress_meter&) {
                         const chunk& part = chunks_[static_cast<std::size_t>(index)];
                         const double* mean = mean_of(part.class_index);
                         std::vector<double> z(static_cast<std::size_t>(x_.cols));
                         for (std::int64_t i = part.begin; i < part.end; ++i) {
                             load(i, z.data());
                             own_[static_cast<std::size_t>(i)] = squared_distance(z.data(), mean, x_.cols);
                         }
                     });
        for (std::int64_t c = 0; c < partition_.classes(); ++c) {
            const auto begin = static_cast<std::size_t>(partition_.begin[static_cast<std::size_t>(c)]);
            const auto end = static_cast<std::size_t>(partition_.begin[static_cast<std::size_t>(c) + 1]);
            double sum = 0;
            for (std::size_t i = begin; i < end; ++i) sum += own_[i] + excess_of(i);
            const double size = static_cast<double>(end - begin);
            bias_[static_cast<std::size_t>(c)] = sum / size;
            if (end - begin == 1) continue;
            for (std::size_t i = begin; i < end; ++i) {
                // The sum over the class holds the row itself once, at 0 + e_i + e_i.
                own_[i] = (size * (own_[i] + excess_of(i)) + sum - 2 * excess_of(i)) / (size - 1);
            }
        }
    }

    double excess_of(std::size_t i) const { return directions_ ? excess_[i] : 0; }

    // What one worker writes to while it compares a block of rows with the means.
    struct workspace {
        workspace(const cpu::kernel_set<double>& kernels, std::int64_t depth)
            : rows(block_side * depth),
              packed(kernels, block_side, depth),
              products(cpu::scratch_size),
              distances(block_side * block_side) {}
        aligned_buffer<double> rows;
        packed_rows<double> packed;
        aligned_buffer<double> products, distances;
        std::array<double, block_side> nearest;
    };

    void compare_with_means(array_view<double> samples) {
        const std::int64_t classes = partition_.classes(), depth = x_.cols;
        std::vector<std::int64_t> every_class(static_cast<std::size_t>(classes));
        std::iota(every_class.begin(), every_class.end(), 0);
        const std::vector<double> centre =
            robust_centre(matrix_view<double>(means_.data(), classes, depth), every_class.data(), classes, 1.0);
        packed_rows<double> means(kernels_, classes, depth);
        means.pack(means_.data(), depth, nullptr, classes, 1.0, centre.data());

        const std::vector<std::int64_t> class_at = class_of_position(partition_);
        std::vector<std::unique_ptr<workspace>> spaces(static_cast<std::size_t>(threads_));
        parallel_for((x_.rows + block_side - 1) / block_side, threads_, x_.rows * classes, options_,
                     [&](std::int64_t index, int worker, progress_meter& meter) {
                         auto& space = spaces[static_cast<std::size_t>(worker)];
                         if (!space) space = std::make_unique<workspace>(kernels_, depth);
                         const std::int64_t begin = index * block_side, rows = std::min(block_side, x_.rows - begin);
                         for (std::int64_t r = 0; r < rows; ++r) load(begin + r, space->rows.data() + r * depth);
                         space->packed.pack(space->rows.data(), depth, nullptr, rows, 1.0, centre.data());
                         space->nearest.fill(std::numeric_limits<double>::infinity());
                         for (std::int64_t c = 0; c < classes; c += block_side) {
                             const std::int64_t cols = std::min(block_side, classes - c);
                             kernels_.store_sqeuclidean({{space->packed.block(0, rows), means.block(c, cols), depth,
                                                          1.0, space->products.data()},
                                                         space->distances.data(),
                                                         block_side});
                             fold(class_at.data() + begin, rows, c, cols, *space);
                             meter.advance(rows * cols, worker);
                         }
                         for (std::int64_t r = 0; r < rows; ++r)
                             samples[partition_.order[static_cast<std::size_t>(begin + r)]] =
                                 silhouette_at(begin + r, class_at[static_cast<std::size_t>(begin + r)],
                                               space->nearest[static_cast<std::size_t>(r)]);
                     });
    }

    // Distances of a block of rows to means [c, c + cols): the nearest that is not the row's own.
    void fold(const std::int64_t* class_at, std::int64_t rows, std::int64_t c, std::int64_t cols,
              workspace& space) const {
        const double* bias = bias_.data() + c;
        for (std::int64_t r = 0; r < rows; ++r) {
            double* distances = space.distances.data() + r * block_side;
            const std::int64_t own = class_at[r] - c;
            if (own >= 0 && own < cols) distances[own] = std::numeric_limits<double>::infinity();
            double& nearest = space.nearest[static_cast<std::size_t>(r)];
            double best = nearest;
            for (std::int64_t j = 0; j < cols; ++j) best = std::min(best, distances[j] + bias[j]);
            nearest = best;
        }
    }

    double silhouette_at(std::int64_t position, std::int64_t own_class, double nearest) const {
        if (partition_.size(own_class) == 1) return 0;
        const auto at = static_cast<std::size_t>(position);
        return silhouette_of(without_rounding(own_[at]), without_rounding(nearest + excess_of(at)));
    }

    // Parallel rows are at cosine distance 0, but rounding leaves their unit rows some 1e-16 apart.
    double without_rounding(double mean_distance) const {
        constexpr double rounding = 1e-30;
        return directions_ && mean_distance < rounding ? 0 : mean_distance;
    }

    const matrix_view<T> x_;
    const partition& partition_;
    const bool directions_;
    const cpu::kernel_set<double>& kernels_;
    const int threads_;
    const options& options_;
    const T scale_;
    const std::vector<T> centre_;  // taken off the rows; empty for cosine, which has an origin of its own
    const std::vector<chunk> chunks_;
    std::vector<double> means_;   // m_c, classes x features
    std::vector<double> bias_;    // v_c + mean of e over class c
    std::vector<double> own_;     // by sorted position: first |z_i - m|^2, then the mean distance to the own class
    std::vector<double> excess_;  // e_i by sorted position, for cosine
};

}  // namespace

template <class T>
void silhouettes_by_means(matrix_view<T> x, const partition& p, metric how, array_view<double> samples, int threads,
                          const options& opt) {
    means_engine<T>(x, p, how, threads, opt).run(samples);
}

template void silhouettes_by_means(matrix_view<float>, const partition&, metric, array_view<double>, int,
                                   const options&);
template void silhouettes_by_means(matrix_view<double>, const partition&, metric, array_view<double>, int,
                                   const options&);

}  // namespace zoorank
