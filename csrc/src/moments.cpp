#include "moments.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/kernel_table.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

// Rows that are summed by one task. Few enough to be still in cache when they are read for the second time.
constexpr std::int64_t part_rows = 1024;

}  // namespace

template <class T>
double row_frame<T>::load(matrix_view<T> x, const partition& p, std::int64_t position, double* z) const {
    // Rows of a class lie anywhere in x: without this, waiting for the first lines of each takes a third of the time.
    if (position + 1 < p.rows()) {
        constexpr std::int64_t line = 64 / sizeof(T);
        const T* next = x.row(p.order[static_cast<std::size_t>(position + 1)]);
        for (std::int64_t k = 0; k < x.cols; k += line) __builtin_prefetch(next + k);
    }
    const T* row = x.row(p.order[static_cast<std::size_t>(position)]);
    if (directions) return load_direction(row, x.cols, scale, z) ? 0 : 1;
    cpu::active_set<T>().load_row({row, x.cols, scale, centre.data(), false, z});
    return 0;
}

// Consecutive sorted positions of one class, and their moments.
struct class_moments::part {
    std::int64_t class_index, begin, end;
    std::vector<double> mean;
    double spread = 0;
};

class_moments::class_moments(std::int64_t classes, std::int64_t cols)
    : cols_(cols),
      sizes_(static_cast<std::size_t>(classes), 0),
      means_(static_cast<std::size_t>(classes * cols), 0.0),
      spreads_(static_cast<std::size_t>(classes), 0.0) {}

template <class T>
void class_moments::add(matrix_view<T> x, const partition& p, const row_frame<T>& frame, int threads,
                        const options& opt) {
    std::vector<part> parts;
    for (std::int64_t c = 0; c < p.classes(); ++c) {
        const std::int64_t end = p.begin[static_cast<std::size_t>(c) + 1];
        for (std::int64_t i = p.begin[static_cast<std::size_t>(c)]; i < end; i += part_rows)
            parts.push_back({c, i, std::min(i + part_rows, end), {}, 0});
    }
    parallel_for(static_cast<std::int64_t>(parts.size()), threads, x.rows, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     part& now = parts[static_cast<std::size_t>(index)];
                     const auto width = static_cast<std::size_t>(x.cols);
                     std::vector<double> z(width), origin(width);
                     now.mean.assign(width, 0.0);
                     frame.load(x, p, now.begin, origin.data());
                     for (std::int64_t i = now.begin; i < now.end; ++i) {
                         now.spread += frame.load(x, p, i, z.data());
                         for (std::size_t k = 0; k < width; ++k) now.mean[k] += z[k] - origin[k];
                     }
                     const double size = static_cast<double>(now.end - now.begin);
                     for (std::size_t k = 0; k < width; ++k) now.mean[k] = origin[k] + now.mean[k] / size;
                     for (std::int64_t i = now.begin; i < now.end; ++i) {
                         frame.load(x, p, i, z.data());
                         now.spread += cpu::active_set<double>().squared_distance(z.data(), now.mean.data(), x.cols);
                     }
                     meter.advance(now.end - now.begin, worker);
                 });
    for (const part& each : parts) merge(each);
}

void class_moments::merge(const part& other) {
    const auto c = static_cast<std::size_t>(other.class_index);
    double* mean = means_.data() + other.class_index * cols_;
    const double size = static_cast<double>(sizes_[c]), added = static_cast<double>(other.end - other.begin);
    const double share = added / (size + added);
    spreads_[c] += other.spread;
    if (size > 0)
        spreads_[c] += cpu::active_set<double>().squared_distance(other.mean.data(), mean, cols_) * size * share;
    for (std::int64_t k = 0; k < cols_; ++k) mean[k] += (other.mean[static_cast<std::size_t>(k)] - mean[k]) * share;
    sizes_[c] += other.end - other.begin;
}

template struct row_frame<float>;
template struct row_frame<double>;
template void class_moments::add(matrix_view<float>, const partition&, const row_frame<float>&, int, const options&);
template void class_moments::add(matrix_view<double>, const partition&, const row_frame<double>&, int, const options&);

}  // namespace zoorank
