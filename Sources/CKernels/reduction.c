#include "include/CKernels.h"
#include "vector.h"

CK_CLONES
void ck_row_sums(const float *x, float *y, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) y[r] = sum_of(x + r * columns, columns);
}

CK_CLONES
void ck_column_sums(const float *x, float *y, ptrdiff_t rows, ptrdiff_t columns) {
  memset(y, 0, (size_t)columns * sizeof *y);
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) y[c] += x[r * columns + c];
}

double ck_sum(const float *x, ptrdiff_t n) {
  double lanes[4] = {0};
  ptrdiff_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int j = 0; j < 4; j++) lanes[j] += x[i + j];
  double total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  for (; i < n; i++) total += x[i];
  return total;
}

double ck_dot(const float *x, const float *y, ptrdiff_t n) {
  double lanes[4] = {0};
  ptrdiff_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int j = 0; j < 4; j++) lanes[j] += (double)x[i + j] * y[i + j];
  double total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  for (; i < n; i++) total += (double)x[i] * y[i];
  return total;
}

double ck_sum_of_squares(const float *x, ptrdiff_t n) { return ck_dot(x, x, n); }

CK_INLINE void moments(const float *x, ptrdiff_t n, float *mean, float *variance) {
  float m = sum_of(x, n) / (float)n;
  v8 total = {0}, a;
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8) {
    V8_LOAD(a, x + i);
    a -= m;
    total += a * a;
  }
  float sum = V8_SUM(total);
  for (; i < n; i++) sum += (x[i] - m) * (x[i] - m);
  *mean = m;
  *variance = sum / (float)n;
}

CK_CLONES
void ck_layer_norm(const float *x, const float *weight, const float *bias, float epsilon, float *y,
                   ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, y += columns) {
    float mean, variance;
    moments(x, columns, &mean, &variance);
    float scale = 1.0f / sqrtf(variance + epsilon);
    if (weight && bias)
      for (ptrdiff_t c = 0; c < columns; c++) y[c] = (x[c] - mean) * scale * weight[c] + bias[c];
    else if (weight)
      for (ptrdiff_t c = 0; c < columns; c++) y[c] = (x[c] - mean) * scale * weight[c];
    else
      for (ptrdiff_t c = 0; c < columns; c++) y[c] = (x[c] - mean) * scale;
  }
}

CK_CLONES
void ck_layer_norm_gradient(const float *x, const float *weight, const float *dy, float epsilon,
                            float *dx, float *dweight, float *dbias, ptrdiff_t rows,
                            ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns) {
    float mean, variance;
    moments(x, columns, &mean, &variance);
    float scale = 1.0f / sqrtf(variance + epsilon);
    if (dbias)
      for (ptrdiff_t c = 0; c < columns; c++) dbias[c] += dy[c];
    if (dweight)
      for (ptrdiff_t c = 0; c < columns; c++) dweight[c] += dy[c] * (x[c] - mean) * scale;
    // dx = scale * (g - mean(g) - n * mean(g * n)), g = dy * weight, n the normalised x.
    for (ptrdiff_t c = 0; c < columns; c++) dx[c] = weight ? dy[c] * weight[c] : dy[c];
    float g_mean = sum_of(dx, columns) / (float)columns;
    v8 total = {0}, a, g;
    ptrdiff_t i = 0;
    for (; i + 8 <= columns; i += 8) {
      V8_LOAD(a, x + i);
      V8_LOAD(g, dx + i);
      total += g * (a - mean);
    }
    float gn = V8_SUM(total);
    for (; i < columns; i++) gn += dx[i] * (x[i] - mean);
    gn *= scale * scale / (float)columns;
    for (ptrdiff_t c = 0; c < columns; c++)
      dx[c] = scale * (dx[c] - g_mean - (x[c] - mean) * gn);
  }
}

CK_CLONES
void ck_scatter_add_rows(const float *x, const int32_t *index, float *y, ptrdiff_t rows,
                         ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    if (index[r] < 0) continue;
    float *target = y + index[r] * columns;
    for (ptrdiff_t c = 0; c < columns; c++) target[c] += x[r * columns + c];
  }
}
