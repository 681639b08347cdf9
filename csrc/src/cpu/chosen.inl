// Products of rows that are not packed, since each is wanted with other points: its values are broadcast from where
// they lie. Sums are over as many features at a time as those of a block, as docs/pruning.md counts on.

template <class T, int R, int V>
void multiply_chosen_rows(const chosen_args<T>& args, std::int64_t first, std::int64_t first_point) {
    using vec = typename simd<T>::vec;
    constexpr std::int64_t width = simd<T>::width;
    const T* rows[R];
    for (int r = 0; r < R; ++r) rows[r] = args.rows + args.chosen[first + r] * args.stride;
    const T* const points = args.points.packed + first_point * args.depth;
    vec totals[R][V] = {};
    for (std::int64_t begin = 0; begin < args.depth; begin += feature_block) {
        const std::int64_t end = begin + feature_block < args.depth ? begin + feature_block : args.depth;
        vec sums[R][V] = {};
        for (std::int64_t k = begin; k < end; ++k) {
            vec values[V];
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) values[v] = load(points + v * width * args.depth + k * width);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
                for (int v = 0; v < V; ++v) sums[r][v] += rows[r][k] * values[v];
        }
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) totals[r][v] += sums[r][v];
    }
    T found[R][V * width];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) store(found[r] + v * width, totals[r][v]);
    const std::int64_t rest = args.points.count - first_point, count = rest < V * width ? rest : V * width;
    for (std::int64_t k = 0; k < count; ++k)
        for (int r = 0; r < R; ++r) args.products[(first_point + k) * scratch_stride + first + r] = found[r][k];
}

template <class T, int V>
void multiply_chosen_points(const chosen_args<T>& args, std::int64_t first_point) {
    constexpr int together = 8;
    std::int64_t row = 0;
    for (; row + together <= args.count; row += together) multiply_chosen_rows<T, together, V>(args, row, first_point);
    if (row == args.count) return;
    if (args.count >= together)  // some once more: single rows would wait for their sums
        return multiply_chosen_rows<T, together, V>(args, args.count - together, first_point);
    for (; row < args.count; ++row) multiply_chosen_rows<T, 1, V>(args, row, first_point);
}

template <class T>
void multiply_chosen(const chosen_args<T>& args) {
    constexpr std::int64_t width = simd<T>::width;
    std::int64_t point = 0;
    for (; args.points.count - point > width; point += 2 * width) multiply_chosen_points<T, 2>(args, point);
    for (; point < args.points.count; point += width) multiply_chosen_points<T, 1>(args, point);
}
