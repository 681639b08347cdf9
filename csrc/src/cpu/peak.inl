// The most multiply-adds that the vectors of a set do: chains that do not wait for one another.

constexpr int peak_chains = 12;  // more than latency times ports, fewer than there are registers

template <class T>
T multiply_adds(std::int64_t steps, T factor, T addend) {
    using vec = typename simd<T>::vec;
    vec sums[peak_chains];
    for (int c = 0; c < peak_chains; ++c) sums[c] = vec{} + static_cast<T>(c);
    for (std::int64_t step = 0; step < steps; ++step)
#pragma GCC unroll 12
        for (int c = 0; c < peak_chains; ++c) sums[c] = sums[c] * factor + addend;
    T total = 0;
    for (int c = 0; c < peak_chains; ++c) total += simd<T>::sum(sums[c]);
    return total;
}
