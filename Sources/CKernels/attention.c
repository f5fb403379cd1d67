#include "include/CKernels.h"
#include "vector.h"

// Keys whose scores are held at a time.
#define CHUNK 256

CK_INLINE float dot(const float *a, const float *b, ptrdiff_t n) {
  v8 total = {0}, p, q;
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8) {
    V8_LOAD(p, a + i);
    V8_LOAD(q, b + i);
    total += p * q;
  }
  float sum = V8_SUM(total);
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

// The products of one vector with `count` others, stride apart: eight at a time, each summed as
// `dot` sums, whatever stands beside it. `out` has room for count + 7.
CK_INLINE void dots(const float *a, const float *b, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t n,
                    float *out) {
  if (n % 8) {
    for (ptrdiff_t j = 0; j < count; j++) out[j] = dot(a, b + j * stride, n);
    return;
  }
  for (ptrdiff_t j = 0; j < count; j += 8) {
    v8 t[8], p, q;
    memset(t, 0, sizeof t);
    const float *rows[8];
    for (int r = 0; r < 8; r++) rows[r] = b + (j + r < count ? j + r : j) * stride;
    for (ptrdiff_t i = 0; i < n; i += 8) {
      V8_LOAD(p, a + i);
      for (int r = 0; r < 8; r++) {
        V8_LOAD(q, rows[r] + i);
        t[r] += p * q;
      }
    }
    TRANSPOSE8(t);
    p = ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]));
    V8_STORE(out + j, p);
  }
}

// y[0 ..< 64] += scale[j] * x_j[0 ..< 64] for all j; the sums stay in registers.
#define WEIGHTED_SUM(WIDTH)                                                                    \
  CK_INLINE void weighted_sum_##WIDTH(const float *x, ptrdiff_t stride, const float *scale,    \
                                      ptrdiff_t count, float factor, float *y) {               \
    v8 total[WIDTH / 8], a;                                                                    \
    memset(total, 0, sizeof total);                                                            \
    for (ptrdiff_t j = 0; j < count; j++, x += stride)                                         \
      for (int c = 0; c < WIDTH / 8; c++) {                                                    \
        V8_LOAD(a, x + 8 * c);                                                                 \
        total[c] += a * scale[j];                                                              \
      }                                                                                        \
    for (int c = 0; c < WIDTH / 8; c++) {                                                      \
      a = total[c] * factor;                                                                   \
      V8_STORE(y + 8 * c, a);                                                                  \
    }                                                                                          \
  }
WEIGHTED_SUM(64)
WEIGHTED_SUM(32)

// y[0 ..< n] = factor * sum_j scale[j] x_j[0 ..< n].
CK_INLINE void weighted_sum(const float *x, ptrdiff_t stride, const float *scale, ptrdiff_t count,
                            ptrdiff_t n, float factor, float *y) {
  ptrdiff_t d = 0;
  for (; d + 64 <= n; d += 64) weighted_sum_64(x + d, stride, scale, count, factor, y + d);
  for (; d + 32 <= n; d += 32) weighted_sum_32(x + d, stride, scale, count, factor, y + d);
  for (; d < n; d++) {
    float total = 0;
    for (ptrdiff_t j = 0; j < count; j++) total += x[j * stride + d] * scale[j];
    y[d] = total * factor;
  }
}

// Rows side by side: rows some kilobytes apart push each other out of the cache.
CK_INLINE void gather(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t n, float *to) {
  for (ptrdiff_t i = 0; i < rows; i++) memcpy(to + i * n, from + i * stride, (size_t)n * sizeof *to);
}

// MARK: Four queries at a time
//
// What is read of the keys and values serves all of them. Each query's sums are the chains that `dots`
// and `weighted_sum` make for it alone, to the bit.

typedef float v16 __attribute__((vector_size(64)));

