// The tile instructions of AMX as their documentation defines them, in plain C++: slow, and the same bits. With it the
// algorithm of tiles.inl is tested on any processor; what is shipped includes it nowhere.

class tile_unit {
public:
    // Registers hold NaN until something is loaded.
    static void begin() { __builtin_memset(registers(), 0xff, 8 * sizeof(tile)); }
    static void end() { begin(); }

    template <int T>
    static void zero() {
        registers()[T] = tile{};
    }
    template <int T>
    static void load(const void* from, std::int64_t stride) {
        for (int r = 0; r < 16; ++r)
            __builtin_memcpy(registers()[T].rows[r], static_cast<const char*>(from) + r * stride, 64);
    }
    template <int T>
    static void store(void* to, std::int64_t stride) {
        for (int r = 0; r < 16; ++r) __builtin_memcpy(static_cast<char*>(to) + r * stride, registers()[T].rows[r], 64);
    }

    // Within a product, pairs of features are added up in two chains, each addition rounded once; denormals are zeros.
    template <int C, int A, int B>
    static void product() {
        for (int m = 0; m < 16; ++m)
            for (int n = 0; n < 16; ++n) {
                float even = 0, odd = 0;
                for (int k = 0; k < 16; ++k) {
                    even = add_product(even, half(A, m, 2 * k), half(B, k, 2 * n));
                    odd = add_product(odd, half(A, m, 2 * k + 1), half(B, k, 2 * n + 1));
                }
                float sum;
                __builtin_memcpy(&sum, registers()[C].rows[m] + 4 * n, sizeof sum);
                sum = flushed(flushed(sum) + flushed(even + odd));
                __builtin_memcpy(registers()[C].rows[m] + 4 * n, &sum, sizeof sum);
            }
    }

private:
    struct tile {
        unsigned char rows[16][64];
    };

    static tile* registers() {
        alignas(64) static thread_local tile all[8];
        return all;
    }

    static float flushed(float x) { return x < 0x1p-126F && x > -0x1p-126F ? 0 : x; }

    static float half(int tile, int row, int index) {
        std::uint16_t upper;
        __builtin_memcpy(&upper, registers()[tile].rows[row] + 2 * index, sizeof upper);
        const std::uint32_t bits = static_cast<std::uint32_t>(upper) << 16;
        float x;
        __builtin_memcpy(&x, &bits, sizeof x);
        return flushed(x);
    }

    // In double the product is exact, and the sum too wherever its last bits could decide how it is rounded to float.
    static float add_product(float sum, float x, float y) {
        return flushed(static_cast<float>(static_cast<double>(sum) + static_cast<double>(x) * static_cast<double>(y)));
    }
};
