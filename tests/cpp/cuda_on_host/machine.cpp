#include "machine.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <vector>

namespace emulator {

thread_local int current = 0;

namespace {

constexpr std::size_t alignment = 256;
constexpr unsigned char poison = 0xff;

std::recursive_mutex mutex;

machine& the_machine() {
    static machine* const one = [] {
        pthread_atfork(nullptr, nullptr, [] {
            if (the_machine().used) the_machine().fault = cudaErrorInitializationError;
        });
        return new machine;  // outlives whatever Python frees at the end
    }();
    return *one;
}

std::uintptr_t number_of(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

// The default stream waits for all others, and they for it.
bool is_default(cudaStream_t stream) { return number_of(stream) <= 1; }

}  // namespace

locked_machine::locked_machine() : lock_(mutex) {}
machine* locked_machine::operator->() const { return &the_machine(); }

void* map_memory(std::size_t bytes, int device, bool of_others) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t room = (bytes + alignment - 1) / alignment * alignment, pages = (room + page - 1) / page * page;
    void* mapped = mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* first = static_cast<unsigned char*>(mapped);
    mprotect(first + pages, page, PROT_NONE);
    unsigned char* memory = first + pages - room;
    std::memset(memory, poison, room);
    the_machine().allocations[number_of(memory)] = {bytes, device, false, of_others, first, pages + page};
    return memory;
}

void unmap_memory(void* memory) {
    const auto found = the_machine().allocations.find(number_of(memory));
    const allocation& a = found->second;
    for (const auto* byte = static_cast<const unsigned char*>(memory) + a.bytes; number_of(byte) % alignment; ++byte)
        if (*byte != poison) {
            std::fprintf(stderr, "emulated CUDA: written behind %zu bytes of a device\n", a.bytes);
            std::abort();
        }
    munmap(a.pages, a.mapped);
    the_machine().allocations.erase(found);
}

allocation* allocation_at(const void* address) {
    auto& all = the_machine().allocations;
    auto found = all.upper_bound(number_of(address));
    if (found == all.begin() || number_of(address) - (--found)->first >= found->second.bytes) return nullptr;
    return &found->second;
}

bool on_current_device(const void* address, std::size_t bytes) {
    const allocation* found = allocation_at(address);
    return found && !found->freed && found->device == current &&
           allocation_at(static_cast<const char*>(address) + bytes - 1) == found;
}

void put(cudaStream_t stream, bool computes, std::function<void()> run) {
    machine& m = the_machine();
    m.queue.push_back({m.next_number++, stream, computes, std::move(run)});
}

void drain(cudaStream_t stream, std::int64_t before) {
    machine& m = the_machine();
    std::set<cudaStream_t> waited_for{stream};
    bool for_all = is_default(stream);
    std::vector<std::list<work>::iterator> needed;
    for (auto each = m.queue.end(); each != m.queue.begin();) {
        --each;
        if (each->number >= before) continue;
        if (!for_all && !is_default(each->stream) && !waited_for.count(each->stream)) continue;
        needed.push_back(each);
        for_all = for_all || is_default(each->stream);
        waited_for.insert(each->stream);
    }
    for (auto each = needed.rbegin(); each != needed.rend(); ++each) {
        const work next = std::move(**each);
        m.queue.erase(*each);
        if (m.fault == cudaSuccess || !next.computes) next.run();
    }
    for (auto& device : m.devices) device.second.given_back = 0;
}

}  // namespace emulator
