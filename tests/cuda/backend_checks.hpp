#pragma once
// The CUDA backend against the CPU engine in float64: the same checks for a device (cuda_check.cpp) and for the
// emulator of tests/cpp/cuda_on_host. Every check is a line: what, the largest error, what is allowed.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>
#include <zoorank/distances.hpp>
#include <zoorank/estimate.hpp>
#include <zoorank/metric.hpp>
#include <zoorank/silhouette.hpp>

#include "cuda/backend.hpp"

namespace backend_checks {

using namespace zoorank;

struct result {
    std::string what;
    double error, allowed;
    bool right() const { return error <= allowed; }  // NaN is not
};

struct sizes {
    std::int64_t rows, depth, classes;
};

// Classes overlap, the second holds a duplicate of its first row, and a row is zero: pairs to be recomputed, and 0/0.
template <class T>
struct problem {
    explicit problem(const sizes& s) : size(s) {
        std::mt19937 random(static_cast<unsigned>(s.rows * 31 + s.depth));
        std::normal_distribution<float> normal;
        std::vector<float> centres(static_cast<std::size_t>(s.classes * s.depth));
        for (float& c : centres) c = 0.5f * normal(random);
        for (std::int64_t i = 0; i < s.rows; ++i) {
            const std::int64_t c = i < s.classes ? i : static_cast<std::int64_t>(random()) % s.classes;
            labels.push_back(c);
            for (std::int64_t k = 0; k < s.depth; ++k)
                values.push_back(normal(random) + centres[static_cast<std::size_t>(c * s.depth + k)]);
        }
        const auto begin = values.begin();
        std::copy(begin + s.depth, begin + 2 * s.depth, values.end() - s.depth);
        labels.back() = labels[1];
        std::fill(begin + 2 * s.depth, begin + 3 * s.depth, T(0));
    }
    /// Multiplies rows first, first + step, ... by a factor.
    problem& stretch(std::int64_t first, std::int64_t step, double factor) {
        for (std::int64_t i = first; i < size.rows; i += step)
            for (std::int64_t k = 0; k < size.depth; ++k)
                values[static_cast<std::size_t>(i * size.depth + k)] *= static_cast<T>(factor);
        char told[48];
        std::snprintf(told, sizeof told, ", every %lldth row times %.0e", static_cast<long long>(step), factor);
        stretched += told;
        return *this;
    }
    matrix_view<T> x() const { return {values.data(), size.rows, size.depth}; }
    array_view<const std::int64_t> y() const { return {labels.data(), size.rows}; }
    std::string name() const {
        return std::string(sizeof(T) == 4 ? "float32 " : "float64 ") + std::to_string(size.rows) + " x " +
               std::to_string(size.depth) + ", " + std::to_string(size.classes) + " classes" + stretched;
    }

    sizes size;
    std::vector<T> values;
    std::vector<std::int64_t> labels;
    std::string stretched;
};

/// Sets of references: of each class two rows always, of the others four at random, or every row of a small class.
struct drawn_sets {
    template <class T>
    drawn_sets(const problem<T>& given, std::vector<std::int64_t> first_rows) : bounds(std::move(first_rows)) {
        for (std::size_t set = 0; set + 1 < bounds.size(); ++set)
            for (std::int64_t c = 0; c < given.size.classes; ++c) add_class(given.labels, c, set);
    }
    cuda::reference_sets view() const {
        const auto of = [](const std::vector<std::int64_t>& v) {
            return array_view<const std::int64_t>(v.data(), static_cast<std::int64_t>(v.size()));
        };
        return {of(indices), of(bounds), of(drawn), of(sizes)};
    }

    std::vector<std::int64_t> indices, bounds, drawn, sizes;

private:
    void add_class(const std::vector<std::int64_t>& labels, std::int64_t c, std::size_t set) {
        constexpr std::size_t always = 2, of_others = 4;
        std::vector<std::int64_t> rows;
        for (std::size_t i = 0; i < labels.size(); ++i)
            if (labels[i] == c) rows.push_back(static_cast<std::int64_t>(i));
        const std::size_t first = std::min(always, rows.size()), others = rows.size() - first;
        const std::size_t taken = std::min(of_others, others);
        indices.insert(indices.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(first));
        for (std::size_t i = 0; i < taken; ++i) indices.push_back(rows[first + (set * 3 + i) % others]);
        if (set > 0) return;
        for (const auto& [count, size] : {std::pair{first, first}, std::pair{taken, others}})
            if (size > 0) {
                drawn.push_back(static_cast<std::int64_t>(count));
                sizes.push_back(static_cast<std::int64_t>(size));
            }
    }
};

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double difference = std::abs(a[i] - b[i]);
        if (!(difference <= largest)) largest = difference;
        if (std::isnan(largest)) break;
    }
    return largest;
}

