// Buffers laid one after the other, each at a multiple of 64 bytes. The first pass, without a base, only counts.
#pragma once
#include "ops.h"

namespace moonlet {

struct Layout {
  uint8_t* base;
  int64_t used = 0;
  template <class T>
  void place(T*& p, int64_t count) {
    used = round_up(used, 64);
    p = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += count * (int64_t)sizeof(T);
  }
  void place(Activations& x, int64_t rows, int64_t stride) {
    x.stride = stride;
    place(x.f, rows * stride);
    place(x.q, rows * stride);
    place(x.scale, rows * stride / GROUP);
    place(x.sum, rows * stride / GROUP);
    place(x.half, rows * stride);
  }
};

}  // namespace moonlet
