#include <algorithm>

#include "pruning.hpp"

namespace zoorank {
namespace {

// In multiply-adds of vectors, fitted to measured times (benchmarks/pruned.py). A distance takes a root and sums on top
// of its features, one in a few directions a little more; a value of a row that is gathered has to be fetched and
// packed.
constexpr double per_distance = 24, per_reduced_distance = 64, per_gathered_value = 100, per_screened = 40;

// Of a distance on a matrix unit.
constexpr double per_tiled_distance = 14, per_tiled_feature = 0.45;

// Of describing a class: its values are read several times, a row is multiplied with a block of others, and directions
// are turned by small matrices.
constexpr double per_described_value = 1500, described_together = 240, per_described_class = 8e7;

// Products of few points at a time run at a third of the speed of a block's, of some more at three quarters.
constexpr double first_level = 1.3, second_level = 3;

double cost_of_pair(std::int64_t cols, bool tiles) {
    const double d = static_cast<double>(cols);
    return tiles ? per_tiled_distance + per_tiled_feature * d : per_distance + d;
}

}  // namespace

pruning_levels levels_for(std::int64_t rows, std::int64_t cols, std::int64_t classes) {
    const std::int64_t members = rows / classes;
    // With the mean whole tiles of the product.
    const std::int64_t all = std::min({members / 8, cols, std::int64_t{24}}) / 8 * 8 - 1;
    return {std::min<std::int64_t>(members / 40, std::min<std::int64_t>(std::max<std::int64_t>(all, 0), 4)),
            std::max<std::int64_t>(all, 0)};
}

double cost_of_all_pairs(std::int64_t rows, std::int64_t cols, bool tiles) {
    const double n = static_cast<double>(rows);
    return n * (n - 1) / 2 * cost_of_pair(cols, tiles);
}

double cost_of_describing(std::int64_t rows, std::int64_t cols) {
    return static_cast<double>(rows) * static_cast<double>(cols) * per_described_value;
}

double cost_of_pruning(const partition& p, std::int64_t cols, bool tiles, const pruning_levels& levels,
                       double pairs_within_units, const pruning_shares& left) {
    const double n = static_cast<double>(p.rows()), d = static_cast<double>(cols), k = static_cast<double>(p.classes());
    const double few = static_cast<double>(levels.few), all = static_cast<double>(levels.all), members = n / k;
    const double pairs = n * k, pair = cost_of_pair(cols, tiles), row = d * per_gathered_value;
    double cost = pairs_within_units * pair + n * (members * pair + row);
    if (all > 0)
        cost += cost_of_describing(p.rows(), cols) + k * per_described_class +
                n * std::min(members, described_together) * (d + described_together);
    cost += pairs * first_level * (d + per_screened + (1 + few) * (d + per_screened / 2));
    cost += pairs * left.few * second_level * (1 + all) * (d + per_screened);
    cost += pairs * left.all * members * (all + per_reduced_distance);
    cost += pairs * left.reduced * (members * pair * 1.2 + row);
    return cost;
}

}  // namespace zoorank
