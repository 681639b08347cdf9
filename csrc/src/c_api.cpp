// The C boundary: raw pointers checked and turned into views, exceptions into status codes and text.
#include <zoorank/zoorank.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <zoorank/build_info.hpp>
#include <zoorank/distances.hpp>
#include <zoorank/silhouette.hpp>

namespace {

using zoorank::array_view;
using zoorank::matrix_view;

thread_local std::string last_error;

zoorank_status fail(zoorank_status status, const char* what) noexcept {
    try {
        last_error = what;
    } catch (...) {
        last_error.clear();  // no memory left even for the text; the status still tells
    }
    return status;
}

// Runs work() and lets nothing out but a status.
template <class Work>
zoorank_status guarded(Work work) noexcept {
    last_error.clear();
    try {
        work();
        return ZOORANK_OK;
    } catch (const zoorank::cancelled& error) {
        return fail(ZOORANK_CANCELLED, error.what());
    } catch (const std::invalid_argument& error) {
        return fail(ZOORANK_INVALID_ARGUMENT, error.what());
    } catch (const std::bad_alloc&) {
        return fail(ZOORANK_OUT_OF_MEMORY, "not enough memory");
    } catch (const std::length_error&) {
        return fail(ZOORANK_OUT_OF_MEMORY, "not enough memory");
    } catch (const std::exception& error) {
        return fail(ZOORANK_INTERNAL_ERROR, error.what());
    } catch (...) {
        return fail(ZOORANK_INTERNAL_ERROR, "unknown exception");
    }
}

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument(why); }

template <class Pointer>
Pointer present(Pointer p, std::int64_t needed, const std::string& name) {
    if (!p && needed > 0) refuse(name + " is null");
    return p;
}

template <class T>
matrix_view<T> matrix(const T* x, std::int64_t rows, std::int64_t cols, std::int64_t stride, const std::string& name) {
    if (rows < 0) refuse(name + " has " + std::to_string(rows) + " rows");
    if (cols < 0) refuse(name + " has " + std::to_string(cols) + " columns");
    if (stride < cols)
        refuse("rows of " + name + " are " + std::to_string(stride) + " elements apart, fewer than its " +
               std::to_string(cols) + " columns");
    constexpr std::int64_t most = std::numeric_limits<std::ptrdiff_t>::max() / std::int64_t{sizeof(T)};
    if (stride > 0 && rows > most / stride) refuse(name + " is larger than memory can be");
    return {present(x, std::min(rows, cols), name), rows, cols, stride};
}

static_assert(ZOORANK_EUCLIDEAN == static_cast<int>(zoorank::metric::euclidean) &&
              ZOORANK_SQEUCLIDEAN == static_cast<int>(zoorank::metric::sqeuclidean) &&
              ZOORANK_COSINE == static_cast<int>(zoorank::metric::cosine) &&
              ZOORANK_MANHATTAN == static_cast<int>(zoorank::metric::manhattan) &&
              ZOORANK_PRECOMPUTED == static_cast<int>(zoorank::metric::precomputed));

zoorank::metric metric_of(zoorank_metric metric) {
    if (metric < 0 || metric >= static_cast<zoorank_metric>(zoorank::metrics.size()))
        refuse("unknown metric number " + std::to_string(metric));
    return static_cast<zoorank::metric>(metric);
}

// A caller's struct may be shorter than ours, from an older header, but not than its first version nor longer.
std::size_t checked_struct_size(std::int64_t size, std::size_t first, std::size_t known, const char* name) {
    if (size < static_cast<std::int64_t>(first) || size > static_cast<std::int64_t>(known))
        refuse("struct_size of " + std::string(name) + " is " + std::to_string(size) + "; set it to sizeof(" + name +
               "), here " + std::to_string(known));
    return static_cast<std::size_t>(size);
}

