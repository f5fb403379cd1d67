// The inner product kernels, once for every instruction set: product.c includes this with
//   NAME(x)   the function's name for this instruction set
//   LANES     floats in a register
//   ROWS      rows of a tile, at most 14: rows times 2 accumulators fit the registers
// A tile is ROWS rows times 2 * LANES columns. Every output element is one chain of fused
// multiply-adds over k (multiply, then add, where the machine has none fused), whatever the tile's shape:
// in order, and of pairs of rows the odd one first.

typedef float NAME(vec) __attribute__((vector_size(4 * LANES)));
typedef int32_t NAME(ivec) __attribute__((vector_size(4 * LANES)));
#define VEC NAME(vec)

CK_INLINE void NAME(load_f32)(VEC *out, const void *p, ptrdiff_t i) {
  memcpy(out, (const float *)p + i, sizeof *out);
}
// Pairs along k: those of the even row and those of the odd one, which may be missing at the end.
CK_INLINE void NAME(load_bf16)(VEC *even, VEC *odd, const void *p, ptrdiff_t i, int has_odd) {
  (void)has_odd;  // it is stored as zeros
  NAME(ivec) pairs, bits;
  memcpy(&pairs, (const uint32_t *)p + i, sizeof pairs);
  bits = pairs << 16;
  memcpy(even, &bits, sizeof bits);
  bits = pairs & (int32_t)0xffff0000;
  memcpy(odd, &bits, sizeof bits);
}

// With each row of a panel `width` bytes of a row of what comes next are brought to the second-level
// cache; with few rows, which the hardware fetches up to the end of a page only, what comes soon.
#define PREFETCH(LINE)                                                                            \
  if (rows <= 3)                                                                                  \
    for (int line = 0; line < 2 * LANES / CK_PANEL * (LINE) || line == 0; line += 64)             \
      __builtin_prefetch(b + 6144 + line, 0, 2);                                                  \
  else                                                                                            \
    for (ptrdiff_t line = 0; line < width; line += 64) __builtin_prefetch(ahead + line, 0, 2);

#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)
#define BEGIN_TILE                                                                                \
  VEC sum[ROWS][2];                                                                               \
  EACH(r, rows) EACH(g, 2) {                                                             \
    if (resume)                                                                                   \
      memcpy(&sum[r][g], c + r * c_stride + g * LANES, sizeof(VEC));       \
    else                                                                                          \
      sum[r][g] = (VEC){0};                                                                       \
  }
#define END_TILE                                                                                  \
  EACH(r, rows) EACH(g, 2)                                                               \
    memcpy(c + r * c_stride + g * LANES, &sum[r][g], sizeof(VEC));

// c[r][0 ..< 2 LANES] (+)= sum_k a[k][r] b[k][0 ..< 2 LANES].
CK_INLINE void NAME(tile_f32)(int rows, const void *activations, const char *b,
                              const char *ahead, ptrdiff_t width, ptrdiff_t k,
                              float *c, ptrdiff_t c_stride, int resume) {
  const float *a = activations;
  BEGIN_TILE
  for (ptrdiff_t i = 0; i < k; i++, a += rows, b += CK_PANEL * 4, ahead += CK_PANEL * 4) {
    PREFETCH(CK_PANEL * 4)
    VEC w[2];
    EACH(g, 2) NAME(load_f32)(&w[g], b, g * LANES);
    EACH(r, rows) EACH(g, 2) sum[r][g] += w[g] * a[r];
  }
  END_TILE
}

// The same of a panel's first column alone: rows side by side in registers instead of columns. There are
// at least LANES floats behind `a`.
static void NAME(column_f32)(int rows, const float *a, const float *b, ptrdiff_t k, float *c,
                             ptrdiff_t c_stride, int resume) {
  for (int first = 0; first < rows; first += LANES) {
    const int count = rows - first < LANES ? rows - first : LANES;
    VEC sum = {0}, x;
    if (resume)
      for (int r = 0; r < count; r++) sum[r] = c[(first + r) * c_stride];
    for (ptrdiff_t i = 0; i < k; i++) {
      memcpy(&x, a + i * rows + first, sizeof x);
      sum += x * b[i * CK_PANEL];
    }
    for (int r = 0; r < count; r++) c[(first + r) * c_stride] = sum[r];
  }
}

