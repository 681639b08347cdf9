#include "schedule.hpp"

#include <algorithm>

namespace zoorank {
namespace {

constexpr std::int64_t least_stripe_blocks = 2;
constexpr std::int64_t most_stripes = 16;

}  // namespace

std::int64_t pair_schedule::blocks_of(const unit& u) const { return (u.rows + block_rows_ - 1) / block_rows_; }

std::int64_t pair_schedule::stripes_of(const unit& u) const {
    return std::min(most_stripes, (blocks_of(u) + least_stripe_blocks - 1) / least_stripe_blocks);
}

pair_schedule::pair_schedule(const std::vector<unit>& units, std::int64_t block_rows)
    : units_(units), block_rows_(block_rows) {
    const std::int64_t count = static_cast<std::int64_t>(units.size());
    first_task_.push_back(0);
    for (std::int64_t u = 0; u < count; ++u)
        first_task_.push_back(first_task_.back() + (count - u) * stripes_of(units[static_cast<std::size_t>(u)]));
}

pair_task pair_schedule::task(std::int64_t index) const {
    const auto owner = std::upper_bound(first_task_.begin(), first_task_.end(), index) - 1;
    const std::int64_t first = owner - first_task_.begin();
    const unit& u = units_[static_cast<std::size_t>(first)];
    const std::int64_t stripes = stripes_of(u), blocks = blocks_of(u);
    const std::int64_t within = index - *owner;
    pair_task t{first, first + within / stripes, within % stripes, stripes, 0, 0};
    t.begin = blocks * t.stripe / stripes * block_rows_;
    t.end = std::min(blocks * (t.stripe + 1) / stripes * block_rows_, u.rows);
    return t;
}

std::vector<std::int64_t> pair_schedule::tasks_within_units() const {
    std::vector<std::int64_t> tasks;
    for (std::size_t u = 0; u < units_.size(); ++u)
        for (std::int64_t s = 0; s < stripes_of(units_[u]); ++s) tasks.push_back(first_task_[u] + s);
    return tasks;
}

double* stripe_sums::open(const pair_task& task, std::int64_t length) {
    // Allocated before the lock is taken: zeroing half a million sums is no business of the other workers.
    std::vector<double> zeros(static_cast<std::size_t>(length));
    const std::lock_guard<std::mutex> lock(mutex_);
    pair_sums& pair = pairs_[{task.first, task.second}];
    if (pair.stripes.empty()) {
        pair.stripes.resize(static_cast<std::size_t>(task.stripes));
        pair.unfinished = task.stripes;
    }
    std::vector<double>& sums = pair.stripes[static_cast<std::size_t>(task.stripe)];
    sums = std::move(zeros);
    return sums.data();
}

std::vector<double> stripe_sums::close(const pair_task& task) {
    pair_sums finished;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto pair = pairs_.find({task.first, task.second});
        if (--pair->second.unfinished > 0) return {};
        finished = std::move(pair->second);
        pairs_.erase(pair);
    }
    std::vector<double> total = std::move(finished.stripes.front());
    for (std::size_t s = 1; s < finished.stripes.size(); ++s)
        for (std::size_t i = 0; i < total.size(); ++i) total[i] += finished.stripes[s][i];
    return total;
}

}  // namespace zoorank
