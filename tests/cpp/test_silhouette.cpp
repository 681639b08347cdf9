// Against the definition in double, pair by pair. The Python suite goes wider; this one also runs under sanitizers.
#include <zoorank/distances.hpp>
#include <zoorank/estimate.hpp>
#include <zoorank/silhouette.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "partition.hpp"
#include "problem.hpp"

using zoorank::array_view;
using zoorank::matrix_view;
using zoorank::metric;

using check::by_definition;
using check::problem;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;

constexpr metric vector_metrics[] = {metric::euclidean, metric::sqeuclidean, metric::cosine, metric::manhattan};

template <class T>
std::vector<double> samples_of(const problem<T>& p, metric how, int threads) {
    std::vector<double> samples(p.labels.size(), -9);
    zoorank::options opt;
    opt.threads = threads;
    zoorank::silhouette_samples(p.view(), p.labels, samples, how, opt);
    return samples;
}

template <class T>
void check_against_definition(const problem<T>& p) {
    for (const metric how : vector_metrics) {
        if (how == metric::cosine && p.cols == 1) continue;  // every distance is 0 or 2: 0/0 up to rounding
        const std::vector<double> expected = by_definition(p, how);
        const std::vector<double> one_thread = samples_of(p, how, 1);
        double worst = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
            worst = std::max(worst, std::abs(one_thread[i] - expected[i]));
        CHECK_CLOSE(worst, 0, tolerance<T>);
        CHECK(samples_of(p, how, 2) == one_thread);
        CHECK(samples_of(p, how, 4) == one_thread);
    }
}

template <class T>
void check_shapes() {
    for (const std::int64_t d : {1, 7, 8, 15, 16, 17, 31, 33, 100}) check_against_definition(problem<T>(67, d, 3, 1));
    for (const std::int64_t classes : {2, 5, 40, 66}) check_against_definition(problem<T>(67, 9, classes, 2));
    check_against_definition(problem<T>(3, 2, 2, 3));
    check_against_definition(problem<T>(600, 20, 2, 4));  // classes larger than a block
}

}  // namespace

TEST_CASE("float samples are the definition's, for any number of threads") { check_shapes<float>(); }

TEST_CASE("double samples are the definition's, for any number of threads") { check_shapes<double>(); }

TEST_CASE("an offset of 1e4 costs no accuracy") {
    const problem<float> p(200, 24, 4, 5, 1e4);
    const std::vector<double> expected = by_definition(p, metric::euclidean);
    const std::vector<double> actual = samples_of(p, metric::euclidean, 2);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK_CLOSE(actual[i], expected[i], tolerance<float>);
}

TEST_CASE("a row far away costs the others no accuracy") {
    for (const double far : {1e10, 1e20, 1e30}) {
        problem<float> p(100, 24, 4, 12);
        for (std::int64_t f = 0; f < p.cols; ++f) p.values[static_cast<std::size_t>(f)] *= static_cast<float>(far);
        const std::vector<double> expected = by_definition(p, metric::euclidean);
        const std::vector<double> actual = samples_of(p, metric::euclidean, 2);
        for (std::size_t i = 0; i < expected.size(); ++i) CHECK_CLOSE(actual[i], expected[i], tolerance<float>);
    }
    // Squares of doubles overflow in the definition. A class that holds such a row is nobody's nearest, however far.
    problem<double> near(100, 24, 4, 12), far = near;
    for (std::size_t f = 0; f < 24; ++f) {
        near.values[f] *= 1e50;
        far.values[f] *= 1e250;
    }
    const std::vector<double> expected = by_definition(near, metric::euclidean);
    const std::vector<double> actual = samples_of(far, metric::euclidean, 2);
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (near.labels[i] != near.labels[0]) CHECK_CLOSE(actual[i], expected[i], tolerance<double>);
}

TEST_CASE("directions do not depend on the lengths of rows") {
    problem<double> p(90, 11, 4, 13);
    const std::vector<double> expected = by_definition(p, metric::cosine);
    for (std::int64_t i = 0; i < p.rows; ++i)
        for (std::int64_t f = 0; f < p.cols; ++f)
            p.values[static_cast<std::size_t>(i * p.stride + f)] *= i % 3 == 0 ? 1e300 : i % 3 == 1 ? 1 : 1e-290;
    const std::vector<double> actual = samples_of(p, metric::cosine, 2);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK_CLOSE(actual[i], expected[i], tolerance<double>);
}

