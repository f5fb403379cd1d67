#include "include/CKernels.h"
#include "vector.h"

// In place too: the compiler need not fear that x and y overlap otherwise.
#define EACH _Pragma("clang loop vectorize(assume_safety)") for (ptrdiff_t i = 0; i < n; i++)

#define BINARY(NAME, EXPRESSION)                                                               \
  CK_CLONES static void NAME##_same(const float *a, const float *b, float *y, ptrdiff_t n) {   \
    EACH { float p = a[i], q = b[i]; y[i] = EXPRESSION; }                                      \
  }                                                                                            \
  CK_CLONES static void NAME##_single(const float *a, float q, float *y, ptrdiff_t n) {        \
    EACH { float p = a[i]; y[i] = EXPRESSION; }                                                \
  }                                                                                            \
  static void NAME(int broadcast, const float *a, const float *b, float *y, ptrdiff_t rows,    \
                   ptrdiff_t columns) {                                                        \
    switch (broadcast) {                                                                       \
    case CK_SAME: NAME##_same(a, b, y, rows * columns); break;                                 \
    case CK_ROW:                                                                               \
      for (ptrdiff_t r = 0; r < rows; r++)                                                     \
        NAME##_same(a + r * columns, b, y + r * columns, columns);                             \
      break;                                                                                   \
    case CK_COLUMN:                                                                            \
      for (ptrdiff_t r = 0; r < rows; r++)                                                     \
        NAME##_single(a + r * columns, b[r], y + r * columns, columns);                        \
      break;                                                                                   \
    default: NAME##_single(a, b[0], y, rows * columns);                                        \
    }                                                                                          \
  }
BINARY(add, p + q)
BINARY(subtract, p - q)
BINARY(multiply, p *q)

void ck_binary(int operation, int broadcast, const float *a, const float *b, float *y,
               ptrdiff_t rows, ptrdiff_t columns) {
  switch (operation) {
  case CK_ADD: add(broadcast, a, b, y, rows, columns); break;
  case CK_SUBTRACT: subtract(broadcast, a, b, y, rows, columns); break;
  default: multiply(broadcast, a, b, y, rows, columns);
  }
}

CK_CLONES
void ck_accumulate(float *y, const float *a, ptrdiff_t n) {
  EACH y[i] += a[i];
}

CK_CLONES
void ck_scale(const float *x, float scale, float offset, float *y, ptrdiff_t n) {
  EACH y[i] = x[i] * scale + offset;
}

