// Weights into the packed layout and back (specified in kernels/reference.py).
#pragma once
#include <cstdint>

#include "ops.h"

namespace moonlet {

// W (rows, cols), f32 or bf16 bits, into `out` of packed_bytes(). int8 and int4 are quantised in groups of 32 columns:
// scale = absmax / 127 (or 7) rounded up to bf16, code = W / scale to nearest, half to even.
void pack(uint8_t* out, const float* w, Format format, int64_t rows, int64_t cols);
void pack(uint8_t* out, const uint16_t* w, Format format, int64_t rows, int64_t cols);

// Codes (rows, cols) and bf16 scales (rows, ceil(cols / 32)) as they are, int8 or int4.
void pack_codes(uint8_t* out, const int8_t* codes, const uint16_t* scales, Format format, int64_t rows, int64_t cols);

void unpack(float* out, const uint8_t* packed, Format format, int64_t rows, int64_t cols);

}  // namespace moonlet
