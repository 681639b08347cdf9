// Manhattan distances to whole classes by one walk along a sorted feature. With `below` the members of class c seen so
// far, the sum of |x - y| over c is linear in x between two of its members: slope[c] * x + offset[c], where slope is
// 2 below - size and offset is the sum of members minus twice the sum of those below.

template <class T>
void sweep(const sweep_args<T>& args) {
    constexpr std::int64_t width = simd<T>::width;
    // Sums of rows lie in no order that a processor could foresee: ask for them early.
    constexpr std::int64_t ahead = 8;
    for (std::int64_t s = 0; s < args.count; ++s) {
        if (s + ahead < args.count) {
            const T* later = args.sums + args.positions[s + ahead] * args.sums_stride;
            for (std::int64_t c = 0; c < args.classes; c += 64 / static_cast<std::int64_t>(sizeof(T)))
                __builtin_prefetch(later + c, 1);
        }
        const T x = args.values[s];
        T* sums = args.sums + args.positions[s] * args.sums_stride;
        for (std::int64_t c = 0; c < args.classes; c += width)
            store(sums + c, load(sums + c) + (load(args.slope + c) * x + load(args.offset + c)));
        const std::int64_t own = args.class_of[args.positions[s]] - args.first_class;
        if (own < 0 || own >= args.classes) continue;
        args.slope[own] += 2;
        args.offset[own] -= 2 * x;
    }
}