// The tanh form of GELU: 0.5 x (1 + tanh(c (x + 0.044715 x^3))), c = sqrt(2 / pi).
CK_INLINE float gelu(float x) {
  return 0.5f * x * (1.0f + ck_tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
}
CK_INLINE float gelu_slope(float x) {
  float t = ck_tanh(0.7978845608f * (x + 0.044715f * x * x * x));
  float inner = 0.7978845608f * (1.0f + 3.0f * 0.044715f * x * x);
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
}
CK_INLINE float silu_slope(float x) {
  float s = ck_sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}
CK_INLINE float elu(float x) {
  float e = ck_exp(x > 0 ? 0 : x) - 1.0f;  // a NaN stays one
  return x > 0 ? x : e;
}
CK_INLINE float elu_slope(float x) {
  float e = ck_exp(x > 0 ? 0 : x);
  return x > 0 ? 1.0f : e;
}
CK_INLINE float sigmoid_slope(float x) {
  float s = ck_sigmoid(x);
  return s * (1.0f - s);
}

#define UNARY(NAME, EXPRESSION)                                                               \
  CK_CLONES static void NAME(const float *px, float *y, ptrdiff_t n) {                        \
    EACH { float x = px[i]; y[i] = EXPRESSION; }                                              \
  }
#define SLOPE(NAME, EXPRESSION)                                                               \
  CK_CLONES static void NAME(const float *px, const float *g, float *y, ptrdiff_t n) {        \
    EACH { float x = px[i]; y[i] = g[i] * (EXPRESSION); }                                     \
  }
UNARY(silu_all, x *ck_sigmoid(x))
UNARY(gelu_all, gelu(x))
UNARY(elu_all, elu(x))
UNARY(sigmoid_all, ck_sigmoid(x))
UNARY(exp_all, ck_exp(x))
UNARY(rsqrt_all, 1.0f / __builtin_sqrtf(x))
UNARY(relu_all, x > 0 ? x : 0)
UNARY(sqrt_all, __builtin_sqrtf(x))
UNARY(tanh_all, ck_tanh(x))
UNARY(exact_gelu_all, ck_exact_gelu(x))
UNARY(leaky_relu_all, x >= 0 ? x : 0.2f * x)
UNARY(absolute_all, x < 0 ? -x : x)
SLOPE(silu_gradient, silu_slope(x))
SLOPE(gelu_gradient, gelu_slope(x))
SLOPE(elu_gradient, elu_slope(x))
SLOPE(sigmoid_gradient, sigmoid_slope(x))
SLOPE(exp_gradient, ck_exp(x))
SLOPE(rsqrt_gradient, -0.5f / (x * __builtin_sqrtf(x)))
SLOPE(softplus_gradient, ck_sigmoid(x))
SLOPE(relu_gradient, x > 0 ? 1.0f : 0.0f)
SLOPE(sqrt_gradient, 0.5f / __builtin_sqrtf(x))
SLOPE(log_gradient, 1.0f / x)
SLOPE(tanh_gradient, 1.0f - ck_tanh(x) * ck_tanh(x))
SLOPE(exact_gelu_gradient, ck_exact_gelu_slope(x))
SLOPE(leaky_relu_gradient, x > 0 ? 1.0f : 0.2f)
SLOPE(absolute_gradient, x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f)

void ck_unary(int function, const float *x, float *y, ptrdiff_t n) {
  switch (function) {
  case CK_SILU: silu_all(x, y, n); break;
  case CK_GELU: gelu_all(x, y, n); break;
  case CK_ELU: elu_all(x, y, n); break;
  case CK_SIGMOID: sigmoid_all(x, y, n); break;
  case CK_EXP: exp_all(x, y, n); break;
  case CK_RSQRT: rsqrt_all(x, y, n); break;
  case CK_RELU: relu_all(x, y, n); break;
  case CK_SQRT: sqrt_all(x, y, n); break;
  case CK_TANH: tanh_all(x, y, n); break;
  case CK_EXACT_GELU: exact_gelu_all(x, y, n); break;
  case CK_LEAKY_RELU: leaky_relu_all(x, y, n); break;
  case CK_ABSOLUTE: absolute_all(x, y, n); break;
  // Rare and small: the C library's functions.
  case CK_SOFTPLUS:
    for (ptrdiff_t i = 0; i < n; i++) y[i] = fmaxf(x[i], 0) + log1pf(expf(-fabsf(x[i])));
    break;
  case CK_SINE:
    for (ptrdiff_t i = 0; i < n; i++) y[i] = sinf(x[i]);
    break;
  case CK_COSINE:
    for (ptrdiff_t i = 0; i < n; i++) y[i] = cosf(x[i]);
    break;
  default:
    for (ptrdiff_t i = 0; i < n; i++) y[i] = logf(x[i]);
  }
}

void ck_unary_gradient(int function, const float *x, const float *g, float *y, ptrdiff_t n) {
  switch (function) {
  case CK_SILU: silu_gradient(x, g, y, n); break;
  case CK_GELU: gelu_gradient(x, g, y, n); break;
  case CK_ELU: elu_gradient(x, g, y, n); break;
  case CK_SIGMOID: sigmoid_gradient(x, g, y, n); break;
  case CK_EXP: exp_gradient(x, g, y, n); break;
  case CK_RSQRT: rsqrt_gradient(x, g, y, n); break;
  case CK_SOFTPLUS: softplus_gradient(x, g, y, n); break;
  case CK_RELU: relu_gradient(x, g, y, n); break;
  case CK_SQRT: sqrt_gradient(x, g, y, n); break;
  case CK_LOG: log_gradient(x, g, y, n); break;
  case CK_TANH: tanh_gradient(x, g, y, n); break;
  case CK_EXACT_GELU: exact_gelu_gradient(x, g, y, n); break;
  case CK_LEAKY_RELU: leaky_relu_gradient(x, g, y, n); break;
  case CK_ABSOLUTE: absolute_gradient(x, g, y, n); break;
  case CK_SINE:
    for (ptrdiff_t i = 0; i < n; i++) y[i] = g[i] * cosf(x[i]);
    break;
  default:
    for (ptrdiff_t i = 0; i < n; i++) y[i] = -g[i] * sinf(x[i]);
  }
}

CK_CLONES
void ck_bf16_to_float(const uint16_t *x, float *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    uint32_t bits = (uint32_t)x[i] << 16;
    memcpy(y + i, &bits, 4);
  }
}

void ck_f16_to_float(const uint16_t *x, float *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16, rest = x[i] & 0x7FFF, bits;
    if (rest >= 0x7C00) {
      bits = sign | 0x7F800000 | (rest & 0x3FF) << 13;
    } else if (rest >= 0x400) {
      bits = sign | (rest << 13) + 0x38000000;
    } else {  // subnormal: a multiple of 2^-24
      float value = (float)rest * 0x1p-24f;
      memcpy(&bits, &value, 4);
      bits |= sign;
    }
    memcpy(y + i, &bits, 4);
  }
}