inline std::string name_of(metric how) { return facts_of(how).name; }

template <class T>
constexpr double allowed() {
    return sizeof(T) == 4 ? 5e-6 : 1e-12;
}

class checker {
public:
    checker(cuda::place where, std::function<void(const result&)> report) : where_(where), report_(std::move(report)) {}

    int count() const { return count_; }
    int wrong() const { return wrong_; }

    template <class T>
    std::vector<double> samples(const problem<T>& given, metric how) {
        std::vector<double> s(given.labels.size(), std::nan(""));
        cuda::silhouette_samples<T>({given.x(), false}, given.y(), view(s), how, where_, {});
        return s;
    }

    /// Silhouettes, and the same bits twice.
    template <class T>
    void silhouettes(const problem<T>& given, metric how, const std::string& kernel) {
        const std::vector<double> s = samples(given, how);
        note(kernel + " " + name_of(how) + " " + given.name(), largest_difference(s, expected(given, how)),
             allowed<T>());
        const std::vector<double> again = samples(given, how);
        note(kernel + " " + name_of(how) + " " + given.name() + ", bits of two runs that differ",
             s == again ? 0.0 : 1.0, 0.0);
    }

    /// The same of a few rows, one of them twice.
    template <class T>
    void some_rows(const problem<T>& given, metric how, const std::string& kernel) {
        std::vector<std::int64_t> drawn;
        for (std::int64_t i = 0; i < given.size.rows; i += 3) drawn.push_back((i * 7) % given.size.rows);
        drawn.push_back(drawn.front());
        std::vector<double> s(drawn.size(), std::nan("")), wanted;
        cuda::silhouette_samples_of<T>({given.x(), false}, given.y(),
                                       {drawn.data(), static_cast<std::int64_t>(drawn.size())}, view(s), how, where_,
                                       {});
        const std::vector<double> all = expected(given, how);
        for (const std::int64_t i : drawn) wanted.push_back(all[static_cast<std::size_t>(i)]);
        note(kernel + " rows alone, " + name_of(how) + " " + given.name(), largest_difference(s, wanted), allowed<T>());
    }

    /// The estimator's surrogate, against that of the CPU.
    template <class T>
    void surrogate(const problem<T>& given) {
        row_statistics<T> rows(given.y(), given.size.depth);
        rows.check(given.x(), 0);
        rows.add_moments(given.x(), 0);
        std::vector<double> wanted(given.labels.size()), s(given.labels.size(), std::nan(""));
        rows.surrogate(given.x(), 0, view(wanted));
        cuda::surrogate_samples<T>({given.x(), false}, given.y(), view(s), where_, {});
        note("surrogate " + given.name(), largest_difference(s, wanted), allowed<T>());
    }

    /// The estimator's samples from references and their errors, against those of the CPU in float64, its radii, and
    /// the same bits twice.
    template <class T>
    void references(const problem<T>& given) {
        const std::int64_t n = given.size.rows, depth = given.size.depth;
        const drawn_sets sets(given, {0, n / 3, n});
        const std::vector<double> wide(given.values.begin(), given.values.end());
        const matrix_view<double> x(wide.data(), n, depth);
        row_statistics<double> rows(given.y(), depth);
        rows.check(x, 0);
        rows.add_moments(x, 0);
        std::vector<double> wanted(given.labels.size()), wanted_errors(wanted), s(wanted), errors(wanted);
        for (std::int64_t set = 0; set < sets.view().count(); ++set) {
            const auto indices = sets.view().indices_of(set);
            std::vector<double> values;
            for (const std::int64_t i : std::vector<std::int64_t>(indices.data, indices.data + indices.size))
                values.insert(values.end(), x.row(i), x.row(i) + depth);
            const reference_rows<double> some(rows, {values.data(), indices.size, depth}, indices, sets.view().drawn,
                                              sets.view().sizes);
            const std::int64_t begin = sets.bounds[static_cast<std::size_t>(set)],
                               count = sets.bounds[static_cast<std::size_t>(set) + 1] - begin;
            some.estimate({x.row(begin), count, depth}, begin, {wanted.data() + begin, count},
                          {wanted_errors.data() + begin, count});
        }
        const auto run = [&] {
            std::fill(s.begin(), s.end(), std::nan(""));
            std::fill(errors.begin(), errors.end(), std::nan(""));
            cuda::reference_samples<T>({given.x(), false}, given.y(), sets.view(), view(s), view(errors), where_, {});
        };
        run();
        note("from references, " + given.name(), largest_difference(s, wanted), allowed<T>());
        note("errors of those, " + given.name(), largest_difference(errors, wanted_errors), allowed<T>());
        const std::vector<double> before(s), errors_before(errors);
        run();
        note("from references, " + given.name() + ", bits of two runs that differ",
             s == before && errors == errors_before ? 0.0 : 1.0, 0.0);
        rows.radii(x, 0, view(wanted));
        cuda::class_radii<T>({given.x(), false}, given.y(), view(s), where_);
        // Up to a factor, which the two types do not share.
        const double factor = *std::max_element(wanted.begin(), wanted.end()),
                     of_device = *std::max_element(s.begin(), s.end());
        for (std::size_t i = 0; i < s.size(); ++i) {
            wanted[i] /= factor;
            s[i] /= of_device;
        }
        note("radii, " + given.name(), largest_difference(s, wanted), allowed<T>());
    }