// The same of rows in pairs, the odd one first. After an odd last row of `a` stands one of zeros.
#define PAIR_TILE(FORMAT, SIZE)                                                                   \
  CK_INLINE void NAME(tile_##FORMAT)(int rows, const void *activations, const char *b, \
                                     const char *ahead, ptrdiff_t width,         \
                                     ptrdiff_t k, float *c, ptrdiff_t c_stride, int resume) {     \
    const float *a = activations;                                                                 \
    BEGIN_TILE                                                                                    \
    for (ptrdiff_t i = 0; i < k; i += 2, a += 2 * rows, b += CK_PANEL * SIZE, ahead += CK_PANEL * SIZE) { \
      PREFETCH(CK_PANEL * SIZE)                                                                   \
      VEC even[2], odd[2];                                                                        \
      EACH(g, 2)                                                                         \
        NAME(load_##FORMAT)(&even[g], &odd[g], b, g * LANES, i + 1 < k);      \
      EACH(r, rows) EACH(g, 2) {                                                         \
        sum[r][g] += odd[g] * a[rows + r];                                                        \
        sum[r][g] += even[g] * a[r];                                                              \
      }                                                                                           \
    }                                                                                             \
    END_TILE                                                                                      \
  }
PAIR_TILE(bf16, 4)

#ifdef DOTS
// The same by the machine's products of pairs of bfloat16, which adds the odd one first and then the
// even one: the same bits. `a` is in pairs too.
CK_INLINE void NAME(tile_dots)(int rows, const void *activations, const char *b,
                              const char *ahead, ptrdiff_t width, ptrdiff_t k,
                               float *c, ptrdiff_t c_stride, int resume) {
  const int32_t *a = activations;
  BEGIN_TILE
  for (ptrdiff_t i = 0; i < k; i += 2, a += rows, b += CK_PANEL * 4, ahead += CK_PANEL * 4) {
    PREFETCH(CK_PANEL * 4)
    __m512bh w[2];
    EACH(g, 2) memcpy(&w[g], b + g * 64, 64);
    EACH(r, rows) EACH(g, 2)
      sum[r][g] = _mm512_dpbf16_ps(sum[r][g], (__m512bh)_mm512_set1_epi32(a[r]), w[g]);
  }
  END_TILE
}
#endif

#define CASE(FORMAT, R)                                                                           \
  case R:                                                                                         \
    if (R <= ROWS)                                                                                \
      NAME(tile_##FORMAT)(R <= ROWS ? R : 1, a, b, ahead, half ? 0 : width, k, c, c_stride, resume); \
    break;
#define TILES(FORMAT)                                                                             \
  static void NAME(panel_##FORMAT)(int rows, const void *a, const char *panel, const char *ahead,  \
                                   ptrdiff_t width, ptrdiff_t k, float *c, ptrdiff_t c_stride,    \
                                   int resume) {                                                  \
    for (int half = 0; half < CK_PANEL; half += 2 * LANES, c += 2 * LANES) {                      \
      const char *b = panel + half * 4;                                                           \
      switch (rows) {                                                                             \
        CASE(FORMAT, 1) CASE(FORMAT, 2) CASE(FORMAT, 3) CASE(FORMAT, 4) CASE(FORMAT, 5)           \
        CASE(FORMAT, 6) CASE(FORMAT, 7) CASE(FORMAT, 8) CASE(FORMAT, 9) CASE(FORMAT, 10)          \
        CASE(FORMAT, 11) CASE(FORMAT, 12) CASE(FORMAT, 13) CASE(FORMAT, 14)                       \
      }                                                                                           \
    }                                                                                             \
  }
#ifdef DOTS
TILES(dots)
#else
TILES(f32)
TILES(bf16)
#endif

#undef VEC
#undef EACH
#undef PAIR_TILE
#undef CASE
#undef TILES
#undef PREFETCH
#undef BEGIN_TILE
#undef END_TILE
