// How buffers of a step lie: padded rows, parts of them, and one after the other.
#pragma once
#include "ops.h"

namespace moonlet {

inline int pad(int64_t n) {
  return (int)round_up(n, GROUP);
}

// Part `i` of activations whose rows hold `parts` of them side by side; with one part, the rows from i on.
inline Activations part(const Activations& x, int64_t i, int64_t parts) {
  const int64_t at = i * x.stride, group = at / GROUP;
  return {x.f + at, x.q + at, x.scale + group, x.less + group, x.half + at, x.stride * parts};
}

// Buffers laid one after the other, each at a multiple of 64 bytes. The first pass, without a base, only counts.
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
    place(x.less, rows * stride / GROUP);
    place(x.half, rows * stride);
  }
};

}  // namespace moonlet
