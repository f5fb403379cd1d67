// Products with weights of bytes, in integers: exact sums, whatever their order, so that every machine
// has the same bits. An activation is an integer of 16 bits, relative to the largest of its row, in two
// bytes, q = 256 high + low; the machine's products are of unsigned by signed bytes, so that 128 is added
// to the high ones and taken off the sum again.
//
// A panel is [k / 4][CK_PANEL][4] bytes, what is missing of the last four being zero; `scales` has for
// each panel CK_PANEL scales, then as many sums of bytes.
#include "include/CKernels.h"
#include "product_int8.h"
#include "vector.h"

#define ROWS_MOST 6

ptrdiff_t ck_int8_panel_bytes(ptrdiff_t k) { return CK_PANEL * 4 * ((k + 3) / 4); }

void ck_panel_to_int8(const float *panel, ptrdiff_t k, int8_t *bytes, float *scales) {
  float top[CK_PANEL] = {0}, inverse[CK_PANEL];
  int32_t sums[CK_PANEL] = {0};
  for (ptrdiff_t i = 0; i < k; i++)
    for (int j = 0; j < CK_PANEL; j++) {
      float size = fabsf(panel[i * CK_PANEL + j]);
      top[j] = size > top[j] ? size : top[j];
    }
  for (int j = 0; j < CK_PANEL; j++) {
    scales[j] = top[j] / 127.0f;
    inverse[j] = top[j] > 0 ? 127.0f / top[j] : 0;
  }
  memset(bytes, 0, (size_t)ck_int8_panel_bytes(k));
  for (ptrdiff_t i = 0; i < k; i++)
    for (int j = 0; j < CK_PANEL; j++) {
      const int8_t byte = (int8_t)lrintf(panel[i * CK_PANEL + j] * inverse[j]);
      bytes[(i / 4 * CK_PANEL + j) * 4 + i % 4] = byte;
      sums[j] += byte;
    }
  for (int j = 0; j < CK_PANEL; j++) scales[CK_PANEL + j] = (float)sums[j];
}

// The unit whose multiples the numbers of a row are rounded to: 32767 of them are the largest. 0 for a row
// of nothing, NaN for one with what is no number.
CK_CLONES
static float unit_of(const float *x, ptrdiff_t k) {
  uint32_t top = 0;
  for (ptrdiff_t i = 0; i < k; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    bits &= 0x7fffffff;
    top = bits > top ? bits : top;
  }
  float largest;
  memcpy(&largest, &top, 4);
  return top < 0x7f800000 ? largest / 32767.0f : NAN;
}

// The multiples in two bytes each; what is behind the last to a whole number of fours is zero.
CK_CLONES
static void quantize(const float *x, ptrdiff_t k, float unit, uint8_t *high, uint8_t *low) {
  // A row of denormals has no finite scale, and one that is no number no other.
  const float inverse = 1 / unit, scale = inverse < INFINITY ? inverse : 0;
  for (ptrdiff_t i = k; i % 4; i++) high[i] = 128, low[i] = 0;
  if (scale == 0) {
    memset(high, 128, (size_t)k);
    memset(low, 0, (size_t)k);
    return;
  }
  for (ptrdiff_t i = 0; i < k; i++) {
    // To the nearest integer, which then stands in the low bits.
    const float scaled = x[i] * scale;
    const float shifted = scaled + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    high[i] = (uint8_t)((bits >> 8) + 128);
    low[i] = (uint8_t)bits;
  }
}

// sums[rows][2][CK_PANEL]: of the high and of the low bytes. a: [quads][rows][2].
typedef void Tile(int rows, const uint32_t *a, const int8_t *panel, ptrdiff_t quads, int32_t *sums);

static void tile_plain(int rows, const uint32_t *a, const int8_t *b, ptrdiff_t quads, int32_t *sums) {
  memset(sums, 0, (size_t)rows * 2 * CK_PANEL * sizeof *sums);
  for (ptrdiff_t i = 0; i < quads; i++, a += 2 * rows, b += 4 * CK_PANEL)
    for (int r = 0; r < 2 * rows; r++)
      for (int j = 0; j < CK_PANEL; j++)
        for (int e = 0; e < 4; e++)
          sums[r * CK_PANEL + j] += (int32_t)(a[r] >> 8 * e & 255) * b[4 * j + e];
}

