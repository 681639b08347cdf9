// Silhouettes of needed pairs, against the definition in double and against all pairs; and the bounds alone, against
// mean distances: no class may be ruled out by its own. The Python suite has more inputs; this one also runs under
// sanitizers.
#include <zoorank/silhouette.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "check.hpp"
#include "class_bounds.hpp"
#include "class_screen.hpp"
#include "cpu/kernel_table.hpp"
#include "partition.hpp"
#include "problem.hpp"
#include "pruning.hpp"
#include "scaling.hpp"

using check::by_definition;
using check::problem;
using zoorank::metric;
using zoorank::pair_selection;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;

struct result {
    std::vector<double> samples;
    double pairs = 0;
};

template <class T>
result silhouettes(const problem<T>& p, pair_selection pairs, int threads, std::function<bool(double)> progress = {}) {
    result r{std::vector<double>(p.labels.size(), -9), 0};
    zoorank::options opt;
    opt.threads = threads;
    opt.pairs = pairs;
    opt.pairs_evaluated = &r.pairs;
    opt.progress = std::move(progress);
    zoorank::silhouette_samples(p.view(), p.labels, r.samples, metric::euclidean, opt);
    return r;
}

double all_pairs(double rows) { return rows * (rows - 1) / 2; }

double most_apart(const std::vector<double>& a, const std::vector<double>& b) {
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double apart = std::abs(a[i] - b[i]);
        worst = apart <= worst ? worst : apart;  // NaN is the worst
    }
    return worst;
}

// Returns the share of all pairs that was needed.
template <class T>
double check_exact(const problem<T>& p) {
    const result one = silhouettes(p, pair_selection::needed, 1), all = silhouettes(p, pair_selection::all, 1);
    CHECK_CLOSE(most_apart(one.samples, by_definition(p, metric::euclidean)), 0, tolerance<T>);
    CHECK_CLOSE(most_apart(one.samples, all.samples), 0, 2 * tolerance<T>);
    CHECK(all.pairs == all_pairs(static_cast<double>(p.rows)));
    for (const int threads : {2, 5}) {
        const result many = silhouettes(p, pair_selection::needed, threads);
        CHECK(many.samples == one.samples);
        CHECK(many.pairs == one.pairs);
    }
    return one.pairs / all.pairs;
}

// Mean distances of each row to each class, the row itself left in: [row * classes + class].
template <class T>
std::vector<double> mean_distances(const problem<T>& p, const zoorank::partition& parts) {
    const std::int64_t classes = parts.classes();
    const std::vector<std::int64_t> class_at = zoorank::class_of_position(parts);
    std::vector<double> means(static_cast<std::size_t>(p.rows * classes), 0.0);
    for (std::int64_t i = 0; i < p.rows; ++i)
        for (std::int64_t j = 0; j < p.rows; ++j) {
            const std::int64_t c = class_at[static_cast<std::size_t>(j)];
            const T* other = p.view().row(parts.order[static_cast<std::size_t>(j)]);
            means[static_cast<std::size_t>(i * classes + c)] +=
                check::distance(p.view().row(i), other, p.cols, metric::euclidean) / static_cast<double>(parts.size(c));
        }
    return means;
}

