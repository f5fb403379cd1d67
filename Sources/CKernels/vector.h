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

typedef float v8 __attribute__((vector_size(32)));
typedef int32_t i8 __attribute__((vector_size(32)));

#define V8_LOAD(target, p) memcpy(&(target), (p), 32)
#define V8_STORE(p, value) memcpy((p), &(value), 32)

// The sum of eight lanes, always by the same tree.
#define V8_SUM(a) \
  ((((a)[0] + (a)[4]) + ((a)[2] + (a)[6])) + (((a)[1] + (a)[5]) + ((a)[3] + (a)[7])))

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
