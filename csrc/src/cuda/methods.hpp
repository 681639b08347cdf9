#pragma once
// The ways to silhouettes on a device; silhouettes.cpp picks one.
#include "cuda/choice.hpp"
#include "cuda/sorted_rows.hpp"

namespace zoorank::cuda {

/// Euclidean and Manhattan: every pair of rows once.
template <class T>
void silhouettes_by_pairs(const input<T>& x, const partition& p, metric how, array_view<double> samples, place where,
                          const options& opt);

/// The same of some rows only: each of `drawn` with every row, O(drawn n d).
template <class T>
void silhouettes_of_some(const input<T>& x, const partition& p, array_view<const std::int64_t> drawn,
                         const std::vector<std::int64_t>& classes_of_drawn, metric how, array_view<double> samples,
                         place where, const options& opt);

/// Squared Euclidean and cosine, from class means; for Euclidean, with the root of each mean squared distance in place
/// of the mean distance.
template <class T>
void silhouettes_by_means(const input<T>& x, const partition& p, metric how, array_view<double> samples, place where,
                          const options& opt);

/// The distance of each row to the mean of its class, up to a factor.
template <class T>
void distances_to_own_means(const input<T>& x, const partition& p, array_view<double> radii, place where);

/// Euclidean, estimated from references of a few classes, O(n K d).
template <class T>
void silhouettes_by_references(const input<T>& x, const class_numbers& numbers, const partition& p,
                               const reference_sets& sets, array_view<double> samples, array_view<double> errors,
                               place where, const options& opt);

/// euclidean_kernel() of backend.hpp, not by name.
kernel euclidean_kernel_of(std::int64_t features, int device);

/// Whether ZOORANK_CUDA_KERNEL names one.
bool kernel_is_forced();

/// Waits for what was handed in the time before last, so that the host is never more than two portions of work ahead,
/// and then tells the caller how much is done; throws `cancelled` when the call has been abandoned.
class pacer {
public:
    pacer(cudaStream_t stream, const options& opt);
    ~pacer();
    pacer(const pacer&) = delete;
    pacer& operator=(const pacer&) = delete;

    void handed_in(double fraction);

private:
    cudaStream_t stream_;
    const options& options_;
    cudaEvent_t events_[2] = {};
    int next_ = 0;
};

}  // namespace zoorank::cuda
