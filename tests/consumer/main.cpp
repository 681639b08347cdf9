// Six points of two classes, scored by zoorank from C++; and a call that is given up.
#include <cmath>
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
#include <zoorank/build_info.hpp>
#include <zoorank/silhouette.hpp>

namespace {

// True if an error of the library arrives as the type it was thrown as.
bool errors_arrive(const std::vector<std::int64_t>& labels) {
    const std::vector<double> too_short{0, 1, 2};
    try {
        zoorank::silhouette_score(zoorank::matrix_view<double>(too_short.data(), 3, 1), labels);
    } catch (const std::invalid_argument& error) {
        std::cout << "as it should: " << error.what() << '\n';
        return true;
    }
    return false;
}

// True if a call that runs for minutes ends when its progress function says so.
bool cancellation_works() {
    const std::int64_t rows = 200'000, features = 64;
    std::vector<float> x(static_cast<std::size_t>(rows * features));
    std::vector<std::int64_t> labels(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7919 % 1009);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i % 5);

    zoorank::options options;
    options.threads = 2;
    options.progress = [](double done) { return done > 0.5; };  // false: give up
    try {
        zoorank::silhouette_score(zoorank::matrix_view<float>(x.data(), rows, features), labels,
                                  zoorank::metric::euclidean, options);
    } catch (const zoorank::cancelled&) {
        return true;
    }
    return false;
}

}  // namespace

// consumer [VERSION]: fails if it is linked with another one.
int main(int argc, char** argv) {
    const std::string version = zoorank::build_info().version;
    if (argc > 1 && version != argv[1]) {
        std::cerr << "linked with zoorank " << version << ", not " << argv[1] << '\n';
        return 1;
    }

    // On a line, by hand: a = 1.5, 1, 1.5 and b = 11, 10, 9 in the first class; the second mirrors the first.
    const std::vector<double> x{0, 1, 2, 10, 11, 12};
    const std::vector<std::int64_t> labels{7, 7, 7, -1, -1, -1};
    const double expected = (9.5 / 11 + 9.0 / 10 + 7.5 / 9) / 3;
    const double score = zoorank::silhouette_score(zoorank::matrix_view<double>(x.data(), 6, 1), labels);
    std::cout << "zoorank " << version << ": silhouette score " << score << '\n';
    const bool right = std::abs(score - expected) < 1e-12 && errors_arrive(labels) && cancellation_works();
    return right ? 0 : 1;
}
