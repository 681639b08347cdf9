/* Six points of two classes, scored by zoorank from C. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zoorank/zoorank.h>

/* Called about twenty times a second while a call runs; anything but 0 abandons it. */
static int show(double done, void* name) {
    printf("%s: %.0f %%\n", (const char*)name, 100 * done);
    return 0;
}

/* consumer_c [VERSION]: fails if it is linked with another one. */
int main(int argc, char** argv) {
    const float x[6] = {0, 1, 2, 10, 11, 12}; /* 6 rows of 1 feature */
    const int64_t labels[6] = {7, 7, 7, -1, -1, -1};
    const double expected = (9.5 / 11 + 9.0 / 10 + 7.5 / 9) / 3;
    double score = 0;

    zoorank_options options = {0};
    options.struct_size = sizeof options;
    options.threads = 2;
    options.progress = show;
    options.user_data = "score";

    if (zoorank_silhouette_score_f32(x, 6, 1, 1, labels, ZOORANK_EUCLIDEAN, &options, &score) != ZOORANK_OK) {
        fprintf(stderr, "zoorank: %s\n", zoorank_last_error());
        return 1;
    }
    printf("zoorank %s: silhouette score %f\n", zoorank_version(), score);
    if (argc > 1 && strcmp(zoorank_version(), argv[1]) != 0) return 1;
    return fabs(score - expected) < 5e-6 ? 0 : 1;
}
