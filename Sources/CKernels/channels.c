// Channels of matrices x[rows][columns]: statistics for norms, and maps that differ from channel to channel.
#include "include/CKernels.h"
#include "vector.h"

#define EACH _Pragma("clang loop vectorize(assume_safety)") for (ptrdiff_t j = 0; j < columns; j++)

CK_CLONES
void ck_channel_moments(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *mean, float *deviations) {
  EACH mean[j] = deviations[j] = 0;
  for (ptrdiff_t r = 0; r < rows; r++) EACH mean[j] += x[r * columns + j];
  const float share = 1.0f / (float)rows;
  EACH mean[j] *= share;
  for (ptrdiff_t r = 0; r < rows; r++) EACH {
    float d = x[r * columns + j] - mean[j];
    deviations[j] += d * d;
  }
}

CK_CLONES
void ck_channel_products(const float *x, const float *y, ptrdiff_t rows, ptrdiff_t columns, float *sums,
                         float *products) {
  EACH sums[j] = products[j] = 0;
  for (ptrdiff_t r = 0; r < rows; r++) EACH {
    sums[j] += y[r * columns + j];
    products[j] += y[r * columns + j] * x[r * columns + j];
  }
}

CK_CLONES
static void map_plain(const float *x, const float *scale, const float *shift, float *y, ptrdiff_t rows,
                      ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) EACH y[r * columns + j] = x[r * columns + j] * scale[j] + shift[j];
}

CK_CLONES
static void map_gelu(const float *x, const float *scale, const float *shift, float *y, ptrdiff_t rows,
                     ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) EACH
    y[r * columns + j] = ck_exact_gelu(x[r * columns + j] * scale[j] + shift[j]);
}

void ck_channel_map(int with_gelu, const float *x, const float *scale, const float *shift, float *y,
                    ptrdiff_t rows, ptrdiff_t columns) {
  (with_gelu ? map_gelu : map_plain)(x, scale, shift, y, rows, columns);
}

CK_CLONES
void ck_channel_combination(const float *x, const float *a, const float *y, const float *b, const float *c,
                            float *z, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) EACH
    z[r * columns + j] = x[r * columns + j] * a[j] + y[r * columns + j] * b[j] + c[j];
}

CK_CLONES
void ck_gate(const float *x, ptrdiff_t tanh_first, ptrdiff_t sigmoid_first, float *y, ptrdiff_t rows,
             ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *p = x + r * 2 * columns + tanh_first, *q = x + r * 2 * columns + sigmoid_first;
    EACH y[r * columns + j] = ck_tanh(p[j]) * ck_sigmoid(q[j]);
  }
}

CK_CLONES
void ck_gate_gradient(const float *x, ptrdiff_t tanh_first, ptrdiff_t sigmoid_first, const float *dy,
                      float *dx, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *p = x + r * 2 * columns + tanh_first, *q = x + r * 2 * columns + sigmoid_first;
    float *dp = dx + r * 2 * columns + tanh_first, *dq = dx + r * 2 * columns + sigmoid_first;
    EACH {
      float t = ck_tanh(p[j]), s = ck_sigmoid(q[j]), g = dy[r * columns + j];
      dp[j] = g * s * (1.0f - t * t);
      dq[j] = g * t * s * (1.0f - s);
    }
  }
}