TEST_CASE("distances may be as large as their type allows") {
    const std::vector<std::int64_t> labels{0, 0, 0, 1, 1, 1};
    std::vector<double> distances(36), plain(6), large(6);
    for (std::size_t i = 0; i < 6; ++i)
        for (std::size_t j = 0; j < 6; ++j)
            if (i != j) distances[i * 6 + j] = labels[i] == labels[j] ? 0.75 : 1 + 0.125 * static_cast<double>(i);
    const matrix_view<double> x(distances.data(), 6, 6);
    zoorank::silhouette_samples(x, labels, plain, metric::precomputed);
    for (double& distance : distances) distance *= 0x1p+1023;
    zoorank::silhouette_samples(x, labels, large, metric::precomputed);
    CHECK_CLOSE(plain[0], 0.25, 1e-15);
    CHECK(large == plain);
}

TEST_CASE("the score is the mean of the samples") {
    const problem<double> p(90, 5, 4, 6);
    double sum = 0;
    for (const double s : samples_of(p, metric::euclidean, 1)) sum += s;
    CHECK_CLOSE(zoorank::silhouette_score(p.view(), p.labels), sum / 90, 1e-14);
}

TEST_CASE("a batch gives what its problems give one by one") {
    problem<float> first(120, 17, 5, 7);
    problem<float> second(120, 40, 5, 8);
    second.labels = first.labels;
    std::vector<double> a(120), b(120);
    zoorank::silhouette_batch(std::vector{first.view(), second.view()}, first.labels,
                              std::vector{array_view<double>(a), array_view<double>(b)});
    CHECK(a == samples_of(first, metric::euclidean, 1));
    CHECK(b == samples_of(second, metric::euclidean, 1));
}

TEST_CASE("a batch takes several metrics, and room for each") {
    problem<double> p(90, 7, 4, 7);
    std::vector<double> a(90), b(90);
    const std::vector<array_view<double>> room{a, b};
    zoorank::silhouette_batch(std::vector{p.view()}, p.labels, room, {metric::cosine, metric::manhattan});
    CHECK(a == samples_of(p, metric::cosine, 1));
    CHECK(b == samples_of(p, metric::manhattan, 1));
    CHECK_THROWS(std::invalid_argument, "room for 2 results",
                 zoorank::silhouette_batch(std::vector{p.view()}, p.labels, room, {metric::cosine}));
}

TEST_CASE("bad input is named") {
    problem<double> p(20, 3, 2, 9);
    std::vector<double> samples(20);
    std::vector<std::int64_t> same(20, 1);
    std::vector<std::int64_t> all_different(20);
    for (std::size_t i = 0; i < 20; ++i) all_different[i] = static_cast<std::int64_t>(i);
    CHECK_THROWS(std::invalid_argument, "", zoorank::silhouette_samples(p.view(), same, samples));
    CHECK_THROWS(std::invalid_argument, "", zoorank::silhouette_samples(p.view(), all_different, samples));
    same.pop_back();
    CHECK_THROWS(std::invalid_argument, "", zoorank::silhouette_samples(p.view(), same, samples));
    p.values[static_cast<std::size_t>(13 * p.stride)] = std::numeric_limits<double>::infinity();
    for (const metric how : vector_metrics)
        CHECK_THROWS(std::invalid_argument, "13", zoorank::silhouette_samples(p.view(), p.labels, samples, how));
    CHECK_THROWS(std::invalid_argument, "cosine", zoorank::parse_metric("cosin"));
}

TEST_CASE("what is no metric is taken for none") {
    problem<float> p(20, 3, 4, 10);
    std::vector<double> samples(20);
    std::vector<float> distances(400);
    for (const int number : {-1, static_cast<int>(zoorank::metrics.size())}) {
        const auto unknown = static_cast<metric>(number);
        const std::string said = "unknown metric number " + std::to_string(number);
        CHECK_THROWS(std::invalid_argument, said, zoorank::silhouette_samples(p.view(), p.labels, samples, unknown));
        CHECK_THROWS(std::invalid_argument, said, zoorank::pairwise_distances(p.view(), p.view(), distances, unknown));
        CHECK_THROWS(std::invalid_argument, said, zoorank::row_statistics<float>(p.labels, 3, unknown));
    }
    const zoorank::partition classes = zoorank::partition_by_class(p.labels);
    for (const metric how : {metric::sqeuclidean, metric::cosine, metric::precomputed})
        CHECK_THROWS(
            std::invalid_argument, "is not added up pair by pair",
            zoorank::silhouettes_by_pairs(p.view(), classes, how, zoorank::cpu::active_set<float>(), samples, 1, {}));
}

TEST_CASE("labels may be any integers, as far apart as their type allows") {
    problem<double> p(30, 4, 3, 11);
    const std::vector<double> expected = samples_of(p, metric::euclidean, 1);
    for (std::int64_t& label : p.labels)
        label = label == -7  ? std::numeric_limits<std::int64_t>::min()
                : label == 3 ? 0
                             : std::numeric_limits<std::int64_t>::max();
    CHECK(samples_of(p, metric::euclidean, 1) == expected);
}
