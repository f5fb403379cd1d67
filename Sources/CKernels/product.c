// Matrix products over weights packed into panels; see include/CKernels.h.
#include <stdlib.h>

#include "include/CKernels.h"
#include "vector.h"

// Floats of k that are worked on at a time: a panel of them stays in the second-level cache.
#define DEPTH 256
#define TILE_MOST 14
// Of so few tiles reading the weights takes the longest.
#define FEW_TILES 2

typedef struct {
  int rows;
  void (*f32)(int, const float *, const void *, const char *, ptrdiff_t, ptrdiff_t, float *, ptrdiff_t, int);
  void (*bf16)(int, const float *, const void *, const char *, ptrdiff_t, ptrdiff_t, float *, ptrdiff_t, int);
  void (*int8)(int, const float *, const void *, const char *, ptrdiff_t, ptrdiff_t, float *, ptrdiff_t, int);
  void (*expand)(int, const void *, float *, ptrdiff_t);
} Kernels;

#define KERNELS(SUFFIX, R) \
  static const Kernels kernels_##SUFFIX = {R, panel_f32_##SUFFIX, panel_bf16_##SUFFIX, panel_int8_##SUFFIX, expand_##SUFFIX};

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#define NAME(x) x##_v4
#define LANES 16
#define ROWS 14
#include "product_body.h"
#undef NAME
#undef LANES
#undef ROWS
#pragma clang attribute pop
KERNELS(v4, 14)

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define NAME(x) x##_v3
#define LANES 8
#define ROWS 6
#include "product_body.h"
#undef NAME
#undef LANES
#undef ROWS
#pragma clang attribute pop
KERNELS(v3, 6)
#endif

#define NAME(x) x##_plain
#define LANES 4
#define ROWS 6
#include "product_body.h"
#undef NAME
#undef LANES
#undef ROWS
KERNELS(plain, 6)

