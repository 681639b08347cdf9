// Rows -> panels: `width` rows side by side, one feature after the other, centred and scaled. One layout serves both
// sides of a product: the column side loads whole vectors of it, the row side broadcasts single elements.

inline std::int64_t packed_row(std::int64_t depth) { return depth; }

// Squared lengths of the rows of a panel, all at once: one row alone would wait for each of its additions.
template <class T>
void panel_norms(const T* panel, std::int64_t depth, T* norms) {
    constexpr std::int64_t width = simd<T>::width;
    double squares[width] = {};
    for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t r = 0; r < width; ++r) {
            const auto value = static_cast<double>(panel[k * width + r]);
            squares[r] += value * value;
        }
    for (std::int64_t r = 0; r < width; ++r) norms[r] = static_cast<T>(squares[r]);
}

// Rows of a panel, null for those that are not there: squares of as many features as there are rows, turned around.
template <class T>
void pack_panel(const T* const (&rows)[simd<T>::width], const pack_args<T>& args, T* panel) {
    using vec = typename simd<T>::vec;
    constexpr std::int64_t width = simd<T>::width;
    const T scale = args.scale;
    std::int64_t k = 0;
    for (; k + width <= args.depth; k += width) {
        const vec centre = args.centre ? load(args.centre + k) : vec{};
        vec square[width];
#pragma GCC unroll 16
        for (std::int64_t r = 0; r < width; ++r) square[r] = rows[r] ? load(rows[r] + k) * scale - centre : vec{};
        transpose<T>(square);
#pragma GCC unroll 16
        for (std::int64_t c = 0; c < width; ++c) store(panel + (k + c) * width, square[c]);
    }
    for (; k < args.depth; ++k)
        for (std::int64_t r = 0; r < width; ++r)
            panel[k * width + r] = rows[r] ? rows[r][k] * scale - (args.centre ? args.centre[k] : 0) : 0;
}

// Asks for the beginning of rows that are gathered from anywhere: what follows of a long one the processor foresees.
template <class T>
void prefetch_rows(const pack_args<T>& args, std::int64_t first, std::int64_t end) {
    constexpr std::int64_t line = 64 / sizeof(T), most = 16 * line;
    if (!args.order) return;
    for (std::int64_t row = first; row < end && row < args.rows; ++row)
        for (std::int64_t k = 0; k < args.depth && k < most; k += line)
            __builtin_prefetch(args.x + args.order[row] * args.stride + k);
}

template <class T>
void pack(const pack_args<T>& args) {
    constexpr std::int64_t width = simd<T>::width;
    prefetch_rows(args, 0, width);
    for (std::int64_t first = 0; first < args.rows; first += width) {
        prefetch_rows(args, first + width, first + 2 * width);
        const T* rows[width];
        for (std::int64_t r = 0; r < width; ++r) {
            const std::int64_t row = first + r;
            rows[r] = row < args.rows ? args.x + (args.order ? args.order[row] : row) * args.stride : nullptr;
        }
        T* const panel = args.packed + first * args.depth;
        pack_panel(rows, args, panel);
        panel_norms(panel, args.depth, args.norms + first);
    }
}
