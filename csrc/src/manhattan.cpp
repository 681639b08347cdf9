// Manhattan silhouettes without pairs of rows: distances add up over features, and along one sorted feature the sum of
// |x - y| over a class is piecewise linear in x (cpu/sweep.inl). O(n d (log n + K)) time.
#include <algorithm>
#include <limits>
#include <numeric>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

constexpr std::int64_t features_together = 8;   // sorted side by side, one a worker
constexpr std::int64_t classes_together = 32;   // swept by one worker
constexpr std::int64_t least_sums = 8'000'000;  // doubles; more only as far as the input itself is larger

// One feature, sorted, and what it adds to the sums within classes.
struct sorted_feature {
    std::vector<double> values;
    std::vector<std::int64_t> positions;
    std::vector<double> own;
};

template <class T>
class manhattan_engine {
public:
    manhattan_engine(matrix_view<T> x, const partition& p, int threads, const options& opt)
        : x_(x),
          partition_(p),
          kernels_(cpu::active_set<double>()),
          threads_(threads),
          options_(opt),
          within_loops_(opt),
          scale_(static_cast<double>(checked_scale(x, "X", threads, opt))),
          centre_(robust_centre(x, p.order.data(), x.rows, static_cast<T>(scale_))),
          class_of_(class_of_position(p)),
          own_(static_cast<std::size_t>(x.rows), 0.0),
          nearest_(static_cast<std::size_t>(x.rows), std::numeric_limits<double>::infinity()) {
        if (opt.progress) within_loops_.progress = [this](double) { return options_.progress(done_); };
    }

    void run(array_view<double> samples) {
        // Sums of as many classes at a time as memory for another copy or two of the input holds.
        const std::int64_t room =
            std::max(least_sums, 2 * x_.rows * x_.cols * static_cast<std::int64_t>(sizeof(T)) / 8);
        const std::int64_t columns = std::max(classes_together, room / x_.rows / classes_together * classes_together);
        for (std::int64_t first = 0; first < partition_.classes(); first += columns) {
            const std::int64_t count = std::min(columns, partition_.classes() - first);
            add_up(first, count, first == 0);
            for (std::int64_t i = 0; i < x_.rows; ++i)
                for (std::int64_t c = first; c < first + count; ++c)
                    if (c != class_at(i))
                        nearest_at(i) = std::min(nearest_at(i), sums_.data()[i * stride_ + c - first] /
                                                                    static_cast<double>(partition_.size(c)));
        }
        for (std::int64_t i = 0; i < x_.rows; ++i) {
            const std::int64_t size = partition_.size(class_at(i));
            samples[partition_.order[static_cast<std::size_t>(i)]] =
                size == 1 ? 0 : silhouette_of(own_at(i) / static_cast<double>(size - 1), nearest_at(i));
        }
    }

private:
    std::int64_t class_at(std::int64_t i) const { return class_of_[static_cast<std::size_t>(i)]; }
    double& own_at(std::int64_t i) { return own_[static_cast<std::size_t>(i)]; }
    double& nearest_at(std::int64_t i) { return nearest_[static_cast<std::size_t>(i)]; }

    // Sums of every row to classes [first, first + count), and within classes if `with_own`.
    void add_up(std::int64_t first, std::int64_t count, bool with_own) {
        stride_ = (count + 7) / 8 * 8;
        sums_ = aligned_buffer<double>(x_.rows * stride_);
        std::fill_n(sums_.data(), x_.rows * stride_, 0.0);
        const std::int64_t chunks = (count + classes_together - 1) / classes_together;
        for (std::int64_t k = 0; k < x_.cols; k += features_together) {
            const std::int64_t features = std::min(features_together, x_.cols - k);
            parallel_for(features, threads_, 0, within_loops_, [&](std::int64_t f, int, progress_meter&) {
                sort_feature(k + f, with_own, sorted_[static_cast<std::size_t>(f)]);
            });
            parallel_for(chunks, threads_, 0, within_loops_,
                         [&](std::int64_t chunk, int worker, progress_meter& meter) {
                             const std::int64_t begin = chunk * classes_together;
                             for (std::int64_t f = 0; f < features; ++f) {
                                 sweep(sorted_[static_cast<std::size_t>(f)], first, begin,
                                       std::min(classes_together, count - begin));
                                 meter.advance(0, worker);
                             }
                         });
            done_ = static_cast<double>(first * x_.cols + count * (k + features)) /
                    static_cast<double>(partition_.classes() * x_.cols);
            if (!with_own) continue;
            for (std::int64_t f = 0; f < features; ++f)
                for (std::int64_t i = 0; i < x_.rows; ++i)
                    own_at(i) += sorted_[static_cast<std::size_t>(f)].own[static_cast<std::size_t>(i)];
        }
    }

