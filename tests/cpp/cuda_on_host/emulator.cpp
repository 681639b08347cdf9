#include "emulator.hpp"

#include <setjmp.h>
#include <ucontext.h>

#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {

copies copying = copies::late;

namespace {

constexpr std::size_t stack_bytes = 128 * 1024, lane_bytes = 64;
constexpr std::uint32_t shared_base = 0x470;
constexpr int warp_size = 32;

struct copy {
    void* to;
    const void* from;
    std::size_t bytes;
};

// Groups of asynchronous work, the last one still open.
template <class Work>
struct groups {
    std::deque<std::vector<Work>> all{1};

    void clear() {
        all.resize(1);
        all.front().clear();
    }

    template <class Do>
    void finish(int pending, Do&& work) {
        for (; all.size() > static_cast<std::size_t>(pending) + 1; all.pop_front())
            for (Work& each : all.front()) work(each);
    }
};

void enter();

struct fiber {
    fiber() {
        getcontext(&start);
        start.uc_stack.ss_sp = stack.get();
        start.uc_stack.ss_size = stack_bytes;
        start.uc_link = nullptr;
        makecontext(&start, enter, 0);
    }

    ucontext_t start;
    jmp_buf where;
    bool started = false, ended = false;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    groups<copy> copying_groups;
    groups<std::function<void()>> products;
    int exchange = 0;
};

// Opens when so many have arrived.
struct meeting {
    int arrived = 0;
    std::int64_t number = 0;
};

struct phase_barrier {
    int expected = 0, missing = 0, bytes = 0;
    unsigned parity = 0;
};

struct block_state {
    std::vector<std::unique_ptr<fiber>> fibers;
    std::vector<unsigned char> shared;
    unsigned char* aligned = nullptr;
    meeting all, first;
    std::vector<meeting> warps;
    std::vector<int> alive;            // threads of each warp
    std::vector<unsigned char> lanes;  // [warp][2][lane]
    std::map<std::uint32_t, phase_barrier> barriers;
    std::vector<std::pair<copy, std::uint32_t>> in_bulk;
    std::int64_t steps = 0;  // grows whenever anybody gets anywhere
};

block_state block;
int running = -1;
jmp_buf scheduler;
const std::function<void()>* body = nullptr;
std::exception_ptr failure;

int warp() { return running / warp_size; }

// Of the warps that thread `begin` and its followers before `end` make.
int alive(int begin, int end) {
    const auto warps = block.alive.begin();
    return std::accumulate(warps + begin / warp_size, warps + (end + warp_size - 1) / warp_size, 0);
}

// What a fiber does for ever: its part of one block, and then of the next.
void enter() {
    for (;;) {
        try {
            (*body)();
        } catch (...) {
            failure = std::current_exception();
        }
        block.fibers[static_cast<std::size_t>(running)]->ended = true;
        --block.alive[static_cast<std::size_t>(warp())];
        ++block.steps;
        pause();
    }
}

void resume(int index) {
    running = index;
    threadIdx = {static_cast<unsigned>(index), 0, 0};
    fiber& f = *block.fibers[static_cast<std::size_t>(index)];
    if (_setjmp(scheduler)) return;
    if (f.started) _longjmp(f.where, 1);
    f.started = true;
    ++block.steps;
    setcontext(&f.start);
}

template <class Ready>
void wait_until(const Ready& ready) {
    while (!ready()) pause();
    ++block.steps;
}

void meet(meeting& m, int begin, int end) {
    const std::int64_t number = m.number;
    ++m.arrived;
    ++block.steps;
    wait_until([&] {
        if (m.number != number) return true;
        if (m.arrived < alive(begin, end)) return false;
        m.arrived = 0;
        ++m.number;
        return true;
    });
}

void perform(const copy& c) { std::memcpy(c.to, c.from, c.bytes); }

phase_barrier& barrier_at(std::uint32_t address) {
    const auto found = block.barriers.find(address);
    if (found == block.barriers.end()) throw std::logic_error("a barrier that was never initialised");
    return found->second;
}

void open_if_complete(phase_barrier& b) {
    if (b.missing > 0 || b.bytes > 0) return;
    b.missing = b.expected;
    b.parity ^= 1;
    ++block.steps;
}

void land(std::size_t index) {
    const auto [work, address] = block.in_bulk[index];
    block.in_bulk.erase(block.in_bulk.begin() + static_cast<std::ptrdiff_t>(index));
    perform(work);
    phase_barrier& b = barrier_at(address);
    b.bytes -= static_cast<int>(work.bytes);
    open_if_complete(b);
}

void run_block(int threads, int shared_bytes) {
    constexpr std::size_t alignment = 1024;
    block.shared.assign(static_cast<std::size_t>(shared_bytes) + alignment, 0xff);
    // The host's pointer and the device's address agree modulo the alignment that a kernel may make for itself.
    const auto begin = reinterpret_cast<std::uintptr_t>(block.shared.data());
    block.aligned = block.shared.data() + (shared_base + alignment - begin % alignment) % alignment;
    block.all = block.first = {};
    block.warps.assign(static_cast<std::size_t>((threads + warp_size - 1) / warp_size), {});
    block.alive.assign(block.warps.size(), warp_size);
    block.alive.back() -= static_cast<int>(block.warps.size()) * warp_size - threads;
    block.lanes.assign(block.warps.size() * 2 * warp_size * lane_bytes, 0xff);
    block.barriers.clear();
    block.in_bulk.clear();
    while (block.fibers.size() > static_cast<std::size_t>(threads)) block.fibers.pop_back();
    while (block.fibers.size() < static_cast<std::size_t>(threads)) block.fibers.push_back(std::make_unique<fiber>());
    for (auto& f : block.fibers) {
        f->ended = false;
        f->copying_groups.clear();
        f->products.clear();
        f->exchange = 0;
    }
    while (alive(0, threads) > 0) {
        const std::int64_t before = block.steps;
        for (int i = 0; i < threads && !failure; ++i)
            if (!block.fibers[static_cast<std::size_t>(i)]->ended) resume(i);
        if (!failure && block.steps == before)
            failure = std::make_exception_ptr(std::logic_error("every thread waits for another"));
        if (!failure) continue;
        block.fibers.clear();  // which are somewhere in the middle
        std::rethrow_exception(std::exchange(failure, nullptr));
    }
}

}  // namespace

