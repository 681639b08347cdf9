#pragma once
// Which worker computes which pairs of rows, in what order sums are added up. Both are fixed by the data alone, so the
// result has the same bits for any number of threads.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "units.hpp"

namespace zoorank {

/// The rows of unit `first` from stripe `stripe` against all of unit `second`; first <= second.
struct pair_task {
    std::int64_t first, second;
    std::int64_t stripe, stripes;
    std::int64_t begin, end;  ///< rows of the stripe, counted within the unit
};

/// Every unordered pair of units once, big ones in stripes of rows.
class pair_schedule {
public:
    pair_schedule(const std::vector<unit>& units, std::int64_t block_rows);

    std::int64_t tasks() const noexcept { return first_task_.back(); }
    pair_task task(std::int64_t index) const;

    /// The indices of tasks that compare a unit with itself.
    std::vector<std::int64_t> tasks_within_units() const;

private:
    std::int64_t blocks_of(const unit& u) const;
    std::int64_t stripes_of(const unit& u) const;

    const std::vector<unit>& units_;
    const std::int64_t block_rows_;
    std::vector<std::int64_t> first_task_;  // of each unit as `first`; then the total
};

/// Column sums of the stripes of one pair of units, kept apart until all are there and then added in stripe order.
/// Only pairs being worked on hold memory: at most 16 sums a row of the smaller unit.
class stripe_sums {
public:
    /// Zeroed sums for one stripe of a pair.
    double* open(const pair_task& task, std::int64_t length);

    /// Call when the stripe's sums are complete. The last stripe of the pair gets the total of all; others nothing.
    std::vector<double> close(const pair_task& task);

private:
    struct pair_sums {
        std::vector<std::vector<double>> stripes;
        std::int64_t unfinished = 0;
    };
    std::mutex mutex_;
    std::map<std::pair<std::int64_t, std::int64_t>, pair_sums> pairs_;
};

}  // namespace zoorank
