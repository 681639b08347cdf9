// Mean distances to classes from a few of their rows, by control variates.
//
// Each row needs a few classes, and different ones. So pairs of a row and a class are ordered by class, and the rows
// that need a class are gathered and compared with its references. A pair is computed whole by one task: results do
// not depend on threads.
#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <string>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "reference_strata.hpp"
#include "row_statistics.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

using cpu::block_side;

// What one worker writes to.
template <class T>
struct workspace {
    workspace(const cpu::kernel_set<T>& kernels, std::int64_t depth)
        : rows(kernels, block_side, depth), products(cpu::scratch_size) {}
    packed_rows<T> rows;
    aligned_buffer<T> products;
    std::vector<T> distances;  // of each row to every reference of a class
    std::vector<std::int64_t> order;
};

}  // namespace

template <class T>
struct reference_rows<T>::state {
    state(const typename row_statistics<T>::state& all_rows, matrix_view<T> references,
          array_view<const std::int64_t> row_indices, array_view<const std::int64_t> drawn,
          array_view<const std::int64_t> sizes)
        : all(all_rows),
          kernels(cpu::active_set<T>()),
          indices(row_indices.data, row_indices.data + row_indices.size),
          of_classes(all.numbers, all.sizes, row_indices, drawn, sizes),
          begin(of_classes.begin),
          count(of_classes.count),
          first_packed(begin.size(), 0) {
        // Kept as they came too: pairs that cancellation spoils are recomputed from the original rows.
        values.reserve(static_cast<std::size_t>(references.rows * all.cols));
        for (std::int64_t i = 0; i < references.rows; ++i)
            values.insert(values.end(), references.row(i), references.row(i) + all.cols);
        pack();
    }

    // Each class begins a panel.
    void pack() {
        std::int64_t padded = 0;
        for (std::size_t c = 0; c < count.size(); ++c) {
            first_packed[c] = padded;
            padded += (count[c] + kernels.panel - 1) / kernels.panel * kernels.panel;
        }
        order.assign(static_cast<std::size_t>(padded), 0);
        packed = packed_rows<T>(kernels, padded, all.cols);
        packed.lend(values.data(), all.cols, order.data());
        for (std::size_t c = 0; c < count.size(); ++c) {
            std::iota(order.data() + first_packed[c], order.data() + first_packed[c] + count[c], begin[c]);
            packed.pack_part(first_packed[c], count[c], all.frame.scale, all.frame.centre.data());
        }
    }

    // Slots of `found` that hold class c: slots[first[c]], ..., slots[first[c + 1] - 1].
    struct slot_lists {
        std::vector<std::int64_t> first, slots;
    };

    slot_lists by_class(const std::vector<class_distance>& found) const {
        slot_lists lists{std::vector<std::int64_t>(count.size() + 1, 0), std::vector<std::int64_t>(found.size())};
        for (const class_distance& each : found) ++lists.first[static_cast<std::size_t>(each.class_index) + 1];
        std::partial_sum(lists.first.begin(), lists.first.end(), lists.first.begin());
        std::vector<std::int64_t> next(lists.first.begin(), lists.first.end() - 1);
        for (std::size_t slot = 0; slot < found.size(); ++slot)
            lists.slots[static_cast<std::size_t>(next[static_cast<std::size_t>(found[slot].class_index)]++)] =
                static_cast<std::int64_t>(slot);
        return lists;
    }

    // Slots [0, rows) of a list of one class, at most block_side.
    void compare(matrix_view<T> block, const partition& p, std::int64_t first_row, std::int64_t slots_of_row,
                 const std::vector<class_distance>& found, const std::int64_t* slots, std::int64_t rows,
                 workspace<T>& space, std::vector<mean_estimate>& out) const {
        const auto c = static_cast<std::size_t>(found[static_cast<std::size_t>(slots[0])].class_index);
        space.order.resize(static_cast<std::size_t>(rows));
        for (std::int64_t r = 0; r < rows; ++r)
            space.order[static_cast<std::size_t>(r)] = p.order[static_cast<std::size_t>(slots[r] / slots_of_row)];
        space.rows.pack(block.data, block.stride, space.order.data(), rows, all.frame.scale, all.frame.centre.data());
        const std::int64_t stride = count[c];
        space.distances.resize(static_cast<std::size_t>(rows * stride));
        for (std::int64_t first = 0; first < count[c]; first += block_side) {
            const std::int64_t cols = std::min(block_side, count[c] - first);
            kernels.store_euclidean({{space.rows.block(0, rows), packed.block(first_packed[c] + first, cols), all.cols,
                                      all.frame.scale, space.products.data()},
                                     space.distances.data() + first,
                                     stride});
        }
        const std::int64_t first_stratum = of_classes.first_stratum[c];
        const stratum* const of_class = of_classes.strata.data() + first_stratum;
        for (std::int64_t r = 0; r < rows; ++r) {
            const auto at = static_cast<std::size_t>(slots[r]);
            const bool own = slots[r] % slots_of_row == 0;
            if (own && all.sizes[c] == 1) {
                out[at] = {0, 0};
                continue;
            }
            const std::int64_t self = own ? find(c, first_row + space.order[static_cast<std::size_t>(r)]) : -1;
            out[at] = estimate_of(space.distances.data() + r * stride, of_class,
                                  of_classes.first_stratum[c + 1] - first_stratum, found[at].distance, all.sizes[c],
                                  own, self);
        }
    }

