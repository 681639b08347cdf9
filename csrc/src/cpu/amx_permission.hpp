#pragma once

namespace zoorank::cpu {

/// Whether this process may use the tiles of AMX: the processor multiplies bf16, the operating system saves tiles, and
/// grants them to those who ask, which this does.
bool amx_permitted() noexcept;

}  // namespace zoorank::cpu