#if defined(__x86_64__)
#include <immintrin.h>

// Eight columns at a time: bytes become integers of 16 bits, whose products are added in pairs.
__attribute__((target("avx2")))
static void tile_avx2(int rows, const uint32_t *a, const int8_t *b, ptrdiff_t quads, int32_t *sums) {
  for (int g = 0; g < CK_PANEL; g += 8)
    for (int r = 0; r < 2 * rows; r++) {
      __m256i first = _mm256_setzero_si256(), second = first;
      for (ptrdiff_t i = 0; i < quads; i++) {
        const int8_t *bytes = b + (i * CK_PANEL + g) * 4;
        const __m256i x = _mm256_broadcastq_epi64(
          _mm_cvtepu8_epi16(_mm_cvtsi32_si128((int32_t)a[i * 2 * rows + r])));
        first = _mm256_add_epi32(first, _mm256_madd_epi16(
          x, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)bytes))));
        second = _mm256_add_epi32(second, _mm256_madd_epi16(
          x, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(bytes + 16)))));
      }
      int32_t halves[16];
      _mm256_storeu_si256((__m256i *)halves, first);
      _mm256_storeu_si256((__m256i *)(halves + 8), second);
      for (int j = 0; j < 8; j++) sums[r * CK_PANEL + g + j] = halves[2 * j] + halves[2 * j + 1];
    }
}

#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)

