#include "include/CKernels.h"
#include "vector.h"

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
    float top = -INFINITY;
    for (ptrdiff_t j = first; j <= last; j++) {
      float s = dot(query, k + j * kv_stride, dimension) * scale;
      scores[j - first] = s;
      top = s > top ? s : top;
    }
    ptrdiff_t n = last - first + 1;
    float sum = 0;
    for (ptrdiff_t j = 0; j < n; j++) scores[j] = ck_exp(scores[j] - top);
    for (ptrdiff_t j = 0; j < n; j++) sum += scores[j];
    float *target = out + i * out_stride;
    float inverse = 1.0f / sum;
    // Blocks of 32 channels stay in registers while the keys pass.
    ptrdiff_t d = 0;
    for (; d + 32 <= dimension; d += 32) {
      v8 total[4], a;
      memset(total, 0, sizeof total);
      const float *value = v + first * kv_stride + d;
      for (ptrdiff_t j = 0; j < n; j++, value += kv_stride)
        for (int c = 0; c < 4; c++) {
          V8_LOAD(a, value + 8 * c);
          total[c] += a * scores[j];
        }
      for (int c = 0; c < 4; c++) {
        a = total[c] * inverse;
        V8_STORE(target + d + 8 * c, a);
      }
    }
    for (; d < dimension; d++) {
      float total = 0;
      for (ptrdiff_t j = 0; j < n; j++) total += v[(first + j) * kv_stride + d] * scores[j];
      target[d] = total * inverse;
    }
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
    for (ptrdiff_t j = 0; j <= i; j++) {
      const float *key = k + j * kv_stride;
      float p = ck_exp(dot(query, key, dimension) * scale - lse[i]);
      float ds = p * (dot(g, v + j * kv_stride, dimension) - delta) * scale;
      add_scaled(dv + j * dkv_stride, g, p, dimension);
      add_scaled(dquery, key, ds, dimension);
      add_scaled(dk + j * dkv_stride, query, ds, dimension);
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
