#pragma once
#include <functional>
#include <stdexcept>

#include <zoorank/export.hpp>

namespace zoorank {

struct options {
    /// Threads to use; 0 takes ZOORANK_NUM_THREADS or, without it, every processor this process may run on.
    /// The result has the same bits for any number.
    int threads = 0;

    /// Called on the calling thread about twenty times a second with the fraction done, from 0 to 1.
    /// Returning false abandons the call, which then throws `cancelled`.
    std::function<bool(double)> progress;
};

/// Thrown out of a call whose progress function returned false.
struct ZOORANK_API cancelled : std::runtime_error {
    cancelled() : std::runtime_error("cancelled") {}
};

}  // namespace zoorank
