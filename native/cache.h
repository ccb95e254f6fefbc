// How a token is written into the cache.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>

#include "layout.h"

namespace moonlet {

// Row `place` of a page, as ops.h describes it: L latents and R rotated numbers.
inline void keep_row(Format format, uint8_t* page, int place, const float* row, int L, int R) {
  const int width = L + R;
  if (format == Format::f32) {
    memcpy(page + (int64_t)place * pad(width) * sizeof(float), row, sizeof(float) * width);
  } else if (format == Format::bf16) {
    uint16_t* to = (uint16_t*)page + (int64_t)place * pad(width);
    for (int i = 0; i < width; i++) to[i] = float_to_bf16(row[i]);
  } else {
    uint8_t* codes = page + place / 16 * 16 * (int64_t)width + place % 16 * 4;
    float* scales = (float*)(page + (int64_t)PAGE * width) + place;
    for (int part = 0; part < 2; part++) {
      const int begin = part ? L : 0, end = part ? width : L;
      float most = 0;
      for (int i = begin; i < end; i++) most = std::max(most, std::fabs(row[i]));
      const float inverse = most > 0 ? 127 / most : 0;
      for (int i = begin; i < end; i++) codes[i / 4 * 64 + i % 4] = (uint8_t)(128 + std::lrint(row[i] * inverse));
      scales[part * PAGE] = most / 127;
    }
  }
}

}  // namespace moonlet
