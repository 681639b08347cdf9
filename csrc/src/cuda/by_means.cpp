#include <algorithm>

#include "cuda/methods.hpp"

namespace zoorank::cuda {
namespace {

constexpr std::int64_t chunk_rows = 4096;

// Rows that are compared with the means at a time: whole tiles, and enough of them to fill any device.
std::int64_t rows_of_slab(std::int64_t rows) { return std::min<std::int64_t>(rows, 1 << 16); }

// The chunks of all classes, and the first one of each.
struct chunk_list {
    explicit chunk_list(const partition& p) {
        for (std::int64_t c = 0; c < p.classes(); ++c) {
            first.push_back(static_cast<std::int64_t>(chunks.size()));
            const std::int64_t end = p.begin[static_cast<std::size_t>(c) + 1];
            for (std::int64_t i = p.begin[static_cast<std::size_t>(c)]; i < end; i += chunk_rows)
                chunks.push_back({c, i, std::min(i + chunk_rows, end)});
        }
        first.push_back(static_cast<std::int64_t>(chunks.size()));
    }
    std::int64_t count() const { return static_cast<std::int64_t>(chunks.size()); }

    std::vector<chunk> chunks;
    std::vector<std::int64_t> first;
};

// Rows of double, packed around a centre.
class packed_slab {
public:
    packed_slab(std::int64_t rows, std::int64_t depth, cudaStream_t stream)
        : depth_(depth),
          packed_(padded<double>(rows) * panel::blocks<double>(depth) * panel::features<double>, stream),
          norms_(padded<double>(rows), stream),
          stream_(stream) {}

    operand<double> pack(const double* rows, std::int64_t count, const double* centre) const {
        const source_rows<double> from{rows, depth_, nullptr, count, depth_, 1.0, centre};
        pack_panels(from, packed_.get(), norms_.get(), stream_);
        return {packed_.get(), norms_.get(), from};
    }

    static std::int64_t bytes(std::int64_t rows, std::int64_t depth) {
        return padded<double>(rows) * (panel::blocks<double>(depth) * 64 + 8);
    }

private:
    std::int64_t depth_;
    buffer<double> packed_, norms_;
    cudaStream_t stream_;
};

// A centre for rows and means alike, from a few of the means.
std::vector<double> centre_of_means(const double* means, std::int64_t classes, std::int64_t depth,
                                    cudaStream_t stream) {
    const device_rows<double> rows({matrix_view<double>(means, classes, depth), true}, stream);
    std::vector<std::int64_t> every(static_cast<std::size_t>(classes));
    std::iota(every.begin(), every.end(), 0);
    return rows.centre(every.data(), classes, 1.0, stream);
}

}  // namespace

template <class T>
void silhouettes_by_means(const input<T>& x, const partition& p, metric how, array_view<double> samples, place where,
                          const options& opt) {
    const cudaStream_t stream = where.stream;
    const std::int64_t n = x.view.rows, depth = x.view.cols, classes = p.classes(), slab = rows_of_slab(n);
    const chunk_list list(p);
    reserve(upload_bytes(x) + device_partition::bytes(p) + 32 * n + 8 * depth * (list.count() + classes + slab) +
                packed_slab::bytes(slab, depth) + packed_slab::bytes(classes, depth),
            n);

    const device_rows<T> rows(x, stream);
    const T scale = rows.scale("X", stream);
    const device_partition labels(p, stream);
    const bool directions = how == metric::cosine;
    std::vector<T> centre;
    if (!directions) centre = rows.centre(p.order.data(), n, scale, stream);
    const buffer<T> device_centre(centre, stream);
    const source_rows<T> source = rows.source(labels.order.get(), scale, device_centre.get());
    const buffer<unit_factors> units(directions ? n : 0, stream);
    const buffer<double> own(n, stream), result(n, stream), bias(classes, stream);
    if (directions) find_units(source, units.get(), stream);

    const buffer<chunk> chunks(list.chunks, stream);
    const buffer<std::int64_t> first_chunk(list.first, stream);
    const buffer<double> means(classes * depth, stream);
    means_args<T> args{source,
                       units.get(),
                       labels.class_begin.get(),
                       labels.class_of.get(),
                       classes,
                       chunks.get(),
                       list.count(),
                       first_chunk.get(),
                       nullptr,
                       means.get(),
                       own.get(),
                       bias.get()};
    {
        const buffer<double> chunk_sums(list.count() * depth, stream);
        args.chunk_sums = chunk_sums.get();
        compute_means(args, stream);
    }
    compute_spreads(args, stream);

    const buffer<double> means_centre(centre_of_means(means.get(), classes, depth, stream), stream);
    const packed_slab packed_means(classes, depth, stream), packed_rows(slab, depth, stream);
    const operand<double> all_means = packed_means.pack(means.get(), classes, means_centre.get());
    const buffer<double> loaded(slab * depth, stream);
    pacer pace(stream, opt);
    for (std::int64_t begin = 0; begin < n; begin += slab) {
        const std::int64_t count = std::min(slab, n - begin);
        load_rows(args, begin, count, loaded.get(), stream);
        nearest_means({packed_rows.pack(loaded.get(), count, means_centre.get()), all_means, begin, bias.get(),
                       own.get(), units.get(), labels.class_begin.get(), labels.class_of.get(), labels.order.get(),
                       result.get(), how == metric::euclidean},
                      stream);
        pace.handed_in(static_cast<double>(begin + count) / static_cast<double>(n));
    }
    to_host(samples.data, result.get(), n, stream);
}

template void silhouettes_by_means(const input<float>&, const partition&, metric, array_view<double>, place,
                                   const options&);
template void silhouettes_by_means(const input<double>&, const partition&, metric, array_view<double>, place,
                                   const options&);

}  // namespace zoorank::cuda
