#pragma once
#include <array>
#include <functional>
#include <stdexcept>
#include <string>

#include <zoorank/export.hpp>

namespace zoorank {

/// How Euclidean distances between float rows are computed; nothing else is concerned.
///
/// bf16x3: each value as a sum of two bf16, three products of these for one, on the matrix unit of processors with AMX.
/// Rows keep 17 bits. float32: never that. automatic: bf16x3 for means of distances that it leaves within 5e-6 in s,
/// judged by a few of them; never for single distances (docs/amx.md).
enum class float_precision { automatic, float32, bf16x3 };

/// Every one, in the order of the enumeration.
inline constexpr std::array<const char*, 3> float_precision_names{"auto", "float32", "bf16x3"};

/// The precision of that name; std::invalid_argument names the valid ones otherwise.
ZOORANK_API float_precision parse_float_precision(const std::string& name);

/// Which pairs of rows Euclidean silhouettes are computed from; nothing else is concerned. all: every one. needed:
/// those that bounds on mean distances cannot rule out, which gives the same silhouettes (docs/pruning.md). automatic:
/// the way that a sample of rows says is faster.
enum class pair_selection { automatic, all, needed };

/// Every one, in the order of the enumeration.
inline constexpr std::array<const char*, 3> pair_selection_names{"auto", "all", "needed"};

/// The selection of that name; std::invalid_argument names the valid ones otherwise.
ZOORANK_API pair_selection parse_pair_selection(const std::string& name);

struct options {
    /// Threads to use; 0 takes ZOORANK_NUM_THREADS or, without it, every processor this process may run on.
    /// The result has the same bits for any number.
    int threads = 0;

    /// std::invalid_argument for bf16x3 where the instruction set in use has none.
    float_precision precision = float_precision::automatic;

    pair_selection pairs = pair_selection::automatic;

    /// Where the number of distances between rows goes that were computed, unless null: of Euclidean silhouettes, and
    /// of others where they are computed pair by pair. Not of a batch.
    double* pairs_evaluated = nullptr;

    /// Called on the calling thread about twenty times a second with the fraction done, from 0 to 1.
    /// Returning false abandons the call, which then throws `cancelled`; what it throws itself reaches the caller.
    std::function<bool(double)> progress;
};

/// Thrown out of a call whose progress function returned false.
struct ZOORANK_API cancelled : std::runtime_error {
    cancelled() : std::runtime_error("cancelled") {}
};

}  // namespace zoorank
