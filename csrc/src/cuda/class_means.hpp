#pragma once
// The means of classes on a device, and rows packed to be compared with them: what squared Euclidean and cosine
// silhouettes and the estimator's parts have in common.
#include <algorithm>

#include "cuda/sorted_rows.hpp"

namespace zoorank::cuda {

/// Consecutive sorted positions of single classes, and the first of each class.
struct chunk_list {
    explicit chunk_list(const partition& p) {
        constexpr std::int64_t chunk_rows = 4096;
        for (std::int64_t c = 0; c < p.classes(); ++c) {
            first.push_back(static_cast<std::int64_t>(chunks.size()));
            const std::int64_t end = p.begin[static_cast<std::size_t>(c) + 1];
            for (std::int64_t i = p.begin[static_cast<std::size_t>(c)]; i < end; i += chunk_rows)
                chunks.push_back({c, i, std::min(i + chunk_rows, end)});
        }
        first.push_back(count());
    }
    std::int64_t count() const { return static_cast<std::int64_t>(chunks.size()); }

    std::vector<chunk> chunks;
    std::vector<std::int64_t> first;
};

/// Rows on the device and the means of their classes; args.own becomes what compute_radii() says.
template <class T>
struct class_means {
    class_means(const input<T>& x, const partition& p, metric how, cudaStream_t stream)
        : rows(x, "X", stream), scale(rows.scale()), labels(p, stream) {
        const std::int64_t n = x.view.rows, depth = x.view.cols, classes = p.classes();
        const bool directions = facts_of(how).directions;
        std::vector<T> origin;
        if (!directions) origin = rows.centre(p.order.data(), n, scale, stream);
        centre = buffer<T>(origin, stream);
        units = buffer<unit_factors>(directions ? n : 0, stream);
        own = buffer<double>(n, stream);
        bias = buffer<double>(classes, stream);
        means = buffer<double>(classes * depth, stream);
        const source_rows<T> source = rows.source(labels.order.get(), scale, centre.get());
        if (directions) find_units(source, units.get(), stream);

        const chunk_list list(p);
        const buffer<chunk> chunks(list.chunks, stream);
        const buffer<std::int64_t> first_chunk(list.first, stream);
        const buffer<double> chunk_sums(list.count() * depth, stream);
        args = {source,       units.get(),  labels.class_begin.get(), labels.class_of.get(), classes,
                chunks.get(), list.count(), first_chunk.get(),        chunk_sums.get(),      means.get(),
                own.get(),    bias.get()};
        compute_means(args, stream);
        compute_radii(args, stream);
        args.chunks = nullptr;  // none of these is needed any more
        args.first_chunk = nullptr;
        args.chunk_sums = nullptr;
    }

    static std::int64_t bytes(const input<T>& x, const partition& p) {
        const std::int64_t chunks = chunk_list(p).count();
        return upload_bytes(x) + device_partition::bytes(p) + 24 * x.view.rows + 40 * chunks +
               8 * x.view.cols * (chunks + p.classes());
    }

    checked_rows<T> rows;
    T scale;
    device_partition labels;
    buffer<T> centre;
    buffer<unit_factors> units;
    buffer<double> own, bias, means;
    means_args<T> args{};
};

/// Room for rows of double, packed around a centre.
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

/// All means packed, and room for as many rows as are compared with them at a time: whole tiles, and enough of them to
/// fill any device.
class means_comparison {
public:
    means_comparison(const double* means, std::int64_t classes, std::int64_t depth, std::int64_t rows,
                     cudaStream_t stream)
        : centre_(centre_of(means, classes, depth, stream), stream),
          packed_means_(classes, depth, stream),
          packed_rows_(rows_at_once(rows), depth, stream),
          loaded_(rows_at_once(rows) * depth, stream),
          stream_(stream),
          all_means(packed_means_.pack(means, classes, centre_.get())) {}

    static std::int64_t rows_at_once(std::int64_t rows) { return std::min<std::int64_t>(rows, 1 << 16); }

    static std::int64_t bytes(std::int64_t classes, std::int64_t depth, std::int64_t rows) {
        const std::int64_t slab = rows_at_once(rows);
        return 8 * depth * slab + packed_slab::bytes(slab, depth) + packed_slab::bytes(classes, depth);
    }

    /// Rows [begin, begin + count) of `from`, at most rows_at_once(), ready to be compared.
    template <class T>
    operand<double> rows(const means_args<T>& from, std::int64_t begin, std::int64_t count) const {
        load_rows(from, begin, count, loaded_.get(), stream_);
        return packed_rows_.pack(loaded_.get(), count, centre_.get());
    }

private:
    // A centre for rows and means alike, from a few of the means.
    static std::vector<double> centre_of(const double* means, std::int64_t classes, std::int64_t depth,
                                         cudaStream_t stream) {
        const device_rows<double> rows({matrix_view<double>(means, classes, depth), true}, stream);
        std::vector<std::int64_t> every(static_cast<std::size_t>(classes));
        std::iota(every.begin(), every.end(), 0);
        return rows.centre(every.data(), classes, 1.0, stream);
    }

    buffer<double> centre_;
    packed_slab packed_means_, packed_rows_;
    buffer<double> loaded_;
    cudaStream_t stream_;

public:
    const operand<double> all_means;
};

}  // namespace zoorank::cuda
