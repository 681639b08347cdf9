#pragma once
// A block of a CUDA kernel on the host: its threads are fibers that take turns, its blocks run one after the other, and
// what threads do together happens when all have arrived. Shared memory is poisoned before each block. A launch in
// which nobody can go on throws instead of hanging.
//
// What it finds: wrong indices, layouts, schedules and sums, reads of memory that nobody wrote, barriers that never
// open, stages of a pipeline that are read too early or overwritten too soon. What it cannot find: accesses that only
// the hardware's memory order makes wrong, and everything about speed.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace emulator {

/// When asynchronous copies are done: at once, or as late as is allowed. Kernels have to be right with both.
enum class copies { early, late };
extern copies copying;

void run(std::int64_t blocks, int threads, int shared_bytes, const std::function<void()>& kernel);

/// Shared memory of the running block; its address in the eyes of the device is only a multiple of 16.
unsigned char* dynamic_shared();
std::uint32_t address_of(const void* p);
unsigned char* at_address(std::uint32_t address);

/// Lets the other threads of the block go on.
void pause();

/// Waits for all threads of the block that have not ended, or for the first `threads` of them.
void sync_block();
void sync_first(int threads);

/// What the 32 lanes of the running thread's warp hand in; valid until the next call but one.
const void* gather(const void* mine, std::size_t bytes);

template <class V>
const V* gather(const V& mine) {
    static_assert(sizeof(V) <= 64, "room for a lane");
    return static_cast<const V*>(gather(&mine, sizeof mine));
}

// Copies and products under way, of the running thread. `finish` waits until at most `pending` groups are.
void begin_copy(void* to, const void* from, std::size_t bytes);
void commit_copies();
void finish_copies(int pending);
void begin_product(std::function<void()> product);
void commit_products();
void finish_products(int pending);

// Barriers in shared memory.
void init_barrier(std::uint32_t barrier, int arrivals);
void arrive(std::uint32_t barrier, int expected_bytes);
void wait_for_phase(std::uint32_t barrier, unsigned parity);
void copy_in_bulk(std::uint32_t to, const void* from, int bytes, std::uint32_t barrier);

}  // namespace emulator