static const Kernels *kernels(int level) {
#if defined(__x86_64__)
  if (level >= 3 && ck_has_avx512()) return &kernels_v4;
  if (level >= 2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return &kernels_v3;
#endif
  return &kernels_plain;
}

int ck_tile_rows(void) { return kernels(CK_ALL_INSTRUCTIONS)->rows; }

// MARK: Packing

ptrdiff_t ck_panel_count(ptrdiff_t n) { return (n + CK_PANEL - 1) / CK_PANEL; }

// A panel from rows of w: columns become rows, eight by eight.
CK_CLONES
static void pack_transposed(const float *w, ptrdiff_t stride, ptrdiff_t columns, ptrdiff_t k,
                            float *panel) {
  if (columns < CK_PANEL) memset(panel, 0, (size_t)(k * CK_PANEL) * sizeof *panel);
  ptrdiff_t i = 0;
  for (; i + 8 <= k; i += 8) {
    ptrdiff_t j = 0;
    for (; j + 8 <= columns; j += 8) {
      v8 r[8];
      for (int q = 0; q < 8; q++) V8_LOAD(r[q], w + (j + q) * stride + i);
      TRANSPOSE8(r);
      for (int q = 0; q < 8; q++) V8_STORE(panel + (i + q) * CK_PANEL + j, r[q]);
    }
    for (; j < columns; j++)
      for (int q = 0; q < 8; q++) panel[(i + q) * CK_PANEL + j] = w[j * stride + i + q];
  }
  for (; i < k; i++)
    for (ptrdiff_t j = 0; j < columns; j++) panel[i * CK_PANEL + j] = w[j * stride + i];
}

void ck_pack_panels(const float *w, ptrdiff_t n_stride, ptrdiff_t k_stride, ptrdiff_t first,
                    ptrdiff_t count, ptrdiff_t n, ptrdiff_t k, float *panels) {
  for (ptrdiff_t p = first; p < first + count; p++) {
    ptrdiff_t column = p * CK_PANEL, columns = n - column < CK_PANEL ? n - column : CK_PANEL;
    float *panel = panels + p * k * CK_PANEL;
    const float *source = w + column * n_stride;
    if (k_stride == 1) {
      pack_transposed(source, n_stride, columns, k, panel);
      continue;
    }
    for (ptrdiff_t i = 0; i < k; i++, panel += CK_PANEL) {
      for (ptrdiff_t j = 0; j < columns; j++) panel[j] = source[i * k_stride + j * n_stride];
      for (ptrdiff_t j = columns; j < CK_PANEL; j++) panel[j] = 0;
    }
  }
}

void ck_float_to_bf16(const float *x, uint16_t *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    // To nearest, ties to even; a NaN stays one.
    y[i] = (bits & 0x7fffffff) > 0x7f800000
      ? (uint16_t)(bits >> 16 | 0x40) : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

void ck_panel_to_int8(const float *panel, ptrdiff_t k, int8_t *bytes, float *scales) {
  float top[CK_PANEL] = {0}, inverse[CK_PANEL];
  for (ptrdiff_t i = 0; i < k; i++)
    for (int j = 0; j < CK_PANEL; j++) {
      float size = fabsf(panel[i * CK_PANEL + j]);
      top[j] = size > top[j] ? size : top[j];
    }
  for (int j = 0; j < CK_PANEL; j++) {
    scales[j] = top[j] / 127.0f;
    inverse[j] = top[j] > 0 ? 127.0f / top[j] : 0;
  }
  for (ptrdiff_t i = 0; i < k; i++)
    for (int j = 0; j < CK_PANEL; j++)
      bytes[i * CK_PANEL + j] = (int8_t)lrintf(panel[i * CK_PANEL + j] * inverse[j]);
}

// MARK: Products

// a[k][rows] from x[row][k] of any strides; up to 8 floats behind the last are overwritten.
CK_CLONES
static void pack_rows(const float *x, ptrdiff_t row_stride, ptrdiff_t k_stride, int rows,
                      ptrdiff_t k, float *a) {
  ptrdiff_t i = 0;
  if (rows == 1 && k_stride == 1) {
    memcpy(a, x, (size_t)k * sizeof *a);
    return;
  }
  if (k_stride == 1 && rows >= 4)
    for (; i + 8 <= k; i += 8) {
      v8 low[8], high[8];
      for (int r = 0; r < 8; r++) V8_LOAD(low[r], x + (r < rows ? r : 0) * row_stride + i);
      TRANSPOSE8(low);
      if (rows <= 8) {
        for (int d = 0; d < 8; d++) V8_STORE(a + (i + d) * rows, low[d]);
        continue;
      }
      for (int r = 0; r < 8; r++) V8_LOAD(high[r], x + (8 + r < rows ? 8 + r : 0) * row_stride + i);
      TRANSPOSE8(high);
      // In this order: what one store writes too much the next one mends.
      for (int d = 0; d < 8; d++) {
        V8_STORE(a + (i + d) * rows, low[d]);
        V8_STORE(a + (i + d) * rows + 8, high[d]);
      }
    }
  for (; i < k; i++)
    for (int r = 0; r < rows; r++) a[i * rows + r] = x[r * row_stride + i * k_stride];
}

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

// Scale, bias, for the finished columns of a tile.
CK_CLONES
static void finish(float *y, ptrdiff_t stride, int rows, ptrdiff_t columns, const float *scales,
                   const float *bias) {
  for (int r = 0; r < rows; r++, y += stride) {
    if (scales)
      for (ptrdiff_t j = 0; j < columns; j++) y[j] *= scales[j];
    if (bias)
      for (ptrdiff_t j = 0; j < columns; j++) y[j] += bias[j];
  }
}

ptrdiff_t ck_product_room(ptrdiff_t m, ptrdiff_t k) {
  ptrdiff_t depth = m <= FEW_TILES * TILE_MOST ? k : least(k, DEPTH);
  return (m + TILE_MOST) * depth + 8 + depth * CK_PANEL + TILE_MOST * CK_PANEL;
}

void ck_product(int instructions, const float *x, ptrdiff_t x_stride, ptrdiff_t x_k_stride,
                ptrdiff_t m, int format, const void *panels, const float *scales, const float *bias,
                float *y, ptrdiff_t y_stride, ptrdiff_t first_panel, ptrdiff_t panel_count,
                ptrdiff_t n, ptrdiff_t k, float *room) {
  const Kernels *kernel = kernels(instructions);
  const int most = kernel->rows;
  const ptrdiff_t size = format == CK_F32 ? 4 : format == CK_BF16 ? 2 : 1;
  // Few rows: weights are read straight through, as fast as they come.
  const ptrdiff_t depth = m <= FEW_TILES * most ? k : least(k, DEPTH);
  const ptrdiff_t tiles = (m + most - 1) / most;
  // Tiles of about the same height: a low one would wait for its own sums.
  const ptrdiff_t height = (m + tiles - 1) / tiles;
  float *a = room, *expanded = a + tiles * height * depth + 8, *edge = expanded + depth * CK_PANEL;
  const int expands = tiles > 2 && format != CK_F32;
  for (ptrdiff_t start = 0; start < k; start += depth) {
    const ptrdiff_t d = least(depth, k - start);
    for (ptrdiff_t t = 0; t < tiles; t++)
      pack_rows(x + t * height * x_stride + start * x_k_stride, x_stride, x_k_stride,
                (int)least(height, m - t * height), d, a + t * height * depth);
    for (ptrdiff_t p = first_panel; p < first_panel + panel_count; p++) {
      const ptrdiff_t column = p * CK_PANEL, columns = least(CK_PANEL, n - column);
      const void *b = (const char *)panels + (p * k + start) * CK_PANEL * size;
      if (expands) {
        kernel->expand(format, b, expanded, d * CK_PANEL);
        b = expanded;
      }
      for (ptrdiff_t t = 0; t < tiles; t++) {
        const int rows = (int)least(height, m - t * height);
        if (rows <= 0) break;
        // Meanwhile the next panel comes to the second-level cache, by halves where two tiles share it.
        const ptrdiff_t line = CK_PANEL * size, share = tiles > 1 && line > 64 ? line / 2 : line;
        const char *ahead = (const char *)panels + ((p + 1) * k + start) * line + t * share;
        const ptrdiff_t width = (t + 1) * share <= line ? share : 0;
        float *target = y + t * height * y_stride + column;
        const int isWhole = columns == CK_PANEL;
        float *c = isWhole ? target : edge;
        const ptrdiff_t stride = isWhole ? y_stride : CK_PANEL;
        if (!isWhole && start > 0)
          for (int r = 0; r < rows; r++)
            memcpy(edge + r * CK_PANEL, target + r * y_stride, (size_t)columns * sizeof *edge);
        if (format == CK_F32 || expands)
          kernel->f32(rows, a + t * height * depth, b, ahead, width, d, c, stride, start > 0);
        else if (format == CK_BF16)
          kernel->bf16(rows, a + t * height * depth, b, ahead, width, d, c, stride, start > 0);
        else
          kernel->int8(rows, a + t * height * depth, b, ahead, width, d, c, stride, start > 0);
        if (!isWhole)
          for (int r = 0; r < rows; r++)
            memcpy(target + r * y_stride, edge + r * CK_PANEL, (size_t)columns * sizeof *edge);
        if (start + d == k && (scales || bias))
          finish(target, y_stride, rows, columns, scales ? scales + column : NULL,
                 bias ? bias + column : NULL);
      }
    }
  }
}
