#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "precision.hpp"
#include "scaling.hpp"
#include "schedule.hpp"
#include "thread_pool.hpp"
#include "vanishing.hpp"

namespace zoorank {
namespace {

// What one worker writes to while it computes; made on its first task.
template <class T>
struct workspace {
    aligned_buffer<T> products{cpu::scratch_size};
    std::vector<double> row_sums;
    clipped_classes rows, cols;
    packed_rows<T> own[2];  // blocks of a tight class around its own centre
};

template <class T>
class pair_engine {
public:
    pair_engine(matrix_view<T> x, const partition& p, metric how, const cpu::kernel_set<T>& kernels, int threads,
                const options& opt)
        : x_(x),
          partition_(p),
          kernels_(kernels),
          block_rows_(kernels.block_rows),
          sum_(sum_kernel(kernels, how)),
          threads_(threads),
          options_(opt),
          scale_(checked_scale(x, "X", threads, opt)),
          centre_(facts_of(how).of == summand::square ? dithered_centre(x, p.order.data(), x.rows, scale_)
                                                      : std::vector<T>()),
          list_(make_units(p, kernels_.panel, block_rows_)),
          own_(static_cast<std::size_t>(x.rows), 0.0),
          nearest_(static_cast<std::size_t>(x.rows), std::numeric_limits<double>::infinity()),
          locks_(new std::mutex[list_.units.size()]),
          packed_row_(kernels.packed_row(x.cols)),
          packed_(list_.padded_rows * packed_row_),
          norms_(list_.padded_rows),
          own_centres_(list_.units.size()) {
        pack_all();
    }

    // Returns the positions of rows whose distances have vanished.
    std::vector<std::int64_t> run(array_view<double> samples) {
        const pair_schedule schedule(list_.units, block_rows_);
        std::vector<std::unique_ptr<workspace<T>>> workspaces(static_cast<std::size_t>(threads_));
        parallel_for(schedule.tasks(), threads_, x_.rows * (x_.rows - 1) / 2, options_,
                     [&](std::int64_t index, int worker, progress_meter& meter) {
                         auto& space = workspaces[static_cast<std::size_t>(worker)];
                         if (!space) space = std::make_unique<workspace<T>>();
                         compute(schedule.task(index), *space, worker, meter);
                     });
        std::vector<std::int64_t> vanished;
        for (std::int64_t c = 0; c < partition_.classes(); ++c)
            for (std::int64_t i = partition_.begin[static_cast<std::size_t>(c)];
                 i < partition_.begin[static_cast<std::size_t>(c) + 1]; ++i) {
                const auto at = static_cast<std::size_t>(i);
                samples[partition_.order[at]] = partition_.size(c) == 1 ? 0 : silhouette_of(own_[at], nearest_[at]);
                if (std::max(own_[at], nearest_[at]) < vanishing_distance<T>) vanished.push_back(i);
            }
        // Manhattan distances are no squares; and rows whose distances are 0 may be equal.
        if (centre_.empty() || vanished.empty() || differences_last(least_magnitude(x_), scale_)) return {};
        return vanished;
    }

private:
    const unit& unit_at(std::int64_t u) const { return list_.units[static_cast<std::size_t>(u)]; }

    const std::int64_t* order_of(const unit& u, std::int64_t begin) const {
        return partition_.order.data() + u.first_row + begin;
    }

    // Rows [begin, begin + block_rows_) of a unit, or what there is of them.
    struct unit_block {
        std::size_t unit;
        std::int64_t begin;
    };

    void pack_all() {
        std::vector<unit_block> blocks;
        for (std::size_t u = 0; u < list_.units.size(); ++u)
            for (std::int64_t i = 0; i < list_.units[u].rows; i += block_rows_) blocks.push_back({u, i});
        const T* const origin = centre_.empty() ? nullptr : centre_.data();
        parallel_for(static_cast<std::int64_t>(blocks.size()), threads_, 0, without_fraction(options_),
                     [&](std::int64_t index, int, progress_meter&) {
                         const unit_block& block = blocks[static_cast<std::size_t>(index)];
                         const unit& u = list_.units[block.unit];
                         const std::int64_t row = u.packed_row + block.begin;
                         kernels_.pack({x_.data, x_.stride, order_of(u, block.begin),
                                        std::min(block_rows_, u.rows - block.begin), x_.cols, scale_, origin,
                                        packed_.data() + row * packed_row_, norms_.data() + row});
                         if (!origin || u.classes > 1 || block.begin > 0) return;
                         std::vector<T> own = dithered_centre(x_, order_of(u, 0), u.rows, scale_);
                         if (is_tight(x_, order_of(u, 0), u.rows, scale_, own, centre_))
                             own_centres_[block.unit] = std::move(own);
                     });
    }

    cpu::operand<T> packed_block(const unit& u, std::int64_t begin, std::int64_t count) const {
        return {packed_.data() + (u.packed_row + begin) * packed_row_,
                norms_.data() + u.packed_row + begin,
                x_.data,
                x_.stride,
                order_of(u, begin),
                count};
    }

    // A block of a tight class, packed around the class's own centre.
    cpu::operand<T> own_block(const unit& u, const std::vector<T>& centre, std::int64_t begin, std::int64_t count,
                              int side, workspace<T>& space) const {
        packed_rows<T>& own = space.own[side];
        if (own.empty()) own = packed_rows<T>(kernels_, block_rows_, x_.cols);
        own.pack(x_.data, x_.stride, order_of(u, begin), count, scale_, centre.data());
        return own.block(0, count);
    }

