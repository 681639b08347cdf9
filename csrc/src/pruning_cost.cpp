#include <algorithm>

#include "pruning.hpp"

namespace zoorank {
namespace {

// In multiply-adds, fitted to measured times (benchmarks/pruned.py). A distance takes a root and sums on top of its
// features, one in a few directions a little more; a value of a row that is gathered has to be packed.
constexpr double per_distance = 24, per_reduced_distance = 64, per_packed_value = 24, per_screened = 40;

// Of describing a class: a value is read several times, a row multiplied with a block of others.
constexpr double per_described_value = 60, described_together = 240;

}  // namespace

pruning_levels levels_for(std::int64_t rows, std::int64_t cols, std::int64_t classes) {
    const std::int64_t members = rows / classes;
    // With the mean whole tiles of the product.
    const std::int64_t all = std::min({members / 8, cols, std::int64_t{24}}) / 8 * 8 - 1;
    return {std::min<std::int64_t>(members / 40, std::min<std::int64_t>(std::max<std::int64_t>(all, 0), 4)),
            std::max<std::int64_t>(all, 0)};
}

double cost_of_all_pairs(std::int64_t rows, std::int64_t cols) {
    const double n = static_cast<double>(rows);
    return n * (n - 1) / 2 * (static_cast<double>(cols) + per_distance);
}

double cost_of_pruning(const partition& p, std::int64_t cols, const pruning_levels& levels, double pairs_within_units,
                       const pruning_shares& left) {
    const double n = static_cast<double>(p.rows()), d = static_cast<double>(cols), k = static_cast<double>(p.classes());
    const double few = static_cast<double>(levels.few), all = static_cast<double>(levels.all), members = n / k;
    const double pairs = n * k, pair = d + per_distance, row = d * per_packed_value;
    double cost = pairs_within_units * pair + n * (members * pair + row);
    cost +=
        n * d * (per_described_value + 4 * all) + n * std::min(members, described_together) * (d + described_together);
    cost += pairs * (d + per_screened) + pairs * (1 + few) * (d + per_screened / 2);
    cost += pairs * left.few * ((1 + all) * (d + per_screened) + row);
    cost += pairs * left.all * members * (all + per_reduced_distance);
    cost += pairs * left.reduced * (members * pair * 1.2 + row);
    return cost;
}

}  // namespace zoorank
