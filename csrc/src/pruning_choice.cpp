#include "pruning_choice.hpp"

#include <algorithm>

#include "packed_rows.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

// All pairs of so few multiply-adds are not worth a sample, and what pruning is predicted to save has to be so much
// that it may be wrong.
constexpr double least_worthwhile = 4e9, worthwhile_share = 0.9;
constexpr std::int64_t most_sampled_rows = 64;

// Of all pairs, what looking at more than one class may cost.
constexpr double sample_share = 0.04;

}  // namespace

template <class T>
pruning_choice<T>::pruning_choice(matrix_view<T> x, const partition& p, const pair_engine<T>& engine,
                                  const bounds_frame<T>& frame, const pruning_levels& levels,
                                  const std::vector<std::int64_t>& class_at)
    : x_(x), partition_(p), engine_(engine), frame_(frame), levels_(levels), class_at_(class_at) {}

template <class T>
double pruning_choice<T>::predicted_cost(const pruning_shares& left) const {
    return cost_of_pruning(partition_, x_.cols, engine_.on_tiles(), levels_, engine_.pairs_within_units(), left);
}

template <class T>
bool pruning_choice<T>::promises() const {
    const double all = cost_of_all_pairs(x_.rows, x_.cols, engine_.on_tiles());
    return all > least_worthwhile && predicted_cost({0, 0, 0}) < worthwhile_share * all;
}

template <class T>
bool pruning_choice<T>::pays(class_bounds<T>& bounds, int threads, const options& opt) const {
    const double all = cost_of_all_pairs(x_.rows, x_.cols, engine_.on_tiles());
    const std::int64_t classes = partition_.classes();
    std::int64_t count = std::min(classes, 2 + classes / 64);
    if (cost_of_describing(x_.rows, x_.cols) * static_cast<double>(count) >
        sample_share * all * static_cast<double>(classes))
        count = 1;
    std::vector<std::int64_t> sampled;
    for (std::int64_t i = 0; i < count; ++i) sampled.push_back((2 * i + 1) * classes / (2 * count));
    bounds.find_means(threads, phase(opt, 0, 0.5));
    bounds.describe(sampled, threads, phase(opt, 0.5, 1));
    return predicted_cost(shares_of_sample(bounds, sampled)) < worthwhile_share * all;
}

// A few rows, evenly spaced, each with the class that is computed first.
template <class T>
std::vector<typename pruning_choice<T>::sampled_row> pruning_choice<T>::sample_rows(
    const class_screen<T>& screen, typename class_screen<T>::workspace& space) const {
    typename pair_engine<T>::workspace pairs_space;
    packed_rows<T> packed = engine_.room_for_rows();
    std::vector<sampled_row> rows;
    const std::int64_t count = std::min(x_.rows, most_sampled_rows);
    for (std::int64_t r = 0; r < count; ++r) {
        sampled_row row{(2 * r + 1) * x_.rows / (2 * count), -1, 0};
        const std::int64_t own = class_at_[static_cast<std::size_t>(row.position)];
        if (partition_.size(own) == 1) continue;
        screen.find_likeliest(row.position, row.position + 1, &own, &row.likeliest, space);
        double nearest = 0;
        packed.pack(x_.data, x_.stride, partition_.order.data() + row.position, 1, engine_.scale(),
                    engine_.centre().data());
        engine_.mean_distances(packed.block(0, 1), row.likeliest, &nearest, pairs_space);
        row.limit = limit_of<T>(nearest);
        rows.push_back(row);
    }
    return rows;
}

// What the levels leave of pairs of a few rows and the sampled classes.
template <class T>
pruning_shares pruning_choice<T>::shares_of_sample(const class_bounds<T>& bounds,
                                                   const std::vector<std::int64_t>& sampled) const {
    const class_screen<T> screen(x_, partition_, frame_, bounds, 0);
    auto space = screen.make_workspace();
    const std::vector<sampled_row> rows = sample_rows(screen, space);
    double pairs = 0;
    pruning_shares left{0, 0, 0};
    for (const std::int64_t c : sampled) {
        std::vector<std::int64_t> positions;
        for (const sampled_row& row : rows) {
            if (row.likeliest == c || class_at_[static_cast<std::size_t>(row.position)] == c) continue;
            space.limits.data()[positions.size()] = row.limit;
            positions.push_back(row.position);
        }
        if (positions.empty()) continue;
        const auto counts = screen.screen_class(c, positions, true, space);
        pairs += static_cast<double>(positions.size());
        left = {left.few + counts.few, left.all + counts.all, left.reduced + counts.reduced};
    }
    if (pairs == 0) return {};
    return {left.few / pairs, left.all / pairs, left.reduced / pairs};
}

template class pruning_choice<float>;
template class pruning_choice<double>;

}  // namespace zoorank
