// Kernels in C for what the BLAS library does badly or not at all. All arrays are float32,
// row-major, without alignment demands. Each function is one body compiled for several
// instruction sets and chosen at load time. Every output element is summed in an order that depends
// on its own row alone, never on how many rows a call has, so that results do not change with
// batching or threads.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Matrix products y[m][n] = scale[n] * sum_k x[m][k] w[n][k] + bias[n] over packed weights: panels of
// CK_PANEL columns, panel p holding [k][CK_PANEL] values, columns past n being zero; of bfloat16 two rows
// lie in each other, [k / 2][CK_PANEL][2], of bytes four. Each element is one chain over k, so that nothing
// but its own row and column changes it. With weights of bfloat16 x is rounded to bfloat16, with bytes to
// integers of 16 bits relative to the largest of its row.
#define CK_PANEL 32
enum { CK_F32 = 0, CK_BF16 = 1, CK_INT8 = 2 };
ptrdiff_t ck_panel_count(ptrdiff_t n);
// Packs the panels first ..< first + count of w, element (n, k) being at n * n_stride + k * k_stride.
void ck_pack_panels(const float *w, ptrdiff_t n_stride, ptrdiff_t k_stride, ptrdiff_t first,
                    ptrdiff_t count, ptrdiff_t n, ptrdiff_t k, float *panels);
// Bytes of a panel of k rows.
ptrdiff_t ck_panel_bytes(int format, ptrdiff_t k);
// A float panel rounded to bfloat16, to nearest, ties to even.
void ck_panel_to_bf16(const float *panel, ptrdiff_t k, uint32_t *pairs);
// A float panel as bytes in -127 ... 127, and for each column a scale, value = byte * scale, and behind these
// the sum of its bytes: 2 * CK_PANEL floats.
void ck_panel_to_int8(const float *panel, ptrdiff_t k, int8_t *bytes, float *scales);
// Where the rows of a first factor are. Row m: its place in an array [m / (width * height)][height][width]
// of steps `outer`, `middle` and `inner`. Element k of a row: segments[k / length] + k % length * k_stride
// further; segments may be NULL, then k * k_stride. So the rows of a convolution need not be copied.
typedef struct {
  ptrdiff_t width, height, inner, middle, outer;
  const ptrdiff_t *segments;
  ptrdiff_t length, k_stride;
} ck_rows;
// Rows x[first_row ..< first_row + m] times some panels; y points to the first of them, and its columns
// outside of the panels are left alone. `scales` (for CK_INT8) and `bias` may be NULL. `room`:
// ck_product_room(format, m, k) floats. `instructions`: the most that is used of what the machine has.
enum { CK_PLAIN = 1, CK_AVX2 = 2, CK_AVX512 = 3, CK_ALL_INSTRUCTIONS = 4 };
void ck_product(int instructions, const float *x, const ck_rows *places, ptrdiff_t first_row,
                ptrdiff_t m, int format, const void *panels, const float *scales, const float *bias,
                float *y, ptrdiff_t y_stride, ptrdiff_t first_panel, ptrdiff_t panel_count,
                ptrdiff_t n, ptrdiff_t k, float *room);
ptrdiff_t ck_product_room(int format, ptrdiff_t m, ptrdiff_t k);
// Rows that the kernel takes at a time: calls with a multiple of them waste nothing.
int ck_tile_rows(void);

// Element-wise binary operations on a matrix a[rows][columns]; b is the same shape, one row, one
// column, or a single number.
enum { CK_ADD = 0, CK_SUBTRACT = 1, CK_MULTIPLY = 2 };
enum { CK_SAME = 0, CK_ROW = 1, CK_COLUMN = 2, CK_SCALAR = 3 };
void ck_binary(int operation, int broadcast, const float *a, const float *b, float *y,
               ptrdiff_t rows, ptrdiff_t columns);
// y += a
void ck_accumulate(float *y, const float *a, ptrdiff_t n);
// y = x * scale + offset
void ck_scale(const float *x, float scale, float offset, float *y, ptrdiff_t n);

// Element-wise functions and, given x and the gradient of y, the gradient of x.
enum {
  CK_SILU = 0, CK_GELU = 1, CK_ELU = 2, CK_SIGMOID = 3, CK_EXP = 4, CK_RSQRT = 5, CK_SOFTPLUS = 6,
  CK_RELU = 7, CK_SINE = 8, CK_COSINE = 9, CK_SQRT = 10, CK_LOG = 11, CK_TANH = 12, CK_EXACT_GELU = 13,
  CK_LEAKY_RELU = 14, CK_ABSOLUTE = 15
};
void ck_unary(int function, const float *x, float *y, ptrdiff_t n);
void ck_unary_gradient(int function, const float *x, const float *gradient, float *y, ptrdiff_t n);

// Row-wise: y[r] = sum of x[r][:] ; column-wise: y[c] = sum over rows, in a fixed order of blocks.
void ck_row_sums(const float *x, float *y, ptrdiff_t rows, ptrdiff_t columns);
void ck_column_sums(const float *x, float *y, ptrdiff_t rows, ptrdiff_t columns);
// Sum of all, and of all squares, in double precision.
double ck_sum(const float *x, ptrdiff_t n);
double ck_sum_of_squares(const float *x, ptrdiff_t n);
double ck_dot(const float *x, const float *y, ptrdiff_t n);

// Layer norm over rows: y = (x - mean) / sqrt(var + epsilon) * weight + bias (biased variance).
// weight and bias may be NULL.
void ck_layer_norm(const float *x, const float *weight, const float *bias, float epsilon, float *y,
                   ptrdiff_t rows, ptrdiff_t columns);
