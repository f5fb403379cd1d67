// Matrix products over weights packed into panels; see include/CKernels.h.
#include <stdlib.h>

#include "include/CKernels.h"
#include "product_int8.h"
#include "vector.h"

// Floats of k that are worked on at a time: a panel of them stays in the second-level cache.
#define DEPTH 256
#define TILE_MOST 14
// Of so few tiles reading the weights takes the longest.
#define FEW_TILES 2

typedef void Panel(int rows, const void *a, const char *panel, const char *ahead, ptrdiff_t width,
                   ptrdiff_t k, float *c, ptrdiff_t c_stride, int resume);
typedef struct {
  int rows;
  Panel *f32, *bf16;
  void (*column_f32)(int, const float *, const float *, ptrdiff_t, float *, ptrdiff_t, int);
  // For bfloat16, where activations are to be in pairs too, and what makes them so; or NULL.
  Panel *dots;
  void (*pair_rows)(float *, int, ptrdiff_t);
} Kernels;

#define KERNELS(SUFFIX, R) \
  static const Kernels kernels_##SUFFIX = { \
    R, panel_f32_##SUFFIX, panel_bf16_##SUFFIX, column_f32_##SUFFIX, NULL, NULL};

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#define NAME(x) x##_v4
#define LANES 16
#define ROWS 14
#include "product_body.h"
#undef NAME
#pragma clang attribute pop
KERNELS(v4, 14)

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma"))), apply_to = function)
#define NAME(x) x##_v4b
#define DOTS
#include "product_body.h"
#undef DOTS
#undef NAME
#undef LANES
#undef ROWS
#pragma clang attribute pop
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

// a[k][rows] as pairs along k: [k / 2][rows], in place; a row of zeros stands behind an odd k.
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
static void pair_rows(float *a, int rows, ptrdiff_t k) {
  const __mmask16 these = (__mmask16)((1u << rows) - 1);
  for (ptrdiff_t i = 0; i < k; i += 2) {
    const __m256bh even = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(these, a + i * rows));
    const __m256bh odd = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(these, a + (i + 1) * rows));
    const __m512i pairs = _mm512_or_si512(
      _mm512_cvtepu16_epi32((__m256i)even), _mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)odd), 16));
    _mm512_mask_storeu_epi32(a + i / 2 * rows, these, pairs);
  }
}

static const Kernels kernels_v4b = {
  14, panel_f32_v4, panel_bf16_v4, column_f32_v4, panel_dots_v4b, pair_rows};

// Products of bfloat16 pairs that are faster than those of floats. Intel's are not: there they are
// made twice as slowly (Sapphire Rapids, measured).
static int has_fast_dots(void) {
  // Asking takes long in a virtual machine.
  static int answer = -1;
  int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
  if (known < 0) {
    unsigned a, b, c, d;
    known = __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx &&
            __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & bit_AVX512BF16;
    __atomic_store_n(&answer, known, __ATOMIC_RELAXED);
  }
  return known;
}
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
  if (level >= CK_ALL_INSTRUCTIONS && ck_has_avx512() && has_fast_dots()) return &kernels_v4b;
  if (level >= CK_AVX512 && ck_has_avx512()) return &kernels_v4;
  if (level >= CK_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
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

// To nearest, ties to even; a NaN stays one.
CK_INLINE uint32_t bf16_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40
                                          : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

CK_CLONES
void ck_panel_to_bf16(const float *panel, ptrdiff_t k, uint32_t *pairs) {
  for (ptrdiff_t i = 0; i < k; i += 2, panel += 2 * CK_PANEL, pairs += CK_PANEL)
    for (int j = 0; j < CK_PANEL; j++)
      pairs[j] = bf16_of(panel[j]) | (i + 1 < k ? bf16_of(panel[CK_PANEL + j]) << 16 : 0);
}

// MARK: Products

// a[k][rows] from x[row][k]; up to 8 floats behind the last are overwritten.
CK_CLONES
static void pack_rows(const float *const *x, ptrdiff_t k_stride, int rows, ptrdiff_t k, float *a) {
  ptrdiff_t i = 0;
  if (rows == 1 && k_stride == 1) {
    memcpy(a, x[0], (size_t)k * sizeof *a);
    return;
  }
  if (k_stride == 1 && rows >= 4)
    for (; i + 8 <= k; i += 8) {
      v8 low[8], high[8];
      for (int r = 0; r < 8; r++) V8_LOAD(low[r], x[r < rows ? r : 0] + i);
      TRANSPOSE8(low);
      if (rows <= 8) {
        for (int d = 0; d < 8; d++) V8_STORE(a + (i + d) * rows, low[d]);
        continue;
      }
      for (int r = 0; r < 8; r++) V8_LOAD(high[r], x[8 + r < rows ? 8 + r : 0] + i);
      TRANSPOSE8(high);
      // In this order: what one store writes too much the next one mends.
      for (int d = 0; d < 8; d++) {
        V8_STORE(a + (i + d) * rows, low[d]);
        V8_STORE(a + (i + d) * rows + 8, high[d]);
      }
    }
  // Rows of a transposed matrix lie beside each other.
  if (k_stride != 1 && x[rows - 1] == x[0] + rows - 1) {
    for (; i < k; i++) memcpy(a + i * rows, x[0] + i * k_stride, (size_t)rows * sizeof *a);
    return;
  }
  for (; i < k; i++)
    for (int r = 0; r < rows; r++) a[i * rows + r] = x[r][i * k_stride];
}

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

// Elements start ..< start + k of some rows, packed.
static void pack_tile(const float *x, const ck_rows *places, ptrdiff_t first, int rows, ptrdiff_t start,
                      ptrdiff_t k, float *a) {
  const float *from[TILE_MOST], *row[TILE_MOST];
  for (int r = 0; r < rows; r++) row[r] = x + ck_row_place(places, first + r);
  for (ptrdiff_t i = start; i < start + k;) {
    ptrdiff_t within = i, segment = 0, count = start + k - i;
    if (places->segments) {
      within = i % places->length;
      segment = places->segments[i / places->length];
      count = least(count, places->length - within);
    }
    for (int r = 0; r < rows; r++) from[r] = row[r] + segment + within * places->k_stride;
    pack_rows(from, places->k_stride, rows, count, a + (i - start) * rows);
    i += count;
  }
}

// Floats rounded to bfloat16.
CK_CLONES
static void round_floats(float *a, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    uint32_t bits = bf16_of(a[i]) << 16;
    memcpy(a + i, &bits, 4);
  }
}

