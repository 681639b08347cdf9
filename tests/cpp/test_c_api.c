/* The C header, from C: what a caller without C++ can do, and what it is told when it is wrong. */
#include <zoorank/zoorank.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

static void check(int ok, const char* what, int line) {
    if (ok) return;
    ++failures;
    printf("%s:%d: %s is false; last error: \"%s\"\n", __FILE__, line, what, zoorank_last_error());
}
#define CHECK(condition) check((condition) != 0, #condition, __LINE__)

/* On a line, by hand: a = 1.5, 1, 1.5 and b = 11, 10, 9 in the first class; the second mirrors the first. */
enum { rows = 6 };
static const double x64[rows] = {0, 1, 2, 10, 11, 12};
static const float x32[rows] = {0, 1, 2, 10, 11, 12};
static const int64_t labels[rows] = {7, 7, 7, -1, -1, -1};

static double expected(int row) {
    static const double s[rows] = {9.5 / 11, 9.0 / 10, 7.5 / 9, 7.5 / 9, 9.0 / 10, 9.5 / 11};
    return s[row];
}

static int all_expected(const double* samples, double tolerance) {
    int row, right = 0;
    for (row = 0; row < rows; ++row) right += fabs(samples[row] - expected(row)) <= tolerance;
    return right == rows;
}

static zoorank_options options_with(int32_t threads) {
    zoorank_options options = {0};
    options.struct_size = sizeof options;
    options.threads = threads;
    return options;
}

static void test_samples_and_scores(void) {
    const zoorank_options two_threads = options_with(2);
    const double mean = (expected(0) + expected(1) + expected(2)) / 3;
    double samples[rows], score = 0;
    CHECK(zoorank_silhouette_samples_f64(x64, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, NULL, samples) == ZOORANK_OK);
    CHECK(all_expected(samples, 1e-12));
    CHECK(strcmp(zoorank_last_error(), "") == 0);
    CHECK(zoorank_silhouette_samples_f32(x32, rows, 1, 1, labels, ZOORANK_MANHATTAN, &two_threads, samples) ==
          ZOORANK_OK);
    CHECK(all_expected(samples, 5e-6));
    CHECK(zoorank_silhouette_score_f64(x64, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, &two_threads, &score) == ZOORANK_OK);
    CHECK(fabs(score - mean) <= 1e-12);
    CHECK(zoorank_silhouette_score_f32(x32, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, NULL, &score) == ZOORANK_OK);
    CHECK(fabs(score - mean) <= 5e-6);
}

static void test_strides_are_honoured(void) {
    double wide[rows * 3], samples[rows];
    int i;
    for (i = 0; i < rows * 3; ++i) wide[i] = i % 3 ? NAN : x64[i / 3];
    CHECK(zoorank_silhouette_samples_f64(wide, rows, 1, 3, labels, ZOORANK_EUCLIDEAN, NULL, samples) == ZOORANK_OK);
    CHECK(all_expected(samples, 1e-12));
}

static void test_batch(void) {
    const double doubled[rows * 2] = {0, 0, 1, 1, 2, 2, 10, 10, 11, 11, 12, 12}; /* all distances times sqrt(2) */
    const double* const xs[2] = {x64, doubled};
    const float* const floats[1] = {x32};
    const int64_t cols[2] = {1, 2}, strides[2] = {1, 2};
    double first[rows], second[rows];
    double* const samples[2] = {first, second};
    CHECK(zoorank_silhouette_batch_f64(xs, 2, rows, cols, NULL, labels, ZOORANK_EUCLIDEAN, NULL, samples) ==
          ZOORANK_OK);
    CHECK(all_expected(first, 1e-12) && all_expected(second, 1e-12));
    first[0] = second[0] = 9;
    CHECK(zoorank_silhouette_batch_f64(xs, 2, rows, cols, strides, labels, ZOORANK_EUCLIDEAN, NULL, samples) ==
          ZOORANK_OK);
    CHECK(all_expected(first, 1e-12) && all_expected(second, 1e-12));
    CHECK(zoorank_silhouette_batch_f32(floats, 1, rows, cols, NULL, labels, ZOORANK_EUCLIDEAN, NULL, samples) ==
          ZOORANK_OK);
    CHECK(all_expected(first, 5e-6));
    CHECK(zoorank_silhouette_batch_f64(NULL, 0, 0, NULL, NULL, NULL, ZOORANK_EUCLIDEAN, NULL, NULL) == ZOORANK_OK);
}