    double value(std::int64_t position, std::int64_t k) const {
        return static_cast<double>(x_.row(partition_.order[static_cast<std::size_t>(position)])[k]) * scale_;
    }

    void sort_feature(std::int64_t k, bool with_own, sorted_feature& feature) const {
        const auto n = static_cast<std::size_t>(x_.rows);
        std::vector<std::pair<double, std::int64_t>> entries(n);
        for (std::size_t i = 0; i < n; ++i)
            entries[i] = {value(static_cast<std::int64_t>(i), k), static_cast<std::int64_t>(i)};
        std::sort(entries.begin(), entries.end());
        feature.values.resize(n);
        feature.positions.resize(n);
        const double centre = static_cast<double>(centre_[static_cast<std::size_t>(k)]);
        for (std::size_t s = 0; s < n; ++s) {
            feature.values[s] = entries[s].first - centre;
            feature.positions[s] = entries[s].second;
        }
        if (with_own) add_own(k, feature);
    }

    // Sums within classes, taken around a member of each, so that a tight class far from the centre keeps its digits.
    void add_own(std::int64_t k, sorted_feature& feature) const {
        const auto classes = static_cast<std::size_t>(partition_.classes());
        const double centre = static_cast<double>(centre_[static_cast<std::size_t>(k)]);
        std::vector<double> origin(classes), total(classes, 0.0), below(classes, 0.0), count(classes, 0.0);
        for (std::size_t c = 0; c < classes; ++c) origin[c] = value(partition_.begin[c], k) - centre;
        for (std::size_t s = 0; s < feature.values.size(); ++s) {
            const auto c = static_cast<std::size_t>(class_at(feature.positions[s]));
            total[c] += feature.values[s] - origin[c];
        }
        feature.own.resize(feature.values.size());
        for (std::size_t s = 0; s < feature.values.size(); ++s) {
            const auto c = static_cast<std::size_t>(class_at(feature.positions[s]));
            const double size = static_cast<double>(partition_.size(static_cast<std::int64_t>(c)));
            const double x = feature.values[s] - origin[c];
            feature.own[static_cast<std::size_t>(feature.positions[s])] =
                x * (2 * count[c] - size) + total[c] - 2 * below[c];
            below[c] += x;
            count[c] += 1;
        }
    }

    // Classes [first + begin, first + begin + count) against all rows, along one feature.
    void sweep(const sorted_feature& feature, std::int64_t first, std::int64_t begin, std::int64_t count) {
        aligned_buffer<double> slope(classes_together), offset(classes_together);
        std::fill_n(slope.data(), classes_together, 0.0);
        std::fill_n(offset.data(), classes_together, 0.0);
        for (std::int64_t c = 0; c < count; ++c)
            slope.data()[c] = -static_cast<double>(partition_.size(first + begin + c));
        for (std::size_t s = 0; s < feature.values.size(); ++s) {
            const std::int64_t c = class_at(feature.positions[s]) - first - begin;
            if (c >= 0 && c < count) offset.data()[c] += feature.values[s];
        }
        kernels_.sweep({feature.values.data(), feature.positions.data(), x_.rows, class_of_.data(), first + begin,
                        count, slope.data(), offset.data(), sums_.data() + begin, stride_});
    }

    const matrix_view<T> x_;
    const partition& partition_;
    const cpu::kernel_set<double>& kernels_;
    const int threads_;
    const options& options_;
    options within_loops_;  // of the many short loops of one call: they report the share done of the whole
    double done_ = 0;
    const double scale_;
    const std::vector<T> centre_;
    const std::vector<std::int64_t> class_of_;
    std::vector<double> own_, nearest_;  // by sorted position
    aligned_buffer<double> sums_;        // [position * stride_ + class - first class]
    std::int64_t stride_ = 0;
    sorted_feature sorted_[features_together];
};

}  // namespace

template <class T>
void silhouettes_by_sorting(matrix_view<T> x, const partition& p, array_view<double> samples, int threads,
                            const options& opt) {
    manhattan_engine<T>(x, p, threads, opt).run(samples);
}

template void silhouettes_by_sorting(matrix_view<float>, const partition&, array_view<double>, int, const options&);
template void silhouettes_by_sorting(matrix_view<double>, const partition&, array_view<double>, int, const options&);

}  // namespace zoorank
