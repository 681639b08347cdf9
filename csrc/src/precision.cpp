#include "precision.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "names.hpp"
#include "scaling.hpp"

namespace zoorank {
namespace {

#include "cpu/bf16.inl"

// Of one distance, in root mean square. Those of a row to a class have part of their error in common, that of the row
// itself: a mean of them is better than one of them by little in the worst case, and s, a quotient of two means, is
// then off by sqrt(2) times as much: 5e-6 is 3.5 standard deviations. Rows of 32 and more unrelated features stay below
// 1e-6, and their means are off by far less.
constexpr double largest_error = 1e-6;

// The rounding errors of fewer features do not cancel, and tiles would be padded.
constexpr std::int64_t fewest_features = 32;

// The algorithm is proven over an emulation of the tile instructions, but these themselves have been executed nowhere:
// until they have, they must be asked for by name.
#if defined(ZOORANK_EMULATE_AMX)
constexpr bool tiles_are_proven = true;
#else
constexpr bool tiles_are_proven = false;
#endif

// As tiles.inl has it.
constexpr double cancellation_share = 1.0 / 8;

// A centred row, the row that its two parts add up to, and the lower part of it.
struct split_row {
    split_row(const float* x, const std::vector<float>& centre) {
        for (std::size_t k = 0; k < centre.size(); ++k) {
            const float value = x[k] - centre[k];
            const float high = from_bf16(to_bf16(value)), low = from_bf16(to_bf16(value - high));
            exact.push_back(value);
            rounded.push_back(static_cast<double>(high) + static_cast<double>(low));
            lower.push_back(low);
        }
    }
    std::vector<double> exact, rounded, lower;
};

}  // namespace

float_precision parse_float_precision(const std::string& name) {
    return value_named<float_precision>(float_precision_names, name, "precision");
}

void check_precision(const options& opt) {
    if (opt.precision == float_precision::bf16x3 && !cpu::active_kernels().bf16x3.pack)
        throw std::invalid_argument("precision 'bf16x3' needs the instruction set amx; in use is " +
                                    std::string(cpu::active_kernels().name) + ": use 'auto' or 'float32'");
}

bool bf16x3_suffices(matrix_view<float> x, const std::int64_t* order, std::int64_t count) {
    if (x.cols < fewest_features) return false;
    const std::vector<float> centre = robust_centre(x, order, count, 1.0F);
    const auto square = [&](const std::vector<double>& a, const std::vector<double>& b) {
        return cpu::active_set<double>().squared_distance(a.data(), b.data(), x.cols);
    };
    const std::vector<double> zeros(centre.size());
    std::vector<split_row> rows;
    for (const std::int64_t position : centre_rows(count)) rows.emplace_back(x.row(order[position]), centre);
    double errors = 0, pairs = 0;
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const split_row &a = rows[i], &b = rows[j];
            const double lower_product =
                (square(a.lower, zeros) + square(b.lower, zeros) - square(a.lower, b.lower)) / 2;
            const double computed = square(a.rounded, b.rounded) + 2 * lower_product;
            if (computed < cancellation_share * (square(a.rounded, zeros) + square(b.rounded, zeros))) continue;
            const double exact = square(a.exact, b.exact);
            if (exact == 0) continue;
            const double error = std::sqrt(computed / exact) - 1;
            errors += error * error;
            pairs += 1;
        }
    return errors <= largest_error * largest_error * pairs;  // false for NaN: the rows are not finite
}

template <class T>
const cpu::kernel_set<T>& kernels_for_pairs(matrix_view<T> x, const partition& p, metric how, const options& opt) {
    if constexpr (std::is_same_v<T, float>) {
        const cpu::kernel_table& table = cpu::active_kernels();
        const bool possible =
            how == metric::euclidean && opt.precision != float_precision::float32 && table.bf16x3.pack;
        if (possible && (opt.precision == float_precision::bf16x3 ||
                         (tiles_are_proven && bf16x3_suffices(x, p.order.data(), p.rows()))))
            return table.bf16x3;
    }
    return cpu::active_set<T>();
}

template <class T>
const cpu::kernel_set<T>& kernels_for_distances(metric how, const options& opt) {
    if constexpr (std::is_same_v<T, float>)
        if (how != metric::manhattan && opt.precision == float_precision::bf16x3) return cpu::active_kernels().bf16x3;
    return cpu::active_set<T>();
}

template const cpu::kernel_set<float>& kernels_for_pairs(matrix_view<float>, const partition&, metric, const options&);
template const cpu::kernel_set<double>& kernels_for_pairs(matrix_view<double>, const partition&, metric,
                                                          const options&);
template const cpu::kernel_set<float>& kernels_for_distances<float>(metric, const options&);
template const cpu::kernel_set<double>& kernels_for_distances<double>(metric, const options&);

}  // namespace zoorank
