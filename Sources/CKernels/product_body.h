// The inner product kernels, once for every instruction set: product.c includes this with
//   NAME(x)   the function's name for this instruction set
//   LANES     floats in a register
//   ROWS      rows of a tile, at most 14: rows times 2 accumulators fit the registers
// A tile is ROWS rows times 2 * LANES columns. Every output element is one chain of fused
// multiply-adds over k in order (multiply, then add, where the machine has none fused), whatever the
// tile's shape.

typedef float NAME(vec) __attribute__((vector_size(4 * LANES)));
typedef int32_t NAME(ivec) __attribute__((vector_size(4 * LANES)));
typedef uint16_t NAME(hvec) __attribute__((vector_size(2 * LANES)));
typedef int8_t NAME(bvec) __attribute__((vector_size(LANES)));
#define VEC NAME(vec)

CK_INLINE void NAME(load_f32)(VEC *out, const void *p, ptrdiff_t i) {
  memcpy(out, (const float *)p + i, sizeof *out);
}
CK_INLINE void NAME(load_bf16)(VEC *out, const void *p, ptrdiff_t i) {
  NAME(hvec) half;
  memcpy(&half, (const uint16_t *)p + i, sizeof half);
  NAME(ivec) bits = __builtin_convertvector(half, NAME(ivec)) << 16;
  memcpy(out, &bits, sizeof bits);
}
CK_INLINE void NAME(load_int8)(VEC *out, const void *p, ptrdiff_t i) {
  NAME(bvec) bytes;
  memcpy(&bytes, (const int8_t *)p + i, sizeof bytes);
  *out = __builtin_convertvector(bytes, VEC);
}

// c[r][0 ..< 2 LANES] (+)= sum_k a[k][r] b[k][0 ..< 2 LANES]; rows of b are CK_PANEL wide. With each
// row `width` bytes of a row of what comes next are brought to the second-level cache.
#define TILE(FORMAT, SIZE)                                                                        \
  CK_INLINE void NAME(tile_##FORMAT)(int rows, const float *a, const void *b, const char *ahead,     \
                                     ptrdiff_t width, ptrdiff_t k, float *c, ptrdiff_t c_stride,  \
                                     int resume) {                                                \
    VEC sum[ROWS][2];                                                                             \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {                           \
      if (resume) {                                                                               \
        memcpy(&sum[r][0], c + r * c_stride, sizeof(VEC));                                        \
        memcpy(&sum[r][1], c + r * c_stride + LANES, sizeof(VEC));                                \
      } else {                                                                                    \
        sum[r][0] = (VEC){0};                                                                     \
        sum[r][1] = (VEC){0};                                                                     \
      }                                                                                           \
    }                                                                                             \
    for (ptrdiff_t i = 0; i < k; i++, a += rows) {                                                \
      /* The second-level cache is filled ahead: the hardware stops at each page. */              \
      if (rows <= 3)                                                                              \
        for (int line = 0; line < 2 * LANES * SIZE; line += 64)                                   \
          __builtin_prefetch((const char *)b + i * CK_PANEL * SIZE + 6144 + line, 0, 2);          \
      else                                                                                        \
        for (ptrdiff_t line = 0; line < width; line += 64)                                        \
          __builtin_prefetch(ahead + i * CK_PANEL * SIZE + line, 0, 2);                           \
      VEC left, right;                                                                            \
      NAME(load_##FORMAT)(&left, b, i * CK_PANEL);                                                \
      NAME(load_##FORMAT)(&right, b, i * CK_PANEL + LANES);                                       \
      _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {                         \
        sum[r][0] += left * a[r];                                                                 \
        sum[r][1] += right * a[r];                                                                \
      }                                                                                           \
    }                                                                                             \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++) {                           \
      memcpy(c + r * c_stride, &sum[r][0], sizeof(VEC));                                          \
      memcpy(c + r * c_stride + LANES, &sum[r][1], sizeof(VEC));                                  \
    }                                                                                             \
  }
TILE(f32, 4)
TILE(bf16, 2)
TILE(int8, 1)

#define CASE(FORMAT, R) \
  case R: if (R <= ROWS) NAME(tile_##FORMAT)(R <= ROWS ? R : 1, a, b, ahead, half ? 0 : width, k, c, c_stride, resume); break;
#define TILES(FORMAT, SIZE)                                                                    \
  static void NAME(panel_##FORMAT)(int rows, const float *a, const void *panel,                \
                                   const char *ahead, ptrdiff_t width, ptrdiff_t k, float *c,  \
                                   ptrdiff_t c_stride, int resume) {                           \
    for (int half = 0; half < CK_PANEL; half += 2 * LANES, c += 2 * LANES) {                   \
      const void *b = (const char *)panel + half * SIZE;                                       \
      switch (rows) {                                                                          \
        CASE(FORMAT, 1) CASE(FORMAT, 2) CASE(FORMAT, 3) CASE(FORMAT, 4) CASE(FORMAT, 5)        \
        CASE(FORMAT, 6) CASE(FORMAT, 7) CASE(FORMAT, 8) CASE(FORMAT, 9) CASE(FORMAT, 10)       \
        CASE(FORMAT, 11) CASE(FORMAT, 12) CASE(FORMAT, 13) CASE(FORMAT, 14)                    \
      }                                                                                        \
    }                                                                                          \
  }
TILES(f32, 4)
TILES(bf16, 2)
TILES(int8, 1)

// n values of a panel as floats.
static void NAME(expand)(int format, const void *from, float *to, ptrdiff_t n) {
  VEC v;
  if (format == CK_F32)
    memcpy(to, from, (size_t)n * sizeof *to);
  else if (format == CK_BF16)
    for (ptrdiff_t i = 0; i < n; i += LANES) {
      NAME(load_bf16)(&v, from, i);
      memcpy(to + i, &v, sizeof v);
    }
  else
    for (ptrdiff_t i = 0; i < n; i += LANES) {
      NAME(load_int8)(&v, from, i);
      memcpy(to + i, &v, sizeof v);
    }
}

#undef VEC
#undef TILE
#undef CASE
#undef TILES
