#include "include/CKernels.h"
#include "vector.h"

CK_CLONES
void ck_adamw(float *p, const float *gradient, float *m, float *v, ptrdiff_t n, float clip,
              float rate, float beta1, float beta2, float correction1, float correction2,
              float epsilon, float decay) {
  float keep = 1.0f - rate * decay, step = rate / correction1;
  float root = 1.0f / sqrtf(correction2);
  for (ptrdiff_t i = 0; i < n; i++) {
    float g = gradient[i] * clip;
    m[i] = beta1 * m[i] + (1.0f - beta1) * g;
    v[i] = beta2 * v[i] + (1.0f - beta2) * g * g;
    p[i] = p[i] * keep - step * m[i] / (__builtin_sqrtf(v[i]) * root + epsilon);
  }
}

CK_CLONES
void ck_moving_average(float *shadow, const float *p, ptrdiff_t n, float decay) {
  for (ptrdiff_t i = 0; i < n; i++) shadow[i] = decay * shadow[i] + (1.0f - decay) * p[i];
}
