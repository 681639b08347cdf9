#pragma once
// Whether bounds are worth their price, judged by a sample.
#include <cstdint>
#include <vector>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "class_bounds.hpp"
#include "class_screen.hpp"
#include "pair_engine.hpp"
#include "partition.hpp"
#include "pruning.hpp"

namespace zoorank {

template <class T>
class pruning_choice {
public:
    /// What is handed over stays where it is; `class_at` is the class of each position.
    pruning_choice(matrix_view<T> x, const partition& p, const pair_engine<T>& engine, const bounds_frame<T>& frame,
                   const pruning_levels& levels, const std::vector<std::int64_t>& class_at);

    /// Whether pruning could pay if the bounds ruled out all that they are taken of.
    bool promises() const;

    /// Whether pruning is predicted to cost less than all pairs, by a few rows and classes, evenly spaced. Leaves the
    /// means of all classes in `bounds`.
    bool pays(class_bounds<T>& bounds, int threads, const options& opt) const;

private:
    struct sampled_row {
        std::int64_t position, likeliest;
        T limit;  // square of the mean distance to the likeliest class
    };

    double predicted_cost(const pruning_shares& left) const;
    std::vector<sampled_row> sample_rows(const class_screen<T>& screen,
                                         typename class_screen<T>::workspace& space) const;
    pruning_shares shares_of_sample(const class_bounds<T>& bounds, const std::vector<std::int64_t>& sampled) const;

    const matrix_view<T> x_;
    const partition& partition_;
    const pair_engine<T>& engine_;
    const bounds_frame<T>& frame_;
    const pruning_levels& levels_;
    const std::vector<std::int64_t>& class_at_;
};

}  // namespace zoorank
