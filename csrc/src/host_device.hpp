#pragma once
// Marks functions that the CUDA backend calls on a device too; nothing to all other compilers.
#if defined(__CUDACC__)
#define ZOORANK_HOST_DEVICE __host__ __device__
#else
#define ZOORANK_HOST_DEVICE
#endif
