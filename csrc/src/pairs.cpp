#include "pair_engine.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "precision.hpp"
#include "scaling.hpp"
#include "vanishing.hpp"

namespace zoorank {

template <class T>
pair_engine<T>::pair_engine(matrix_view<T> x, const partition& p, metric how, const cpu::kernel_set<T>& kernels,
                            int threads, const options& opt)
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
      schedule_(list_.units, block_rows_),
      own_(static_cast<std::size_t>(x.rows), 0.0),
      nearest_(static_cast<std::size_t>(x.rows), std::numeric_limits<double>::infinity()),
      locks_(new std::mutex[list_.units.size()]),
      packed_row_(kernels.packed_row(x.cols)),
      packed_(list_.padded_rows * packed_row_),
      norms_(list_.padded_rows),
      own_centres_(list_.units.size()),
      unit_of_class_(static_cast<std::size_t>(p.classes())) {
    for (std::size_t u = 0; u < list_.units.size(); ++u)
        std::fill_n(unit_of_class_.begin() + list_.units[u].first_class, list_.units[u].classes,
                    static_cast<std::int64_t>(u));
    pack_all();
}

template <class T>
void pair_engine<T>::add_all(const options& opt) {
    run(nullptr, static_cast<double>(x_.rows) * static_cast<double>(x_.rows - 1) / 2, opt);
}

template <class T>
void pair_engine<T>::add_within_units(const options& opt) {
    const std::vector<std::int64_t> tasks = schedule_.tasks_within_units();
    run(&tasks, pairs_within_units(), opt);
}

template <class T>
double pair_engine<T>::pairs_within_units() const {
    double pairs = 0;
    for (const unit& u : list_.units) pairs += static_cast<double>(u.rows) * static_cast<double>(u.rows - 1) / 2;
    return pairs;
}

// All tasks of the schedule, or some of them.
template <class T>
void pair_engine<T>::run(const std::vector<std::int64_t>* tasks, double pairs, const options& opt) {
    std::vector<std::unique_ptr<workspace>> workspaces(static_cast<std::size_t>(threads_));
    parallel_for(tasks ? static_cast<std::int64_t>(tasks->size()) : schedule_.tasks(), threads_,
                 static_cast<std::int64_t>(pairs), opt, [&](std::int64_t index, int worker, progress_meter& meter) {
                     auto& space = workspaces[static_cast<std::size_t>(worker)];
                     if (!space) space = std::make_unique<workspace>();
                     compute(schedule_.task(tasks ? (*tasks)[static_cast<std::size_t>(index)] : index), *space, worker,
                             meter);
                 });
}

template <class T>
std::vector<std::int64_t> pair_engine<T>::write(array_view<double> samples) const {
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

template <class T>
void pair_engine<T>::mean_distances(const cpu::operand<T>& rows, std::int64_t c, double* means,
                                    workspace& space) const {
    const std::int64_t position = partition_.begin[static_cast<std::size_t>(c)];
    const unit& u = unit_at(unit_of_class_[static_cast<std::size_t>(c)]);
    const std::int64_t begin = position - u.first_row, end = begin + partition_.size(c);
    const cpu::segment all_rows{0, static_cast<std::int32_t>(rows.count)};
    // A block begins a panel: what lies before the class there is a segment of its own, and forgotten.
    space.row_sums.assign(static_cast<std::size_t>(2 * block_rows_), 0.0);
    space.col_sums.resize(static_cast<std::size_t>(block_rows_));
    for (std::int64_t j = begin / kernels_.panel * kernels_.panel; j < end; j += block_rows_) {
        const std::int64_t cols = std::min(block_rows_, end - j);
        const auto before = static_cast<std::int32_t>(std::max<std::int64_t>(begin - j, 0));
        const cpu::segment parts[] = {{0, before}, {before, static_cast<std::int32_t>(cols)}};
        const std::int64_t skipped = before > 0 ? 0 : 1;
        sum_({{rows, packed_block(u, j, cols), x_.cols, scale_, space.products.data()},
              false,
              &all_rows,
              parts + skipped,
              1,
              2 - skipped,
              space.row_sums.data() + skipped * block_rows_,
              space.col_sums.data(),
              block_rows_,
              block_rows_});
    }
    for (std::int64_t r = 0; r < rows.count; ++r)
        means[r] = space.row_sums[static_cast<std::size_t>(block_rows_ + r)] / static_cast<double>(end - begin);
}

template <class T>
void pair_engine<T>::pack_all() {
    // Rows [begin, begin + block_rows_) of a unit, or what there is of them.
    struct unit_block {
        std::size_t unit;
        std::int64_t begin;
    };
    std::vector<unit_block> blocks;
    for (std::size_t u = 0; u < list_.units.size(); ++u)
        for (std::int64_t i = 0; i < list_.units[u].rows; i += block_rows_) blocks.push_back({u, i});
    const T* const origin = centre_.empty() ? nullptr : centre_.data();
    parallel_for(
        static_cast<std::int64_t>(blocks.size()), threads_, 0, without_fraction(options_),
        [&](std::int64_t index, int, progress_meter&) {
            const unit_block& block = blocks[static_cast<std::size_t>(index)];
            const unit& u = list_.units[block.unit];
            const std::int64_t row = u.packed_row + block.begin;
            kernels_.pack({x_.data, x_.stride, order_of(u, block.begin), std::min(block_rows_, u.rows - block.begin),
                           x_.cols, scale_, origin, packed_.data() + row * packed_row_, norms_.data() + row});
            if (!origin || u.classes > 1 || block.begin > 0) return;
            std::vector<T> own = dithered_centre(x_, order_of(u, 0), u.rows, scale_);
            if (is_tight(x_, order_of(u, 0), u.rows, scale_, own, centre_)) own_centres_[block.unit] = std::move(own);
        });
}

template <class T>
cpu::operand<T> pair_engine<T>::packed_block(const unit& u, std::int64_t begin, std::int64_t count) const {
    return {packed_.data() + (u.packed_row + begin) * packed_row_,
            norms_.data() + u.packed_row + begin,
            x_.data,
            x_.stride,
            order_of(u, begin),
            count};
}

// A block of a tight class, packed around the class's own centre.
template <class T>
cpu::operand<T> pair_engine<T>::own_block(const unit& u, const std::vector<T>& centre, std::int64_t begin,
                                          std::int64_t count, int side, workspace& space) const {
    packed_rows<T>& own = space.own[side];
    if (own.empty()) own = packed_rows<T>(kernels_, block_rows_, x_.cols);
    own.pack(x_.data, x_.stride, order_of(u, begin), count, scale_, centre.data());
    return own.block(0, count);
}

// One stripe of the first unit against all of the second. `sums` collects, for each class of the first unit, the
// sums of the second unit's rows to it: [class * rows of second + row]. A unit against itself has no other sums.
template <class T>
void pair_engine<T>::compute(const pair_task& task, workspace& space, int worker, progress_meter& meter) {
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
template <class T>
void pair_engine<T>::fold(std::int64_t u, std::int64_t begin, std::int64_t count, const unit& other, const double* sums,
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

template <class T>
void silhouettes_by_pairs(matrix_view<T> x, const partition& p, metric how, const cpu::kernel_set<T>& kernels,
                          array_view<double> samples, int threads, const options& opt) {
    pair_engine<T> engine(x, p, how, kernels, threads, opt);
    engine.add_all(opt);
    if (opt.pairs_evaluated) *opt.pairs_evaluated = static_cast<double>(x.rows) * static_cast<double>(x.rows - 1) / 2;
    restore_vanished_rows(x, p, how, engine.write(samples), samples, threads, opt);
}

template <class T>
void restore_vanished_rows(matrix_view<T> x, const partition& p, metric how, const std::vector<std::int64_t>& vanished,
                           array_view<double> samples, int threads, const options& opt) {
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

template class pair_engine<float>;
template class pair_engine<double>;
template void restore_vanished_rows(matrix_view<float>, const partition&, metric, const std::vector<std::int64_t>&,
                                    array_view<double>, int, const options&);
template void restore_vanished_rows(matrix_view<double>, const partition&, metric, const std::vector<std::int64_t>&,
                                    array_view<double>, int, const options&);
template void silhouettes_by_pairs(matrix_view<float>, const partition&, metric, const cpu::kernel_set<float>&,
                                   array_view<double>, int, const options&);
template void silhouettes_by_pairs(matrix_view<double>, const partition&, metric, const cpu::kernel_set<double>&,
                                   array_view<double>, int, const options&);

}  // namespace zoorank