zoorank::options options_of(const zoorank_options* given) {
    zoorank::options opt;
    if (!given) return opt;
    constexpr std::size_t first = offsetof(zoorank_options, user_data) + sizeof(void*);
    zoorank_options known{};
    std::memcpy(&known, given, checked_struct_size(given->struct_size, first, sizeof known, "zoorank_options"));
    if (known.threads < 0) refuse("threads is " + std::to_string(known.threads) + "; 0 means automatic");
    opt.threads = known.threads;
    if (known.precision < 0 || known.precision >= static_cast<zoorank_precision>(zoorank::float_precision_names.size()))
        refuse("unknown precision number " + std::to_string(known.precision));
    opt.precision = static_cast<zoorank::float_precision>(known.precision);
    if (known.progress)
        opt.progress = [call = known.progress, data = known.user_data](double done) { return call(done, data) == 0; };
    return opt;
}

template <class T>
zoorank_status samples_of(const T* x, int64_t rows, int64_t cols, int64_t stride, const int64_t* labels,
                          zoorank_metric metric, const zoorank_options* options, double* samples) noexcept {
    return guarded([&] {
        const auto view = matrix(x, rows, cols, stride, "x");
        zoorank::silhouette_samples(view, {present(labels, rows, "labels"), rows},
                                    {present(samples, rows, "samples"), rows}, metric_of(metric), options_of(options));
    });
}

template <class T>
zoorank_status score_of(const T* x, int64_t rows, int64_t cols, int64_t stride, const int64_t* labels,
                        zoorank_metric metric, const zoorank_options* options, double* score) noexcept {
    return guarded([&] {
        const auto view = matrix(x, rows, cols, stride, "x");
        *present(score, 1, "score") = zoorank::silhouette_score(view, {present(labels, rows, "labels"), rows},
                                                                metric_of(metric), options_of(options));
    });
}

template <class T>
zoorank_status batch_of(const T* const* xs, int64_t count, int64_t rows, const int64_t* cols, const int64_t* strides,
                        const int64_t* labels, zoorank_metric metric, const zoorank_options* options,
                        double* const* samples) noexcept {
    return guarded([&] {
        if (count < 0) refuse("count is " + std::to_string(count));
        present(xs, count, "xs");
        present(cols, count, "cols");
        present(samples, count, "samples");
        std::vector<matrix_view<T>> views;
        std::vector<array_view<double>> results;
        for (int64_t i = 0; i < count; ++i) {
            const std::string at = "[" + std::to_string(i) + "]";
            views.push_back(matrix(xs[i], rows, cols[i], strides ? strides[i] : cols[i], "xs" + at));
            results.emplace_back(present(samples[i], rows, "samples" + at), rows);
        }
        const zoorank::metric how = metric_of(metric);
        const zoorank::options opt = options_of(options);
        if (count == 0) return;
        zoorank::silhouette_batch(views, {present(labels, rows, "labels"), rows}, results, {how}, opt);
    });
}

template <class T>
zoorank_status distances_of(const T* x, int64_t x_rows, int64_t x_stride, const T* y, int64_t y_rows, int64_t y_stride,
                            int64_t cols, zoorank_metric metric, const zoorank_options* options,
                            T* distances) noexcept {
    return guarded([&] {
        const auto left = matrix(x, x_rows, cols, x_stride, "x"), right = matrix(y, y_rows, cols, y_stride, "y");
        if (y_rows > 0 && x_rows > std::numeric_limits<std::ptrdiff_t>::max() / std::int64_t{sizeof(T)} / y_rows)
            refuse("the matrix of distances is larger than memory can be");
        const std::int64_t size = x_rows * y_rows;
        zoorank::pairwise_distances(left, right, {present(distances, size, "distances"), size}, metric_of(metric),
                                    options_of(options));
    });
}

// What build_info() tells, its lists joined, kept for as long as the program runs.
struct kept_build_info {
    kept_build_info() : facts(zoorank::build_info()) {
        for (const std::string& name : facts.supported_instruction_sets)
            instruction_sets += (instruction_sets.empty() ? "" : ", ") + name;
    }
    zoorank::build_info_t facts;
    std::string instruction_sets;
};

}  // namespace

