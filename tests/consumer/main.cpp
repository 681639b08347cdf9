// Six points of two classes, scored by an installed zoorank.
#include <cmath>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>
#include <zoorank/build_info.hpp>
#include <zoorank/silhouette.hpp>

int main() {
    const std::string version = zoorank::build_info().version;
    if (version != EXPECTED_VERSION) {
        std::cerr << "linked with zoorank " << version << ", not " << EXPECTED_VERSION << '\n';
        return 1;
    }

    // On a line, by hand: a = 1.5, 1, 1.5 and b = 11, 10, 9 in the first class; the second mirrors the first.
    const std::vector<double> x{0, 1, 2, 10, 11, 12};
    const std::vector<std::int64_t> labels{7, 7, 7, -1, -1, -1};
    const double expected = (9.5 / 11 + 9.0 / 10 + 7.5 / 9) / 3;
    const double score = zoorank::silhouette_score(zoorank::matrix_view<double>(x.data(), 6, 1), labels);
    std::cout << "zoorank " << version << ": silhouette score " << score << '\n';
    return std::abs(score - expected) < 1e-12 ? 0 : 1;
}
