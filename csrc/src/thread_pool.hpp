#pragma once
// The engine's own threads. OpenMP is not an option: the torch and FAISS wheels each bring a different runtime of it.
#include <cstdint>
#include <functional>
#include <zoorank/options.hpp>

namespace zoorank {

/// Processors this process may run on (affinity and container limits honoured).
int hardware_threads();

/// What options.threads means: at least 1, and no more than could be of any use here.
int resolve_threads(int requested);

/// The same options for a part of a call that is not worth reporting: progress is asked whether to stop, and told 0.
options without_fraction(const options& opt);

/// The same options for a part of a call: what it reports is the share [from, to] of the whole.
options phase(const options& opt, double from, double to);

/// Hands a running call's state to its tasks.
class progress_meter;

/// Runs task(index, worker) for every index in [0, count), handing out indices in order as workers become free; worker
/// is in [0, threads). The calling thread is worker 0 and the only one when another call is using the pool.
///
/// A task tells the meter what it has done, in units of which `work` is the sum. The first exception that a task throws
/// stops the others and is thrown here, as is `cancelled`.
void parallel_for(std::int64_t count, int threads, std::int64_t work, const options& opt,
                  const std::function<void(std::int64_t index, int worker, progress_meter&)>& task);

class progress_meter {
public:
    /// Adds finished work; throws `cancelled` when the call has been abandoned. Call it every few milliseconds.
    virtual void advance(std::int64_t work, int worker) = 0;

protected:
    ~progress_meter() = default;
};

}  // namespace zoorank
