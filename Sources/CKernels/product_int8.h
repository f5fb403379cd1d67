// Products with weights of bytes; see product_int8.c.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "include/CKernels.h"

static inline ptrdiff_t ck_row_place(const ck_rows *places, ptrdiff_t row) {
  const ptrdiff_t line = row / places->width;
  return line / places->height * places->outer + line % places->height * places->middle +
         row % places->width * places->inner;
}

ptrdiff_t ck_int8_panel_bytes(ptrdiff_t k);
ptrdiff_t ck_int8_room(ptrdiff_t m, ptrdiff_t k);
void ck_product_int8(int instructions, const float *x, const ck_rows *places, ptrdiff_t first_row,
                     ptrdiff_t m, const int8_t *panels, const float *scales, const float *bias,
                     float *y, ptrdiff_t y_stride, ptrdiff_t first_panel, ptrdiff_t panel_count,
                     ptrdiff_t n, ptrdiff_t k, float *room);