// Two vectors of eight, side by side.
CK_INLINE void pair(v16 *out, const float *a, const float *b) {
  v8 low, high;
  V8_LOAD(low, a);
  V8_LOAD(high, b);
  *out = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

// Within each half: a, b, … of x; 16 more is of y.
#define HALVES(x, y, a, b, c, d, e, f, g, h)                                                       \
  __builtin_shufflevector(x, y, a, b, c, d, e, f, g, h, a + 8, b + 8, c + 8, d + 8, e + 8, f + 8,  \
                          g + 8, h + 8)

// The sums of eight vectors' lanes, each by the tree of V8_SUM, in each half for itself.
CK_INLINE void eight_sums(v16 *out, const v16 t[8]) {
  v16 fours[4], twos[2];
  for (int r = 0; r < 4; r++)
    fours[r] = HALVES(t[2 * r], t[2 * r + 1], 0, 1, 2, 3, 16, 17, 18, 19) +
               HALVES(t[2 * r], t[2 * r + 1], 4, 5, 6, 7, 20, 21, 22, 23);
  for (int r = 0; r < 2; r++)
    twos[r] = HALVES(fours[2 * r], fours[2 * r + 1], 0, 1, 16, 17, 4, 5, 20, 21) +
              HALVES(fours[2 * r], fours[2 * r + 1], 2, 3, 18, 19, 6, 7, 22, 23);
  // In the order 0, 2, 4, 6, 1, 3, 5, 7.
  v16 sums = HALVES(twos[0], twos[1], 0, 2, 16, 18, 4, 6, 20, 22) +
             HALVES(twos[0], twos[1], 1, 3, 17, 19, 5, 7, 21, 23);
  *out = HALVES(sums, sums, 0, 4, 1, 5, 2, 6, 3, 7);
}

// `dots` of four vectors with `count` others.
CK_INLINE void dots_of_four(const float *a, ptrdiff_t a_stride, const float *b, ptrdiff_t stride,
                            ptrdiff_t count, ptrdiff_t n, float *out, ptrdiff_t out_stride) {
  for (ptrdiff_t j = 0; j < count; j += 8) {
    v16 t[2][8], p, q, both, sums;
    memset(t, 0, sizeof t);
    const float *rows[8];
    for (int r = 0; r < 8; r++) rows[r] = b + (j + r < count ? j + r : j) * stride;
    for (ptrdiff_t i = 0; i < n; i += 8) {
      pair(&p, a + i, a + a_stride + i);
      pair(&q, a + 2 * a_stride + i, a + 3 * a_stride + i);
      for (int r = 0; r < 8; r++) {
        pair(&both, rows[r] + i, rows[r] + i);
        t[0][r] += p * both;
        t[1][r] += q * both;
      }
    }
    for (int h = 0; h < 2; h++) {
      eight_sums(&sums, t[h]);
      memcpy(out + 2 * h * out_stride + j, &sums, 32);
      memcpy(out + (2 * h + 1) * out_stride + j, (const float *)&sums + 8, 32);
    }
  }
}

// `weighted_sum` of 32 columns for four queries: query r has weights[r][first[r] ..< end[r]], of
// which last first ..< first end is common to all.
CK_INLINE void weighted_sum_of_four(const float *x, ptrdiff_t stride, const float *weights,
                                    ptrdiff_t weights_stride, const ptrdiff_t first[4],
                                    const ptrdiff_t end[4], const float factor[4], float *y,
                                    ptrdiff_t y_stride) {
  v16 total[4][2], a[2];
  memset(total, 0, sizeof total);
#define ADD(r, j)                                           \
  memcpy(a, x + (j) * stride, sizeof a);                    \
  total[r][0] += a[0] * weights[(r) * weights_stride + (j)]; \
  total[r][1] += a[1] * weights[(r) * weights_stride + (j)];
  for (int r = 0; r < 4; r++)
    for (ptrdiff_t j = first[r]; j < first[3]; j++) { ADD(r, j) }
  for (ptrdiff_t j = first[3]; j < end[0]; j++) {
    memcpy(a, x + j * stride, sizeof a);
    for (int r = 0; r < 4; r++) {
      total[r][0] += a[0] * weights[r * weights_stride + j];
      total[r][1] += a[1] * weights[r * weights_stride + j];
    }
  }
  for (int r = 0; r < 4; r++) {
    for (ptrdiff_t j = end[0]; j < end[r]; j++) { ADD(r, j) }
    total[r][0] *= factor[r];
    total[r][1] *= factor[r];
    memcpy(y + r * y_stride, total[r], sizeof total[r]);
  }
#undef ADD
}

CK_INLINE void add_scaled(float *y, const float *x, float scale, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i] * scale;
}

