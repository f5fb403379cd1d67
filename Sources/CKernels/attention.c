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

CK_CLONES
void ck_attention(const float *q, ptrdiff_t q_stride, const float *k, const float *v,
                  ptrdiff_t kv_stride, float *out, ptrdiff_t out_stride, ptrdiff_t queries,
                  ptrdiff_t offset, ptrdiff_t context, ptrdiff_t dimension, float scale,
                  float *scores, float *lse) {
  for (ptrdiff_t i = 0; i < queries; i++) {
    ptrdiff_t last = offset + i;
    ptrdiff_t first = context > 0 && last - context + 1 > 0 ? last - context + 1 : 0;
    const float *query = q + i * q_stride;
    const ptrdiff_t n = last - first + 1;
    dots(query, k + first * kv_stride, kv_stride, n, dimension, scores);
    for (ptrdiff_t j = 0; j < n; j++) scores[j] *= scale;
    const float top = greatest(scores, n);
    for (ptrdiff_t j = 0; j < n; j++) scores[j] = ck_exp(scores[j] - top);
    const float sum = sum_of(scores, n);
    weighted_sum(v + first * kv_stride, kv_stride, scores, n, dimension, 1.0f / sum,
                 out + i * out_stride);
    if (lse) lse[i] = top + logf(sum);
  }
}

CK_CLONES
void ck_attention_gradient(const float *q, ptrdiff_t q_stride, const float *k, const float *v,
                           ptrdiff_t kv_stride, const float *out, const float *dout,
                           ptrdiff_t out_stride, const float *lse, float *dq, ptrdiff_t dq_stride,
                           float *dk, float *dv, ptrdiff_t dkv_stride, ptrdiff_t positions,
                           ptrdiff_t dimension, float scale) {
  for (ptrdiff_t i = 0; i < positions; i++) {
    const float *query = q + i * q_stride, *g = dout + i * out_stride;
    float *dquery = dq + i * dq_stride;
    memset(dquery, 0, (size_t)dimension * sizeof *dquery);
    float delta = dot(g, out + i * out_stride, dimension);
    for (ptrdiff_t start = 0; start <= i; start += CHUNK) {
      ptrdiff_t n = i + 1 - start < CHUNK ? i + 1 - start : CHUNK;
      float p[CHUNK + 8], ds[CHUNK + 8];
      const float *keys = k + start * kv_stride;
      dots(query, keys, kv_stride, n, dimension, p);
      dots(g, v + start * kv_stride, kv_stride, n, dimension, ds);
      for (ptrdiff_t j = 0; j < n; j++) {
        p[j] = ck_exp(p[j] * scale - lse[i]);
        ds[j] = p[j] * (ds[j] - delta) * scale;
      }
      float *dkeys = dk + start * dkv_stride, *dvalues = dv + start * dkv_stride;
      for (ptrdiff_t j = 0; j < n; j++) {
        add_scaled(dvalues + j * dkv_stride, g, p[j], dimension);
        add_scaled(dquery, keys + j * kv_stride, ds[j], dimension);
        add_scaled(dkeys + j * dkv_stride, query, ds[j], dimension);
      }
    }
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