    // The position of a row among the references of class c; -1 if it is none.
    std::int64_t find(std::size_t c, std::int64_t row) const {
        const std::int64_t* const from = indices.data() + begin[c];
        const std::int64_t at = std::find(from, from + count[c], row) - from;
        return at < count[c] ? at : -1;
    }

    void estimate(matrix_view<T> block, std::int64_t first_row, array_view<double> samples, array_view<double> errors,
                  const options& opt) const {
        const partition p = all.partition_of_block(block, first_row);
        const int threads = resolve_threads(opt.threads);
        const std::int64_t nearest = std::min(nearest_classes, all.numbers.classes - 1), slots_of_row = nearest + 1;
        std::vector<class_distance> found;
        all.search->nearest_classes(block, p, all.frame, nearest, found, threads, without_fraction(opt));
        const slot_lists lists = by_class(found);
        std::vector<std::pair<std::int64_t, std::int64_t>> tasks;  // of slots of one class, and how many
        for (std::size_t c = 0; c < count.size(); ++c)
            for (std::int64_t i = lists.first[c]; i < lists.first[c + 1]; i += block_side)
                tasks.emplace_back(i, std::min(block_side, lists.first[c + 1] - i));
        std::vector<mean_estimate> means(found.size());
        std::vector<std::unique_ptr<workspace<T>>> spaces(static_cast<std::size_t>(threads));
        parallel_for(static_cast<std::int64_t>(tasks.size()), threads, static_cast<std::int64_t>(found.size()), opt,
                     [&](std::int64_t index, int worker, progress_meter& meter) {
                         auto& space = spaces[static_cast<std::size_t>(worker)];
                         if (!space) space = std::make_unique<workspace<T>>(kernels, all.cols);
                         const auto [first, rows] = tasks[static_cast<std::size_t>(index)];
                         compare(block, p, first_row, slots_of_row, found, lists.slots.data() + first, rows, *space,
                                 means);
                         meter.advance(rows, worker);
                     });
        for (std::int64_t i = 0; i < block.rows; ++i) {
            const mean_estimate* const own = means.data() + i * slots_of_row;
            const mean_estimate& other =
                *std::min_element(own + 1, own + slots_of_row,
                                  [](const mean_estimate& a, const mean_estimate& b) { return a.mean < b.mean; });
            const std::int64_t row = p.order[static_cast<std::size_t>(i)];
            const auto c = static_cast<std::size_t>(found[static_cast<std::size_t>(i * slots_of_row)].class_index);
            all.require_distances(std::max(own->mean, other.mean), first_row + row);
            samples[row] = all.sizes[c] == 1 ? 0 : silhouette_of(own->mean, other.mean);
            errors[row] = all.sizes[c] == 1 ? 0 : error_of(*own, other);
        }
    }

    const typename row_statistics<T>::state& all;
    const cpu::kernel_set<T>& kernels;
    const std::vector<std::int64_t> indices;
    const reference_strata of_classes;
    const std::vector<std::int64_t>&begin, &count;  // of the references of each class
    std::vector<std::int64_t> first_packed, order;  // where they lie in `packed`, and which of `values` lies there
    std::vector<T> values;
    packed_rows<T> packed;
};

template <class T>
reference_rows<T>::reference_rows(const row_statistics<T>& statistics, matrix_view<T> references,
                                  array_view<const std::int64_t> indices, array_view<const std::int64_t> drawn,
                                  array_view<const std::int64_t> sizes) {
    const auto& all = statistics.internals();
    all.require(all.summed, "add_moments");
    if (all.how != metric::euclidean)
        throw std::invalid_argument("references are for the metric euclidean: moments do for the others");
    all.check_chosen(references, indices, "reference");
    state_ = std::make_unique<state>(all, references, indices, drawn, sizes);
}

template <class T>
reference_rows<T>::~reference_rows() = default;
template <class T>
reference_rows<T>::reference_rows(reference_rows&&) noexcept = default;

template <class T>
void reference_rows<T>::estimate(matrix_view<T> block, std::int64_t first_row, array_view<double> samples,
                                 array_view<double> errors, const options& opt) const {
    if (samples.size != block.rows || errors.size != block.rows)
        throw std::invalid_argument("a block has " + std::to_string(block.rows) + " rows and there is room for " +
                                    std::to_string(samples.size) + " samples and " + std::to_string(errors.size) +
                                    " errors");
    if (block.rows > 0) state_->estimate(block, first_row, samples, errors, opt);
}

template class reference_rows<float>;
template class reference_rows<double>;

}  // namespace zoorank