static void test_distances(void) {
    const double y[2 * 2] = {3, 4, 0, 0}, origin[2] = {0, 0};
    const float y32[2 * 2] = {3, 4, 0, 0}, origin32[2] = {0, 0};
    double distances[2] = {-1, -1};
    float distances32[2] = {-1, -1};
    CHECK(zoorank_pairwise_distances_f64(origin, 1, 2, y, 2, 2, 2, ZOORANK_EUCLIDEAN, NULL, distances) == ZOORANK_OK);
    CHECK(fabs(distances[0] - 5) <= 1e-12 && distances[1] == 0);
    CHECK(zoorank_pairwise_distances_f32(origin32, 1, 2, y32, 2, 2, 2, ZOORANK_MANHATTAN, NULL, distances32) ==
          ZOORANK_OK);
    CHECK(fabs((double)distances32[0] - 7) <= 1e-6 && distances32[1] == 0);
    CHECK(zoorank_pairwise_distances_f64(origin, 0, 2, y, 2, 2, 2, ZOORANK_EUCLIDEAN, NULL, NULL) == ZOORANK_OK);
}

static int refused(zoorank_status status, const char* fragment) {
    return status == ZOORANK_INVALID_ARGUMENT && strstr(zoorank_last_error(), fragment) != NULL;
}

static void test_mistakes_are_named(void) {
    const double bad[rows] = {0, 1, 2, 10, NAN, 12};
    const double negative[3 * 3] = {0, 1, 2, 1, 0, -3, 2, -3, 0};
    const int64_t two_classes[3] = {1, 1, 2};
    const int64_t one_class[rows] = {1, 1, 1, 1, 1, 1};
    zoorank_options options = options_with(-3);
    double samples[rows], score;
#define SAMPLES(x, n, cols, stride, labels, metric, options) \
    zoorank_silhouette_samples_f64(x, n, cols, stride, labels, metric, options, samples)
    CHECK(refused(SAMPLES(NULL, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, NULL), "x is null"));
    CHECK(refused(SAMPLES(x64, rows, 1, 1, NULL, ZOORANK_EUCLIDEAN, NULL), "labels is null"));
    CHECK(refused(SAMPLES(x64, -1, 1, 1, labels, ZOORANK_EUCLIDEAN, NULL), "x has -1 rows"));
    CHECK(refused(SAMPLES(x64, 3, 2, 1, labels, ZOORANK_EUCLIDEAN, NULL), "1 elements apart, fewer than its 2"));
    CHECK(refused(SAMPLES(x64, rows, 0, 0, labels, ZOORANK_EUCLIDEAN, NULL), "no features"));
    CHECK(refused(SAMPLES(x64, INT64_MAX, 8, 8, labels, ZOORANK_EUCLIDEAN, NULL), "larger than memory"));
    CHECK(refused(SAMPLES(x64, rows, 1, 1, labels, 99, NULL), "unknown metric number 99"));
    CHECK(refused(SAMPLES(x64, rows, 1, 1, labels, -1, NULL), "unknown metric number -1"));
    CHECK(refused(SAMPLES(x64, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, &options), "threads is -3"));
    options.struct_size = 4;
    CHECK(refused(SAMPLES(x64, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, &options), "sizeof(zoorank_options)"));
    options.struct_size = sizeof options + 8;
    CHECK(refused(SAMPLES(x64, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, &options), "sizeof(zoorank_options)"));
    CHECK(refused(SAMPLES(bad, rows, 1, 1, labels, ZOORANK_EUCLIDEAN, NULL), "4"));
    CHECK(refused(SAMPLES(x64, rows, 1, 1, one_class, ZOORANK_EUCLIDEAN, NULL), "class"));
    CHECK(refused(zoorank_silhouette_score_f64(x64, rows, 1, 1, labels, 0, NULL, NULL), "score is null"));
    CHECK(refused(zoorank_silhouette_batch_f64(NULL, 1, rows, NULL, NULL, labels, 0, NULL, NULL), "xs is null"));
    CHECK(refused(zoorank_pairwise_distances_f64(x64, 2, 1, x64, 2, 1, 1, ZOORANK_PRECOMPUTED, NULL, samples),
                  "precomputed"));
    CHECK(refused(SAMPLES(negative, 3, 3, 3, two_classes, ZOORANK_PRECOMPUTED, NULL),
                  "negative distance; the first bad row is 1"));
    /* An error does not outlive the next call that goes well. */
    CHECK(zoorank_silhouette_score_f64(x64, rows, 1, 1, labels, 0, NULL, &score) == ZOORANK_OK);
    CHECK(strcmp(zoorank_last_error(), "") == 0);
}

