#pragma once
// How sums over stretches of sorted rows become mean distances to classes.
//
// A stretch is a run of sorted positions: the columns of a tile, or of many tiles. It cuts at most two classes, its
// first and its last. So what matters of a row's distances to a stretch is
//     first    the sum over the part of its first class,
//     middle   the smallest mean over the classes that lie wholly inside, the row's own left out,
//     last     the sum over the part of its last class, if that is another than the first.
// A row walks along all stretches in order and carries one open sum: that of the class it is in. The order is that of
// positions, whatever the launch, so the result always has the same bits. The own class of a row is never a candidate
// for the smallest mean: where it lies wholly inside a stretch, its sum is handed over apart. One tile alone does that.
#include "cuda/tiles.hpp"

namespace zoorank::cuda {

struct stretch {
    std::int64_t end;  ///< position behind it
    std::int64_t first_class, last_class;
};

template <class T>
struct stretch_sums {
    T first, middle, last;
};

inline constexpr double nothing_near = 1e300;  ///< stands for infinity; also what `middle` is without such a class

/// The same for float, which has to hold it.
template <class T>
inline constexpr T nothing_near_of = sizeof(T) == 4 ? T(1e38) : T(nothing_near);

/// What a row knows after the stretches it has passed.
struct walk_state {
    double open = 0;  ///< sum over the part, passed so far, of the class that the last stretch broke off in
    double nearest = nothing_near;
};

class walker {
public:
    /// `own` gets the sum over `own_class` when that class ends.
    ZOORANK_HOST_DEVICE walker(const std::int64_t* class_begin, std::int64_t own_class, double* own, walk_state state)
        : class_begin_(class_begin), own_class_(own_class), own_(own), state_(state) {}

    template <class T>
    ZOORANK_HOST_DEVICE void pass(const stretch& s, const stretch_sums<T>& sums) {
        state_.open += double(sums.first);
        end_class(s.first_class, s.end);
        if (s.last_class == s.first_class) return;
        if (sums.middle < nothing_near_of<T>) nearer(double(sums.middle));
        state_.open = double(sums.last);
        end_class(s.last_class, s.end);
    }

    ZOORANK_HOST_DEVICE const walk_state& state() const { return state_; }

    /// Stretches that together are one longer stretch: call this first, then pass() them, then joined().
    ZOORANK_HOST_DEVICE void join(std::int64_t first_class, std::int64_t last_class) {
        joined_first_ = first_class;
        joined_last_ = last_class;
    }
    ZOORANK_HOST_DEVICE stretch_sums<double> joined() const {
        if (joined_first_ == joined_last_) return {first_ + state_.open, nothing_near, 0};
        return {first_, state_.nearest, state_.open};
    }

private:
    ZOORANK_HOST_DEVICE void nearer(double mean) {
        if (mean < state_.nearest) state_.nearest = mean;
    }

    // Class c was met in a stretch that ends at `end`.
    ZOORANK_HOST_DEVICE void end_class(std::int64_t c, std::int64_t end) {
        if (class_begin_[c + 1] > end) return;
        if (c == joined_first_)
            first_ = state_.open;
        else if (c == joined_last_)
            return;  // stays open: whoever passes the joined stretch ends it
        else if (c == own_class_)
            *own_ = state_.open;
        else
            nearer(state_.open / double(class_begin_[c + 1] - class_begin_[c]));
        state_.open = 0;
    }

    const std::int64_t* class_begin_;
    std::int64_t own_class_;
    double* own_;
    walk_state state_;
    std::int64_t joined_first_ = -1, joined_last_ = -1;
    double first_ = 0;
};

/// Where tile `number` of a batch of `tiles` keeps what it says of one of its rows or columns.
template <class T>
ZOORANK_HOST_DEVICE void write_sums(T* partial, std::int64_t tiles, bool of_columns, std::int64_t number, int row,
                                    const stretch_sums<T>& sums) {
    partial[partial_index<T>(tiles, 0, of_columns, number, row)] = sums.first;
    partial[partial_index<T>(tiles, 1, of_columns, number, row)] = sums.middle;
    partial[partial_index<T>(tiles, 2, of_columns, number, row)] = sums.last;
}

/// What the tile of tile rows `mine` and `other` says of row `row` of `mine`: the one above the diagonal knows it.
template <class T>
ZOORANK_HOST_DEVICE stretch_sums<T> read_sums(const T* partial, const tile_batch& batch, std::int64_t mine,
                                              std::int64_t other, int row) {
    const bool of_columns = !batch.rectangle && other < mine;
    const std::int64_t number = batch.number_of(of_columns ? tile_index{other, mine} : tile_index{mine, other});
    const std::int64_t tiles = batch.tiles();
    return {partial[partial_index<T>(tiles, 0, of_columns, number, row)],
            partial[partial_index<T>(tiles, 1, of_columns, number, row)],
            partial[partial_index<T>(tiles, 2, of_columns, number, row)]};
}

/// The stretch that tile `tile` is, of `positions` sorted rows.
template <class T>
ZOORANK_HOST_DEVICE stretch stretch_of_tile(const std::int64_t* tile_classes, std::int64_t tile,
                                            std::int64_t positions) {
    return {least((tile + 1) * tile_side<T>, positions), tile_classes[2 * tile], tile_classes[2 * tile + 1]};
}

/// s from the mean distance to the own class and to the nearest other one; 0/0 is 0.
ZOORANK_HOST_DEVICE inline double silhouette_of(double own, double nearest) {
    const double larger = own > nearest ? own : nearest;
    return larger > 0 ? (nearest - own) / larger : 0;
}

/// The three numbers of one stretch [begin, end) for one row. sum(b, e) adds up its distances to [b, e), counted from
/// begin. `own` gets the sum over the own class if that lies wholly inside.
template <class T, class Sum>
ZOORANK_HOST_DEVICE stretch_sums<T> sums_of_stretch(std::int64_t begin, const stretch& s,
                                                    const std::int64_t* class_begin, std::int64_t own_class,
                                                    double* own, Sum sum) {
    stretch_sums<T> result{0, nothing_near_of<T>, 0};
    for (std::int64_t c = s.first_class; c <= s.last_class; ++c) {
        const std::int64_t class_first = class_begin[c], class_end = class_begin[c + 1];
        const T total = sum(int(most(class_first, begin) - begin), int(least(class_end, s.end) - begin));
        if (c == s.first_class)
            result.first = total;
        else if (c == s.last_class)
            result.last = total;
        else if (c == own_class)
            *own = double(total);
        else {
            const T mean = total / T(class_end - class_first);
            if (mean < result.middle) result.middle = mean;
        }
    }
    return result;
}

}  // namespace zoorank::cuda