extern "C" {

const char* zoorank_last_error(void) { return last_error.c_str(); }

const char* zoorank_version(void) { return zoorank::library_version(); }

zoorank_status zoorank_silhouette_samples_f32(const float* x, int64_t rows, int64_t cols, int64_t stride,
                                              const int64_t* labels, zoorank_metric metric,
                                              const zoorank_options* options, double* samples) {
    return samples_of(x, rows, cols, stride, labels, metric, options, samples);
}

zoorank_status zoorank_silhouette_samples_f64(const double* x, int64_t rows, int64_t cols, int64_t stride,
                                              const int64_t* labels, zoorank_metric metric,
                                              const zoorank_options* options, double* samples) {
    return samples_of(x, rows, cols, stride, labels, metric, options, samples);
}

zoorank_status zoorank_silhouette_score_f32(const float* x, int64_t rows, int64_t cols, int64_t stride,
                                            const int64_t* labels, zoorank_metric metric,
                                            const zoorank_options* options, double* score) {
    return score_of(x, rows, cols, stride, labels, metric, options, score);
}

zoorank_status zoorank_silhouette_score_f64(const double* x, int64_t rows, int64_t cols, int64_t stride,
                                            const int64_t* labels, zoorank_metric metric,
                                            const zoorank_options* options, double* score) {
    return score_of(x, rows, cols, stride, labels, metric, options, score);
}

zoorank_status zoorank_silhouette_batch_f32(const float* const* xs, int64_t count, int64_t rows, const int64_t* cols,
                                            const int64_t* strides, const int64_t* labels, zoorank_metric metric,
                                            const zoorank_options* options, double* const* samples) {
    return batch_of(xs, count, rows, cols, strides, labels, metric, options, samples);
}

zoorank_status zoorank_silhouette_batch_f64(const double* const* xs, int64_t count, int64_t rows, const int64_t* cols,
                                            const int64_t* strides, const int64_t* labels, zoorank_metric metric,
                                            const zoorank_options* options, double* const* samples) {
    return batch_of(xs, count, rows, cols, strides, labels, metric, options, samples);
}

zoorank_status zoorank_pairwise_distances_f32(const float* x, int64_t x_rows, int64_t x_stride, const float* y,
                                              int64_t y_rows, int64_t y_stride, int64_t cols, zoorank_metric metric,
                                              const zoorank_options* options, float* distances) {
    return distances_of(x, x_rows, x_stride, y, y_rows, y_stride, cols, metric, options, distances);
}

zoorank_status zoorank_pairwise_distances_f64(const double* x, int64_t x_rows, int64_t x_stride, const double* y,
                                              int64_t y_rows, int64_t y_stride, int64_t cols, zoorank_metric metric,
                                              const zoorank_options* options, double* distances) {
    return distances_of(x, x_rows, x_stride, y, y_rows, y_stride, cols, metric, options, distances);
}

zoorank_status zoorank_parse_metric(const char* name, zoorank_metric* metric) {
    return guarded([&] {
        present(metric, 1, "metric");
        *metric = static_cast<zoorank_metric>(zoorank::parse_metric(present(name, 1, "name")));
    });
}

zoorank_status zoorank_get_build_info(zoorank_build_info* info) {
    return guarded([&] {
        present(info, 1, "info");
        constexpr std::size_t first = offsetof(zoorank_build_info, threads) + sizeof(int32_t);
        const std::size_t size = checked_struct_size(info->struct_size, first, sizeof *info, "zoorank_build_info");
        static const kept_build_info kept;
        const zoorank_build_info known{info->struct_size,
                                       kept.facts.version.c_str(),
                                       kept.facts.compiler.c_str(),
                                       kept.facts.instruction_set.c_str(),
                                       kept.instruction_sets.c_str(),
                                       zoorank::build_info().threads};
        std::memcpy(info, &known, size);
    });
}

}  // extern "C"