static int give_up(double done, void* calls) {
    CHECK(done >= 0 && done <= 1);
    return ++*(int*)calls;
}

static int go_on(double done, void* calls) {
    (void)done;
    ++*(int*)calls;
    return 0;
}

/* All of them take far longer than the twentieth of a second after which progress is asked about. */
enum { many = 200000, some = 8000, features = 64 };
static float points[many * features];
static int64_t classes[many];
static double many_samples[many];

static zoorank_status score_points(int64_t n, zoorank_progress progress, int* calls) {
    zoorank_options options = options_with(1);
    options.progress = progress;
    options.user_data = calls;
    return zoorank_silhouette_samples_f32(points, n, features, features, classes, ZOORANK_EUCLIDEAN, &options,
                                          many_samples);
}

static void test_progress_and_cancellation(void) {
    int i, calls = 0;
    for (i = 0; i < many * features; ++i) points[i] = (float)((i * 7919LL) % 1009);
    for (i = 0; i < many; ++i) classes[i] = i % 5;
    CHECK(score_points(some, go_on, &calls) == ZOORANK_OK);
    calls = 0;
    CHECK(score_points(many, give_up, &calls) == ZOORANK_CANCELLED);
    CHECK(calls == 1);
    CHECK(strcmp(zoorank_last_error(), "cancelled") == 0);
}

static void test_names_and_build(void) {
    zoorank_build_info info;
    zoorank_metric metric = -1;
    CHECK(zoorank_parse_metric("cosine", &metric) == ZOORANK_OK && metric == ZOORANK_COSINE);
    CHECK(zoorank_parse_metric("precomputed", &metric) == ZOORANK_OK && metric == ZOORANK_PRECOMPUTED);
    CHECK(refused(zoorank_parse_metric("cosin", &metric), "manhattan"));
    CHECK(refused(zoorank_parse_metric(NULL, &metric), "name is null"));
    CHECK(strcmp(zoorank_version(), ZOORANK_VERSION) == 0);
    info.struct_size = sizeof info;
    CHECK(zoorank_get_build_info(&info) == ZOORANK_OK);
    CHECK(strcmp(info.version, ZOORANK_VERSION) == 0);
    CHECK(strstr(info.supported_instruction_sets, info.instruction_set) != NULL);
    CHECK(info.threads >= 1);
    info.struct_size = 1;
    CHECK(refused(zoorank_get_build_info(&info), "sizeof(zoorank_build_info)"));
}

int main(void) {
    /* With an instruction set that this processor lacks, no call can work: say why, once. */
    zoorank_build_info info;
    info.struct_size = sizeof info;
    if (zoorank_get_build_info(&info) != ZOORANK_OK) {
        printf("%s\n", zoorank_last_error());
        return 1;
    }
    test_samples_and_scores();
    test_strides_are_honoured();
    test_batch();
    test_distances();
    test_mistakes_are_named();
    test_progress_and_cancellation();
    test_names_and_build();
    printf("%d failures\n", failures);
    return failures != 0;
}
