#include "include/CKernels.h"
#include "vector.h"

// The dot products of ROWS rows of x with COLUMNS rows of w. One vector accumulator an output, in
// every block shape, so that a row's result does not depend on the rows beside it.
#define BLOCK(ROWS, COLUMNS)                                                          \
  CK_INLINE void block_##ROWS##x##COLUMNS(const float *x, ptrdiff_t xs, const float *w, \
                                          const float *bias, float *y, ptrdiff_t ys,  \
                                          ptrdiff_t k) {                              \
    v8 sum[ROWS][COLUMNS];                                                            \
    memset(sum, 0, sizeof sum);                                                       \
    ptrdiff_t i = 0;                                                                  \
    for (; i + 8 <= k; i += 8) {                                                      \
      v8 a[ROWS], b;                                                                  \
      for (int r = 0; r < ROWS; r++) V8_LOAD(a[r], x + r * xs + i);                   \
      for (int c = 0; c < COLUMNS; c++) {                                             \
        V8_LOAD(b, w + c * k + i);                                                    \
        for (int r = 0; r < ROWS; r++) sum[r][c] += a[r] * b;                         \
      }                                                                               \
    }                                                                                 \
    for (int r = 0; r < ROWS; r++)                                                    \
      for (int c = 0; c < COLUMNS; c++) {                                             \
        float total = V8_SUM(sum[r][c]);                                              \
        for (ptrdiff_t j = i; j < k; j++) total += x[r * xs + j] * w[c * k + j];      \
        y[r * ys + c] = bias ? total + bias[c] : total;                               \
      }                                                                               \
  }
BLOCK(4, 2)
BLOCK(4, 1)
BLOCK(1, 8)
BLOCK(1, 1)

CK_CLONES
void ck_few_row_product(const float *x, ptrdiff_t xs, const float *w, const float *bias, float *y,
                        ptrdiff_t ys, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
  ptrdiff_t c = 0;
  if (m >= 4) {
    for (; c + 2 <= n; c += 2) {
      const float *b = bias ? bias + c : NULL;
      ptrdiff_t r = 0;
      for (; r + 4 <= m; r += 4) block_4x2(x + r * xs, xs, w + c * k, b, y + r * ys + c, ys, k);
      for (; r < m; r++)
        for (int j = 0; j < 2; j++)
          block_1x1(x + r * xs, xs, w + (c + j) * k, b ? b + j : NULL, y + r * ys + c + j, ys, k);
    }
    for (; c < n; c++) {
      const float *b = bias ? bias + c : NULL;
      ptrdiff_t r = 0;
      for (; r + 4 <= m; r += 4) block_4x1(x + r * xs, xs, w + c * k, b, y + r * ys + c, ys, k);
      for (; r < m; r++) block_1x1(x + r * xs, xs, w + c * k, b, y + r * ys + c, ys, k);
    }
    return;
  }
  for (; c + 8 <= n; c += 8)
    for (ptrdiff_t r = 0; r < m; r++)
      block_1x8(x + r * xs, xs, w + c * k, bias ? bias + c : NULL, y + r * ys + c, ys, k);
  for (; c < n; c++)
    for (ptrdiff_t r = 0; r < m; r++)
      block_1x1(x + r * xs, xs, w + c * k, bias ? bias + c : NULL, y + r * ys + c, ys, k);
}
