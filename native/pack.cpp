#include "pack.h"

#include <cmath>
#include <cstring>

// A tile is 32 rows by 32 columns. Each loop below runs over one row of a tile with fixed bounds and without branches,
// so that the compiler turns it into vector code for any processor; ragged edges are first copied into a full row.

namespace moonlet {
namespace {

constexpr int64_t SCALES = BLOCK * 2;  // bytes at the end of an integer tile

uint32_t four(const void* from) {  // bytes, moved together
  uint32_t x;
  memcpy(&x, from, 4);
  return x;
}
void set_four(uint8_t* to, uint32_t x) {
  memcpy(to, &x, 4);
}

float value(float x) {
  return x;
}
float value(uint16_t x) {
  return bf16_to_float(x);
}

// A row's codes to their places in a tile.
void place_int8(uint8_t* tile, int row, const int8_t* codes) {
  uint8_t* to = tile + row * 4;
  for (int t = 0; t < 8; t++) set_four(to + 128 * t, four(codes + 4 * t));
}
void place_int4(uint8_t* tile, int row, const int8_t* codes) {
  uint8_t* to = tile + row * 4;
  for (int t = 0; t < 4; t++) {
    // Code + 8 in four bits is the code's last four bits with the highest one turned.
    const uint32_t low = (four(codes + 8 * t) & 0x0f0f0f0f) ^ 0x08080808;
    const uint32_t high = (four(codes + 8 * t + 4) & 0x0f0f0f0f) ^ 0x08080808;
    set_four(to + 128 * t, low | high << 4);
  }
}
void place_codes(uint8_t* tile, Format format, int row, const int8_t* codes, uint16_t scale) {
  if (format == Format::int8)
    place_int8(tile, row, codes);
  else
    place_int4(tile, row, codes);
  memcpy(tile + block_bytes(format, GROUP) - SCALES + 2 * row, &scale, 2);
}

uint16_t bf16_up(float x) {  // the least bf16 not below a positive x
  return (uint16_t)((four(&x) + 0xffff) >> 16);
}

// Codes and scale of 32 weights.
uint16_t quantise(int8_t* codes, const float* w, float limit) {
  uint32_t highest = 0;  // of positive floats, the order is that of their bits
  for (int i = 0; i < GROUP; i++) {
    const uint32_t size = four(w + i) & 0x7fffffff;
    highest = size > highest ? size : highest;
  }
  float absmax;
  memcpy(&absmax, &highest, 4);
  const uint16_t bits = bf16_up(absmax / limit);
  const float scale = bf16_to_float(bits);
  if (!(scale > 0) || !std::isfinite(scale)) {
    memset(codes, 0, GROUP);
    return 0;
  }
  // Adding 1.5 * 2^23 leaves no room for a fraction: the sum is rounded to nearest, half to even.
  constexpr float round = 12582912.0f;
  int32_t whole[GROUP];
  for (int i = 0; i < GROUP; i++) {
    float x = w[i] / scale;
    x = x > limit ? limit : x;
    x = (x < -limit ? -limit : x) + round;
    whole[i] = (int32_t)(four(&x) - 0x4b400000);
  }
  for (int i = 0; i < GROUP; i++) codes[i] = (int8_t)whole[i];
  return bits;
}

void place_floats(uint8_t* tile, Format format, int row, const float* w) {
  if (format == Format::f32) {
    for (int i = 0; i < GROUP; i++) memcpy(tile + 4 * (i / 2 * 64 + i % 2 * 32 + row), w + i, 4);
    return;
  }
  uint16_t bits[GROUP];
  for (int i = 0; i < GROUP; i++) bits[i] = float_to_bf16(w[i]);
  for (int p = 0; p < GROUP / 2; p++) set_four(tile + 128 * p + 4 * row, four(bits + 2 * p));
}

// 32 weights of one row.
template <class T>
void pack_row(uint8_t* tile, Format format, int row, const T* w) {
  if constexpr (sizeof(T) == 2)
    if (format == Format::bf16) {
      for (int p = 0; p < GROUP / 2; p++) set_four(tile + 128 * p + 4 * row, four(w + 2 * p));
      return;
    }
  float wide[GROUP];
  for (int i = 0; i < GROUP; i++) wide[i] = value(w[i]);
  if (format == Format::f32 || format == Format::bf16) {
    place_floats(tile, format, row, wide);
    return;
  }
  int8_t codes[GROUP];
  const uint16_t scale = quantise(codes, wide, format == Format::int8 ? 127.0f : 7.0f);
  place_codes(tile, format, row, codes, scale);
}

// Calls row_of(tile, row in the tile, row, group) for all rows of all tiles, those of the padding with row -1.
template <class F>
void for_tile_rows(uint8_t* out, Format format, int64_t rows, int64_t cols, F row_of) {
  const int64_t groups = round_up(cols, GROUP) / GROUP, tile_bytes = block_bytes(format, GROUP);
  for (int64_t first = 0; first < rows; first += BLOCK)
    for (int64_t g = 0; g < groups; g++, out += tile_bytes)
      for (int r = 0; r < BLOCK; r++) row_of(out, r, first + r < rows ? first + r : -1, g);
}

// The 32 elements of a row from column 32g: where they lie, or, at an edge, a copy filled up with zeros.
template <class T>
const T* group_of(T* edge, const T* w, int64_t row, int64_t g, int64_t cols) {
  const int64_t col = g * GROUP, count = row < 0 ? 0 : cols - col < GROUP ? cols - col : GROUP;
  if (count == GROUP) return w + row * cols + col;
  memset(edge, 0, GROUP * sizeof(T));
  if (count) memcpy(edge, w + row * cols + col, count * sizeof(T));
  return edge;
}

template <class T>
void pack_any(uint8_t* out, const T* w, Format format, int64_t rows, int64_t cols) {
  for_tile_rows(out, format, rows, cols, [&](uint8_t* tile, int r, int64_t row, int64_t g) {
    T edge[GROUP];
    pack_row(tile, format, r, group_of(edge, w, row, g, cols));
  });
}

// The 32 weights of one row of a tile.
void unpack_row(float* w, const uint8_t* tile, Format format, int r) {
  if (format == Format::f32) {
    for (int i = 0; i < GROUP; i++) memcpy(w + i, tile + 4 * (i / 2 * 64 + i % 2 * 32 + r), 4);
    return;
  }
  if (format == Format::bf16) {
    uint16_t bits[GROUP];
    for (int p = 0; p < GROUP / 2; p++) memcpy(bits + 2 * p, tile + 128 * p + 4 * r, 4);
    for (int i = 0; i < GROUP; i++) w[i] = bf16_to_float(bits[i]);
    return;
  }
  int8_t codes[GROUP];
  if (format == Format::int8) {
    for (int t = 0; t < 8; t++) memcpy(codes + 4 * t, tile + 128 * t + 4 * r, 4);
  } else {
    for (int t = 0; t < 4; t++)
      for (int i = 0; i < 4; i++) {
        const int both = tile[128 * t + 4 * r + i];
        codes[8 * t + i] = (int8_t)((both & 15) - 8);
        codes[8 * t + 4 + i] = (int8_t)((both >> 4) - 8);
      }
  }
  uint16_t bits;
  memcpy(&bits, tile + block_bytes(format, GROUP) - SCALES + 2 * r, 2);
  const float scale = bf16_to_float(bits);
  for (int i = 0; i < GROUP; i++) w[i] = (float)codes[i] * scale;
}

}  // namespace

void pack(uint8_t* out, const float* w, Format format, int64_t rows, int64_t cols) {
  pack_any(out, w, format, rows, cols);
}
void pack(uint8_t* out, const uint16_t* w, Format format, int64_t rows, int64_t cols) {
  pack_any(out, w, format, rows, cols);
}

void pack_codes(uint8_t* out, const int8_t* codes, const uint16_t* scales, Format format, int64_t rows, int64_t cols) {
  const int64_t groups = round_up(cols, GROUP) / GROUP;
  for_tile_rows(out, format, rows, cols, [&](uint8_t* tile, int r, int64_t row, int64_t g) {
    int8_t edge[GROUP];
    place_codes(tile, format, r, group_of(edge, codes, row, g, cols), row < 0 ? 0 : scales[row * groups + g]);
  });
}

void unpack(float* out, const uint8_t* packed, Format format, int64_t rows, int64_t cols) {
  const int64_t tile_bytes = block_bytes(format, GROUP);
  for (int64_t first = 0; first < rows; first += BLOCK)
    for (int64_t col = 0; col < cols; col += GROUP, packed += tile_bytes)
      for (int64_t r = 0; r < BLOCK && first + r < rows; r++) {
        float w[GROUP];
        unpack_row(w, packed, format, (int)r);
        memcpy(out + (first + r) * cols + col, w, (cols - col < GROUP ? cols - col : GROUP) * sizeof(float));
      }
}

}  // namespace moonlet
