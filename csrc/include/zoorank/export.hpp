#pragma once

// Marks what a shared libzoorank exports. Empty for the static library, so that a
// module which carries the library inside it does not export it again.
// Preprocessor only: zoorank.h, which is C, includes this too.
#if defined(ZOORANK_SHARED)
#define ZOORANK_API __attribute__((visibility("default")))
#else
#define ZOORANK_API
#endif
