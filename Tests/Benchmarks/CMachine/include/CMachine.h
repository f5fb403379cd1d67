// What the machine can do at best: the floors that figures are held against. Each function does a
// fixed amount of work on one thread and returns something that depends on all of it.
#pragma once
#include <stddef.h>

// Reads n floats once, as a matrix-vector product with rows of 1024 would.
float machine_read(const float *x, ptrdiff_t n);
// 2 * 16 * 12 * rounds float operations that all stay in registers (half as many without AVX-512).
// Returns how many operations it did.
double machine_multiply(ptrdiff_t rounds);
// The same with products of bfloat16 pairs; 0 where the machine has no instruction for them.
double machine_multiply_bf16(ptrdiff_t rounds);
// The same with products of bytes; 0 where the machine has no instruction for them.
double machine_multiply_int8(ptrdiff_t rounds);