// Its gradients; dweight and dbias are added to, may be NULL; dx is written.
void ck_layer_norm_gradient(const float *x, const float *weight, const float *dy, float epsilon,
                            float *dx, float *dweight, float *dbias, ptrdiff_t rows,
                            ptrdiff_t columns);

// Of each channel of x[rows][columns]: its mean, and the sum of the squares of what deviates from it. For
// blocks of rows that a core's cache holds.
void ck_channel_moments(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *mean, float *deviations);
// Of each channel: the sum of y, and of the products with x.
void ck_channel_products(const float *x, const float *y, ptrdiff_t rows, ptrdiff_t columns, float *sums,
                         float *products);
// y = x * scale[channel] + shift[channel], perhaps its GELU (exact form).
void ck_channel_map(int with_gelu, const float *x, const float *scale, const float *shift, float *y,
                    ptrdiff_t rows, ptrdiff_t columns);
// z = x * a[channel] + y * b[channel] + c[channel]
void ck_channel_combination(const float *x, const float *a, const float *y, const float *b, const float *c,
                            float *z, ptrdiff_t rows, ptrdiff_t columns);
// y[rows][columns] = tanh of the columns of x[rows][2 * columns] from tanh_first on times the logistic
// function of those from sigmoid_first on; and the gradient.
void ck_gate(const float *x, ptrdiff_t tanh_first, ptrdiff_t sigmoid_first, float *y, ptrdiff_t rows,
             ptrdiff_t columns);
void ck_gate_gradient(const float *x, ptrdiff_t tanh_first, ptrdiff_t sigmoid_first, const float *dy,
                      float *dx, ptrdiff_t rows, ptrdiff_t columns);

// Of x[steps][channels], at twice its rate: u + scale[channel] sin^2(alpha[channel] u). `up` and `down` are the
// filters between the rates; edges go on as they are. Steps first ..< first + count are written. `room`:
// (2 * count + 10) * channels floats.
#define CK_SNAKE_TAPS 12
void ck_snake(const float *x, const float *alpha, const float *scale, const float *up, const float *down,
              float *y, ptrdiff_t steps, ptrdiff_t channels, ptrdiff_t first, ptrdiff_t count, float *room);
// Its gradients, of some channels of rows that are `stride` apart; dx, dalpha and dscale are written. `room`:
// (2 * steps + 2) * channels floats.
void ck_snake_gradient(const float *x, const float *alpha, const float *scale, const float *up,
                       const float *down, const float *dy, float *dx, float *dalpha, float *dscale,
                       ptrdiff_t steps, ptrdiff_t stride, ptrdiff_t channels, float *room);

// Rotary position embedding of interleaved pairs in place: x[rows][heads][dimension], rows
// `stride` apart; cosine and sine are [rows][dimension / 2]. `direction` is 1, or -1 for the inverse.
void ck_rotate(float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t heads, ptrdiff_t dimension,
               const float *cosine, const float *sine, int direction);

// Attention of one head: query i (0 ..< queries) sees the keys from max(0, offset + i - context + 1)
// to offset + i (context 0: no limit). Consecutive positions are `*_stride` floats apart.
// `scores` is room for ck_attention_room(offset + queries, queries, dimension) floats. `lse` (may be NULL) gets the logarithm of the
// sum of exponentials of each query.
ptrdiff_t ck_attention_room(ptrdiff_t keys, ptrdiff_t queries, ptrdiff_t dimension);
void ck_attention(const float *q, ptrdiff_t q_stride, const float *k, const float *v,
                  ptrdiff_t kv_stride, float *out, ptrdiff_t out_stride, ptrdiff_t queries,
                  ptrdiff_t offset, ptrdiff_t context, ptrdiff_t dimension, float scale,
                  float *scores, float *lse);
// Gradients of the above for offset 0 and no limit: dq is written, dk and dv are added to. `room`:
// ck_attention_gradient_room(positions, dimension) floats.
ptrdiff_t ck_attention_gradient_room(ptrdiff_t positions, ptrdiff_t dimension);
void ck_attention_gradient(const float *q, ptrdiff_t q_stride, const float *k, const float *v,
                           ptrdiff_t kv_stride, const float *out, const float *dout,
                           ptrdiff_t out_stride, const float *lse, float *dq, ptrdiff_t dq_stride,
                           float *dk, float *dv, ptrdiff_t dkv_stride, ptrdiff_t positions,
                           ptrdiff_t dimension, float scale, float *room);

// Depthwise transposed convolution with kernel 2 * stride: y[t * stride + j][c] = x[t][c] w[j][c]
// + x[t - 1][c] w[stride + j][c]; x[-1] stands before x.
void ck_depthwise_upsample(const float *x, const float *w, float *y, ptrdiff_t frames,
                           ptrdiff_t stride, ptrdiff_t channels);

// y[i] += x[i] on rows chosen by index (row index[i] of y gets row i of x); negative: skipped.
void ck_scatter_add_rows(const float *x, const int32_t *index, float *y, ptrdiff_t rows,
                         ptrdiff_t columns);

// One step of AdamW with decoupled decay: p -= rate * (decay * p + m' / (sqrt(v') + epsilon)).
void ck_adamw(float *p, const float *gradient, float *m, float *v, ptrdiff_t n, float clip,
              float rate, float beta1, float beta2, float correction1, float correction2,
              float epsilon, float decay);
// shadow = decay * shadow + (1 - decay) * p
void ck_moving_average(float *shadow, const float *p, ptrdiff_t n, float decay);

// Conversions.
void ck_bf16_to_float(const uint16_t *x, float *y, ptrdiff_t n);
void ck_f16_to_float(const uint16_t *x, float *y, ptrdiff_t n);
