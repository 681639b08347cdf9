// Exact silhouettes of m drawn rows against all n: no pair is shared with another drawn row, so each costs n distances.
//
// The rows of a block are taken in slices of sorted positions, the drawn rows in groups; the kernel adds up the
// distances of a group to each class of a slice. A task is a run of slices. The classes that lie inside it belong to it
// alone; its first and its last class may be shared with its neighbours, so sums to these are kept apart and added in
// the order of tasks: the order of additions does not depend on threads.
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "precision.hpp"
#include "row_statistics.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

constexpr std::int64_t most_tasks = 256;

// What one worker writes to.
template <class T>
struct workspace {
    workspace(const cpu::kernel_set<T>& kernels, std::int64_t depth)
        : slice(kernels, kernels.block_rows, depth), products(cpu::scratch_size) {}
    packed_rows<T> slice;
    aligned_buffer<T> products;
    std::vector<cpu::segment> segments;
    std::vector<std::int64_t> classes;  // of the segments
    std::vector<double> sums;           // [segment * block_rows + drawn row of the group]
    std::array<double, cpu::block_side> unused;
};

// The classes met by sorted positions [begin, end), and where.
template <class T>
void find_segments(const std::vector<std::int64_t>& class_at, std::int64_t begin, std::int64_t end,
                   workspace<T>& space) {
    space.segments.clear();
    space.classes.clear();
    for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t c = class_at[static_cast<std::size_t>(i)];
        if (space.classes.empty() || space.classes.back() != c) {
            space.classes.push_back(c);
            space.segments.push_back({static_cast<std::int32_t>(i - begin), 0});
        }
        space.segments.back().end = static_cast<std::int32_t>(i - begin + 1);
    }
}

}  // namespace

template <class T>
struct exact_rows<T>::state {
    state(const typename row_statistics<T>::state& all_rows, matrix_view<T> rows,
          array_view<const std::int64_t> row_indices)
        : all(all_rows),
          kernels(cpu::active_set<T>()),
          sum(sum_kernel(kernels, all.how)),
          block_rows(kernels.block_rows),
          count(rows.rows),
          indices(row_indices.data, row_indices.data + row_indices.size),
          drawn(kernels, count, all.cols),
          sums(static_cast<std::size_t>(all.numbers.classes * count), 0.0) {
        // Kept as they came too: pairs that cancellation spoils are recomputed from the original rows.
        values.reserve(static_cast<std::size_t>(count * all.cols));
        for (std::int64_t i = 0; i < count; ++i) values.insert(values.end(), rows.row(i), rows.row(i) + all.cols);
        drawn.pack(values.data(), all.cols, nullptr, count, all.frame.scale, centre());
    }

    const T* centre() const { return all.frame.centre.empty() ? nullptr : all.frame.centre.data(); }

    // Sums to the first and the last class of one task.
    struct shared_sums {
        std::int64_t first = -1, last = -1;
        std::vector<double> of_first, of_last;
    };

    double* target(std::int64_t c, shared_sums& shared) {
        if (c == shared.first) return shared.of_first.data();
        if (c == shared.last) return shared.of_last.data();
        return sums.data() + c * count;
    }

    void add_slice(matrix_view<T> block, const partition& p, const std::vector<std::int64_t>& class_at,
                   std::int64_t begin, std::int64_t end, shared_sums& shared, workspace<T>& space) {
        space.slice.pack(block.data, block.stride, p.order.data() + begin, end - begin, all.frame.scale, centre());
        find_segments(class_at, begin, end, space);
        const auto segments = static_cast<std::int64_t>(space.segments.size());
        for (std::int64_t first = 0; first < count; first += block_rows) {
            const std::int64_t rows = std::min(block_rows, count - first);
            const cpu::segment all_rows_of_group{0, static_cast<std::int32_t>(rows)};
            space.sums.assign(static_cast<std::size_t>(segments * block_rows), 0.0);
            sum({{drawn.block(first, rows), space.slice.block(0, end - begin), all.cols, all.frame.scale,
                  space.products.data()},
                 false,
                 &all_rows_of_group,
                 space.segments.data(),
                 1,
                 segments,
                 space.sums.data(),
                 space.unused.data(),
                 block_rows,
                 block_rows});
            for (std::int64_t s = 0; s < segments; ++s) {
                double* to = target(space.classes[static_cast<std::size_t>(s)], shared) + first;
                const double* from = space.sums.data() + s * block_rows;
                for (std::int64_t r = 0; r < rows; ++r) to[r] += from[r];
            }
        }
    }