// Bias, for the finished columns of a tile.
CK_CLONES
static void add_bias(float *y, ptrdiff_t stride, int rows, ptrdiff_t columns, const float *bias) {
  for (int r = 0; r < rows; r++, y += stride)
    for (ptrdiff_t j = 0; j < columns; j++) y[j] += bias[j];
}

ptrdiff_t ck_product_room(int format, ptrdiff_t m, ptrdiff_t k) {
  if (format == CK_INT8) return ck_int8_room(m, k);
  ptrdiff_t depth = 1 + (m <= FEW_TILES * TILE_MOST ? k : least(k, DEPTH));
  return (m + TILE_MOST) * depth + 16 + TILE_MOST * CK_PANEL;
}

ptrdiff_t ck_panel_bytes(int format, ptrdiff_t k) {
  return format == CK_INT8 ? ck_int8_panel_bytes(k) : 4 * CK_PANEL * (format == CK_F32 ? k : (k + 1) / 2);
}

void ck_product(int instructions, const float *x, const ck_rows *places, ptrdiff_t first_row,
                ptrdiff_t m, int format, const void *panels, const float *scales, const float *bias,
                float *y, ptrdiff_t y_stride, ptrdiff_t first_panel, ptrdiff_t panel_count,
                ptrdiff_t n, ptrdiff_t k, float *room) {
  if (format == CK_INT8) {
    ck_product_int8(instructions, x, places, first_row, m, panels, scales, bias, y, y_stride,
                    first_panel, panel_count, n, k, room);
    return;
  }
  const Kernels *kernel = kernels(instructions);
  const int most = kernel->rows;
  const int takes_pairs = format == CK_BF16 && kernel->dots;
  Panel *multiply = format == CK_F32 ? kernel->f32 : takes_pairs ? kernel->dots : kernel->bf16;
  // Bytes of a row of a panel, or of two in pairs.
  const ptrdiff_t line = 4 * CK_PANEL;
  const ptrdiff_t panel_bytes = ck_panel_bytes(format, k);
  // Few rows: weights are read straight through, as fast as they come.
  const ptrdiff_t depth = m <= FEW_TILES * most ? k : least(k, DEPTH);
  const ptrdiff_t tiles = (m + most - 1) / most;
  // Tiles of about the same height: a low one would wait for its own sums.
  const ptrdiff_t height = (m + tiles - 1) / tiles, tile_size = height * (depth + 1);
  float *a = room, *edge = a + tiles * tile_size + 16;
  for (ptrdiff_t start = 0; start < k; start += depth) {
    const ptrdiff_t d = least(depth, k - start);
    const ptrdiff_t offset = format == CK_BF16 ? start / 2 * line : start * line;
    for (ptrdiff_t t = 0; t < tiles; t++) {
      const int rows = (int)least(height, m - t * height);
      if (rows <= 0) break;
      float *tile = a + t * tile_size;
      pack_tile(x, places, first_row + t * height, rows, start, d, tile);
      if (d % 2) memset(tile + d * rows, 0, (size_t)rows * sizeof *tile);
      if (takes_pairs)
        kernel->pair_rows(tile, rows, d);
      else if (format != CK_F32)
        round_floats(tile, d * rows);
    }
    for (ptrdiff_t p = first_panel; p < first_panel + panel_count; p++) {
      const ptrdiff_t column = p * CK_PANEL, columns = least(CK_PANEL, n - column);
      const char *b = (const char *)panels + p * panel_bytes + offset;
      const char *next = b + panel_bytes;
      for (ptrdiff_t t = 0; t < tiles; t++) {
        const int rows = (int)least(height, m - t * height);
        if (rows <= 0) break;
        // Meanwhile the next panel comes to the second-level cache, by halves where two tiles share it.
        const ptrdiff_t share = tiles > 1 ? line / 2 : line;
        const ptrdiff_t width = (t + 1) * share <= line ? share : 0;
        float *target = y + t * height * y_stride + column;
        if (columns == 1 && format == CK_F32) {
          kernel->column_f32(rows, a + t * tile_size, (const float *)b, d, target, y_stride, start > 0);
          if (start + d == k && bias) add_bias(target, y_stride, rows, 1, bias + column);
          continue;
        }
        const int isWhole = columns == CK_PANEL;
        float *c = isWhole ? target : edge;
        const ptrdiff_t stride = isWhole ? y_stride : CK_PANEL;
        if (!isWhole && start > 0)
          for (int r = 0; r < rows; r++)
            memcpy(edge + r * CK_PANEL, target + r * y_stride, (size_t)columns * sizeof *edge);
        multiply(rows, a + t * tile_size, b, next + t * share, width, d, c, stride, start > 0);
        if (!isWhole)
          for (int r = 0; r < rows; r++)
            memcpy(target + r * y_stride, edge + r * CK_PANEL, (size_t)columns * sizeof *edge);
        if (start + d == k && bias) add_bias(target, y_stride, rows, columns, bias + column);
      }
    }
  }
}