// Every class for every row, through both levels, where what it has to exceed is `share` of its own mean distance:
// returns the share of rows and classes that is left.
template <class T>
double share_left(const problem<T>& p, double share) {
    const zoorank::partition parts = zoorank::partition_by_class(p.labels);
    const std::int64_t classes = parts.classes();
    const T scale = zoorank::checked_scale(p.view(), "X", 1, {});
    const auto centre = zoorank::dithered_centre(p.view(), parts.order.data(), p.rows, scale);
    const auto frame = zoorank::frame_of_bounds(scale, centre);
    const zoorank::pruning_levels levels = zoorank::levels_for(p.rows, p.cols, classes);
    zoorank::class_bounds<T> bounds(p.view(), parts, frame, levels.all, levels.few);
    std::vector<std::int64_t> every_class(static_cast<std::size_t>(classes));
    std::iota(every_class.begin(), every_class.end(), std::int64_t{0});
    bounds.describe(every_class, 2, {});
    const zoorank::class_screen<T> screen(p.view(), parts, frame, bounds, levels.few);
    auto space = screen.make_workspace();
    const std::vector<double> means = mean_distances(p, parts);
    double left = 0;
    for (std::int64_t begin = 0; begin < p.rows; begin += screen.together) {
        const std::int64_t end = std::min(begin + screen.together, p.rows);
        std::vector<std::int64_t> positions(static_cast<std::size_t>(end - begin));
        std::iota(positions.begin(), positions.end(), begin);
        const auto limit_by = [&](std::int64_t c) {
            for (std::size_t r = 0; r < positions.size(); ++r) {
                const auto row = static_cast<std::size_t>(parts.order[static_cast<std::size_t>(positions[r])]);
                const double mean = means[row * static_cast<std::size_t>(classes) + static_cast<std::size_t>(c)];
                space.limits.data()[r] = zoorank::limit_of<T>(share * mean * static_cast<double>(scale));
            }
        };
        std::vector<char> survive(static_cast<std::size_t>(classes) * positions.size());
        limit_by(0);
        screen.screen_all(begin, end, space, [&](std::int64_t c, const T* survives) {
            for (std::size_t r = 0; r < positions.size(); ++r)
                survive[static_cast<std::size_t>(c) * positions.size() + r] = survives[r] > 0;
            if (c + 1 < classes) limit_by(c + 1);
        });
        for (std::int64_t c = 0; c < classes; ++c) {
            limit_by(c);
            screen.screen_class(c, positions, true, space);
            for (std::size_t r = 0; r < positions.size(); ++r)
                left += survive[static_cast<std::size_t>(c) * positions.size() + r] && space.survives.data()[r] > 0;
        }
    }
    return left / static_cast<double>(p.rows * classes);
}

template <class T, class Change>
problem<T> changed(problem<T> p, Change change) {
    for (std::int64_t i = 0; i < p.rows; ++i) {
        const std::int64_t c = (p.labels[static_cast<std::size_t>(i)] + 7) / 10;
        change(i, c, p.values.data() + i * p.stride);
    }
    return p;
}

// Classes at distances of `apart` times their size.
template <class T>
problem<T> separated(std::int64_t n, std::int64_t d, std::int64_t classes, double apart) {
    std::mt19937 generator(5);
    std::vector<double> centres(static_cast<std::size_t>(classes * d));
    for (double& value : centres) value = apart * (static_cast<double>(generator()) / 4294967296.0 - 0.5);
    return changed(problem<T>(n, d, classes, 1), [&](std::int64_t, std::int64_t c, T* row) {
        for (std::int64_t f = 0; f < d; ++f) row[f] += static_cast<T>(centres[static_cast<std::size_t>(c * d + f)]);
    });
}

template <class T>
problem<T> heavy_tailed(std::int64_t n, std::int64_t d, std::int64_t classes) {
    std::mt19937 generator(6);
    return changed(problem<T>(n, d, classes, 2), [&](std::int64_t, std::int64_t, T* row) {
        const double length = std::pow((static_cast<double>(generator()) + 1) / 4294967296.0, -0.7);
        for (std::int64_t f = 0; f < d; ++f) row[f] = static_cast<T>(row[f] * length);
    });
}

// Rows of a few values: many are equal, in all classes alike.
template <class T>
problem<T> duplicated(std::int64_t n, std::int64_t d, std::int64_t classes) {
    return changed(problem<T>(n, d, classes, 3), [&](std::int64_t i, std::int64_t, T* row) {
        for (std::int64_t f = 0; f < d; ++f) row[f] = static_cast<T>((i * i + f) % 7);
    });
}

// One row, so far that squares of all other distances have few digits, or none, beside its own.
template <class T>
problem<T> with_far_row(double far) {
    return changed(problem<T>(620, 24, 5, 4), [&](std::int64_t i, std::int64_t, T* row) {
        for (std::int64_t f = 0; i == 11 && f < 24; ++f) row[f] = static_cast<T>(row[f] * far);
    });
}

template <class T>
std::vector<double> far_values() {
    if (sizeof(T) == 4) return {1e6, 1e22, 1e24, 1e25, 1e26, 1e27, 1e37};
    return {1e6, 1e100, 1e153};
}

// Long in a direction of its own for each class.
template <class T>
problem<T> elongated(std::int64_t n, std::int64_t d, std::int64_t classes) {
    std::mt19937 generator(7);
    return changed(separated<T>(n, d, classes, 3), [&](std::int64_t, std::int64_t c, T* row) {
        const double along = 4 * (static_cast<double>(generator()) / 4294967296.0 - 0.5);
        for (std::int64_t f = 0; f < d; ++f)
            row[f] = static_cast<T>(row[f] + along * std::sin(static_cast<double>((c + 1) * (f + 3))));
    });
}