CK_CLONES
void ck_rotate(float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t heads, ptrdiff_t dimension,
               const float *cosine, const float *sine, int direction) {
  ptrdiff_t half = dimension / 2;
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *c = cosine + r * half, *s = sine + r * half;
    for (ptrdiff_t h = 0; h < heads; h++) {
      float *pair = x + r * stride + h * dimension;
      for (ptrdiff_t i = 0; i < half; i++) {
        float a = pair[2 * i], b = pair[2 * i + 1], turn = direction < 0 ? -s[i] : s[i];
        pair[2 * i] = a * c[i] - b * turn;
        pair[2 * i + 1] = a * turn + b * c[i];
      }
    }
  }
}

// The weights of `n` values from their scores; returns one over their sum.
CK_INLINE float softmax(float *scores, ptrdiff_t n, float scale, float *lse) {
  for (ptrdiff_t j = 0; j < n; j++) scores[j] *= scale;
  const float top = greatest(scores, n);
  for (ptrdiff_t j = 0; j < n; j++) scores[j] = ck_exp(scores[j] - top);
  const float sum = sum_of(scores, n);
  if (lse) *lse = top + logf(sum);
  return 1.0f / sum;
}

// From so many queries on it is worth laying keys and values side by side.
#define MANY_QUERIES 12

ptrdiff_t ck_attention_room(ptrdiff_t keys, ptrdiff_t queries, ptrdiff_t dimension) {
  return 4 * (keys + 8) + (queries >= MANY_QUERIES ? 2 * keys * dimension : 0);
}

CK_CLONES
void ck_attention(const float *q, ptrdiff_t q_stride, const float *k, const float *v,
                  ptrdiff_t kv_stride, float *out, ptrdiff_t out_stride, ptrdiff_t queries,
                  ptrdiff_t offset, ptrdiff_t context, ptrdiff_t dimension, float scale,
                  float *scores, float *lse) {
  // With fewer registers four queries would not fit.
  const int takes_four = dimension % 8 == 0 && (context == 0 || context > 4) && ck_has_avx512();
  const ptrdiff_t room = offset + queries + 8;
  const ptrdiff_t oldest = context > 0 && offset + 1 > context ? offset + 1 - context : 0;
  if (queries >= MANY_QUERIES) {
    const ptrdiff_t n = offset + queries;
    float *keys = scores + 4 * room, *values = keys + n * dimension;
    const ptrdiff_t from = oldest * dimension;
    gather(k + oldest * kv_stride, kv_stride, n - oldest, dimension, keys + from);
    gather(v + oldest * kv_stride, kv_stride, n - oldest, dimension, values + from);
    k = keys;
    v = values;
    kv_stride = dimension;
  }
  for (ptrdiff_t i = 0; i < queries;) {
    const int count = takes_four && i + 4 <= queries ? 4 : 1;
    ptrdiff_t first[4], end[4];
    float factor[4];
    for (int r = 0; r < count; r++) {
      end[r] = offset + i + r + 1;
      first[r] = context > 0 && end[r] > context ? end[r] - context : 0;
    }
    const float *query = q + i * q_stride;
    float *target = out + i * out_stride;
    ptrdiff_t d = 0;
    if (count == 4)
      dots_of_four(query, q_stride, k + first[0] * kv_stride, kv_stride, end[3] - first[0],
                   dimension, scores + first[0], room);
    else
      dots(query, k + first[0] * kv_stride, kv_stride, end[0] - first[0], dimension,
           scores + first[0]);
    for (int r = 0; r < count; r++)
      factor[r] = softmax(scores + r * room + first[r], end[r] - first[r], scale,
                          lse ? lse + i + r : NULL);
    if (count == 4)
      for (; d + 32 <= dimension; d += 32)
        weighted_sum_of_four(v + d, kv_stride, scores, room, first, end, factor, target + d,
                             out_stride);
    for (int r = 0; r < count && d < dimension; r++)
      weighted_sum(v + first[r] * kv_stride + d, kv_stride, scores + r * room + first[r],
                   end[r] - first[r], dimension - d, factor[r], target + r * out_stride + d);
    i += count;
  }
}

