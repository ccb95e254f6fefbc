// Products of one packed block of rows and up to MANY tokens, compiled once for each instruction set.
#pragma once
#include <type_traits>

#include "ops.h"
#include "simd.h"

namespace moonlet {
namespace {

constexpr int FEW = 4;    // tokens whose sums stay in registers
constexpr int MANY = 64;  // tokens whose sums stay in the first-level cache

// ---- tiles: 32 rows x 32 columns of a packed matrix -----------------------------------------------------------------

// Float tiles give the weights of columns 2p and 2p+1: w[0], w[1] rows 0-15 and 16-31 of the even one, w[2], w[3] of
// the odd one.
struct TileF32 {
  static constexpr int bytes = GROUP * BLOCK * 4;
  const float* p;
  explicit TileF32(const uint8_t* data) : p((const float*)data) {}
  void pair(int i, F16 w[4]) const {
    for (int k = 0; k < 4; k++) w[k] = f_load(p + 64 * i + 16 * k);
  }
};

struct TileBf16 {
  static constexpr int bytes = GROUP * BLOCK * 2;
  const uint8_t* p;
  explicit TileBf16(const uint8_t* data) : p(data) {}
  void pair(int i, F16 w[4]) const {
    const I16 lo = i_load(p + 128 * i), hi = i_load(p + 128 * i + 64);
    const I16 mask = i_set((int32_t)0xffff0000);
    w[0] = f_bits(i_left<16>(lo)), w[1] = f_bits(i_left<16>(hi));
    w[2] = f_bits(i_and(lo, mask)), w[3] = f_bits(i_and(hi, mask));
  }
};

template <int N>
inline I16 signed_byte(I16 x) {  // byte N of each int32, with its sign
  return i_right<24>(i_left<24 - 8 * N>(x));
}
template <int N>
inline I16 nibble(I16 x) {  // nibble N of each int32, stored as code + 8
  return i_sub(i_and(i_right_bits<4 * N>(x), i_set(15)), i_set(8));
}

struct TileInt8 {
  static constexpr int bytes = GROUP * BLOCK + BLOCK * 2;
  static constexpr bool ahead = false;
  const uint8_t* p;
  F16 scale[2];
  explicit TileInt8(const uint8_t* data) : p(data) {
    for (int h = 0; h < 2; h++) scale[h] = f_load_bf16((const uint16_t*)(data + GROUP * BLOCK) + 16 * h);
  }
  void pair(int i, F16 w[4]) const {
    for (int h = 0; h < 2; h++) {
      const I16 line = i_load(p + 128 * (i / 2) + 64 * h);
      w[h] = f_mul(f_from(i % 2 ? signed_byte<2>(line) : signed_byte<0>(line)), scale[h]);
      w[h + 2] = f_mul(f_from(i % 2 ? signed_byte<3>(line) : signed_byte<1>(line)), scale[h]);
    }
  }
  void codes(I16 w[2][8]) const {
    for (int h = 0; h < 2; h++)
      for (int t = 0; t < 8; t++) w[h][t] = signed_codes(i_load(p + 128 * t + 64 * h));
  }
  static constexpr int32_t offset = SIGNED_OFFSET;
  static constexpr int abreast_from = 16;
  static I16 dot(I16 acc, I16 w, I16 x) { return dot4_signed(acc, w, x); }
};

struct TileInt4 {
  static constexpr int bytes = GROUP * BLOCK / 2 + BLOCK * 2;
  static constexpr bool ahead = true;
  const uint8_t* p;
  F16 scale[2];
  explicit TileInt4(const uint8_t* data) : p(data) {
    for (int h = 0; h < 2; h++) scale[h] = f_load_bf16((const uint16_t*)(data + GROUP * BLOCK / 2) + 16 * h);
  }
  void pair(int i, F16 w[4]) const {
    // Byte b of line t holds column 8t+b in its low and 8t+4+b in its high nibble: nibbles 2b and 2b+1 of the int32.
    const int t = i / 4;
    for (int h = 0; h < 2; h++) {
      const I16 line = i_load(p + 128 * t + 64 * h);
      I16 even, odd;
      switch (i % 4) {
        case 0:
          even = nibble<0>(line), odd = nibble<2>(line);
          break;
        case 1:
          even = nibble<4>(line), odd = nibble<6>(line);
          break;
        case 2:
          even = nibble<1>(line), odd = nibble<3>(line);
          break;
        default:
          even = nibble<5>(line), odd = nibble<7>(line);
          break;
      }
      w[h] = f_mul(f_from(even), scale[h]), w[h + 2] = f_mul(f_from(odd), scale[h]);
    }
  }
  void codes(I16 w[2][8]) const {
    const I16 low = i_set(0x0f0f0f0f);
    for (int h = 0; h < 2; h++)
      for (int t = 0; t < 4; t++) {
        const I16 line = i_load(p + 128 * t + 64 * h);
        w[h][2 * t] = i_and(line, low);
        w[h][2 * t + 1] = i_and(i_right_bits<4>(line), low);
      }
  }
  static constexpr int32_t offset = 8;  // codes are stored with 8 added
  static constexpr int abreast_from = 6;
  static I16 dot(I16 acc, I16 w, I16 x) { return dot4_unsigned(acc, w, x); }
};

// ---- one block of rows times M tokens -------------------------------------------------------------------------------

// Tokens whose products are computed side by side where there are registers for it: the products of one wait for each
// other. A tile asks for its lines ahead in larger portions then, which few tokens do not outlast: a format
// says from how many on it pays.
constexpr int ABREAST = VECTORS >= 32 ? 2 : 1;
// Bytes ahead: covers the latency of memory at one core's share of its bandwidth. With few tokens, int8 tiles and pairs
// of bf16 are read in time by the processor's own prefetching; asking for each of their lines cost them up to a third
// of their rate.
constexpr int PREFETCH = 2304;

inline void prefetch(const uint8_t* p, int bytes) {
  for (int i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
}

// Even and odd columns are summed apart and added at the end: two chains hide the latency of an addition.
template <class Tile, int M>
void float_block(const uint8_t* block, int G, const float* const* x, float* const* y) {
  F16 acc[M][4];
  for (int m = 0; m < M; m++)
    for (int k = 0; k < 4; k++) acc[m][k] = f_zero();
  for (int g = 0; g < G; g++, block += Tile::bytes) {
    prefetch(block + PREFETCH, Tile::bytes);
    const Tile tile(block);
    for (int i = 0; i < GROUP / 2; i++) {
      F16 w[4];
      tile.pair(i, w);
      for (int m = 0; m < M; m++) {
        const F16 even = f_set(x[m][GROUP * g + 2 * i]), odd = f_set(x[m][GROUP * g + 2 * i + 1]);
        acc[m][0] = f_fma(w[0], even, acc[m][0]), acc[m][1] = f_fma(w[1], even, acc[m][1]);
        acc[m][2] = f_fma(w[2], odd, acc[m][2]), acc[m][3] = f_fma(w[3], odd, acc[m][3]);
      }
    }
  }
  for (int m = 0; m < M; m++) {
    f_store(y[m], f_add(acc[m][0], acc[m][2]));
    f_store(y[m] + 16, f_add(acc[m][1], acc[m][3]));
  }
}

struct IntRow {  // one token's activations in int8
  const int8_t* q;
  const float* scale;
  const int32_t* less;
};

// Adds what a tile gives for N tokens to their sums, all side by side.
template <class Tile, int N>
inline void int_tile(const Tile& tile, const I16 w[2][8], const IntRow* x, int g, F16 (*sums)[2]) {
  I16 a[N], b[N];
  const int8_t* q[N];
  for (int n = 0; n < N; n++) {
    a[n] = b[n] = i_set(Tile::offset / 8 * x[n].less[g]);
    q[n] = x[n].q + GROUP * g;
    __asm__("" : "+r"(q[n]));  // one address for all eight: the compiler kept eight, some in vector registers
  }
  for (int t = 0; t < 8; t++)
    for (int n = 0; n < N; n++) {
      int32_t four;
      memcpy(&four, q[n] + 4 * t, 4);
      const I16 v = i_set(four);
      a[n] = Tile::dot(a[n], w[0][t], v), b[n] = Tile::dot(b[n], w[1][t], v);
    }
  for (int n = 0; n < N; n++) {
    const F16 scale = f_set(x[n].scale[g]);
    sums[n][0] = f_fma(f_mul(f_from(a[n]), scale), tile.scale[0], sums[n][0]);
    sums[n][1] = f_fma(f_mul(f_from(b[n]), scale), tile.scale[1], sums[n][1]);
  }
}

template <class Tile, int M>
void int_block(const uint8_t* block, int G, const IntRow* x, float* const* y) {
  F16 acc[M][2];
  for (int m = 0; m < M; m++) acc[m][0] = acc[m][1] = f_zero();
  for (int g = 0; g < G; g++, block += Tile::bytes) {
    if constexpr (Tile::ahead) prefetch(block + PREFETCH, Tile::bytes);
    const Tile tile(block);
    I16 w[2][8];
    tile.codes(w);
    for (int m = 0; m < M; m++) int_tile<Tile, 1>(tile, w, x + m, g, acc + m);
  }
  for (int m = 0; m < M; m++) f_store(y[m], acc[m][0]), f_store(y[m] + 16, acc[m][1]);
}

// The same sums for many tokens: the unpacked tile stays in registers while the tokens pass. They take so long that the
// processor's own prefetching does not run ahead of them, so a tile to come is asked for, a few lines with each token:
// all at once would keep the tokens' own reads waiting.
template <class Tile, int N>
void int_block_many(const uint8_t* block, int G, const IntRow* x, int M, float* const* y) {
  alignas(64) float acc[MANY][BLOCK];
  const int lines = ((Tile::bytes + 63) / 64 + M - 1) / M;
  memset(acc, 0, sizeof(float) * BLOCK * M);
  for (int g = 0; g < G; g++, block += Tile::bytes) {
    const uint8_t* later = block + PREFETCH;
    const Tile tile(block);
    I16 w[2][8];
    tile.codes(w);
    auto pass = [&]<int C>(int m, std::integral_constant<int, C>) {
      for (int i = 0; i < C * lines; i++, later += 64) __builtin_prefetch(later);
      F16 sums[C][2];
      for (int n = 0; n < C; n++) sums[n][0] = f_load(acc[m + n]), sums[n][1] = f_load(acc[m + n] + 16);
      int_tile<Tile, C>(tile, w, x + m, g, sums);
      for (int n = 0; n < C; n++) f_store(acc[m + n], sums[n][0]), f_store(acc[m + n] + 16, sums[n][1]);
    };
    int m = 0;
    for (; m + N <= M; m += N) pass(m, std::integral_constant<int, N>());
    for (; m < M; m++) pass(m, std::integral_constant<int, 1>());
  }
  for (int m = 0; m < M; m++) memcpy(y[m], acc[m], sizeof acc[m]);
}

template <class Tile>
void float_tokens(const uint8_t* block, int G, const float* const* x, int M, float* const* y) {
  int m = 0;
  for (; m + FEW <= M; m += FEW) float_block<Tile, FEW>(block, G, x + m, y + m);
  if (M - m == 3) return float_block<Tile, 3>(block, G, x + m, y + m);
  if (M - m == 2) return float_block<Tile, 2>(block, G, x + m, y + m);
  if (M - m == 1) return float_block<Tile, 1>(block, G, x + m, y + m);
}

template <class Tile>
void int_tokens(const uint8_t* block, int G, const IntRow* x, int M, float* const* y) {
  if (M >= Tile::abreast_from) return int_block_many<Tile, ABREAST>(block, G, x, M, y);
  if (M > FEW) return int_block_many<Tile, 1>(block, G, x, M, y);
  if (M == 4) return int_block<Tile, 4>(block, G, x, y);
  if (M == 3) return int_block<Tile, 3>(block, G, x, y);
  if (M == 2) return int_block<Tile, 2>(block, G, x, y);
  if (M == 1) return int_block<Tile, 1>(block, G, x, y);
}

#if defined(__AVX512BF16__)
// bf16 weights times activations rounded to bf16, two columns in one instruction; pairs of columns alternate between
// two sums, which hides the latency of an addition.
template <int M>
void half_block(const uint8_t* block, int G, const uint16_t* const* x, float* const* y) {
  F16 acc[M][4];
  for (int m = 0; m < M; m++)
    for (int k = 0; k < 4; k++) acc[m][k] = f_zero();
  for (int g = 0; g < G; g++, block += TileBf16::bytes) {
    for (int i = 0; i < GROUP / 2; i += 2) {
      __m512bh w[4];
      for (int k = 0; k < 4; k++) w[k] = bf16_pairs(i_load(block + 128 * i + 64 * k));
      for (int m = 0; m < M; m++) {
        int32_t two[2];
        memcpy(two, x[m] + GROUP * g + 2 * i, 8);
        for (int k = 0; k < 4; k++) acc[m][k] = _mm512_dpbf16_ps(acc[m][k], w[k], bf16_pairs(i_set(two[k / 2])));
      }
    }
  }
  for (int m = 0; m < M; m++) {
    f_store(y[m], f_add(acc[m][0], acc[m][2]));
    f_store(y[m] + 16, f_add(acc[m][1], acc[m][3]));
  }
}

void half_tokens(const uint8_t* block, int G, const uint16_t* const* x, int M, float* const* y) {
  int m = 0;
  for (; m + FEW <= M; m += FEW) half_block<FEW>(block, G, x + m, y + m);
  if (M - m == 3) return half_block<3>(block, G, x + m, y + m);
  if (M - m == 2) return half_block<2>(block, G, x + m, y + m);
  if (M - m == 1) return half_block<1>(block, G, x + m, y + m);
}
#endif

// Block b of W times up to MANY tokens, each into y[m][0..31].
void block_product(const Matrix& w, int b, const Activations& x, const int32_t* from, int first, int M, float* const* y,
                   bool exact) {
  const int G = (w.cols + GROUP - 1) / GROUP;
  const uint8_t* block = w.data + b * block_bytes(w.format, w.cols);
  if (!exact && (w.format == Format::int8 || w.format == Format::int4)) {
    IntRow rows[MANY];
    const int64_t groups = x.stride / GROUP;
    for (int m = 0; m < M; m++) {
      const int64_t row = from ? from[first + m] : first + m;
      rows[m] = {x.q + row * x.stride, x.scale + row * groups, x.less + row * groups};
    }
    if (w.format == Format::int4) return int_tokens<TileInt4>(block, G, rows, M, y);
    return int_tokens<TileInt8>(block, G, rows, M, y);
  }
#if defined(__AVX512BF16__)
  if (!exact && w.format == Format::bf16) {
    const uint16_t* rows[MANY];
    for (int m = 0; m < M; m++) rows[m] = x.half + (int64_t)(from ? from[first + m] : first + m) * x.stride;
    return half_tokens(block, G, rows, M, y);
  }
#endif
  const float* rows[MANY];
  for (int m = 0; m < M; m++) rows[m] = x.f + (int64_t)(from ? from[first + m] : first + m) * x.stride;
  switch (w.format) {
    case Format::f32:
      return float_tokens<TileF32>(block, G, rows, M, y);
    case Format::bf16:
      return float_tokens<TileBf16>(block, G, rows, M, y);
    case Format::int8:
      return float_tokens<TileInt8>(block, G, rows, M, y);
    case Format::int4:
      return float_tokens<TileInt4>(block, G, rows, M, y);
  }
}

}  // namespace
}  // namespace moonlet
