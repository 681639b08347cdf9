#pragma once
// The contract of <zoorank/silhouette.hpp> and <zoorank/distances.hpp> on a CUDA device. A library and a Python module
// of their own, so that nothing else needs CUDA; see docs/cuda.md.
#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <vector>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

namespace zoorank::cuda {

/// A matrix that lies in host memory, or in that of the device the call runs on.
template <class T>
struct input {
    matrix_view<T> view;
    bool on_device;
};

/// Where a call runs: a device, and the stream that whoever made the input used last.
struct place {
    int device;
    cudaStream_t stream;
};

/// Writes s for each row of `x` to `samples`; labels and samples are in host memory. Any metric but precomputed.
/// options.threads means nothing here. Throws what the CPU's function does; out_of_memory with what would fit;
/// std::runtime_error for a device that fails.
template <class T>
void silhouette_samples(input<T> x, array_view<const std::int64_t> labels, array_view<double> samples, metric how,
                        place where, const options& opt);

/// Writes s of the rows indices[0], indices[1], ... only, each of which is compared with every row. Metrics euclidean
/// and manhattan.
template <class T>
void silhouette_samples_of(input<T> x, array_view<const std::int64_t> labels, array_view<const std::int64_t> indices,
                           array_view<double> samples, metric how, place where, const options& opt);

/// Writes what row_statistics::surrogate() of <zoorank/estimate.hpp> does for metric euclidean, with every class
/// compared: s of each row from the roots of mean squared distances.
template <class T>
void surrogate_samples(input<T> x, array_view<const std::int64_t> labels, array_view<double> samples, place where,
                       const options& opt);

/// Writes what row_statistics::radii() does for metric euclidean: the distance of each row to the mean of its class, up
/// to a factor.
template <class T>
void class_radii(input<T> x, array_view<const std::int64_t> labels, array_view<double> radii, place where);

/// References, drawn anew for each part of the rows: set s is for rows bounds[s] to bounds[s + 1] - 1, and its
/// references are rows indices[s * size()], ..., which come in strata as reference_rows of <zoorank/estimate.hpp> says.
struct reference_sets {
    array_view<const std::int64_t> indices, bounds, drawn, sizes;

    std::int64_t count() const { return bounds.size - 1; }
    std::int64_t size() const { return indices.size / count(); }
    array_view<const std::int64_t> indices_of(std::int64_t set) const { return {indices.data + set * size(), size()}; }
};

/// Writes what reference_rows::estimate() does for each part of the rows with its set: s of each row, and its standard
/// error.
template <class T>
void reference_samples(input<T> x, array_view<const std::int64_t> labels, const reference_sets& sets,
                       array_view<double> samples, array_view<double> errors, place where, const options& opt);

/// Writes the distance of row i of `x` to row j of `y` to out[i * y.rows + j], in host memory.
template <class T>
void pairwise_distances(input<T> x, input<T> y, array_view<T> out, metric how, place where, const options& opt);

/// The kernel that a Euclidean silhouette of float rows with that many features runs on: simt, mma or wgmma. The
/// environment variable ZOORANK_CUDA_KERNEL forces one; std::invalid_argument names the valid ones otherwise.
std::string euclidean_kernel(std::int64_t features, int device);

}  // namespace zoorank::cuda