// The gradient's part of `count` queries from row i on, 4 or 1: their scores against all keys that the
// last of them sees, then for each key what the queries that see it add.
CK_INLINE void attention_gradient_of(int count, const float *q, ptrdiff_t q_stride, const float *k,
                                     const float *v, ptrdiff_t kv_stride, const float *out,
                                     const float *dout, ptrdiff_t out_stride, const float *lse,
                                     float *dq, ptrdiff_t dq_stride, float *dk, float *dv,
                                     ptrdiff_t dkv_stride, ptrdiff_t i, ptrdiff_t dimension,
                                     float scale) {
  const float *query = q + i * q_stride, *g = dout + i * out_stride;
  float delta[4];
  for (int r = 0; r < count; r++) {
    memset(dq + (i + r) * dq_stride, 0, (size_t)dimension * sizeof *dq);
    delta[r] = dot(g + r * out_stride, out + (i + r) * out_stride, dimension);
  }
  for (ptrdiff_t start = 0; start < i + count; start += CHUNK) {
    const ptrdiff_t n = i + count - start < CHUNK ? i + count - start : CHUNK;
    float p[4][CHUNK + 8], ds[4][CHUNK + 8];
    const float *keys = k + start * kv_stride, *values = v + start * kv_stride;
    if (count == 4) {
      dots_of_four(query, q_stride, keys, kv_stride, n, dimension, p[0], CHUNK + 8);
      dots_of_four(g, out_stride, values, kv_stride, n, dimension, ds[0], CHUNK + 8);
    } else {
      dots(query, keys, kv_stride, n, dimension, p[0]);
      dots(g, values, kv_stride, n, dimension, ds[0]);
    }
    for (int r = 0; r < count; r++) {
      for (ptrdiff_t j = 0; j < n; j++) {
        p[r][j] = ck_exp(p[r][j] * scale - lse[i + r]);
        ds[r][j] = p[r][j] * (ds[r][j] - delta[r]) * scale;
      }
    }
    // Keys that all see, then those of the last queries alone.
    const ptrdiff_t common = i + 1 - start < n ? i + 1 - start : n;
    float *dkeys = dk + start * dkv_stride, *dvalues = dv + start * dkv_stride;
    ptrdiff_t d = 0;
    if (count == 4)
      for (; d + 16 <= dimension; d += 16) {
        v16 a[4], b[4], sum[4], x, y, z;
        for (int r = 0; r < 4; r++) {
          memcpy(&a[r], query + r * q_stride + d, sizeof x);
          memcpy(&b[r], g + r * out_stride + d, sizeof x);
          memcpy(&sum[r], dq + (i + r) * dq_stride + d, sizeof x);
        }
        for (ptrdiff_t j = 0; j < common; j++) {
          memcpy(&x, keys + j * kv_stride + d, sizeof x);
          memcpy(&y, dvalues + j * dkv_stride + d, sizeof y);
          memcpy(&z, dkeys + j * dkv_stride + d, sizeof z);
          for (int r = 0; r < 4; r++) {
            y += b[r] * p[r][j];
            sum[r] += x * ds[r][j];
            z += a[r] * ds[r][j];
          }
          memcpy(dvalues + j * dkv_stride + d, &y, sizeof y);
          memcpy(dkeys + j * dkv_stride + d, &z, sizeof z);
        }
        for (int r = 0; r < 4; r++) memcpy(dq + (i + r) * dq_stride + d, &sum[r], sizeof x);
      }
    for (int r = 0; r < count; r++) {
      const ptrdiff_t end = i + r + 1 - start < n ? i + r + 1 - start : n;
      float *dquery = dq + (i + r) * dq_stride;
      // What is left of the common keys, if anything, and all of the others.
      for (ptrdiff_t j = d < dimension ? 0 : common; j < end; j++) {
        const ptrdiff_t from = j < common ? d : 0;
        add_scaled(dvalues + j * dkv_stride + from, g + r * out_stride + from, p[r][j], dimension - from);
        add_scaled(dquery + from, keys + j * kv_stride + from, ds[r][j], dimension - from);
        add_scaled(dkeys + j * dkv_stride + from, query + r * q_stride + from, ds[r][j], dimension - from);
      }
    }
  }
}

