// The parts of an estimate against exact silhouettes; the Python suite goes wider.
#include <zoorank/estimate.hpp>
#include <zoorank/silhouette.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"

using zoorank::matrix_view;
using zoorank::metric;

namespace {

template <class T>
struct problem {
    std::int64_t rows = 700, cols = 19;
    std::vector<T> values;
    std::vector<std::int64_t> labels;

    explicit problem(std::int64_t classes) {
        std::mt19937 generator(1);
        std::normal_distribution<double> normal;
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::int64_t c = i < classes ? i : static_cast<std::int64_t>(generator() % classes);
            labels.push_back(3 * c - 5);
            for (std::int64_t k = 0; k < cols; ++k)
                values.push_back(static_cast<T>(normal(generator) + std::cos(static_cast<double>(c * k))));
        }
    }

    matrix_view<T> block(std::int64_t begin, std::int64_t end) const {
        return {values.data() + begin * cols, end - begin, cols};
    }
};

// Hands the rows over in two blocks.
template <class Pass>
void in_blocks(std::int64_t rows, Pass pass) {
    pass(0, 433);
    pass(433, rows);
}

template <class T>
zoorank::row_statistics<T> statistics_of(const problem<T>& p, metric how) {
    zoorank::row_statistics<T> rows(p.labels, p.cols, how);
    in_blocks(p.rows, [&](std::int64_t begin, std::int64_t end) { rows.check(p.block(begin, end), begin); });
    if (how != metric::manhattan)
        in_blocks(p.rows, [&](std::int64_t begin, std::int64_t end) { rows.add_moments(p.block(begin, end), begin); });
    return rows;
}

template <class T>
std::vector<double> surrogate_of(const problem<T>& p, metric how, int threads) {
    const auto statistics = statistics_of(p, how);
    zoorank::options opt;
    opt.threads = threads;
    std::vector<double> samples(static_cast<std::size_t>(p.rows));
    in_blocks(p.rows, [&](std::int64_t begin, std::int64_t end) {
        statistics.surrogate(p.block(begin, end), begin, {samples.data() + begin, end - begin}, opt);
    });
    return samples;
}

template <class T>
std::vector<double> exact_of(const problem<T>& p, metric how, const std::vector<std::int64_t>& drawn, int threads) {
    const auto statistics = statistics_of(p, how);
    zoorank::options opt;
    opt.threads = threads;
    std::vector<T> values;
    for (const std::int64_t i : drawn)
        values.insert(values.end(), p.values.begin() + i * p.cols, p.values.begin() + (i + 1) * p.cols);
    const auto count = static_cast<std::int64_t>(drawn.size());
    zoorank::exact_rows<T> exact(statistics, matrix_view<T>(values.data(), count, p.cols), drawn);
    in_blocks(p.rows, [&](std::int64_t begin, std::int64_t end) { exact.add(p.block(begin, end), begin, opt); });
    std::vector<double> samples(drawn.size());
    exact.silhouettes(samples);
    return samples;
}

template <class T>
void check_type(double tolerance) {
    for (const std::int64_t classes : {2, 30, 400}) {
        const problem<T> p(classes);
        std::vector<double> expected(static_cast<std::size_t>(p.rows));
        for (const metric how : {metric::sqeuclidean, metric::cosine}) {
            zoorank::silhouette_samples(p.block(0, p.rows), p.labels, expected, how);
            const std::vector<double> actual = surrogate_of(p, how, 1);
            for (std::size_t i = 0; i < expected.size(); ++i) CHECK_CLOSE(actual[i], expected[i], 1e-12);
            CHECK(surrogate_of(p, how, 3) == actual);
        }
        const std::vector<std::int64_t> drawn{699, 0, 5, 5, 432, 433, 100};
        for (const metric how : {metric::euclidean, metric::manhattan}) {
            zoorank::silhouette_samples(p.block(0, p.rows), p.labels, expected, how);
            const std::vector<double> actual = exact_of(p, how, drawn, 1);
            for (std::size_t i = 0; i < drawn.size(); ++i)
                CHECK_CLOSE(actual[i], expected[static_cast<std::size_t>(drawn[i])], tolerance);
            CHECK(exact_of(p, how, drawn, 3) == actual);
        }
    }
}

}  // namespace

