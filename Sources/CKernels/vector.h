// Vectors of eight floats (GCC's vector extensions): the compiler maps them to whatever the
// instruction set of a clone has.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define CK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CK_CLONES
#endif
#define CK_INLINE static inline __attribute__((always_inline))

// Whether the machine has the x86-64-v4 instructions.
CK_INLINE int ck_has_avx512(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return 0;
#endif
}

typedef float v8 __attribute__((vector_size(32)));
typedef int32_t i8 __attribute__((vector_size(32)));

#define V8_LOAD(target, p) memcpy(&(target), (p), 32)
#define V8_STORE(p, value) memcpy((p), &(value), 32)

// The sum of eight lanes, always by the same tree.
#define V8_SUM(a) \
  ((((a)[0] + (a)[4]) + ((a)[2] + (a)[6])) + (((a)[1] + (a)[5]) + ((a)[3] + (a)[7])))

// Exchanges rows and columns of eight vectors of eight.
#define TRANSPOSE8(r)                                                                          \
  do {                                                                                         \
    v8 ta_[8], tb_[8];                                                                             \
    for (int q = 0; q < 4; q++) {                                                              \
      ta_[2 * q] = __builtin_shufflevector(r[2 * q], r[2 * q + 1], 0, 8, 2, 10, 4, 12, 6, 14);   \
      ta_[2 * q + 1] = __builtin_shufflevector(r[2 * q], r[2 * q + 1], 1, 9, 3, 11, 5, 13, 7, 15); \
    }                                                                                          \
    for (int q = 0; q < 8; q += 4)                                                             \
      for (int e = 0; e < 2; e++) {                                                            \
        tb_[q + e] = __builtin_shufflevector(ta_[q + e], ta_[q + 2 + e], 0, 1, 8, 9, 4, 5, 12, 13);  \
        tb_[q + 2 + e] = __builtin_shufflevector(ta_[q + e], ta_[q + 2 + e], 2, 3, 10, 11, 6, 7, 14, 15); \
      }                                                                                        \
    for (int e = 0; e < 4; e++) {                                                              \
      r[e] = __builtin_shufflevector(tb_[e], tb_[4 + e], 0, 1, 2, 3, 8, 9, 10, 11);                \
      r[4 + e] = __builtin_shufflevector(tb_[e], tb_[4 + e], 4, 5, 6, 7, 12, 13, 14, 15);          \
    }                                                                                          \
  } while (0)

// exp(x) for one float: range reduction by ln 2 and a polynomial of degree 6 (relative error below
// 2e-7); branch-free so that loops over it become vector code.
CK_INLINE float ck_exp(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.7f ? 88.7f : x;
  float n = x * 1.44269504f;
  n = __builtin_floorf(n + 0.5f);
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  // n = 128 would overflow the exponent: the clamp keeps x below it but for rounding.
  bits = bits < 0 ? 0x7F000000 : bits;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

CK_INLINE float ck_sigmoid(float x) { return 1.0f / (1.0f + ck_exp(-x)); }
CK_INLINE float ck_tanh(float x) { return 1.0f - 2.0f / (ck_exp(2.0f * x) + 1.0f); }

// The error function, to 1e-7: x p(x^2) near zero, else 1 - exp q(|x|), polynomials of least maximum error.
CK_INLINE float ck_erf(float x) {
  float t = x < 0 ? -x : x, s = x * x;
  float p = 8.12351822e-5f;
  p = p * s - 8.07523087e-4f;
  p = p * s + 5.19392360e-3f;
  p = p * s - 2.68557984e-2f;
  p = p * s + 1.12836063e-1f;
  p = p * s - 3.76126230e-1f;
  p = p * s + 1.28379166e-1f;
  p = p * x + x;
  float u = t > 3.95f ? 3.95f : t;
  float q = -6.62819843e-7f;
  q = q * u - 1.23298969e-5f;
  q = q * u + 3.84785031e-4f;
  q = q * u - 4.01339494e-3f;
  q = q * u + 2.48127915e-2f;
  q = q * u - 1.07905701e-1f;
  q = q * u - 6.33627295e-1f;
  q = q * u - 1.12939703f;
  q = q * u + 1.53382207e-4f;
  float far = 1.0f - ck_exp(q);
  far = x < 0 ? -far : far;
  return t < 0.93f ? p : far;
}

// The exact form of GELU: x times the normal distribution function.
CK_INLINE float ck_exact_gelu(float x) { return 0.5f * x * (1.0f + ck_erf(0.707106781f * x)); }
CK_INLINE float ck_exact_gelu_slope(float x) {
  return 0.5f * (1.0f + ck_erf(0.707106781f * x)) + x * 0.398942280f * ck_exp(-0.5f * x * x);
}

CK_INLINE float sum_of(const float *x, ptrdiff_t n) {
  v8 total = {0}, a;
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8) {
    V8_LOAD(a, x + i);
    total += a;
  }
  float sum = V8_SUM(total);
  for (; i < n; i++) sum += x[i];
  return sum;
}

// The largest of n >= 1 floats.
CK_INLINE float greatest(const float *x, ptrdiff_t n) {
  float top = x[0];
  ptrdiff_t i = 0;
  if (n >= 8) {
    v8 most, a;
    V8_LOAD(most, x);
    for (i = 8; i + 8 <= n; i += 8) {
      V8_LOAD(a, x + i);
      most = __builtin_elementwise_max(most, a);
    }
    for (int j = 0; j < 8; j++) top = most[j] > top ? most[j] : top;
  }
  for (; i < n; i++) top = x[i] > top ? x[i] : top;
  return top;
}