    // One stripe of the first unit against all of the second. `sums` collects, for each class of the first unit, the
    // sums of the second unit's rows to it: [class * rows of second + row]. A unit against itself has no other sums.
    void compute(const pair_task& task, workspace<T>& space, int worker, progress_meter& meter) {
        const unit& first = unit_at(task.first);
        const unit& second = unit_at(task.second);
        const bool same = task.first == task.second;
        const std::vector<T>& own_centre = own_centres_[static_cast<std::size_t>(task.first)];
        const bool around_own = same && !own_centre.empty();
        double* sums = stripes_.open(task, first.classes * second.rows);
        for (std::int64_t i = task.begin; i < task.end; i += block_rows_) {
            const std::int64_t rows = std::min(block_rows_, task.end - i);
            clip_classes(partition_, first, i, rows, space.rows);
            const cpu::operand<T> a =
                around_own ? own_block(first, own_centre, i, rows, 0, space) : packed_block(first, i, rows);
            if (!same) space.row_sums.assign(static_cast<std::size_t>(second.classes * block_rows_), 0.0);
            for (std::int64_t j = same ? i : 0; j < second.rows; j += block_rows_) {
                const std::int64_t cols = std::min(block_rows_, second.rows - j);
                const bool diagonal = same && i == j;
                clip_classes(partition_, second, j, cols, space.cols);
                cpu::operand<T> b = packed_block(second, j, cols);
                if (around_own) b = diagonal ? a : own_block(second, own_centre, j, cols, 1, space);
                double* row_sums = same ? sums + i : space.row_sums.data();
                const std::int64_t row_sums_stride = same ? second.rows : block_rows_;
                sum_({{a, b, x_.cols, scale_, space.products.data()},
                      diagonal,
                      space.rows.segments.data(),
                      space.cols.segments.data(),
                      static_cast<std::int64_t>(space.rows.segments.size()),
                      static_cast<std::int64_t>(space.cols.segments.size()),
                      row_sums + space.cols.first_class * row_sums_stride,
                      sums + space.rows.first_class * second.rows + j,
                      row_sums_stride,
                      second.rows});
                meter.advance(diagonal ? rows * (rows - 1) / 2 : rows * cols, worker);
            }
            if (!same) fold(task.first, i, rows, second, space.row_sums.data(), block_rows_);
        }
        const std::vector<double> total = stripes_.close(task);
        if (!total.empty()) fold(task.second, 0, second.rows, first, total.data(), second.rows);
    }

    // Sums of rows [begin, begin + count) of a unit to each class of `other`: into the own mean or the nearest one.
    void fold(std::int64_t u, std::int64_t begin, std::int64_t count, const unit& other, const double* sums,
              std::int64_t stride) {
        const std::lock_guard<std::mutex> lock(locks_[static_cast<std::size_t>(u)]);
        const std::int64_t first = unit_at(u).first_row + begin;
        double *const own = own_.data() + first, *const nearest = nearest_.data() + first;
        for (std::int64_t c = 0; c < other.classes; ++c, sums += stride) {
            const std::int64_t class_begin = partition_.begin[static_cast<std::size_t>(other.first_class + c)] - first;
            const std::int64_t members = partition_.size(other.first_class + c);
            const auto size = static_cast<double>(members);
            const std::int64_t own_begin = std::clamp<std::int64_t>(class_begin, 0, count);
            const std::int64_t own_end = std::clamp<std::int64_t>(class_begin + members, 0, count);
            for (std::int64_t r = 0; r < own_begin; ++r) nearest[r] = std::min(nearest[r], sums[r] / size);
            for (std::int64_t r = own_begin; r < own_end; ++r) own[r] = members > 1 ? sums[r] / (size - 1) : 0;
            for (std::int64_t r = own_end; r < count; ++r) nearest[r] = std::min(nearest[r], sums[r] / size);
        }
    }

    const matrix_view<T> x_;
    const partition& partition_;
    const cpu::kernel_set<T>& kernels_;
    const std::int64_t block_rows_;
    void (*const sum_)(const cpu::sums_args<T>&);
    const int threads_;
    const options& options_;
    const T scale_;
    const std::vector<T> centre_;  // empty for magnitudes: nothing cancels there, and centring would round
    const unit_list list_;
    std::vector<double> own_, nearest_;          // by sorted position
    const std::unique_ptr<std::mutex[]> locks_;  // one a unit, over its rows of nearest_
    const std::int64_t packed_row_;              // elements of one
    aligned_buffer<T> packed_, norms_;
    std::vector<std::vector<T>> own_centres_;  // of tight units of one class; others empty
    stripe_sums stripes_;
};

}  // namespace

template <class T>
void silhouettes_by_pairs(matrix_view<T> x, const partition& p, metric how, const cpu::kernel_set<T>& kernels,
                          array_view<double> samples, int threads, const options& opt) {
    const std::vector<std::int64_t> vanished = pair_engine<T>(x, p, how, kernels, threads, opt).run(samples);
    if (vanished.empty()) return;
    if constexpr (std::is_same_v<T, double>) {
        silhouettes_of_positions(x, p, vanished, samples, threads, opt);
    } else {  // no floats lie too far apart for double
        std::vector<double> wide;
        wide.reserve(static_cast<std::size_t>(x.rows * x.cols));
        for (std::int64_t i = 0; i < x.rows; ++i) wide.insert(wide.end(), x.row(i), x.row(i) + x.cols);
        silhouettes_by_pairs(matrix_view<double>(wide.data(), x.rows, x.cols), p, how, cpu::active_set<double>(),
                             samples, threads, opt);
    }
}

template void silhouettes_by_pairs(matrix_view<float>, const partition&, metric, const cpu::kernel_set<float>&,
                                   array_view<double>, int, const options&);
template void silhouettes_by_pairs(matrix_view<double>, const partition&, metric, const cpu::kernel_set<double>&,
                                   array_view<double>, int, const options&);

}  // namespace zoorank
