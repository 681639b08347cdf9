// Distances where sizes differ the most; the Python suite has the rest.
#include <zoorank/distances.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include "check.hpp"

using zoorank::matrix_view;
using zoorank::metric;

namespace {

// The distance of two rows of two features each.
template <class T>
double between(const std::vector<T>& x, const std::vector<T>& y, metric how) {
    std::vector<T> out(1);
    zoorank::pairwise_distances(matrix_view<T>(x.data(), 1, 2), matrix_view<T>(y.data(), 1, 2), out, how);
    return static_cast<double>(out[0]);
}

}  // namespace

TEST_CASE("rows may be as small or as large as their type allows, and the others zeros") {
    for (const float size : {1e-37F, 1e-30F, 1.0F, 1e30F, 3e37F}) {
        const std::vector<float> row{3 * size, 4 * size}, zeros(2, 0.0F);
        const double expected = 5 * static_cast<double>(size);
        CHECK_CLOSE(between(row, zeros, metric::euclidean) / expected, 1, 1e-6);
        CHECK_CLOSE(between(zeros, row, metric::euclidean) / expected, 1, 1e-6);
        CHECK_CLOSE(between(row, zeros, metric::manhattan) / expected, 1.4, 1e-6);
    }
    for (const double size : {1e-300, 1e-160, 1.0, 1e300}) {
        const std::vector<double> row{3 * size, 4 * size}, zeros(2, 0.0);
        CHECK_CLOSE(between(row, zeros, metric::euclidean) / size, 5, 1e-14);
    }
}

TEST_CASE("cosine distances do not depend on the lengths of rows") {
    for (const double size : {1e-290, 1.0, 1e300}) {
        const std::vector<double> x{3 * size, 4 * size}, y{4, 3};
        CHECK_CLOSE(between(x, y, metric::cosine), 0.04, 1e-14);
    }
    CHECK(between<double>({0, 0}, {4, 3}, metric::cosine) == 1);
}