TEST_CASE("float rows in blocks give what rows in memory give") { check_type<float>(1e-5); }

TEST_CASE("double rows in blocks give what rows in memory give") { check_type<double>(1e-12); }

TEST_CASE("candidates that hold every other class change nothing") {
    const problem<double> p(12);
    auto statistics = statistics_of(p, metric::euclidean);
    std::vector<double> all(static_cast<std::size_t>(p.rows)), few = all;
    statistics.surrogate(p.block(0, p.rows), 0, all);
    std::vector<std::int64_t> others;
    for (std::int64_t c = 0; c < 12; ++c)
        for (std::int64_t step = 1; step < 12; ++step) others.push_back((c + step) % 12);
    statistics.restrict_to(others, 11);
    statistics.surrogate(p.block(0, p.rows), 0, few);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK_CLOSE(few[i], all[i], 1e-13);
    others[0] = 0;
    CHECK_THROWS(std::invalid_argument, "class 0 has candidate 0", statistics.restrict_to(others, 11));
    CHECK_THROWS(std::invalid_argument, "for 12 classes of 5", statistics.restrict_to(others, 5));
}

TEST_CASE("class points have the same bits in any units, and squares that are numbers") {
    problem<float> p(12);
    std::vector<float> points(12 * static_cast<std::size_t>(p.cols + 1)), scaled = points;
    statistics_of(p, metric::euclidean).class_points(points);
    for (float& value : p.values) value *= 0x1p+120F;
    statistics_of(p, metric::euclidean).class_points(scaled);
    CHECK(scaled == points);
    for (const float value : points) CHECK(std::isfinite(value * value));
}

TEST_CASE("exact rows that lack a part of a block are refused") {
    const problem<double> p(12);
    const auto statistics = statistics_of(p, metric::euclidean);
    const std::vector<std::int64_t> drawn{0, 1};
    zoorank::exact_rows<double> exact(statistics, p.block(0, 2), drawn);
    std::vector<double> samples(2);
    CHECK_THROWS(std::invalid_argument, "outside the 700 rows", exact.add(p.block(0, 9), 695));
    CHECK_THROWS(std::invalid_argument, "it has seen 0", exact.silhouettes(samples));
    zoorank::options give_up;
    give_up.threads = 1;  // else another thread may be done before this one is asked
    give_up.progress = [](double) { return false; };
    CHECK_THROWS(zoorank::cancelled, "cancelled", exact.add(p.block(0, p.rows), 0, give_up));
    CHECK_THROWS(std::invalid_argument, "given up half way", exact.add(p.block(0, p.rows), 0));
    CHECK_THROWS(std::invalid_argument, "given up half way", exact.silhouettes(samples));
}

// Standard errors of estimates from 20 references of each class, where row 0 is `far` times as far away.
template <class T>
std::vector<double> errors_of(double far) {
    constexpr std::int64_t classes = 7;
    problem<T> p(classes);
    for (std::int64_t k = 0; k < p.cols; ++k) p.values[static_cast<std::size_t>(k)] *= static_cast<T>(far);
    std::vector<std::int64_t> indices, sizes(classes, 0);
    for (std::int64_t c = 0; c < classes; ++c)
        for (std::int64_t i = 0; i < p.rows; ++i)
            if (p.labels[static_cast<std::size_t>(i)] == 3 * c - 5 && ++sizes[static_cast<std::size_t>(c)] <= 20)
                indices.push_back(i);
    const std::vector<std::int64_t> drawn(classes, 20);
    std::vector<T> values;
    for (const std::int64_t i : indices)
        values.insert(values.end(), p.values.begin() + i * p.cols, p.values.begin() + (i + 1) * p.cols);
    const auto statistics = statistics_of(p, metric::euclidean);
    const auto count = static_cast<std::int64_t>(indices.size());
    const zoorank::reference_rows<T> references(statistics, matrix_view<T>(values.data(), count, p.cols), indices,
                                                drawn, sizes);
    std::vector<double> samples(static_cast<std::size_t>(p.rows)), errors = samples;
    references.estimate(p.block(0, p.rows), 0, samples, errors);
    return errors;
}

