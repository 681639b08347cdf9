#pragma once
// Where numbers are moved to before they are multiplied: to a size whose squares neither overflow nor vanish, and
// around a centre that outliers do not drag.
#include <cstdint>
#include <vector>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

namespace zoorank {

/// Throws std::invalid_argument naming the first row of `x` that holds a NaN or an infinity; otherwise returns the
/// power of two that brings the largest |x| into [2^48, 2^49) for float and [2^400, 2^401) for double, as far as a
/// normal number can. Silhouettes do not depend on scale; overflow of squares does, and beside a far outlier the
/// squares of all other differences are tiny: so the largest goes as high up as its own squares allow.
template <class T>
T checked_scale(matrix_view<T> x, const char* name, int threads, const options& opt);

/// The two halves of checked_scale, for rows that come in blocks: the largest |x| of a block whose rows are counted
/// from `first_row`, and the scale that belongs to the largest of all.
template <class T>
T checked_largest(matrix_view<T> x, const char* name, std::int64_t first_row);
template <class T>
T scale_for(T largest);

/// Brings a row to length 1; false for a row of zeros, which has no direction. `scale` is that of all rows; one under
/// which the squares of the row vanish is replaced by the row's own.
template <class T>
bool load_direction(const T* x, std::int64_t count, T scale, double* z);

/// Rows that stand for `count` rows: at most 15, evenly spaced, ascending.
std::vector<std::int64_t> centre_rows(std::int64_t count);

/// The median of each feature over at most 15 of the rows x[order[0]], ..., x[order[count - 1]], evenly spaced, times
/// `scale`. A centre takes the cancellation out of |x|^2 + |y|^2 - 2xy; any point near the bulk of the rows will do.
template <class T>
std::vector<T> robust_centre(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale);

/// A centre for products of type T: the robust one, each feature moved by a fixed random fraction of up to 1/16 of what
/// a row differs from it by. Where many features of a row are the same, and of the other one too, every addition to the
/// sum of their products would round the same way; moved, they round at random.
template <class T>
std::vector<T> dithered_centre(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale);

/// True when the rows lie within less than half their distance from `centre` around `own`: then differences between
/// them are better taken around `own`.
template <class T>
bool is_tight(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale, const std::vector<T>& own,
              const std::vector<T>& centre);

}  // namespace zoorank
