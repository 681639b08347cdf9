// Squares of as many vectors as a vector has lanes.

// Exchanges the off-diagonal quarters of each square of 2 * H rows and lanes.
template <class T, int H, std::size_t... Lanes>
void exchange(typename simd<T>::vec& a, typename simd<T>::vec& b, std::index_sequence<Lanes...>) {
    constexpr int width = simd<T>::width;
    const typename simd<T>::vec upper = __builtin_shufflevector(
        a, b, ((Lanes & H) != 0 ? static_cast<int>(Lanes) + width - H : static_cast<int>(Lanes))...);
    b = __builtin_shufflevector(a, b,
                                ((Lanes & H) != 0 ? static_cast<int>(Lanes) + width : static_cast<int>(Lanes) + H)...);
    a = upper;
}

// Lane i of row j -> lane j of row i.
template <class T, int H = simd<T>::width / 2>
void transpose(typename simd<T>::vec (&rows)[simd<T>::width]) {
    constexpr int width = simd<T>::width;
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i)
        if ((i & H) == 0) exchange<T, H>(rows[i], rows[i + H], std::make_index_sequence<width>{});
    if constexpr (H > 1) transpose<T, H / 2>(rows);
}

template <class T, int H, std::size_t... Lanes>
typename simd<T>::vec rotated(typename simd<T>::vec v, std::index_sequence<Lanes...>) {
    return __builtin_shufflevector(v, v, ((static_cast<int>(Lanes) + H) % simd<T>::width)...);
}

// Adds the sum of the lanes of each of four vectors to one of four doubles.
template <class T>
void add_sums_of_four(const typename simd<T>::vec (&v)[4], double* to) {
    using vec = typename simd<T>::vec;
    constexpr int width = simd<T>::width;
    if constexpr (width < 4) {
        for (int i = 0; i < 4; ++i) to[i] += static_cast<double>(simd<T>::sum(v[i]));
    } else {
        constexpr auto lanes = std::make_index_sequence<width>{};
        constexpr int quarter = width / 4;
        vec a = v[0], b = v[1], c = v[2], d = v[3];
        exchange<T, width / 2>(a, c, lanes);
        exchange<T, width / 2>(b, d, lanes);
        a += c;
        b += d;
        exchange<T, quarter>(a, b, lanes);
        a += b;
        if constexpr (quarter > 2) a += rotated<T, 2>(a, lanes);
        if constexpr (quarter > 1) a += rotated<T, 1>(a, lanes);
        using four = double __attribute__((vector_size(32)));
        four sums;
        __builtin_memcpy(&sums, to, sizeof sums);
        sums += __builtin_convertvector(__builtin_shufflevector(a, a, 0, quarter, 2 * quarter, 3 * quarter), four);
        __builtin_memcpy(to, &sums, sizeof sums);
    }
}
