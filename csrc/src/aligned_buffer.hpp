#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace zoorank {

/// Uninitialised memory that begins a cache line. `slack` elements past the end may be read by whole vectors. Large
/// ones ask for large pages: the first touch of hundreds of megabytes in pages of 4 KB costs as much as packing them.
template <class T>
class aligned_buffer {
public:
    static constexpr std::int64_t slack = 128 / sizeof(T);

    aligned_buffer() = default;
    explicit aligned_buffer(std::int64_t count) {
        constexpr std::size_t line = 64, large_page = std::size_t(1) << 21;
        std::size_t bytes = static_cast<std::size_t>(count + slack) * sizeof(T);
        const std::size_t unit = bytes < 2 * large_page ? line : large_page;
        bytes = (bytes + unit - 1) / unit * unit;
        data_.reset(static_cast<T*>(std::aligned_alloc(unit, bytes)));
        if (!data_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (unit == large_page) madvise(data_.get(), bytes, MADV_HUGEPAGE);  // a wish: a refusal changes nothing
#endif
    }

    T* data() noexcept { return data_.get(); }
    const T* data() const noexcept { return data_.get(); }

private:
    struct deleter {
        void operator()(T* p) const noexcept { std::free(p); }
    };
    std::unique_ptr<T, deleter> data_;
};

}  // namespace zoorank
