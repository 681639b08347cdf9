#pragma once
// <immintrin.h> for the sets with AVX-512. GCC 12's starts some intrinsics from a register left undefined on purpose,
// and warns of it when they are inlined: so the warnings are off for the rest of the file.
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
