// The register tile: tile_rows rows of a against V vectors of columns of b, accumulated over features. This loop is
// where nearly all time goes; everything around it exists to keep its operands in cache.

template <class T, class Metric, int V>
void product_tile(const T* a, const T* b, std::int64_t panel_size, std::int64_t features, T* out, bool accumulate) {
    using vec = typename simd<T>::vec;
    constexpr int rows = simd<T>::tile_rows, width = simd<T>::width;
    vec sums[rows][V];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[r][v] = vec{};
    for (std::int64_t k = 0; k < features; ++k) {
        vec y[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) y[v] = load(b + v * panel_size + k * width);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sums[r][v] = Metric::step(sums[r][v], a[k * width + r], y[v]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* const to = out + r * scratch_stride + v * width;
            store(to, accumulate ? load(to) + sums[r][v] : sums[r][v]);
        }
}

// Rows [row, row + tile_rows) of a against columns [first_col, b.count), over features [k, k + features).
// first_col begins a panel; products go to scratch[row][column].
template <class T, class Metric>
void product_strip(const block_args<T>& args, std::int64_t row, std::int64_t first_col, std::int64_t k,
                   std::int64_t features) {
    constexpr std::int64_t width = simd<T>::width, vectors = simd<T>::tile_vectors;
    const std::int64_t panel_size = width * args.depth;
    const T* a = args.a.packed + row / width * panel_size + row % width + k * width;
    std::int64_t col = first_col;
    for (; args.b.count - col > (vectors - 1) * width; col += vectors * width)
        product_tile<T, Metric, vectors>(a, args.b.packed + col * args.depth + k * width, panel_size, features,
                                         args.scratch + row * scratch_stride + col, k > 0);
    for (; col < args.b.count; col += width)
        product_tile<T, Metric, 1>(a, args.b.packed + col * args.depth + k * width, panel_size, features,
                                   args.scratch + row * scratch_stride + col, k > 0);
}

// Features at a time: the columns of a block stay in a quarter of a megabyte of second-level cache, and the rounding
// errors of a sum, each of which is as large as the sum is by then, have 128 additions to grow in, not all.
constexpr std::int64_t feature_block = 128;

// All products of a block; `done(row)` is called for each strip as soon as its products are complete, still in cache.
// With `upper`, a strip begins at the panel that holds its own first row.
template <class T, class Metric, class Done>
void product_block(const block_args<T>& args, bool upper, Done done) {
    constexpr std::int64_t width = simd<T>::width, rows = simd<T>::tile_rows;
    for (std::int64_t k = 0; k < args.depth; k += feature_block) {
        const bool last = k + feature_block >= args.depth;
        const std::int64_t features = last ? args.depth - k : feature_block;
        for (std::int64_t row = 0; row < args.a.count; row += rows) {
            product_strip<T, Metric>(args, row, upper ? row / width * width : 0, k, features);
            if (last) done(row);
        }
    }
}

// Turns the accumulator of a pair into what `Metric::value` takes.
template <class T, class Metric>
typename simd<T>::vec completed(typename simd<T>::vec product, typename simd<T>::vec norms) {
    if constexpr (Metric::from_products)
        return norms - T(2) * product;
    else
        return product;
}