ptrdiff_t ck_attention_gradient_room(ptrdiff_t positions, ptrdiff_t dimension) {
  return 4 * positions * dimension;
}

CK_CLONES
void ck_attention_gradient(const float *q, ptrdiff_t q_stride, const float *k, const float *v,
                           ptrdiff_t kv_stride, const float *out, const float *dout,
                           ptrdiff_t out_stride, const float *lse, float *dq, ptrdiff_t dq_stride,
                           float *dk, float *dv, ptrdiff_t dkv_stride, ptrdiff_t positions,
                           ptrdiff_t dimension, float scale, float *room) {
  const ptrdiff_t size = positions * dimension;
  float *keys = room, *values = keys + size, *dkeys = values + size, *dvalues = dkeys + size;
  const size_t bytes = (size_t)dimension * sizeof *room;
  gather(k, kv_stride, positions, dimension, keys);
  gather(v, kv_stride, positions, dimension, values);
  gather(dk, dkv_stride, positions, dimension, dkeys);
  gather(dv, dkv_stride, positions, dimension, dvalues);
  ptrdiff_t i = 0;
  if (dimension % 8 == 0 && ck_has_avx512())
    for (; i + 4 <= positions; i += 4)
      attention_gradient_of(4, q, q_stride, keys, values, dimension, out, dout, out_stride, lse, dq,
                            dq_stride, dkeys, dvalues, dimension, i, dimension, scale);
  for (; i < positions; i++)
    attention_gradient_of(1, q, q_stride, keys, values, dimension, out, dout, out_stride, lse, dq,
                          dq_stride, dkeys, dvalues, dimension, i, dimension, scale);
  for (i = 0; i < positions; i++) {
    memcpy(dk + i * dkv_stride, dkeys + i * dimension, bytes);
    memcpy(dv + i * dkv_stride, dvalues + i * dimension, bytes);
  }
}

CK_CLONES
void ck_depthwise_upsample(const float *x, const float *w, float *y, ptrdiff_t frames,
                           ptrdiff_t stride, ptrdiff_t channels) {
  for (ptrdiff_t t = 0; t < frames; t++)
    for (ptrdiff_t j = 0; j < stride; j++) {
      const float *now = x + t * channels, *before = now - channels;
      const float *a = w + j * channels, *b = w + (stride + j) * channels;
      float *target = y + (t * stride + j) * channels;
      for (ptrdiff_t c = 0; c < channels; c++) target[c] = now[c] * a[c] + before[c] * b[c];
    }
}
