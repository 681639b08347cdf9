#include <algorithm>
#include <cmath>

#include "cuda/class_means.hpp"
#include "cuda/methods.hpp"

namespace zoorank::cuda {

template <class T>
void silhouettes_by_means(const input<T>& x, const partition& p, metric how, array_view<double> samples, place where,
                          const options& opt) {
    const cudaStream_t stream = where.stream;
    const std::int64_t n = x.view.rows, depth = x.view.cols, classes = p.classes();
    reserve(class_means<T>::bytes(x, p) + means_comparison::bytes(classes, depth, n) + 8 * n, n);
    const class_means<T> known(x, p, how, stream);
    compute_spreads(known.args, stream);
    const means_comparison compare(known.means.get(), classes, depth, n, stream);
    const buffer<double> result(n, stream);
    const first_row vanished(stream);
    // In double, whatever T. The surrogate of Euclidean silhouettes is not the last word on a row.
    const bool roots = facts_of(how).root;
    const double vanishing = !roots && !facts_of(how).directions ? std::pow(vanishing_distance<double>, 2) : 0;
    pacer pace(stream, opt);
    const std::int64_t slab = means_comparison::rows_at_once(n);
    for (std::int64_t begin = 0; begin < n; begin += slab) {
        const std::int64_t count = std::min(slab, n - begin);
        nearest_means({compare.rows(known.args, begin, count), compare.all_means, begin, known.bias.get(),
                       known.own.get(), known.units.get(), known.labels.class_begin.get(), known.labels.class_of.get(),
                       known.labels.order.get(), result.get(), roots, vanishing, vanished.get()},
                      stream);
        pace.handed_in(static_cast<double>(begin + count) / static_cast<double>(n));
    }
    if (const auto row = vanished.found(stream)) known.rows.require_distances(*row);
    to_host(samples.data, result.get(), n, stream);
}

template <class T>
void distances_to_own_means(const input<T>& x, const partition& p, array_view<double> radii, place where) {
    const std::int64_t n = x.view.rows;
    reserve(class_means<T>::bytes(x, p), n);
    const class_means<T> known(x, p, metric::euclidean, where.stream);
    std::vector<double> squares(static_cast<std::size_t>(n));
    to_host(squares.data(), known.own.get(), n, where.stream);
    for (std::size_t i = 0; i < squares.size(); ++i) radii[p.order[i]] = std::sqrt(squares[i]);
}

#define ZOORANK_INSTANTIATE(T)                                                                               \
    template void silhouettes_by_means(const input<T>&, const partition&, metric, array_view<double>, place, \
                                       const options&);                                                      \
    template void distances_to_own_means(const input<T>&, const partition&, array_view<double>, place);
ZOORANK_INSTANTIATE(float)
ZOORANK_INSTANTIATE(double)

}  // namespace zoorank::cuda
