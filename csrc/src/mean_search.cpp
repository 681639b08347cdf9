#include "mean_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "methods.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"
#include "vanishing.hpp"

namespace zoorank {

using cpu::block_side;

namespace {

// In lanes: one running minimum would have to wait for each comparison before the next.
double least_of(const double* values, std::int64_t count) {
    constexpr std::int64_t width = 8;
    std::array<double, width> least;
    least.fill(std::numeric_limits<double>::infinity());
    std::int64_t i = 0;
    for (; i + width <= count; i += width)
        for (std::int64_t lane = 0; lane < width; ++lane) {
            double& value = least[static_cast<std::size_t>(lane)];
            value = values[i + lane] < value ? values[i + lane] : value;
        }
    for (; i < count; ++i) least[0] = std::min(least[0], values[i]);
    return *std::min_element(least.begin(), least.end());
}

// Folds classes first, first + 1, ... into the list of the `nearest` ones so far, ascending.
void keep_nearest(class_distance* list, std::int64_t nearest, std::int64_t first, const double* squares,
                  std::int64_t count) {
    for (std::int64_t j = 0; j < count; ++j) {
        if (!(squares[j] < list[nearest - 1].distance)) continue;
        std::int64_t at = nearest - 1;
        for (; at > 0 && squares[j] < list[at - 1].distance; --at) list[at] = list[at - 1];
        list[at] = {first + j, squares[j]};
    }
}

}  // namespace

// What one worker writes to while it compares a group of rows with means.
struct mean_search::workspace {
    workspace(const cpu::kernel_set<double>& kernels, std::int64_t depth)
        : rows(block_side * depth),
          packed(kernels, block_side, depth),
          products(cpu::scratch_size),
          distances(block_side * block_side) {}

