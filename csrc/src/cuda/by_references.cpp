#include <algorithm>
#include <zoorank/estimate.hpp>

#include "cuda/class_means.hpp"
#include "cuda/methods.hpp"
#include "reference_strata.hpp"

namespace zoorank::cuda {
namespace {

// Distances that are on the device at a time.
constexpr std::int64_t distance_budget = std::int64_t(256) << 20;

// The references of one set, on the device.
struct device_references {
    device_references(const reference_strata& of_classes, array_view<const std::int64_t> rows, cudaStream_t stream)
        : indices(std::vector<std::int64_t>(rows.data, rows.data + rows.size), stream),
          begin(of_classes.begin, stream),
          count(of_classes.count, stream),
          first_stratum(of_classes.first_stratum, stream),
          strata(of_classes.strata, stream) {}

    static std::int64_t bytes(const reference_sets& sets, std::int64_t classes) {
        return 8 * sets.size() + 24 * classes + 8 + sets.drawn.size * static_cast<std::int64_t>(sizeof(stratum));
    }

    buffer<std::int64_t> indices, begin, count, first_stratum;
    buffer<stratum> strata;
};

std::vector<std::int64_t> sizes_of(const partition& p) {
    std::vector<std::int64_t> sizes;
    for (std::int64_t c = 0; c < p.classes(); ++c) sizes.push_back(p.size(c));
    return sizes;
}

// Row -> sorted position.
std::vector<std::int64_t> positions_of(const partition& p) {
    std::vector<std::int64_t> positions(p.order.size());
    for (std::size_t i = 0; i < positions.size(); ++i)
        positions[static_cast<std::size_t>(p.order[i])] = static_cast<std::int64_t>(i);
    return positions;
}

// Each set by itself, before anything is computed.
std::vector<reference_strata> strata_of(const reference_sets& sets, const class_numbers& numbers, const partition& p) {
    const std::vector<std::int64_t> sizes = sizes_of(p);
    std::vector<reference_strata> all;
    for (std::int64_t s = 0; s < sets.count(); ++s)
        all.emplace_back(numbers, sizes, sets.indices_of(s), sets.drawn, sets.sizes);
    return all;
}

std::int64_t most_references(const std::vector<reference_strata>& all) {
    std::int64_t most_of_all = 0;
    for (const reference_strata& each : all)
        most_of_all = std::max(most_of_all, *std::max_element(each.count.begin(), each.count.end()));
    return most_of_all;
}

}  // namespace

template <class T>
void silhouettes_by_references(const input<T>& x, const class_numbers& numbers, const partition& p,
                               const reference_sets& sets, array_view<double> samples, array_view<double> errors,
                               place where, const options& opt) {
    const cudaStream_t stream = where.stream;
    const std::int64_t n = x.view.rows, depth = x.view.cols, classes = p.classes();
    static_assert(most_near_classes == reference_rows<T>::nearest_classes, "what the CPU compares, too");
    const std::int64_t compared = std::min(reference_rows<T>::nearest_classes, classes - 1) + 1;
    const std::vector<reference_strata> strata = strata_of(sets, numbers, p);
    const std::int64_t stride = most_references(strata), slab = means_comparison::rows_at_once(n);
    const std::int64_t row_bytes = compared * stride * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t piece = std::min(slab, std::max<std::int64_t>(1, distance_budget / row_bytes));
    reserve(class_means<T>::bytes(x, p) + means_comparison::bytes(classes, depth, n) + 24 * n +
                slab * compared * static_cast<std::int64_t>(sizeof(near_class)) + piece * (row_bytes + 8) +
                2 * device_references::bytes(sets, classes),
            n);
    const class_means<T> known(x, p, metric::euclidean, stream);
    compute_spreads(known.args, stream);
    const means_comparison compare(known.means.get(), classes, depth, n, stream);
    const buffer<std::int64_t> position_of(positions_of(p), stream), self(piece, stream);
    const buffer<double> found(n, stream), errors_found(n, stream);
    const first_row vanished(stream);
    const buffer<near_class> near(slab * compared, stream);
    const buffer<T> distances(piece * compared * stride, stream);
    means_args<T> as_they_came = known.args;
    as_they_came.from.order = nullptr;
    pacer pace(stream, opt);
    for (std::int64_t s = 0; s < sets.count(); ++s) {
        const device_references references(strata[static_cast<std::size_t>(s)], sets.indices_of(s), stream);
        for (std::int64_t row = sets.bounds[s]; row < sets.bounds[s + 1];) {
            // Slabs begin where they do whatever the sets, so that small sets do not make small comparisons.
            const std::int64_t first = row / slab * slab, count = std::min(slab, n - first);
            if (row == first)
                find_near_classes({compare.rows(as_they_came, first, count), compare.all_means, first, known.bias.get(),
                                   known.own.get(), known.labels.class_begin.get(), known.labels.class_of.get(),
                                   position_of.get(), compared, near.get()},
                                  stream);
            const std::int64_t end = std::min({sets.bounds[s + 1], first + count, row + piece});
            estimate_by_references<T>(
                {as_they_came.from, row, end - row, compared, near.get() + (row - first) * compared,
                 references.indices.get(), references.begin.get(), references.count.get(),
                 references.first_stratum.get(), references.strata.get(), known.labels.class_begin.get(), stride,
                 distances.get(), self.get(), found.get(), errors_found.get(), vanished.get()},
                stream);
            row = end;
            pace.handed_in(static_cast<double>(row) / static_cast<double>(n));
        }
    }
    if (const auto row = vanished.found(stream)) known.rows.require_distances(*row);
    to_host(samples.data, found.get(), n, stream);
    to_host(errors.data, errors_found.get(), n, stream);
}

template void silhouettes_by_references(const input<float>&, const class_numbers&, const partition&,
                                        const reference_sets&, array_view<double>, array_view<double>, place,
                                        const options&);
template void silhouettes_by_references(const input<double>&, const class_numbers&, const partition&,
                                        const reference_sets&, array_view<double>, array_view<double>, place,
                                        const options&);

}  // namespace zoorank::cuda
