// Periodic activations between twofold up- and downsampling; see include/CKernels.h.
#include "include/CKernels.h"
#include "vector.h"

#define TAPS CK_SNAKE_TAPS
#define EACH _Pragma("clang loop vectorize(assume_safety)") for (ptrdiff_t j = 0; j < channels; j++)

// What is left of an angle beyond whole half turns: sines and cosines may have the other sign, but not their
// squares and products.
CK_INLINE float half_period(float x) {
  float n = __builtin_floorf(x * 0.318309886f + 0.5f);
  float r = x - n * 3.140625f;
  r = r - n * 9.67502593994140625e-4f;
  r = r - n * 1.509957990978376432e-7f;
  return r;
}
// The sine of an angle within a quarter turn, to 1e-8.
CK_INLINE float sine_within(float r) {
  float s = r * r;
  float p = -2.38455122e-8f;
  p = p * s + 2.75225511e-6f;
  p = p * s - 1.98408028e-4f;
  p = p * s + 8.33333004e-3f;
  p = p * s - 1.66666672e-1f;
  return r + r * s * p;
}
CK_INLINE float square_of_sine(float x) {
  float s = sine_within(half_period(x));
  return s * s;
}

static inline ptrdiff_t clamped(ptrdiff_t i, ptrdiff_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

// Row m of the signal at twice the rate.
CK_INLINE void upsampled(const float *x, ptrdiff_t stride, ptrdiff_t steps, ptrdiff_t channels,
                         const float *up, ptrdiff_t m, float *u) {
  const ptrdiff_t t = m / 2, odd = m % 2;
  const float *p[6];
  float w[6];
  for (int a = 0; a < 6; a++) {
    p[a] = x + clamped(t - 3 + odd + a, steps) * stride;
    w[a] = 2 * up[11 - odd - 2 * a];
  }
  EACH u[j] = w[0] * p[0][j] + w[1] * p[1][j] + w[2] * p[2][j] + w[3] * p[3][j] + w[4] * p[4][j] + w[5] * p[5][j];
}

CK_CLONES
void ck_snake(const float *x, const float *alpha, const float *scale, const float *up, const float *down,
              float *y, ptrdiff_t steps, ptrdiff_t channels, ptrdiff_t first, ptrdiff_t count, float *room) {
  // Rows of the doubled signal that are read, one after the other.
  const ptrdiff_t start = 2 * first - 5;
  for (ptrdiff_t m = start; m < 2 * (first + count) + 5; m++) {
    float *v = room + (m - start) * channels;
    if (m > 0 && m >= 2 * steps) {
      memcpy(v, v - channels, (size_t)channels * sizeof *v);
      continue;
    }
    upsampled(x, channels, steps, channels, up, m < 0 ? 0 : m, v);
    EACH v[j] = v[j] + square_of_sine(v[j] * alpha[j]) * scale[j];
  }
  for (ptrdiff_t t = 0; t < count; t++) {
    const float *v = room + 2 * t * channels;
    float *target = y + (first + t) * channels;
    EACH {
      float sum = 0;
      for (int k = 0; k < TAPS; k++) sum += down[k] * v[k * channels + j];
      target[j] = sum;
    }
  }
}

CK_CLONES
void ck_snake_gradient(const float *x, const float *alpha, const float *scale, const float *up,
                       const float *down, const float *dy, float *dx, float *dalpha, float *dscale,
                       ptrdiff_t steps, ptrdiff_t stride, ptrdiff_t channels, float *room) {
  float *dv = room, *u = room + 2 * steps * channels;
  memset(dv, 0, (size_t)(2 * steps * channels) * sizeof *dv);
  for (ptrdiff_t t = 0; t < steps; t++)
    for (int k = 0; k < TAPS; k++) {
      float *target = dv + clamped(2 * t + k - 5, 2 * steps) * channels;
      const float *g = dy + t * stride;
      EACH target[j] += down[k] * g[j];
    }
  for (ptrdiff_t t = 0; t < steps; t++) EACH dx[t * stride + j] = 0;
  EACH dalpha[j] = dscale[j] = 0;
  for (ptrdiff_t m = 0; m < 2 * steps; m++) {
    upsampled(x, stride, steps, channels, up, m, u);
    const float *g = dv + m * channels;
    float *du = u + channels;
    EACH {
      // sin^2(a u) has the slopes a sin(2 a u) and u sin(2 a u).
      float r = half_period(u[j] * alpha[j]), s = sine_within(r);
      float c = sine_within(1.570796327f - (r < 0 ? -r : r));
      float slope = 2 * s * c;
      dscale[j] += g[j] * s * s;
      dalpha[j] += g[j] * u[j] * slope * scale[j];
      du[j] = g[j] * (1 + alpha[j] * slope * scale[j]);
    }
    const ptrdiff_t t = m / 2, odd = m % 2;
    for (int a = 0; a < 6; a++) {
      float *target = dx + clamped(t - 3 + odd + a, steps) * stride;
      const float w = 2 * up[11 - odd - 2 * a];
      EACH target[j] += w * du[j];
    }
  }
}