TEST_CASE("float errors of estimates are those of double, also beside a row far away") {
    for (const double far : {1.0, 1e12, 1e25}) {
        const std::vector<double> of_float = errors_of<float>(far), of_double = errors_of<double>(far);
        for (std::size_t i = 0; i < of_float.size(); ++i) {
            CHECK_CLOSE(of_float[i], of_double[i], 1e-3 * of_double[i] + 1e-15);
            if (far == 1) CHECK(of_float[i] > 0);
        }
    }
}

TEST_CASE("with every row as reference, and few classes, estimates of samples are exact") {
    for (const std::int64_t classes : {2, 6}) {
        const problem<double> p(classes);
        const auto statistics = statistics_of(p, metric::euclidean);
        std::vector<std::int64_t> indices, sizes;  // each class is one stratum, drawn to the last row
        for (std::int64_t c = 0; c < classes; ++c) {
            const std::size_t before = indices.size();
            for (std::int64_t i = 0; i < p.rows; ++i)
                if (p.labels[static_cast<std::size_t>(i)] == 3 * c - 5) indices.push_back(i);
            sizes.push_back(static_cast<std::int64_t>(indices.size() - before));
        }
        std::vector<double> values, expected(static_cast<std::size_t>(p.rows)), samples = expected, errors = expected;
        for (const std::int64_t i : indices)
            values.insert(values.end(), p.values.begin() + i * p.cols, p.values.begin() + (i + 1) * p.cols);
        const zoorank::reference_rows<double> references(statistics, matrix_view<double>(values.data(), p.rows, p.cols),
                                                         indices, sizes, sizes);
        zoorank::silhouette_samples(p.block(0, p.rows), p.labels, expected, metric::euclidean);
        std::vector<double> first;
        for (const int threads : {1, 3}) {
            zoorank::options opt;
            opt.threads = threads;
            in_blocks(p.rows, [&](std::int64_t begin, std::int64_t end) {
                references.estimate(p.block(begin, end), begin, {samples.data() + begin, end - begin},
                                    {errors.data() + begin, end - begin}, opt);
            });
            for (std::size_t i = 0; i < samples.size(); ++i) CHECK_CLOSE(samples[i], expected[i], 1e-12);
            for (const double error : errors) CHECK(error == 0);
            if (threads == 1) first = samples;
            CHECK(samples == first);
        }
        std::iota(indices.begin(), indices.end(), 0);
        CHECK_THROWS(std::invalid_argument, "do not lie side by side",
                     zoorank::reference_rows<double>(statistics, p.block(0, p.rows), indices, sizes, sizes));
    }
}

TEST_CASE("mistakes are named") {
    problem<float> p(5);
    zoorank::row_statistics<float> rows(p.labels, p.cols);
    CHECK_THROWS(std::invalid_argument, "precomputed",
                 zoorank::row_statistics<float>(p.labels, p.cols, metric::precomputed));
    CHECK_THROWS(std::invalid_argument, "check comes first", rows.add_moments(p.block(0, 9), 0));
    CHECK_THROWS(std::invalid_argument, "outside the 700 rows", rows.check(p.block(0, 9), 695));
    rows.check(p.block(0, 600), 0);
    p.values[static_cast<std::size_t>(650 * p.cols)] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS(std::invalid_argument, "the first bad row is 650", rows.check(p.block(600, 700), 600));
}
