#include "row_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "scaling.hpp"
#include "thread_pool.hpp"
#include "vanishing.hpp"

namespace zoorank {

template <class T>
row_statistics<T>::state::state(class_numbers all_numbers, std::int64_t columns, metric m)
    : numbers(std::move(all_numbers)),
      cols(columns),
      how(m),
      sizes(static_cast<std::size_t>(numbers.classes), 0),
      moments(facts_of(how).of == summand::square ? numbers.classes : 0, columns) {
    for (const std::int64_t c : numbers.of_row) ++sizes[static_cast<std::size_t>(c)];
    frame.directions = facts_of(how).directions;
}

template <class T>
void row_statistics<T>::state::check_block(matrix_view<T> block, std::int64_t first_row) const {
    if (block.cols != cols)
        throw std::invalid_argument("a block has " + std::to_string(block.cols) + " features and the rows have " +
                                    std::to_string(cols));
    if (first_row < 0 || block.rows > rows() - first_row)
        throw std::invalid_argument("a block of rows " + std::to_string(first_row) + " to " +
                                    std::to_string(first_row + block.rows) + " lies outside the " +
                                    std::to_string(rows()) + " rows that have labels");
}

template <class T>
void row_statistics<T>::state::check_chosen(matrix_view<T> chosen, array_view<const std::int64_t> indices,
                                            const char* name) const {
    if (chosen.cols != cols || chosen.rows != indices.size)
        throw std::invalid_argument(std::string(name) + "s are " + std::to_string(chosen.rows) + " x " +
                                    std::to_string(chosen.cols) + ", need " + std::to_string(indices.size) + " x " +
                                    std::to_string(cols));
    for (std::int64_t i = 0; i < indices.size; ++i)
        if (indices[i] < 0 || indices[i] >= rows())
            throw std::invalid_argument(std::string(name) + " " + std::to_string(indices[i]) + " is none of the " +
                                        std::to_string(rows()) + " rows");
}

template <class T>
void row_statistics<T>::state::require(std::int64_t done, const char* pass) const {
    if (done != rows())
        throw std::invalid_argument(std::string(pass) + " comes first, for all " + std::to_string(rows()) +
                                    " rows; it has seen " + std::to_string(done));
}

template <class T>
void row_statistics<T>::state::require_distances(double mean, std::int64_t row) const {
    if (mean < vanishing_distance<T> && !differences_last(least, frame.scale)) refuse_vanished<T>(row);
}

template <class T>
partition row_statistics<T>::state::partition_of_block(matrix_view<T> block, std::int64_t first_row) const {
    check_block(block, first_row);
    return partition_of({numbers.of_row.data() + first_row, block.rows}, numbers.classes);
}

template <class T>
row_statistics<T>::row_statistics(array_view<const std::int64_t> labels, std::int64_t cols, metric how) {
    if (cols < 1) throw std::invalid_argument("X has no features");
    const metric_facts& facts = facts_of(how);
    if (facts.of == summand::none)
        throw std::invalid_argument("metric '" + std::string(facts.name) + "' has no rows to sum up");
    state_ = std::make_unique<state>(number_classes(labels), cols, how);
}

template <class T>
row_statistics<T>::~row_statistics() = default;
template <class T>
row_statistics<T>::row_statistics(row_statistics&&) noexcept = default;

template <class T>
std::int64_t row_statistics<T>::rows() const noexcept {
    return state_->rows();
}

template <class T>
std::int64_t row_statistics<T>::classes() const noexcept {
    return state_->numbers.classes;
}

template <class T>
std::int64_t row_statistics<T>::cols() const noexcept {
    return state_->cols;
}

template <class T>
void row_statistics<T>::check(matrix_view<T> block, std::int64_t first_row) {
    state& s = *state_;
    s.check_block(block, first_row);
    if (first_row != s.checked)
        throw std::invalid_argument("blocks are checked in order: row " + std::to_string(s.checked) + " is next, not " +
                                    std::to_string(first_row));
    s.largest = std::max(s.largest, checked_largest(block, "X", first_row));
    s.least = std::min(s.least, least_magnitude(block));
    s.checked += block.rows;
    for (const std::int64_t row : centre_rows(s.rows()))
        if (row >= first_row && row < s.checked) {
            const T* values = block.row(row - first_row);
            s.samples.insert(s.samples.end(), values, values + s.cols);
        }
    if (s.checked < s.rows()) return;
    s.frame.scale = scale_for(s.largest);
    if (s.frame.directions || facts_of(s.how).of != summand::square) return;
    std::vector<std::int64_t> order(s.samples.size() / static_cast<std::size_t>(s.cols));
    std::iota(order.begin(), order.end(), 0);
    const auto count = static_cast<std::int64_t>(order.size());
    s.frame.centre =
        dithered_centre(matrix_view<T>(s.samples.data(), count, s.cols), order.data(), count, s.frame.scale);
}

template <class T>
void row_statistics<T>::add_moments(matrix_view<T> block, std::int64_t first_row, const options& opt) {
    state& s = *state_;
    s.require(s.checked, "check");
    const metric_facts& facts = facts_of(s.how);
    if (facts.of != summand::square)
        throw std::invalid_argument("metric '" + std::string(facts.name) + "' has no use for moments");
    const partition p = s.partition_of_block(block, first_row);
    s.moments.add(block, p, s.frame, resolve_threads(opt.threads), opt);
    s.summed += block.rows;
    if (s.summed == s.rows()) s.search.emplace(s.moments, facts.root);
}

template <class T>
void row_statistics<T>::class_points(array_view<T> points) const {
    const state& s = *state_;
    s.require(s.summed, "add_moments");
    if (s.frame.directions) throw std::invalid_argument("directions have no class points");
    if (points.size != classes() * (s.cols + 1))
        throw std::invalid_argument("room for " + std::to_string(points.size) + " values, need " +
                                    std::to_string(classes() * (s.cols + 1)));
    for (std::int64_t c = 0; c < classes(); ++c) {
        T* point = points.data + c * (s.cols + 1);
        for (std::int64_t k = 0; k < s.cols; ++k) point[k] = static_cast<T>(s.moments.mean(c)[k]);
        point[s.cols] = static_cast<T>(std::sqrt(s.moments.spread(c) / static_cast<double>(s.moments.size(c))));
    }
}

template <class T>
void row_statistics<T>::radii(matrix_view<T> block, std::int64_t first_row, array_view<double> out,
                              const options& opt) const {
    const state& s = *state_;
    s.require(s.summed, "add_moments");
    if (s.frame.directions) throw std::invalid_argument("directions have no radii");
    if (out.size != block.rows)
        throw std::invalid_argument("a block has " + std::to_string(block.rows) + " rows and there is room for " +
                                    std::to_string(out.size) + " radii");
    constexpr std::int64_t task_rows = 1024;
    const partition p = s.partition_of_block(block, first_row);
    const std::vector<std::int64_t> class_at = class_of_position(p);
    const cpu::kernel_set<double>& kernels = cpu::active_set<double>();
    parallel_for((block.rows + task_rows - 1) / task_rows, resolve_threads(opt.threads), block.rows, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     std::vector<double> z(static_cast<std::size_t>(s.cols));
                     const std::int64_t begin = index * task_rows, end = std::min(begin + task_rows, block.rows);
                     for (std::int64_t i = begin; i < end; ++i) {
                         s.frame.load(block, p, i, z.data());
                         const double* mean = s.moments.mean(class_at[static_cast<std::size_t>(i)]);
                         out[p.order[static_cast<std::size_t>(i)]] =
                             std::sqrt(kernels.squared_distance(z.data(), mean, s.cols));
                     }
                     meter.advance(end - begin, worker);
                 });
}

