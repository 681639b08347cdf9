/* zoorank for C, and for whatever calls C: plain pointers, status codes, error text.
 *
 * Matrices are row-major; consecutive rows are `stride` elements apart, with stride >= cols, and the values of one
 * row are adjacent. Sizes and strides count elements. Nothing that is passed in is kept after the call returns.
 * Functions may be called from any thread, several at a time. */
#ifndef ZOORANK_ZOORANK_H
#define ZOORANK_ZOORANK_H

#include <stdint.h>

#include <zoorank/export.hpp> /* preprocessor only */

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zoorank_status {
    ZOORANK_OK = 0,
    ZOORANK_INVALID_ARGUMENT = 1, /* what was wrong and what is allowed: zoorank_last_error() */
    ZOORANK_CANCELLED = 2,        /* the progress function asked for it */
    ZOORANK_OUT_OF_MEMORY = 3,
    ZOORANK_INTERNAL_ERROR = 4 /* a fault of the library or of the system; zoorank_last_error() says more */
} zoorank_status;

typedef int32_t zoorank_metric; /* not the enumeration, so that a wrong number can be refused */
enum {
    ZOORANK_EUCLIDEAN = 0,
    ZOORANK_SQEUCLIDEAN = 1,
    ZOORANK_COSINE = 2,
    ZOORANK_MANHATTAN = 3,
    ZOORANK_PRECOMPUTED = 4 /* x is the square matrix of distances */
};

typedef int32_t zoorank_precision; /* how Euclidean distances between float rows are computed */
enum {
    ZOORANK_PRECISION_AUTO = 0,    /* bf16x3 where it leaves s within 5e-6 */
    ZOORANK_PRECISION_FLOAT32 = 1, /* never bf16x3 */
    ZOORANK_PRECISION_BF16X3 = 2   /* an error where the instruction set in use is not amx */
};

/* Called on the calling thread about twenty times a second with the fraction done, from 0 to 1.
 * 0 goes on; anything else abandons the call, which then returns ZOORANK_CANCELLED.
 * It must return: a longjmp or a C++ exception out of it is undefined behaviour. */
typedef int (*zoorank_progress)(double done, void* user_data);

/* Zero-initialise it and set struct_size = sizeof(zoorank_options): then a program keeps working with a library that
 * knows more options than it does. A null pointer in its place means all defaults. */
typedef struct zoorank_options {
    int64_t struct_size;
    int32_t threads;           /* 0: ZOORANK_NUM_THREADS or every available processor; same bits for any number */
    zoorank_progress progress; /* may be null */
    void* user_data;           /* handed to progress */
    zoorank_precision precision;
} zoorank_options;

/* Why the last call on this thread failed, in one line; "" if it did not. Good until this thread's next call. */
ZOORANK_API const char* zoorank_last_error(void);

/* Silhouette coefficients. x is rows x cols; labels has one integer a row, any values; samples has room for one value
 * a row, and holds nothing of use after a failure. float input is computed in float where that keeps the error in a
 * sample under 5e-6, double input in double. A class of one row scores 0. Refused: NaN and infinity, negative distances
 * (the first bad row is named), and fewer than 2 or more than rows - 1 classes. */
ZOORANK_API zoorank_status zoorank_silhouette_samples_f32(const float* x, int64_t rows, int64_t cols, int64_t stride,
                                                          const int64_t* labels, zoorank_metric metric,
                                                          const zoorank_options* options, double* samples);
ZOORANK_API zoorank_status zoorank_silhouette_samples_f64(const double* x, int64_t rows, int64_t cols, int64_t stride,
                                                          const int64_t* labels, zoorank_metric metric,
                                                          const zoorank_options* options, double* samples);

/* Their mean over all rows. */
ZOORANK_API zoorank_status zoorank_silhouette_score_f32(const float* x, int64_t rows, int64_t cols, int64_t stride,
                                                        const int64_t* labels, zoorank_metric metric,
                                                        const zoorank_options* options, double* score);
ZOORANK_API zoorank_status zoorank_silhouette_score_f64(const double* x, int64_t rows, int64_t cols, int64_t stride,
                                                        const int64_t* labels, zoorank_metric metric,
                                                        const zoorank_options* options, double* score);

/* Several encodings of the same rows: xs[i] is rows x cols[i], its rows strides[i] apart (strides null: cols[i]);
 * samples[i] has room for one value a row. Small problems are computed side by side. */
ZOORANK_API zoorank_status zoorank_silhouette_batch_f32(const float* const* xs, int64_t count, int64_t rows,
                                                        const int64_t* cols, const int64_t* strides,
                                                        const int64_t* labels, zoorank_metric metric,
                                                        const zoorank_options* options, double* const* samples);
ZOORANK_API zoorank_status zoorank_silhouette_batch_f64(const double* const* xs, int64_t count, int64_t rows,
                                                        const int64_t* cols, const int64_t* strides,
                                                        const int64_t* labels, zoorank_metric metric,
                                                        const zoorank_options* options, double* const* samples);

/* Distance of row i of x to row j of y at distances[i * y_rows + j]; any metric but ZOORANK_PRECOMPUTED. */
ZOORANK_API zoorank_status zoorank_pairwise_distances_f32(const float* x, int64_t x_rows, int64_t x_stride,
                                                          const float* y, int64_t y_rows, int64_t y_stride,
                                                          int64_t cols, zoorank_metric metric,
                                                          const zoorank_options* options, float* distances);
ZOORANK_API zoorank_status zoorank_pairwise_distances_f64(const double* x, int64_t x_rows, int64_t x_stride,
                                                          const double* y, int64_t y_rows, int64_t y_stride,
                                                          int64_t cols, zoorank_metric metric,
                                                          const zoorank_options* options, double* distances);

/* The metric of a name such as "cosine"; the error text lists the valid ones. */
ZOORANK_API zoorank_status zoorank_parse_metric(const char* name, zoorank_metric* metric);

/* "0.2.0": of the library that is linked, which a header cannot know. Never fails. */
ZOORANK_API const char* zoorank_version(void);

/* Set struct_size = sizeof(zoorank_build_info) before the call. The strings live as long as the program. */
typedef struct zoorank_build_info {
    int64_t struct_size;
    const char* version;
    const char* compiler;
    const char* instruction_set;            /* in use, chosen at the first call or by ZOORANK_ISA */
    const char* supported_instruction_sets; /* of this binary on this processor, best first: "avx512, avx2, baseline" */
    int32_t threads;                        /* what threads = 0 means */
} zoorank_build_info;

ZOORANK_API zoorank_status zoorank_get_build_info(zoorank_build_info* info);

#ifdef __cplusplus
}
#endif

#endif