    void add(matrix_view<T> block, std::int64_t first_row, const options& opt) {
        const partition p = all.partition_of_block(block, first_row);
        const std::vector<std::int64_t> class_at = class_of_position(p);
        const int threads = resolve_threads(opt.threads);
        const std::int64_t slices = (block.rows + block_rows - 1) / block_rows, tasks = std::min(slices, most_tasks);
        std::vector<shared_sums> shared(static_cast<std::size_t>(tasks));
        half_added = true;  // until all of it is: an exception leaves sums with a part of the block
        std::vector<std::unique_ptr<workspace<T>>> spaces(static_cast<std::size_t>(threads));
        parallel_for(tasks, threads, block.rows, opt, [&](std::int64_t index, int worker, progress_meter& meter) {
            auto& space = spaces[static_cast<std::size_t>(worker)];
            if (!space) space = std::make_unique<workspace<T>>(kernels, all.cols);
            const std::int64_t begin = slices * index / tasks * block_rows;
            const std::int64_t end = std::min(slices * (index + 1) / tasks * block_rows, block.rows);
            shared_sums& own = shared[static_cast<std::size_t>(index)];
            own.first = class_at[static_cast<std::size_t>(begin)];
            own.last = class_at[static_cast<std::size_t>(end - 1)];
            own.of_first.assign(static_cast<std::size_t>(count), 0.0);
            own.of_last.assign(static_cast<std::size_t>(own.last == own.first ? 0 : count), 0.0);
            for (std::int64_t i = begin; i < end; i += block_rows) {
                const std::int64_t stop = std::min(i + block_rows, end);
                add_slice(block, p, class_at, i, stop, own, *space);
                meter.advance(stop - i, worker);
            }
        });
        for (const shared_sums& each : shared) {
            merge(each.first, each.of_first);
            merge(each.last, each.of_last);
        }
        added += block.rows;
        half_added = false;
    }

    void require_whole() const {
        if (half_added) throw std::invalid_argument("a block was given up half way: begin again with new exact rows");
    }

    void merge(std::int64_t c, const std::vector<double>& part) {
        double* to = sums.data() + c * count;
        for (std::size_t i = 0; i < part.size(); ++i) to[i] += part[i];
    }

    void silhouettes(array_view<double> samples) const {
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t row = indices[static_cast<std::size_t>(i)];
            const std::int64_t own = all.numbers.of_row[static_cast<std::size_t>(row)];
            const std::int64_t own_size = all.sizes[static_cast<std::size_t>(own)];
            double nearest = std::numeric_limits<double>::infinity();
            for (std::int64_t c = 0; c < all.numbers.classes; ++c)
                if (c != own)
                    nearest = std::min(nearest, sums[static_cast<std::size_t>(c * count + i)] /
                                                    static_cast<double>(all.sizes[static_cast<std::size_t>(c)]));
            // The row's distance to itself was added as 0.
            const double own_mean = sums[static_cast<std::size_t>(own * count + i)] /
                                    static_cast<double>(std::max<std::int64_t>(own_size - 1, 1));
            if (facts_of(all.how).of == summand::square) all.require_distances(std::max(own_mean, nearest), row);
            samples[i] = own_size == 1 ? 0 : silhouette_of(own_mean, nearest);
        }
    }

    const typename row_statistics<T>::state& all;
    const cpu::kernel_set<T>& kernels;
    void (*const sum)(const cpu::sums_args<T>&);
    const std::int64_t block_rows;
    const std::int64_t count;
    const std::vector<std::int64_t> indices;
    std::vector<T> values;
    packed_rows<T> drawn;
    std::vector<double> sums;  // [class * count + drawn row]
    std::int64_t added = 0;
    bool half_added = false;
};

template <class T>
exact_rows<T>::exact_rows(const row_statistics<T>& statistics, matrix_view<T> drawn,
                          array_view<const std::int64_t> indices) {
    const auto& all = statistics.internals();
    all.require(all.checked, "check");
    if (facts_of(all.how).from_means())
        throw std::invalid_argument("exact rows are not for the metric '" + std::string(facts_of(all.how).name) +
                                    "': moments do for it");
    all.check_chosen(drawn, indices, "drawn row");
    state_ = std::make_unique<state>(all, drawn, indices);
}

template <class T>
exact_rows<T>::~exact_rows() = default;
template <class T>
exact_rows<T>::exact_rows(exact_rows&&) noexcept = default;

template <class T>
void exact_rows<T>::add(matrix_view<T> block, std::int64_t first_row, const options& opt) {
    state_->require_whole();
    if (block.rows > 0) state_->add(block, first_row, opt);
}

template <class T>
void exact_rows<T>::silhouettes(array_view<double> samples) const {
    state_->require_whole();
    state_->all.require(state_->added, "add");
    if (samples.size != state_->count)
        throw std::invalid_argument(std::to_string(state_->count) + " rows are drawn and there is room for " +
                                    std::to_string(samples.size) + " samples");
    state_->silhouettes(samples);
}

template class exact_rows<float>;
template class exact_rows<double>;

}  // namespace zoorank
