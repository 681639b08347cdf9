#include "thread_pool.hpp"

#include <pthread.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

namespace zoorank {
namespace {

// Threads beyond the processors only wait; some more than there are keep the tests honest on small machines.
int most_threads() { return std::max(16, 2 * hardware_threads()); }

constexpr std::chrono::milliseconds report_interval{50};

// Threads that wait for a job and run it: job(worker) for worker in [1, helpers]. Grows to the largest number asked
// for.
class thread_pool {
public:
    // Runs `job` on up to `helpers` threads beside the calling one, which runs job(0) and then wait(idle).
    // False, without running anything, when another call holds the pool.
    template <class Idle>
    bool try_run(int helpers, const std::function<void(int)>& job, Idle idle) {
        const std::unique_lock<std::mutex> sole(callers_, std::try_to_lock);
        if (!sole) return false;
        {
            const std::lock_guard<std::mutex> lock(state_);
            helpers = grow(helpers);
            job_ = &job;
            helpers_ = running_ = helpers;
            ++generation_;
        }
        wake_.notify_all();
        job(0);
        std::unique_lock<std::mutex> lock(state_);
        while (!finished_.wait_for(lock, report_interval, [this] { return running_ == 0; })) {
            lock.unlock();
            idle();
            lock.lock();
        }
        job_ = nullptr;
        return true;
    }

private:
    // Starts threads until there are `wanted`, or no more can be had; returns how many of them there are.
    int grow(int wanted) {
        try {
            while (static_cast<int>(threads_.size()) < wanted) {
                const int worker = static_cast<int>(threads_.size()) + 1;
                threads_.emplace_back([this, worker, seen = generation_] { serve(worker, seen); });
            }
        } catch (const std::system_error&) {
            return static_cast<int>(threads_.size());
        }
        return wanted;
    }

    void serve(int worker, std::uint64_t seen) {
        for (;;) {
            const std::function<void(int)>* job = nullptr;
            {
                std::unique_lock<std::mutex> lock(state_);
                wake_.wait(lock, [&] { return generation_ != seen; });
                seen = generation_;
                if (worker > helpers_) continue;
                job = job_;
            }
            (*job)(worker);
            const std::lock_guard<std::mutex> lock(state_);
            if (--running_ == 0) finished_.notify_one();
        }
    }

    std::mutex callers_, state_;
    std::condition_variable wake_, finished_;
    std::vector<std::thread> threads_;
    const std::function<void(int)>* job_ = nullptr;
    int helpers_ = 0, running_ = 0;
    std::uint64_t generation_ = 0;
};

// Never destroyed: its threads outlive static destruction, and a forked child, which has none of them, leaves the
// parent's pool behind and starts its own.
thread_pool* shared_pool = nullptr;

thread_pool& pool() {
    static std::once_flag once;
    std::call_once(once, [] {
        shared_pool = new thread_pool;
        pthread_atfork(nullptr, nullptr, [] { shared_pool = new thread_pool; });
    });
    return *shared_pool;
}

// One call of parallel_for.
class loop final : public progress_meter {
public:
    loop(std::int64_t count, std::int64_t work, const options& opt,
         const std::function<void(std::int64_t, int, progress_meter&)>& task)
        : count_(count), work_(work), options_(opt), task_(task) {}

    void run(int worker) noexcept {
        try {
            for (;;) {
                const std::int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
                if (index >= count_) return;
                task_(index, worker, *this);
                advance(0, worker);
            }
        } catch (...) {
            fail();
        }
    }

    void advance(std::int64_t work, int worker) override {
        done_.fetch_add(work, std::memory_order_relaxed);
        if (worker == 0) report();
        if (stopped_.load(std::memory_order_relaxed)) throw cancelled();
    }

    // Calling thread only.
    void report() {
        if (!options_.progress) return;
        const auto now = std::chrono::steady_clock::now();
        if (now < next_report_) return;
        next_report_ = now + report_interval;
        const double fraction =
            work_ > 0 ? static_cast<double>(done_.load(std::memory_order_relaxed)) / static_cast<double>(work_) : 0.0;
        if (!options_.progress(std::min(fraction, 1.0))) stopped_.store(true, std::memory_order_relaxed);
    }

    void report_idle() noexcept {
        try {
            report();
        } catch (...) {
            fail();
        }
    }

    void rethrow() {
        if (error_) std::rethrow_exception(error_);
        if (stopped_) throw cancelled();
    }

private:
    void fail() noexcept {
        const std::lock_guard<std::mutex> lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
        stopped_ = true;
    }

    const std::int64_t count_, work_;
    const options& options_;
    const std::function<void(std::int64_t, int, progress_meter&)>& task_;
    std::atomic<std::int64_t> next_{0}, done_{0};
    std::atomic<bool> stopped_{false};
    std::chrono::steady_clock::time_point next_report_{};  // at once: a call may be one of many short ones
    std::mutex error_mutex_;
    std::exception_ptr error_;
};

}  // namespace

int hardware_threads() {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int resolve_threads(int requested) {
    if (requested < 0)
        throw std::invalid_argument("threads must be 0 (automatic) or more, got " + std::to_string(requested));
    if (requested > 0) return std::min(requested, most_threads());
    if (const char* text = std::getenv("ZOORANK_NUM_THREADS"); text && *text) {
        char* end = nullptr;
        const long value = std::strtol(text, &end, 10);
        if (*end != '\0' || value < 1)
            throw std::invalid_argument("ZOORANK_NUM_THREADS must be a number of at least 1, got '" +
                                        std::string(text) + "'");
        return static_cast<int>(std::min<long>(value, most_threads()));
    }
    return hardware_threads();
}

options without_fraction(const options& opt) {
    options quiet = opt;
    if (opt.progress) quiet.progress = [ask = opt.progress](double) { return ask(0); };
    return quiet;
}

options phase(const options& opt, double from, double to) {
    options part = opt;
    if (opt.progress)
        part.progress = [ask = opt.progress, from, to](double fraction) { return ask(from + fraction * (to - from)); };
    return part;
}

void parallel_for(std::int64_t count, int threads, std::int64_t work, const options& opt,
                  const std::function<void(std::int64_t, int, progress_meter&)>& task) {
    if (count <= 0) return;
    loop calls(count, work, opt, task);
    const int helpers = static_cast<int>(std::min<std::int64_t>(threads, count)) - 1;
    const std::function<void(int)> job = [&](int worker) { calls.run(worker); };
    if (helpers <= 0 || !pool().try_run(helpers, job, [&] { calls.report_idle(); })) calls.run(0);
    calls.rethrow();
}

}  // namespace zoorank
