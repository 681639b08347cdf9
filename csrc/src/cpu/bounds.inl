// Bounds on mean distances; docs/pruning.md derives them. Lanes are rows, one class at a time.

// Products of all rows of a with all of b, left in the scratch: [row of a * scratch_stride + row of b].
template <class T>
void multiply(const block_args<T>& args) {
    product_block<T, euclidean<T>>(args, false, [](std::int64_t) {});
}

template <class T>
void screen(const screen_args<T>& args) {
    using vec = typename simd<T>::vec;
    constexpr std::int64_t width = simd<T>::width;
    const class_form<T>& form = args.form;
    for (std::int64_t row = 0; row < args.count; row += width) {
        const vec both = load(args.norms + row) + form.square;
        const vec slack = both * form.slack;
        const vec apart = both - T(2) * load(args.products + row);  // from the mean
        vec inside{}, quadratic{};
        for (std::int64_t k = 0; k < form.directions; ++k) {
            const vec along = load(args.products + (k + 1) * scratch_stride + row) - form.offset[k];
            inside += along * along;
            quadratic += along * (form.weight[k] * along - form.third[k]);
        }
        const vec beyond = simd<T>::max(apart - inside, vec{});
        const vec mean_square = apart + form.spread - slack;
        const vec variance = simd<T>::max(quadratic + form.tail * beyond + form.variance, vec{}) + form.noise * both;
        const vec square = mean_square * mean_square;
        const vec margin = square * mean_square - load(args.limits + row) * (square + variance);
        const auto ruled_out = (margin > T(0)) & (mean_square > args.least);
        const vec flags = ruled_out ? vec{} : vec{} + T(1);
        store(args.survives + row, flags);
        if (args.beyond) store(args.beyond + row, beyond);
        if (args.apart) store(args.apart + row, apart);
    }
}

// The sum and the least of |x|^2 + |y|^2 - 2 x.y over all rows y of b, the sum of roots, for each row x of a.
template <class T>
void sum_roots(const roots_args<T>& args) {
    using vec = typename simd<T>::vec;
    constexpr std::int64_t width = simd<T>::width;
    const block_args<T>& block = args.block;
    product_block<T, euclidean<T>>(block, false, [&](std::int64_t row) {
        const std::int64_t end = row + simd<T>::tile_rows < block.a.count ? row + simd<T>::tile_rows : block.a.count;
        for (std::int64_t r = row; r < end; ++r) {
            const T* products = block.scratch + r * scratch_stride;
            vec sum{}, least = vec{} + args.least[r];
            std::int64_t c = 0;
            for (; c + width <= block.b.count; c += width) {
                const vec t = block.a.norms[r] + load(block.b.norms + c) - T(2) * load(products + c);
                least = simd<T>::min(least, t);
                sum += simd<T>::root(t);
            }
            if (c < block.b.count) {
                const auto counted = ~lanes_from<T>(block.b.count - c);
                const vec t = block.a.norms[r] + load(block.b.norms + c) - T(2) * load(products + c);
                least = counted ? simd<T>::min(least, t) : least;
                sum += counted ? simd<T>::root(t) : vec{};
            }
            args.sums[r] += static_cast<double>(simd<T>::sum(sum));
            for (std::int64_t lane = 0; lane < width; ++lane)
                args.least[r] = least[lane] < args.least[r] ? least[lane] : args.least[r];
        }
    });
}
