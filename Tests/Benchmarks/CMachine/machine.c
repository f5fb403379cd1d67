#include "CMachine.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define V4 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")))
#define V3 __attribute__((target("avx2,fma")))
#endif

typedef float v16 __attribute__((vector_size(64)));

#if defined(__x86_64__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
float machine_read(const float *x, ptrdiff_t n) {
  v16 sum[4], y, v;
  memset(sum, 0, sizeof sum);
  memset(&y, 0x3f, sizeof y);
  for (ptrdiff_t i = 0; i + 64 <= n; i += 64)
    for (int j = 0; j < 4; j++) {
      memcpy(&v, x + i + 16 * j, 64);
      sum[j] += v * y;
    }
  v = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  float total = 0;
  for (int j = 0; j < 16; j++) total += v[j];
  return total;
}

// Twelve independent chains, so that latency does not count.
#define CHAINS 12
static volatile float kept;

#if defined(__x86_64__)
V4 static double multiply_512(ptrdiff_t rounds) {
  __m512 a[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (int j = 0; j < CHAINS; j++) a[j] = _mm512_set1_ps((float)j);
  for (ptrdiff_t i = 0; i < rounds; i++) {
    for (int j = 0; j < CHAINS; j++) a[j] = _mm512_fmadd_ps(a[j], x, y);
    __asm__ volatile("" : "+v"(x), "+v"(y));
  }
  for (int j = 1; j < CHAINS; j++) a[0] = _mm512_add_ps(a[0], a[j]);
  kept = _mm512_reduce_add_ps(a[0]);
  return 2.0 * 16 * CHAINS * (double)rounds;
}
V3 static double multiply_256(ptrdiff_t rounds) {
  __m256 a[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (int j = 0; j < CHAINS; j++) a[j] = _mm256_set1_ps((float)j);
  for (ptrdiff_t i = 0; i < rounds; i++) {
    for (int j = 0; j < CHAINS; j++) a[j] = _mm256_fmadd_ps(a[j], x, y);
    __asm__ volatile("" : "+x"(x), "+x"(y));
  }
  for (int j = 1; j < CHAINS; j++) a[0] = _mm256_add_ps(a[0], a[j]);
  kept = a[0][0];
  return 2.0 * 8 * CHAINS * (double)rounds;
}
V4 double machine_multiply_bf16(ptrdiff_t rounds) {
  if (!__builtin_cpu_supports("avx512bf16")) return 0;
  __m512 a[CHAINS];
  __m512bh x = (__m512bh)_mm512_set1_epi16(0x3c00), y = (__m512bh)_mm512_set1_epi16(0x3c01);
  for (int j = 0; j < CHAINS; j++) a[j] = _mm512_set1_ps((float)j);
  for (ptrdiff_t i = 0; i < rounds; i++) {
    for (int j = 0; j < CHAINS; j++) a[j] = _mm512_dpbf16_ps(a[j], x, y);
    __asm__ volatile("" : "+v"(x), "+v"(y));
  }
  for (int j = 1; j < CHAINS; j++) a[0] = _mm512_add_ps(a[0], a[j]);
  kept = _mm512_reduce_add_ps(a[0]);
  return 2.0 * 32 * CHAINS * (double)rounds;
}
V4 double machine_multiply_int8(ptrdiff_t rounds) {
  if (!__builtin_cpu_supports("avx512vnni")) return 0;
  __m512i a[CHAINS], x = _mm512_set1_epi8(1), y = _mm512_set1_epi8(-1);
  for (int j = 0; j < CHAINS; j++) a[j] = _mm512_set1_epi32(j);
  for (ptrdiff_t i = 0; i < rounds; i++) {
    for (int j = 0; j < CHAINS; j++) a[j] = _mm512_dpbusd_epi32(a[j], x, y);
    __asm__ volatile("" : "+v"(x), "+v"(y));
  }
  for (int j = 1; j < CHAINS; j++) a[0] = _mm512_add_epi32(a[0], a[j]);
  kept = (float)_mm512_reduce_add_epi32(a[0]);
  return 2.0 * 64 * CHAINS * (double)rounds;
}
#else
double machine_multiply_bf16(ptrdiff_t rounds) { return 0 * (double)rounds; }
double machine_multiply_int8(ptrdiff_t rounds) { return 0 * (double)rounds; }
#endif

double machine_multiply(ptrdiff_t rounds) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return multiply_512(rounds);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return multiply_256(rounds);
#endif
  v16 a[CHAINS];
  memset(a, 0, sizeof a);
  for (ptrdiff_t i = 0; i < rounds; i++)
    for (int j = 0; j < CHAINS; j++) a[j] = a[j] * 0.999f + 0.001f;
  kept = a[0][0];
  return 2.0 * 16 * CHAINS * (double)rounds;
}
