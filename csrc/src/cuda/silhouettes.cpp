#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "cuda/methods.hpp"

namespace zoorank::cuda {

pacer::pacer(cudaStream_t stream, const options& opt) : stream_(stream), options_(opt) {
    for (cudaEvent_t& event : events_)
        check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync), "creating an event");
}

pacer::~pacer() {
    for (const cudaEvent_t event : events_)
        if (event) cudaEventDestroy(event);
}

void pacer::handed_in(double fraction) {
    check(cudaEventRecord(events_[next_], stream_), "recording an event");
    next_ = 1 - next_;
    check(cudaEventSynchronize(events_[next_]), "computing");  // at once where it was never recorded
    if (options_.progress && !options_.progress(fraction)) throw cancelled();
}

namespace {

template <class T>
void check_sizes(const input<T>& x, array_view<const std::int64_t> labels, std::int64_t wanted, std::int64_t room) {
    if (x.view.cols < 1) throw std::invalid_argument("X has no features");
    if (labels.size != x.view.rows || wanted != room)
        throw std::invalid_argument("X has " + std::to_string(x.view.rows) + " rows, there are " +
                                    std::to_string(labels.size) + " labels, and " + std::to_string(wanted) +
                                    " samples with room for " + std::to_string(room));
}

void check_sets(const reference_sets& sets, std::int64_t rows) {
    const auto& bounds = sets.bounds;
    if (bounds.size < 2 || bounds[0] != 0 || bounds[bounds.size - 1] != rows ||
        !std::is_sorted(bounds.data, bounds.data + bounds.size))
        throw std::invalid_argument("sets of references are for all " + std::to_string(rows) +
                                    " rows: bounds begin with 0, ascend and end with " + std::to_string(rows));
    if (sets.indices.size % sets.count() != 0)
        throw std::invalid_argument(std::to_string(sets.indices.size) + " references do not make " +
                                    std::to_string(sets.count()) + " sets of one size");
    for (std::int64_t i = 0; i < sets.indices.size; ++i)
        if (sets.indices[i] < 0 || sets.indices[i] >= rows)
            throw std::invalid_argument("reference " + std::to_string(sets.indices[i]) + " is none of the " +
                                        std::to_string(rows) + " rows");
}

}  // namespace

template <class T>
void silhouette_samples(input<T> x, array_view<const std::int64_t> labels, array_view<double> samples, metric how,
                        place where, const options& opt) {
    check_sizes(x, labels, x.view.rows, samples.size);
    const partition p = partition_by_class(labels);
    const current_device guard(where.device);
    const metric_facts& facts = facts_of(how);
    if (facts.of == summand::none)
        throw std::invalid_argument("metric '" + std::string(facts.name) + "' is computed on the CPU");
    if (facts.from_means()) return silhouettes_by_means(x, p, how, samples, where, opt);
    silhouettes_by_pairs(x, p, how, samples, where, opt);
}

template <class T>
void silhouette_samples_of(input<T> x, array_view<const std::int64_t> labels, array_view<const std::int64_t> indices,
                           array_view<double> samples, metric how, place where, const options& opt) {
    check_sizes(x, labels, indices.size, samples.size);
    const metric_facts& facts = facts_of(how);
    if (facts.from_means() || facts.of == summand::none)
        throw std::invalid_argument("some rows alone are not for the metric '" + std::string(facts.name) + "'");
    const class_numbers numbers = number_classes(labels);
    std::vector<std::int64_t> classes;
    for (std::int64_t i = 0; i < indices.size; ++i) {
        if (indices[i] < 0 || indices[i] >= x.view.rows)
            throw std::invalid_argument("drawn row " + std::to_string(indices[i]) + " is none of the " +
                                        std::to_string(x.view.rows) + " rows");
        classes.push_back(numbers.of_row[static_cast<std::size_t>(indices[i])]);
    }
    if (classes.empty()) return;
    const partition p = partition_of({numbers.of_row.data(), x.view.rows}, numbers.classes);
    const current_device guard(where.device);
    silhouettes_of_some(x, p, indices, classes, how, samples, where, opt);
}

template <class T>
void surrogate_samples(input<T> x, array_view<const std::int64_t> labels, array_view<double> samples, place where,
                       const options& opt) {
    check_sizes(x, labels, x.view.rows, samples.size);
    const partition p = partition_by_class(labels);
    const current_device guard(where.device);
    silhouettes_by_means(x, p, metric::euclidean, samples, where, opt);
}

template <class T>
void class_radii(input<T> x, array_view<const std::int64_t> labels, array_view<double> radii, place where) {
    check_sizes(x, labels, x.view.rows, radii.size);
    const partition p = partition_by_class(labels);
    const current_device guard(where.device);
    distances_to_own_means(x, p, radii, where);
}

template <class T>
void reference_samples(input<T> x, array_view<const std::int64_t> labels, const reference_sets& sets,
                       array_view<double> samples, array_view<double> errors, place where, const options& opt) {
    check_sizes(x, labels, x.view.rows, std::min(samples.size, errors.size));
    check_sets(sets, x.view.rows);
    const class_numbers numbers = number_classes(labels);
    const partition p = partition_of({numbers.of_row.data(), x.view.rows}, numbers.classes);
    const current_device guard(where.device);
    silhouettes_by_references(x, numbers, p, sets, samples, errors, where, opt);
}

namespace {

std::string wished_kernel() {
    const char* wish = std::getenv("ZOORANK_CUDA_KERNEL");
    return wish && std::string(wish) != "auto" ? wish : "";
}

}  // namespace

bool kernel_is_forced() { return !wished_kernel().empty(); }

kernel euclidean_kernel_of(std::int64_t features, int device) {
    const capability has = capability_of(device);
    return choose_kernel(wished_kernel(), features, has.major, has.minor, wgmma_built());
}

std::string euclidean_kernel(std::int64_t features, int device) {
    return name_of(euclidean_kernel_of(features, device));
}

#define ZOORANK_INSTANTIATE(T)                                                                                    \
    template void silhouette_samples(input<T>, array_view<const std::int64_t>, array_view<double>, metric, place, \
                                     const options&);                                                             \
    template void silhouette_samples_of(input<T>, array_view<const std::int64_t>, array_view<const std::int64_t>, \
                                        array_view<double>, metric, place, const options&);                       \
    template void surrogate_samples(input<T>, array_view<const std::int64_t>, array_view<double>, place,          \
                                    const options&);                                                              \
    template void class_radii(input<T>, array_view<const std::int64_t>, array_view<double>, place);               \
    template void reference_samples(input<T>, array_view<const std::int64_t>, const reference_sets&,              \
                                    array_view<double>, array_view<double>, place, const options&);
ZOORANK_INSTANTIATE(float)
ZOORANK_INSTANTIATE(double)

}  // namespace zoorank::cuda
