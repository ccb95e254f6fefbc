#include "pack.h"

#include <cmath>
#include <cstring>

namespace moonlet {
namespace {

float value(float x) {
  return x;
}
float value(uint16_t x) {
  return bf16_to_float(x);
}

uint16_t bf16_up(float x) {  // the least bf16 not below a positive x
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return (uint16_t)((bits + 0xffff) >> 16);
}

// Where the code of (row, col) lies in an integer tile, and which nibble.
inline int64_t int8_at(int row, int col) {
  return row / 16 * 512 + col / 4 * 64 + row % 16 * 4 + col % 4;
}
inline int64_t int4_at(int row, int col) {
  return row / 16 * 256 + col / 8 * 64 + row % 16 * 4 + col % 4;
}
inline int int4_shift(int col) {
  return col / 4 % 2 * 4;
}

void clear_tile(uint8_t* tile, Format format) {
  // int4 codes are stored with 8 added: an empty place is 0x88.
  const int64_t bytes = block_bytes(format, GROUP), scales = BLOCK * 2;
  memset(tile, format == Format::int4 ? 0x88 : 0, bytes - scales);
  memset(tile + bytes - scales, 0, scales);
}

void set_code(uint8_t* tile, Format format, int row, int col, int code) {
  if (format == Format::int8) {
    tile[int8_at(row, col)] = (uint8_t)(int8_t)code;
    return;
  }
  uint8_t& byte = tile[int4_at(row, col)];
  const int shift = int4_shift(col);
  byte = (uint8_t)((byte & ~(15 << shift)) | (code + 8) << shift);
}

void set_scale(uint8_t* tile, Format format, int row, uint16_t scale) {
  memcpy(tile + block_bytes(format, GROUP) - BLOCK * 2 + 2 * row, &scale, 2);
}

template <class T>
void quantise_row(uint8_t* tile, Format format, int row, const T* w, int count) {
  const int limit = format == Format::int8 ? 127 : 7;
  float highest = 0;
  for (int i = 0; i < count; i++) highest = std::fmax(highest, std::fabs(value(w[i])));
  const uint16_t bits = bf16_up(highest / (float)limit);
  const float scale = bf16_to_float(bits);
  if (!(scale > 0) || !std::isfinite(scale)) return;
  set_scale(tile, format, row, bits);
  for (int i = 0; i < count; i++) {
    const int code = (int)std::nearbyintf(value(w[i]) / scale);
    set_code(tile, format, row, i, code > limit ? limit : code < -limit ? -limit : code);
  }
}

template <class T>
void pack_any(uint8_t* out, const T* w, Format format, int64_t rows, int64_t cols) {
  const int64_t groups = round_up(cols, GROUP) / GROUP, tile_bytes = block_bytes(format, GROUP);
  for (int64_t b = 0; b < round_up(rows, BLOCK) / BLOCK; b++)
    for (int64_t g = 0; g < groups; g++, out += tile_bytes) {
      const int64_t col = g * GROUP;
      const int count = (int)(cols - col < GROUP ? cols - col : GROUP);
      const int live = (int)(rows - b * BLOCK < BLOCK ? rows - b * BLOCK : BLOCK);
      if (format == Format::int8 || format == Format::int4) {
        clear_tile(out, format);
        for (int r = 0; r < live; r++) quantise_row(out, format, r, w + (b * BLOCK + r) * cols + col, count);
        continue;
      }
      memset(out, 0, tile_bytes);
      for (int r = 0; r < live; r++)
        for (int i = 0; i < count; i++) {
          const T x = w[(b * BLOCK + r) * cols + col + i];
          if (format == Format::f32) {
            const float f = value(x);
            memcpy(out + 4 * (i / 2 * 64 + i % 2 * 32 + r), &f, 4);
          } else {
            uint16_t bits;
            if constexpr (sizeof(T) == 2)
              bits = x;
            else
              bits = float_to_bf16(x);
            memcpy(out + 2 * (i / 2 * 64 + r * 2 + i % 2), &bits, 2);
          }
        }
    }
}

}  // namespace

void pack(uint8_t* out, const float* w, Format format, int64_t rows, int64_t cols) {
  pack_any(out, w, format, rows, cols);
}
void pack(uint8_t* out, const uint16_t* w, Format format, int64_t rows, int64_t cols) {
  pack_any(out, w, format, rows, cols);
}

void pack_codes(uint8_t* out, const int8_t* codes, const uint16_t* scales, Format format, int64_t rows, int64_t cols) {
  const int64_t groups = round_up(cols, GROUP) / GROUP, tile_bytes = block_bytes(format, GROUP);
  for (int64_t b = 0; b < round_up(rows, BLOCK) / BLOCK; b++)
    for (int64_t g = 0; g < groups; g++, out += tile_bytes) {
      const int count = (int)(cols - g * GROUP < GROUP ? cols - g * GROUP : GROUP);
      clear_tile(out, format);
      for (int64_t row = b * BLOCK; row < rows && row < (b + 1) * BLOCK; row++) {
        set_scale(out, format, (int)(row - b * BLOCK), scales[row * groups + g]);
        for (int i = 0; i < count; i++)
          set_code(out, format, (int)(row - b * BLOCK), i, codes[row * cols + g * GROUP + i]);
      }
    }
}

void unpack(float* out, const uint8_t* packed, Format format, int64_t rows, int64_t cols) {
  const int64_t groups = round_up(cols, GROUP) / GROUP, tile_bytes = block_bytes(format, GROUP);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t col = 0; col < cols; col++) {
      const uint8_t* tile = packed + (row / BLOCK * groups + col / GROUP) * tile_bytes;
      const int r = (int)(row % BLOCK), i = (int)(col % GROUP);
      float x = 0;
      if (format == Format::f32) {
        memcpy(&x, tile + 4 * (i / 2 * 64 + i % 2 * 32 + r), 4);
      } else if (format == Format::bf16) {
        uint16_t bits;
        memcpy(&bits, tile + 2 * (i / 2 * 64 + r * 2 + i % 2), 2);
        x = bf16_to_float(bits);
      } else {
        uint16_t scale;
        memcpy(&scale, tile + tile_bytes - BLOCK * 2 + 2 * r, 2);
        const int code =
            format == Format::int8 ? (int8_t)tile[int8_at(r, i)] : (tile[int4_at(r, i)] >> int4_shift(i) & 15) - 8;
        x = (float)code * bf16_to_float(scale);
      }
      out[row * cols + col] = x;
    }
}

}  // namespace moonlet