// Large classes, and some of one, two, and as many rows as a block has, one more and one less.
template <class T>
problem<T> uneven() {
    problem<T> p(1000, 18, 2, 9);
    std::vector<std::int64_t> sizes{239, 240, 241};
    sizes.insert(sizes.end(), 9, 1);
    sizes.insert(sizes.end(), 11, 2);
    std::int64_t i = 0;
    for (std::size_t c = 0; c < sizes.size(); ++c)
        for (std::int64_t member = 0; member < sizes[c]; ++member, ++i)
            p.labels[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(c);
    for (; i < p.rows; ++i) p.labels[static_cast<std::size_t>(i)] = -1;
    std::shuffle(p.labels.begin(), p.labels.end(), std::mt19937(10));
    return p;
}

template <class T>
void check_inputs() {
    CHECK(check_exact(separated<T>(1000, 24, 20, 4)) < 1);  // about twice all pairs without bounds
    check_exact(elongated<T>(660, 32, 6));
    check_exact(separated<T>(600, 40, 3, 0.5));  // classes of up to three blocks' rows, with all directions
    check_exact(heavy_tailed<T>(500, 17, 6));
    check_exact(duplicated<T>(400, 9, 4));
    check_exact(uneven<T>());
    for (const double far : far_values<T>()) check_exact(with_far_row<T>(far));
}

// The first level alone, both, and more classes than a block of products has room for.
template <class T>
void check_shapes() {
    for (const std::int64_t d : {1, 2, 7, 8, 9, 31, 129, 300}) check_exact(separated<T>(150, d, 2, 1));
    for (const std::int64_t classes : {2, 60, 245, 299}) check_exact(separated<T>(300, 5, classes, 3));
    check_exact(separated<T>(3, 2, 2, 1));
}

template <class T>
void check_bounds() {
    const std::vector<problem<T>> problems{separated<T>(500, 24, 5, 2), separated<T>(320, 5, 40, 2),
                                           elongated<T>(450, 32, 3),    heavy_tailed<T>(400, 17, 4),
                                           duplicated<T>(300, 9, 3),    uneven<T>()};
    for (const problem<T>& p : problems) CHECK(share_left(p, 1) == 1);
    for (const double far : far_values<T>()) CHECK(share_left(with_far_row<T>(far), 1) == 1);
    CHECK(share_left(problems[0], 0.9) < 0.1);
    CHECK(share_left(problems[2], 0.9) < 0.1);
}

template <class T>
void check_cancelling() {
    const problem<T> p = separated<T>(400, 24, 3, 1);
    const result expected = silhouettes(p, pair_selection::needed, 1);
    for (const int threads : {1, 3})
        for (int last = 1, finished = 0; finished == 0; ++last) {
            int calls = 0;
            double before = 0;
            const auto stop_at_last = [&](double done) {
                CHECK(done >= before && done <= 1);
                before = done;
                return ++calls < last;
            };
            try {
                const result r = silhouettes(p, pair_selection::needed, threads, stop_at_last);
                CHECK(r.samples == expected.samples);
                CHECK(threads > 1 ||
                      last > 5);  // others may leave the calling thread, which alone reports, nothing to do
                finished = 1;
            } catch (const zoorank::cancelled&) {
                CHECK(last < 1000);
                if (last >= 1000) return;
            }
        }
}

}  // namespace

TEST_CASE("float: needed pairs give the definition's samples, the same bits for any number of threads") {
    check_inputs<float>();
}

TEST_CASE("double: needed pairs give the definition's samples, the same bits for any number of threads") {
    check_inputs<double>();
}

TEST_CASE("float: so do few and many features and classes") { check_shapes<float>(); }

TEST_CASE("double: so do few and many features and classes") { check_shapes<double>(); }

TEST_CASE("float: bounds rule out no class that is as near as the nearest") { check_bounds<float>(); }

TEST_CASE("double: bounds rule out no class that is as near as the nearest") { check_bounds<double>(); }

TEST_CASE("a sample that says needed pairs gives their bits") {
    const problem<float> p = separated<float>(20000, 32, 800, 6);
    const result automatic = silhouettes(p, pair_selection::automatic, 2);
    const result needed = silhouettes(p, pair_selection::needed, 2);
    CHECK(automatic.pairs < 0.4 * all_pairs(20000));
    CHECK(automatic.pairs == needed.pairs);
    CHECK(automatic.samples == needed.samples);
}

TEST_CASE("a call can be given up at any step, and the next one is right") {
    check_cancelling<float>();
    check_cancelling<double>();
}
