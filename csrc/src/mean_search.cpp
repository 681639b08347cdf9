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

namespace zoorank {

using cpu::block_side;

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

template <class T>
void mean_search::run(matrix_view<T> x, const partition& p, const row_frame<T>& frame, array_view<double> samples,
                      int threads, const options& opt) const {
    const std::int64_t depth = moments_.cols();
    const std::vector<row_group> all = groups(p);
    const std::vector<std::int64_t> class_at = class_of_position(p);
    // Parallel rows are at cosine distance 0, but rounding leaves their unit rows some 1e-16 apart.
    const double rounding = frame.directions ? 1e-30 : 0;
    const auto mean_distance = [&](double square) {
        return square < rounding ? 0 : roots_ ? std::sqrt(square) : square;
    };
    std::vector<std::unique_ptr<workspace>> spaces(static_cast<std::size_t>(threads));
    const std::int64_t columns = candidates_.empty() ? moments_.classes() : per_class_;
    parallel_for(static_cast<std::int64_t>(all.size()), threads, x.rows, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     auto& space = spaces[static_cast<std::size_t>(worker)];
                     if (!space) space = std::make_unique<workspace>(kernels_, depth);
                     const row_group& group = all[static_cast<std::size_t>(index)];
                     const std::int64_t rows = group.end - group.begin;
                     for (std::int64_t r = 0; r < rows; ++r)
                         space->excess[static_cast<std::size_t>(r)] =
                             frame.load(x, p, group.begin + r, space->rows.data() + r * depth);
                     space->packed.pack(space->rows.data(), depth, nullptr, rows, 1.0, centre_.data());
                     space->nearest.fill(std::numeric_limits<double>::infinity());
                     const std::int64_t* own_class = class_at.data() + group.begin;
                     if (candidates_.empty()) {
                         compare(*space, rows, means_, every_class_.data(), columns, own_class);
                     } else {
                         const std::int64_t* list = candidates_.data() + group.class_index * per_class_;
                         if (space->candidates.empty())
                             space->candidates = packed_rows<double>(kernels_, per_class_, depth);
                         space->candidates.pack(moments_.mean(0), depth, list, per_class_, 1.0, centre_.data());
                         compare(*space, rows, space->candidates, list, columns, own_class);
                     }
                     for (std::int64_t r = 0; r < rows; ++r) {
                         const std::int64_t c = own_class[r];
                         double& sample = samples[p.order[static_cast<std::size_t>(group.begin + r)]];
                         const double size = static_cast<double>(moments_.size(c));
                         if (moments_.size(c) == 1) {
                             sample = 0;
                             continue;
                         }
                         // The sum over the class holds the row itself once, at 0 + e + e.
                         const double e = space->excess[static_cast<std::size_t>(r)];
                         const double square =
                             kernels_.squared_distance(space->rows.data() + r * depth, moments_.mean(c), depth) + e;
                         const double own = (size * square + moments_.spread(c) - 2 * e) / (size - 1);
                         sample = silhouette_of(mean_distance(own),
                                                mean_distance(space->nearest[static_cast<std::size_t>(r)] + e));
                     }
                     meter.advance(rows, worker);
                 });
}

// Mean squared distances of a group of rows to classes columns[0], ..., columns[count - 1]: the nearest that is not the
// row's own, but for the e of the row.
void mean_search::compare(workspace& space, std::int64_t rows, const packed_rows<double>& means,
                          const std::int64_t* columns, std::int64_t count, const std::int64_t* class_at) const {
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
            double* distances = space.distances.data() + r * block_side;
            if (candidates_.empty()) {
                const std::int64_t own = class_at[r] - begin;
                if (own >= 0 && own < cols) distances[own] = std::numeric_limits<double>::infinity();
            }
            double best = space.nearest[static_cast<std::size_t>(r)];
            for (std::int64_t j = 0; j < cols; ++j)
                best = std::min(best, distances[j] + bias[static_cast<std::size_t>(j)]);
            space.nearest[static_cast<std::size_t>(r)] = best;
        }
    }
}

template void mean_search::run(matrix_view<float>, const partition&, const row_frame<float>&, array_view<double>, int,
                               const options&) const;
template void mean_search::run(matrix_view<double>, const partition&, const row_frame<double>&, array_view<double>, int,
                               const options&) const;

}  // namespace zoorank