    /// Distances of 70 rows to all, relative to the largest.
    template <class T>
    void distances(const problem<T>& given, metric how) {
        const std::int64_t m = std::min<std::int64_t>(70, given.size.rows), n = given.size.rows;
        std::vector<T> out(static_cast<std::size_t>(m * n), T(std::nan("")));
        const matrix_view<T> few(given.values.data(), m, given.size.depth);
        cuda::pairwise_distances<T>({few, false}, {given.x(), false}, {out.data(), m * n}, how, where_, {});
        const std::vector<double> wide(given.values.begin(), given.values.end());
        std::vector<double> wanted(out.size());
        zoorank::pairwise_distances(matrix_view<double>(wide.data(), m, given.size.depth),
                                    matrix_view<double>(wide.data(), n, given.size.depth), view(wanted), how);
        const double scale = *std::max_element(wanted.begin(), wanted.end());
        note(std::string("distances, ") + name_of(how) + " " + given.name(),
             largest_difference({out.begin(), out.end()}, wanted) / scale, sizeof(T) == 4 ? 1e-5 : 1e-12);
    }

private:
    static array_view<double> view(std::vector<double>& v) { return {v.data(), static_cast<std::int64_t>(v.size())}; }

    template <class T>
    static std::vector<double> expected(const problem<T>& given, metric how) {
        const std::vector<double> wide(given.values.begin(), given.values.end());
        std::vector<double> s(given.labels.size());
        zoorank::silhouette_samples(matrix_view<double>(wide.data(), given.size.rows, given.size.depth), given.y(),
                                    view(s), how);
        return s;
    }

    void note(const std::string& what, double error, double allowed_error) {
        const result found{what, error, allowed_error};
        ++count_;
        wrong_ += !found.right();
        report_(found);
    }

    cuda::place where_;
    std::function<void(const result&)> report_;
    int count_ = 0, wrong_ = 0;
};

/// One kernel of float rows on tiles of every kind: `kernel` is simt, mma or wgmma.
inline void check_kernel(checker& check, const std::string& kernel, const std::vector<sizes>& all) {
    setenv("ZOORANK_CUDA_KERNEL", kernel.c_str(), 1);
    for (const sizes& each : all) {
        const problem<float> given(each);
        check.silhouettes(given, metric::euclidean, kernel);
        check.some_rows(given, metric::euclidean, kernel);
    }
    // A row far from all others takes the range of squares for itself.
    problem<float> far(all.front());
    far.stretch(5, far.size.rows, 1e25);
    check.silhouettes(far, metric::euclidean, kernel);
    check.some_rows(far, metric::euclidean, kernel);
    unsetenv("ZOORANK_CUDA_KERNEL");
}

/// All the rest, in both types.
template <class T>
void check_others(checker& check, const std::vector<sizes>& all) {
    for (const sizes& each : all) {
        const problem<T> given(each);
        for (const metric how : {metric::manhattan, metric::sqeuclidean, metric::cosine})
            check.silhouettes(given, how, "simt");
        check.some_rows(given, metric::manhattan, "simt");
        if (sizeof(T) == sizeof(double)) {
            check.silhouettes(given, metric::euclidean, "simt");
            check.some_rows(given, metric::euclidean, "simt");
        }
        check.surrogate(given);
        check.references(given);
        for (const metric how : {metric::euclidean, metric::sqeuclidean, metric::cosine, metric::manhattan})
            check.distances(given, how);
    }
}

/// Rows whose lengths differ by all that the type holds.
template <class T>
void check_lengths(checker& check, const sizes& each) {
    constexpr bool is_float = sizeof(T) == 4;
    problem<T> far(each), directions(each);
    far.stretch(5, each.rows, is_float ? 1e25 : 1e100);
    for (const metric how : {metric::euclidean, metric::manhattan, metric::sqeuclidean})
        check.silhouettes(far, how, "simt");
    check.surrogate(far);
    check.references(far);
    directions.stretch(0, 3, is_float ? 1e37 : 1e300).stretch(1, 3, is_float ? 1e-36 : 1e-290);
    check.silhouettes(directions, metric::cosine, "simt");
    check.distances(directions, metric::cosine);
}

}  // namespace backend_checks