void run(std::int64_t blocks, int threads, int shared_bytes, const std::function<void()>& kernel) {
    body = &kernel;
    blockDim = {static_cast<unsigned>(threads), 1, 1};
    gridDim = {static_cast<unsigned>(blocks), 1, 1};
    for (std::int64_t i = 0; i < blocks; ++i) {
        blockIdx = {static_cast<unsigned>(i), 0, 0};
        run_block(threads, shared_bytes);
    }
}

unsigned char* dynamic_shared() { return block.aligned; }
std::uint32_t address_of(const void* p) {
    return shared_base + static_cast<std::uint32_t>(static_cast<const unsigned char*>(p) - block.aligned);
}
unsigned char* at_address(std::uint32_t address) { return block.aligned + (address - shared_base); }

void pause() {
    if (!_setjmp(block.fibers[static_cast<std::size_t>(running)]->where)) _longjmp(scheduler, 1);
}

void sync_block() { meet(block.all, 0, static_cast<int>(block.fibers.size())); }
void sync_first(int threads) { meet(block.first, 0, threads); }

const void* gather(const void* mine, std::size_t bytes) {
    fiber& self = *block.fibers[static_cast<std::size_t>(running)];
    const auto place = static_cast<std::size_t>(2 * warp() + self.exchange % 2) * warp_size * lane_bytes;
    ++self.exchange;
    unsigned char* lanes = block.lanes.data() + place;
    std::memcpy(lanes + static_cast<std::size_t>(running % warp_size) * bytes, mine, bytes);
    meet(block.warps[static_cast<std::size_t>(warp())], warp() * warp_size, (warp() + 1) * warp_size);
    return lanes;
}

void begin_copy(void* to, const void* from, std::size_t bytes) {
    const copy work{to, from, bytes};
    if (copying == copies::early)
        perform(work);
    else
        block.fibers[static_cast<std::size_t>(running)]->copying_groups.all.back().push_back(work);
}
void commit_copies() { block.fibers[static_cast<std::size_t>(running)]->copying_groups.all.emplace_back(); }
void finish_copies(int pending) {
    block.fibers[static_cast<std::size_t>(running)]->copying_groups.finish(pending, perform);
}

void begin_product(std::function<void()> product) {
    block.fibers[static_cast<std::size_t>(running)]->products.all.back().push_back(std::move(product));
}
void commit_products() { block.fibers[static_cast<std::size_t>(running)]->products.all.emplace_back(); }
void finish_products(int pending) {
    block.fibers[static_cast<std::size_t>(running)]->products.finish(pending,
                                                                     [](std::function<void()>& work) { work(); });
}

void init_barrier(std::uint32_t barrier, int arrivals) { block.barriers[barrier] = {arrivals, arrivals, 0, 0}; }

void arrive(std::uint32_t barrier, int expected_bytes) {
    phase_barrier& b = barrier_at(barrier);
    if (b.missing == 0) throw std::logic_error("more arrivals at a barrier than it expects");
    b.bytes += expected_bytes;
    --b.missing;
    ++block.steps;
    open_if_complete(b);
}

void wait_for_phase(std::uint32_t barrier, unsigned parity) {
    wait_until([&] {
        // The latest that a copy may land is when somebody waits for it.
        for (std::size_t i = 0; i < block.in_bulk.size();) {
            if (block.in_bulk[i].second == barrier)
                land(i);
            else
                ++i;
        }
        return barrier_at(barrier).parity != parity;
    });
}

void copy_in_bulk(std::uint32_t to, const void* from, int bytes, std::uint32_t barrier) {
    block.in_bulk.push_back({{at_address(to), from, static_cast<std::size_t>(bytes)}, barrier});
    if (copying == copies::early) land(block.in_bulk.size() - 1);
}

}  // namespace emulator