// Some chains of sums for each row: with few rows one would wait for itself.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) CK_INLINE
void vnni(const int rows, const int chains, const uint32_t *a, const int8_t *b, ptrdiff_t quads,
          int32_t *sums) {
  __m512i sum[ROWS_MOST][4][2];
  EACH(r, 2 * rows) EACH(c, chains) EACH(g, 2) sum[r / 2][2 * c + r % 2][g] = _mm512_setzero_si512();
  ptrdiff_t i = 0;
  for (; i + chains <= quads; i += chains, a += 2 * rows * chains, b += 4 * CK_PANEL * chains)
    EACH(c, chains) {
      // The hardware fetches up to the end of a page only.
      if (rows <= 3)
        for (int line = 0; line < 128; line += 64) __builtin_prefetch(b + 128 * c + 6144 + line, 0, 2);
      const __m512i w[2] = {_mm512_loadu_si512(b + 128 * c), _mm512_loadu_si512(b + 128 * c + 64)};
      EACH(r, 2 * rows) {
        const __m512i x = _mm512_set1_epi32((int32_t)a[2 * rows * c + r]);
        EACH(g, 2) sum[r / 2][2 * c + r % 2][g] = _mm512_dpbusd_epi32(sum[r / 2][2 * c + r % 2][g], x, w[g]);
      }
    }
  for (; i < quads; i++, a += 2 * rows, b += 4 * CK_PANEL)
    EACH(r, 2 * rows) EACH(g, 2)
      sum[r / 2][r % 2][g] = _mm512_dpbusd_epi32(
        sum[r / 2][r % 2][g], _mm512_set1_epi32((int32_t)a[r]), _mm512_loadu_si512(b + 64 * g));
  EACH(r, 2 * rows) EACH(g, 2) {
    __m512i all = sum[r / 2][r % 2][g];
    if (chains == 2) all = _mm512_add_epi32(all, sum[r / 2][2 + r % 2][g]);
    _mm512_storeu_si512(sums + r * CK_PANEL + 16 * g, all);
  }
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
static void tile_vnni(int rows, const uint32_t *a, const int8_t *b, ptrdiff_t quads, int32_t *sums) {
  switch (rows) {
    case 1: vnni(1, 2, a, b, quads, sums); break;
    case 2: vnni(2, 2, a, b, quads, sums); break;
    case 3: vnni(3, 2, a, b, quads, sums); break;
    case 4: vnni(4, 1, a, b, quads, sums); break;
    case 5: vnni(5, 1, a, b, quads, sums); break;
    case 6: vnni(6, 1, a, b, quads, sums); break;
  }
}
#endif

static Tile *tile(int level) {
#if defined(__x86_64__)
  if (level >= CK_ALL_INSTRUCTIONS && ck_has_avx512() && __builtin_cpu_supports("avx512vnni"))
    return tile_vnni;
  if (level >= CK_AVX2 && __builtin_cpu_supports("avx2")) return tile_avx2;
#endif
  return tile_plain;
}

// y = (256 (high - 128 bytes) + low) scale unit + bias, of some columns of a row.
CK_CLONES
static void finish(float *y, ptrdiff_t columns, const int32_t *sums, const float *scales, float unit,
                   const float *bias) {
  for (ptrdiff_t j = 0; j < columns; j++) {
    const int32_t high = sums[j] - 128 * (int32_t)scales[CK_PANEL + j];
    const float value = (float)high * 256.0f;
    const float sum = value + (float)sums[CK_PANEL + j];
    const float factor = scales[j] * unit;
    y[j] = sum * factor;
  }
  if (bias)
    for (ptrdiff_t j = 0; j < columns; j++) y[j] += bias[j];
}

ptrdiff_t ck_int8_room(ptrdiff_t m, ptrdiff_t k) {
  const ptrdiff_t quads = (k + 3) / 4;
  return m * 2 * quads + m + 6 * quads + 2 * ROWS_MOST * CK_PANEL;
}

void ck_product_int8(int instructions, const float *x, const ck_rows *places, ptrdiff_t first_row,
                     ptrdiff_t m, const int8_t *panels, const float *scales, const float *bias,
                     float *y, ptrdiff_t y_stride, ptrdiff_t first_panel, ptrdiff_t panel_count,
                     ptrdiff_t n, ptrdiff_t k, float *room) {
  Tile *multiply = tile(instructions);
  const ptrdiff_t quads = (k + 3) / 4, tiles = (m + ROWS_MOST - 1) / ROWS_MOST;
  const ptrdiff_t height = (m + tiles - 1) / tiles;
  float *units = room, *copy = units + m;
  uint8_t *high = (uint8_t *)(copy + 4 * quads), *low = high + 4 * quads;
  int32_t *sums = (int32_t *)(low + 4 * quads);
  uint32_t *a = (uint32_t *)(sums + 2 * ROWS_MOST * CK_PANEL);
  for (ptrdiff_t r = 0; r < m; r++) {
    const float *row = x + ck_row_place(places, first_row + r);
    if (places->segments || places->k_stride != 1) {
      const ptrdiff_t length = places->segments ? places->length : k;
      for (ptrdiff_t i = 0; i < k; i++)
        copy[i] = row[(places->segments ? places->segments[i / length] : 0) + i % length * places->k_stride];
      row = copy;
    }
    units[r] = unit_of(row, k);
    quantize(row, k, units[r], high, low);
    const ptrdiff_t t = r / height, left = m - t * height, rows = left < height ? left : height;
    uint32_t *pairs = a + t * height * 2 * quads + 2 * (r - t * height);
    for (ptrdiff_t i = 0; i < quads; i++, pairs += 2 * rows) {
      memcpy(pairs, high + 4 * i, 4);
      memcpy(pairs + 1, low + 4 * i, 4);
    }
  }
  for (ptrdiff_t p = first_panel; p < first_panel + panel_count; p++) {
    const ptrdiff_t column = p * CK_PANEL, left = n - column;
    const int8_t *panel = panels + p * ck_int8_panel_bytes(k);
    for (ptrdiff_t t = 0; t * height < m; t++) {
      const ptrdiff_t first = t * height, rows = m - first < height ? m - first : height;
      multiply((int)rows, a + first * 2 * quads, panel, quads, sums);
      for (ptrdiff_t r = 0; r < rows; r++)
        finish(y + (first + r) * y_stride + column, left < CK_PANEL ? left : CK_PANEL,
               sums + r * 2 * CK_PANEL, scales + 2 * column, units[first + r],
               bias ? bias + column : NULL);
    }
  }
}
