#include "precision.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "names.hpp"
#include "scaling.hpp"

namespace zoorank {
namespace {

#include "cpu/bf16.inl"

// Of relative errors of single distances, in root mean square, to rows of the own class and to those of others. A mean
// over m rows divides what is theirs by sqrt(m), and s is made of two means: 3e-7 leaves sixteen standard deviations to
// 5e-6, since data that mix kinds of rows need most of them. No mean helps against errors that conspire: for them there
// is the second bound. The third is for few distances that are far worse than most, in means of few rows: it is what
// the largest of some hundred errors is if they are normal.
constexpr double largest_error_of_means = 3e-7, largest_error = 1e-6, largest_extreme = 1.2e-6;

// Rows that are compared with each other, one of so many.
constexpr std::int64_t fewest_sampled = 15, most_sampled = 63, rows_of_sampled = 32, most_sampled_values = 1 << 20;

// The rounding errors of fewer features do not cancel, and tiles would be padded.
constexpr std::int64_t fewest_features = 32;

// Errors even out over the features and over the rows of a class: of fewer numbers than these some mean is too far off.
constexpr std::int64_t fewest_numbers = 512;

// Of fewer rows, tiles save no more than it takes to find out whether they suffice.
constexpr std::int64_t fewest_rows = 512;

// As tiles.inl has it.
constexpr double cancellation_share = 1.0 / 8;

class squares {
public:
    void add(std::optional<double> x) {
        if (!x) return;
        sum_ += *x * *x;
        count_ += 1;
        largest_ = std::max(largest_, *x * *x);
    }
    double mean() const { return count_ > 0 ? sum_ / count_ : 0; }
    double largest() const { return largest_; }

private:
    double sum_ = 0, count_ = 0, largest_ = 0;
};

double squared_distance(const std::vector<double>& x, const std::vector<double>& y) {
    return cpu::active_set<double>().squared_distance(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
}

// A centred row, the row that its two parts add up to, the lower part of it, and the squared lengths of both.
struct split_row {
    split_row(const float* x, const std::vector<float>& centre)
        : exact(centre.size()), rounded(centre.size()), lower(centre.size()) {
        for (std::size_t k = 0; k < centre.size(); ++k) {
            const float value = x[k] - centre[k];
            const float high = from_bf16(to_bf16(value)), low = from_bf16(to_bf16(value - high));
            exact[k] = value;
            rounded[k] = static_cast<double>(high) + static_cast<double>(low);
            lower[k] = low;
        }
        const std::vector<double> zeros(centre.size());
        square = squared_distance(rounded, zeros);
        lower_square = squared_distance(lower, zeros);
    }
    std::vector<double> exact, rounded, lower;
    double square, lower_square;
};

// Of the distance as bf16x3 has it; none where it is recomputed anyway, NaN where rows are not finite.
std::optional<double> relative_error(const split_row& a, const split_row& b) {
    const double lower_product = (a.lower_square + b.lower_square - squared_distance(a.lower, b.lower)) / 2;
    const double computed = squared_distance(a.rounded, b.rounded) + 2 * lower_product;
    if (computed < cancellation_share * (a.square + b.square)) return {};
    const double exact = squared_distance(a.exact, b.exact);
    if (exact == 0) return {};
    return std::sqrt(computed / exact) - 1;
}

}  // namespace

float_precision parse_float_precision(const std::string& name) {
    return value_named<float_precision>(
        float_precision_names, [](const char* each) { return each; }, name, "precision");
}

pair_selection parse_pair_selection(const std::string& name) {
    return value_named<pair_selection>(pair_selection_names, [](const char* each) { return each; }, name, "pairs");
}

void check_precision(const options& opt) {
    if (opt.precision == float_precision::bf16x3 && !cpu::active_kernels().bf16x3.pack)
        throw std::invalid_argument("precision 'bf16x3' needs the instruction set amx; in use is " +
                                    std::string(cpu::active_kernels().name) + ": use 'auto' or 'float32'");
}

std::vector<std::int64_t> judged_rows(std::int64_t rows, std::int64_t cols) {
    const std::int64_t count =
        std::clamp(std::min(rows / rows_of_sampled, most_sampled_values / cols), fewest_sampled, most_sampled);
    std::vector<std::int64_t> positions;
    for (std::int64_t i = 0; i < count; ++i) positions.push_back((2 * i + 1) * rows / (2 * count));
    return positions;
}

bool bf16x3_suffices(matrix_view<float> x, const partition& p) {
    if (p.rows() < fewest_rows || x.cols < fewest_features) return false;
    const std::vector<float> centre = dithered_centre(x, p.order.data(), p.rows(), 1.0F);
    const auto row_at = [&](std::int64_t position) {
        return split_row(x.row(p.order[static_cast<std::size_t>(position)]), centre);
    };
    squares own, other;
    std::vector<split_row> rows;
    std::vector<std::int64_t> classes;
    std::int64_t smallest = p.rows();
    for (std::int64_t c = 0; c < p.classes(); ++c) smallest = std::min(smallest, p.size(c));
    if (smallest * x.cols < fewest_numbers) return false;
    for (const std::int64_t position : judged_rows(p.rows(), x.cols)) {
        const auto end = std::upper_bound(p.begin.begin(), p.begin.end(), position);
        split_row row = row_at(position);
        if (position + 1 < *end)
            own.add(relative_error(row, row_at(position + 1)));
        else if (position > *(end - 1))
            own.add(relative_error(row, row_at(position - 1)));
        for (std::size_t j = 0; j < rows.size(); ++j)
            (classes[j] == *end ? own : other).add(relative_error(row, rows[j]));
        rows.push_back(std::move(row));
        classes.push_back(*end);
    }
    constexpr auto square = [](double e) { return e * e; };
    const auto others = static_cast<double>(smallest), members = std::max(others - 1, 1.0);  // that a mean is made of
    return own.mean() <= square(largest_error) && other.mean() <= square(largest_error) &&
           own.mean() / members + other.mean() / others <= square(largest_error_of_means) &&
           own.largest() / members + other.largest() / others <= square(largest_extreme);
}

template <class T>
const cpu::kernel_set<T>& kernels_for_pairs(matrix_view<T> x, const partition& p, metric how, const options& opt) {
    if constexpr (std::is_same_v<T, float>) {
        const cpu::kernel_table& table = cpu::active_kernels();
        const bool possible =
            facts_of(how).of == summand::square && opt.precision != float_precision::float32 && table.bf16x3.pack;
        if (possible && (opt.precision == float_precision::bf16x3 || bf16x3_suffices(x, p))) return table.bf16x3;
    }
    return cpu::active_set<T>();
}

template <class T>
const cpu::kernel_set<T>& kernels_for_distances(metric how, const options& opt) {
    if constexpr (std::is_same_v<T, float>)
        if (facts_of(how).of == summand::square && opt.precision == float_precision::bf16x3)
            return cpu::active_kernels().bf16x3;
    return cpu::active_set<T>();
}

template <class T>
auto sum_kernel(const cpu::kernel_set<T>& kernels, metric how) -> decltype(kernels.sum_euclidean) {
    const metric_facts& facts = facts_of(how);
    if (facts.of == summand::square && facts.root) return kernels.sum_euclidean;
    if (facts.of == summand::magnitude) return kernels.sum_manhattan;
    throw std::invalid_argument("metric '" + std::string(facts.name) + "' is not added up pair by pair");
}

template <class T>
auto store_kernel(const cpu::kernel_set<T>& kernels, metric how) -> decltype(kernels.store_euclidean) {
    const metric_facts& facts = facts_of(how);
    switch (facts.of) {
        case summand::square:
            return facts.root ? kernels.store_euclidean : kernels.store_sqeuclidean;
        case summand::magnitude:
            return kernels.store_manhattan;
        case summand::none:
            break;
    }
    throw std::invalid_argument("metric '" + std::string(facts.name) + "' has no rows to compare");
}

template const cpu::kernel_set<float>& kernels_for_pairs(matrix_view<float>, const partition&, metric, const options&);
template const cpu::kernel_set<double>& kernels_for_pairs(matrix_view<double>, const partition&, metric,
                                                          const options&);
template const cpu::kernel_set<float>& kernels_for_distances<float>(metric, const options&);
template const cpu::kernel_set<double>& kernels_for_distances<double>(metric, const options&);
template auto sum_kernel(const cpu::kernel_set<float>&, metric) -> void (*)(const cpu::sums_args<float>&);
template auto sum_kernel(const cpu::kernel_set<double>&, metric) -> void (*)(const cpu::sums_args<double>&);
template auto store_kernel(const cpu::kernel_set<float>&, metric) -> void (*)(const cpu::store_args<float>&);
template auto store_kernel(const cpu::kernel_set<double>&, metric) -> void (*)(const cpu::store_args<double>&);

}  // namespace zoorank