template <class T>
void row_statistics<T>::restrict_to(std::vector<std::int64_t> candidates, std::int64_t per_class) {
    state& s = *state_;
    s.require(s.summed, "add_moments");
    if (per_class < 1 || static_cast<std::int64_t>(candidates.size()) != classes() * per_class)
        throw std::invalid_argument(std::to_string(candidates.size()) + " candidates for " + std::to_string(classes()) +
                                    " classes of " + std::to_string(per_class));
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const std::int64_t c = static_cast<std::int64_t>(i) / per_class;
        if (candidates[i] < 0 || candidates[i] >= classes() || candidates[i] == c)
            throw std::invalid_argument("class " + std::to_string(c) + " has candidate " +
                                        std::to_string(candidates[i]) + "; allowed are the other classes, 0 to " +
                                        std::to_string(classes() - 1));
    }
    s.search->restrict_to(std::move(candidates), per_class);
}

template <class T>
void row_statistics<T>::surrogate(matrix_view<T> block, std::int64_t first_row, array_view<double> samples,
                                  const options& opt) const {
    const state& s = *state_;
    s.require(s.summed, "add_moments");
    if (samples.size != block.rows)
        throw std::invalid_argument("a block has " + std::to_string(block.rows) + " rows and there is room for " +
                                    std::to_string(samples.size) + " samples");
    const std::int64_t row = s.search->run(block, s.partition_of_block(block, first_row), s.frame, samples,
                                           resolve_threads(opt.threads), opt);
    // Roots make a surrogate, and the rows drawn tell how good it is.
    if (row >= 0 && !facts_of(s.how).root && !s.frame.directions && !differences_last(s.least, s.frame.scale))
        refuse_vanished<T>(first_row + row);
}

template class row_statistics<float>;
template class row_statistics<double>;

}  // namespace zoorank