    aligned_buffer<double> rows;
    packed_rows<double> packed, candidates;
    aligned_buffer<double> products, distances;
    std::array<double, block_side> nearest, excess;
};

mean_search::mean_search(const class_moments& moments, bool roots)
    : moments_(moments),
      kernels_(cpu::active_set<double>()),
      roots_(roots),
      means_(kernels_, moments.classes(), moments.cols()),
      every_class_(static_cast<std::size_t>(moments.classes())) {
    std::iota(every_class_.begin(), every_class_.end(), 0);
    centre_ = robust_centre(matrix_view<double>(moments.mean(0), moments.classes(), moments.cols()),
                            every_class_.data(), moments.classes(), 1.0);
    means_.pack(moments.mean(0), moments.cols(), nullptr, moments.classes(), 1.0, centre_.data());
}

void mean_search::restrict_to(std::vector<std::int64_t> candidates, std::int64_t per_class) {
    candidates_ = std::move(candidates);
    per_class_ = per_class;
}

std::vector<mean_search::row_group> mean_search::groups(const partition& p) const {
    std::vector<row_group> all;
    if (candidates_.empty()) {
        for (std::int64_t i = 0; i < p.rows(); i += block_side)
            all.push_back({i, std::min(i + block_side, p.rows()), -1});
        return all;
    }
    for (std::int64_t c = 0; c < p.classes(); ++c) {
        const std::int64_t end = p.begin[static_cast<std::size_t>(c) + 1];
        for (std::int64_t i = p.begin[static_cast<std::size_t>(c)]; i < end; i += block_side)
            all.push_back({i, std::min(i + block_side, end), c});
    }
    return all;
}

// Brings a group of rows to where they can be compared with means.
template <class T>
void mean_search::load(workspace& space, matrix_view<T> x, const partition& p, const row_frame<T>& frame,
                       const row_group& group) const {
    const std::int64_t depth = moments_.cols(), rows = group.end - group.begin;
    for (std::int64_t r = 0; r < rows; ++r)
        space.excess[static_cast<std::size_t>(r)] = frame.load(x, p, group.begin + r, space.rows.data() + r * depth);
    space.packed.pack(space.rows.data(), depth, nullptr, rows, 1.0, centre_.data());
}

template <class T>
std::int64_t mean_search::run(matrix_view<T> x, const partition& p, const row_frame<T>& frame,
                              array_view<double> samples, int threads, const options& opt) const {
    const std::int64_t depth = moments_.cols();
    const std::vector<row_group> all = groups(p);
    const std::vector<std::int64_t> class_at = class_of_position(p);
    // Parallel rows are at cosine distance 0, but rounding leaves their unit rows some 1e-16 apart.
    const double rounding = frame.directions ? 1e-30 : 0;
    const auto mean_distance = [&](double square) {
        return square < rounding ? 0 : roots_ ? std::sqrt(square) : square;
    };
    std::vector<std::unique_ptr<workspace>> spaces(static_cast<std::size_t>(threads));
    std::vector<std::int64_t> vanished(all.size(), -1);
    const std::int64_t columns = candidates_.empty() ? moments_.classes() : per_class_;
    parallel_for(
        static_cast<std::int64_t>(all.size()), threads, x.rows, opt,
        [&](std::int64_t index, int worker, progress_meter& meter) {
            auto& space = spaces[static_cast<std::size_t>(worker)];
            if (!space) space = std::make_unique<workspace>(kernels_, depth);
            const row_group& group = all[static_cast<std::size_t>(index)];
            const std::int64_t rows = group.end - group.begin;
            load(*space, x, p, frame, group);
            space->nearest.fill(std::numeric_limits<double>::infinity());
            const auto keep_least = [&](std::int64_t r, std::int64_t, const double* squares, std::int64_t count) {
                double& least = space->nearest[static_cast<std::size_t>(r)];
                least = std::min(least, least_of(squares, count));
            };
            const std::int64_t* own_class = class_at.data() + group.begin;
            if (candidates_.empty()) {
                compare(*space, rows, means_, every_class_.data(), columns, own_class, keep_least);
            } else {
                const std::int64_t* list = candidates_.data() + group.class_index * per_class_;
                if (space->candidates.empty()) space->candidates = packed_rows<double>(kernels_, per_class_, depth);
                space->candidates.pack(moments_.mean(0), depth, list, per_class_, 1.0, centre_.data());
                compare(*space, rows, space->candidates, list, columns, nullptr, keep_least);
            }
            for (std::int64_t r = 0; r < rows; ++r) {
                const std::int64_t c = own_class[r];
                double& sample = samples[p.order[static_cast<std::size_t>(group.begin + r)]];
                const double e = space->excess[static_cast<std::size_t>(r)];
                const double nearest = space->nearest[static_cast<std::size_t>(r)] + e;
                const double own = moments_.size(c) == 1 ? 0 : own_square(*space, r, c);
                sample = moments_.size(c) == 1 ? 0 : silhouette_of(mean_distance(own), mean_distance(nearest));
                if (std::max(own, nearest) < vanishing_distance<double> * vanishing_distance<double>)
                    vanished[static_cast<std::size_t>(index)] = p.order[static_cast<std::size_t>(group.begin + r)];
            }
            meter.advance(rows, worker);
        });
    return all.empty() ? -1 : *std::max_element(vanished.begin(), vanished.end());
}

template <class T>
void mean_search::nearest_classes(matrix_view<T> x, const partition& p, const row_frame<T>& frame, std::int64_t nearest,
                                  std::vector<class_distance>& found, int threads, const options& opt) const {
    const std::int64_t depth = moments_.cols(), slots = nearest + 1;
    const std::vector<std::int64_t> class_at = class_of_position(p);
    found.assign(static_cast<std::size_t>(x.rows * slots), {-1, std::numeric_limits<double>::infinity()});
    std::vector<std::unique_ptr<workspace>> spaces(static_cast<std::size_t>(threads));
    parallel_for((x.rows + block_side - 1) / block_side, threads, x.rows, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     auto& space = spaces[static_cast<std::size_t>(worker)];
                     if (!space) space = std::make_unique<workspace>(kernels_, depth);
                     const row_group group{index * block_side, std::min((index + 1) * block_side, x.rows), -1};
                     const std::int64_t rows = group.end - group.begin;
                     const std::int64_t* own_class = class_at.data() + group.begin;
                     load(*space, x, p, frame, group);
                     class_distance* const slot = found.data() + group.begin * slots;
                     compare(*space, rows, means_, every_class_.data(), moments_.classes(), own_class,
                             [&](std::int64_t r, std::int64_t first, const double* squares, std::int64_t count) {
                                 keep_nearest(slot + r * slots + 1, nearest, first, squares, count);
                             });
                     for (std::int64_t r = 0; r < rows; ++r) {
                         const std::int64_t c = own_class[r];
                         slot[r * slots] = {c, moments_.size(c) == 1 ? 0 : own_square(*space, r, c)};
                         for (std::int64_t s = 0; s < slots; ++s) {
                             double& distance = slot[r * slots + s].distance;
                             if (roots_) distance = std::sqrt(distance);
                         }
                     }
                     meter.advance(rows, worker);
                 });
}

