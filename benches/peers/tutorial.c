/*
 * The tutorial's network in plain C: the loops a careful programmer writes for a compiler to vectorise, without
 * intrinsics and without a library. Filters are innermost, so eight of them are a vector; the pooling is done on the
 * convolution's four pixels of a window; the gradient of the dense layer and its update are one pass.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIDE = 28, FILTERS = 8, TAPS = 9, ACROSS = 13, WINDOWS = ACROSS * ACROSS, FLAT = WINDOWS * FILTERS, CLASSES = 10 };
/* A loop over the filters is one vector: unrolled before it is vectorised, it would become eight scalars. */
#define EACH_FILTER _Pragma("GCC unroll 1") for (int f = 0; f < FILTERS; f++)

enum { IMAGES = 1000 };

static float images[IMAGES][SIDE * SIDE];
static float filters[TAPS][FILTERS], dense[CLASSES][FLAT], bias[CLASSES];
static float pooled[FLAT], largest[FLAT], flow[FLAT];
static float logits[CLASSES];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* The convolution at one pixel. */
static inline void convolve(const float *restrict x, float *restrict y) {
    float sum[FILTERS] = {0};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            EACH_FILTER sum[f] += x[i * SIDE + j] * filters[3 * i + j][f];
    memcpy(y, sum, sizeof sum);
}

static void forward(const float *restrict image) {
    for (int w = 0; w < WINDOWS; w++) {
        const float *x = image + 2 * (w / ACROSS) * SIDE + 2 * (w % ACROSS);
        float y[4][FILTERS];
        for (int pixel = 0; pixel < 4; pixel++) convolve(x + pixel / 2 * SIDE + pixel % 2, y[pixel]);
        float *p = pooled + w * FILTERS, *at = largest + w * FILTERS;
        EACH_FILTER {
            float best = y[0][f], which = 0;
            for (int pixel = 1; pixel < 4; pixel++) {
                which = y[pixel][f] > best ? pixel : which;
                best = y[pixel][f] > best ? y[pixel][f] : best;
            }
            p[f] = best;
            at[f] = which;
        }
    }
    for (int c = 0; c < CLASSES; c++) {
        float sum = 0;
        for (int k = 0; k < FLAT; k++) sum += dense[c][k] * pooled[k];
        logits[c] = sum + bias[c];
    }
}

static float step(const float *restrict image, int label, float rate) {
    forward(image);
    float g[CLASSES], top = logits[0], total = 0;
    for (int c = 1; c < CLASSES; c++) top = fmaxf(top, logits[c]);
    for (int c = 0; c < CLASSES; c++) total += g[c] = expf(logits[c] - top);
    float loss = logf(total) + top - logits[label];
    for (int c = 0; c < CLASSES; c++) g[c] = g[c] / total - (c == label);
    for (int k = 0; k < FLAT; k++) {
        float sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            sum += g[c] * dense[c][k];
            dense[c][k] -= rate * g[c] * pooled[k];
        }
        flow[k] = sum;
    }
    for (int c = 0; c < CLASSES; c++) bias[c] -= rate * g[c];
    float gradient[TAPS][FILTERS] = {{0}};
    for (int w = 0; w < WINDOWS; w++) {
        const float *x = image + 2 * (w / ACROSS) * SIDE + 2 * (w % ACROSS);
        for (int pixel = 0; pixel < 4; pixel++) {
            float dy[FILTERS];
            EACH_FILTER dy[f] = largest[w * FILTERS + f] == pixel ? flow[w * FILTERS + f] : 0;
            for (int t = 0; t < TAPS; t++) {
                float tap = x[(pixel / 2 + t / 3) * SIDE + pixel % 2 + t % 3];
                EACH_FILTER gradient[t][f] += tap * dy[f];
            }
        }
    }
    for (int t = 0; t < TAPS; t++)
        EACH_FILTER filters[t][f] -= rate * gradient[t][f];
    return loss;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static float uniform(void) { return rand() / (float)RAND_MAX - 0.5f; }

int main(int count, char **words) {
    const char *workload = "", *seconds = "", *threads = "1";
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--workload")) workload = words[i + 1];
        if (!strcmp(words[i], "--seconds")) seconds = words[i + 1];
        if (!strcmp(words[i], "--threads")) threads = words[i + 1];
    }
    int train = !strcmp(workload, "tutorial-step");
    if ((!train && strncmp(workload, "infer-tutorial-", 15)) || atof(seconds) <= 0) {
        fprintf(stderr, "usage: tutorial --workload tutorial-step|infer-tutorial-1|infer-tutorial-1000 --seconds S\n");
        return 2;
    }
    for (int n = 0; n < IMAGES; n++)
        for (int p = 0; p < SIDE * SIDE; p++) {
            float distance = hypotf(p / SIDE - 12.5f - n % 3, p % SIDE - 11.5f - n % 5);
            float off = (distance - 5 - n % 4) / 2;
            images[n][p] = fmaxf(0, 1 - off * off);
        }
    for (int t = 0; t < TAPS; t++)
        EACH_FILTER filters[t][f] = uniform();
    for (int c = 0; c < CLASSES; c++)
        for (int k = 0; k < FLAT; k++) dense[c][k] = uniform() / 20;

    /* One figure is over all images; the median of these figures is printed. */
    static double figures[1 << 16];
    int taken = 0;
    float check = 0;
    for (double start = now(); taken < 3 || (taken < 1 << 16 && now() - start < atof(seconds)); taken++) {
        double begin = now();
        for (int n = 0; n < IMAGES; n++) {
            if (train) {
                check = step(images[n], n % CLASSES, 0.005f);
            } else {
                forward(images[n]);
                check += logits[0];
            }
        }
        figures[taken] = (now() - begin) / IMAGES;
    }
    qsort(figures, taken, sizeof *figures, ascending);
    if (!isfinite(check)) return 1;
    printf("{\"peer\": \"c\", \"form\": \"plain loops\", \"name\": \"%s\", \"threads\": %s, \"us_per_sample\": %.6f, "
           "\"versions\": {\"cc\": \"%s\"}}\n",
           workload, threads, figures[taken / 2] * 1e6, __VERSION__);
    return 0;
}
