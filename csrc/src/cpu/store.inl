// Distances of a block, written out.

template <class T, class Metric>
void store_strip(const store_args<T>& args, std::int64_t row, std::int64_t end) {
    using vec = typename simd<T>::vec;
    constexpr std::int64_t width = simd<T>::width;
    const block_args<T>& block = args.block;
    for (std::int64_t r = row; r < end; ++r) {
        T* products = block.scratch + r * scratch_stride;
        T* out = args.out + r * args.out_stride;
        for (std::int64_t c = 0; c < block.b.count; c += width) {
            const vec norms = Metric::from_products ? block.a.norms[r] + load(block.b.norms + c) : vec{};
            vec t = completed<T, Metric>(load(products + c), norms);
            const std::int64_t count = block.b.count - c < width ? block.b.count - c : width;
            if constexpr (Metric::from_products) {
                const vec margin = t - Metric::cancellation_share(block.depth) * norms;
                if (simd<T>::any_negative(margin))
                    for (std::int64_t lane = 0; lane < count; ++lane)
                        if (margin[lane] < 0)
                            t[lane] = direct_squared_distance(block.a, r, block.b, c + lane, block.depth, block.scale);
            }
            store(products + c, Metric::value(t));
            __builtin_memcpy(out + c, products + c, static_cast<std::size_t>(count) * sizeof(T));
        }
    }
}

template <class T, class Metric>
void store_block(const store_args<T>& args) {
    product_block<T, Metric>(args.block, false, [&](std::int64_t row) {
        const std::int64_t end = row + simd<T>::tile_rows;
        store_strip<T, Metric>(args, row, end < args.block.a.count ? end : args.block.a.count);
    });
}