// The mean squared distance of a row to the others of its class, of which there are some. The sum over the class holds
// the row itself once, at 0 + e + e.
double mean_search::own_square(const workspace& space, std::int64_t row, std::int64_t c) const {
    const std::int64_t depth = moments_.cols();
    const double e = space.excess[static_cast<std::size_t>(row)], size = static_cast<double>(moments_.size(c));
    const double square = kernels_.squared_distance(space.rows.data() + row * depth, moments_.mean(c), depth) + e;
    return (size * square + moments_.spread(c) - 2 * e) / (size - 1);
}

// Mean squared distances of a group of rows to classes columns[0], ..., columns[count - 1], but for the e of the row:
// fold(row, first, squares, count) is handed those of a row to classes columns[first], ... . Infinity stands for the
// row's own class, where `class_at` says which it is.
template <class Fold>
void mean_search::compare(workspace& space, std::int64_t rows, const packed_rows<double>& means,
                          const std::int64_t* columns, std::int64_t count, const std::int64_t* class_at,
                          Fold fold) const {
    for (std::int64_t begin = 0; begin < count; begin += block_side) {
        const std::int64_t cols = std::min(block_side, count - begin);
        kernels_.store_sqeuclidean(
            {{space.packed.block(0, rows), means.block(begin, cols), moments_.cols(), 1.0, space.products.data()},
             space.distances.data(),
             block_side});
        std::array<double, block_side> bias;
        for (std::int64_t j = 0; j < cols; ++j) {
            const std::int64_t c = columns[begin + j];
            bias[static_cast<std::size_t>(j)] = moments_.spread(c) / static_cast<double>(moments_.size(c));
        }
        for (std::int64_t r = 0; r < rows; ++r) {
            double* squares = space.distances.data() + r * block_side;
            for (std::int64_t j = 0; j < cols; ++j) squares[j] += bias[static_cast<std::size_t>(j)];
            if (class_at && class_at[r] >= begin && class_at[r] < begin + cols)
                squares[class_at[r] - begin] = std::numeric_limits<double>::infinity();
            fold(r, begin, squares, cols);
        }
    }
}

template std::int64_t mean_search::run(matrix_view<float>, const partition&, const row_frame<float>&,
                                       array_view<double>, int, const options&) const;
template std::int64_t mean_search::run(matrix_view<double>, const partition&, const row_frame<double>&,
                                       array_view<double>, int, const options&) const;

template void mean_search::nearest_classes(matrix_view<float>, const partition&, const row_frame<float>&, std::int64_t,
                                           std::vector<class_distance>&, int, const options&) const;
template void mean_search::nearest_classes(matrix_view<double>, const partition&, const row_frame<double>&,
                                           std::int64_t, std::vector<class_distance>&, int, const options&) const;

}  // namespace zoorank
