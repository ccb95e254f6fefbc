// Compiled once for each instruction set (MOONLET_ISA); see ops.h for what each function promises.
#include "ops.h"

#include <type_traits>

#include "simd.h"
// After simd.h, which it is written in.
#include "attend.h"
#include "attend_int8.h"

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

// Tokens whose products are computed side by side where there are registers for it: one product's latency is the time
// of four others. A tile asks for its lines ahead in larger portions then, which few tokens do not outlast: a format
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

void matmul(const Matrix& w, const Activations& x, Gather gather, int M, float* y, int64_t y_stride, int block0,
            int block1, bool exact) {
  for (int b = block0; b < block1; b++)
    for (int first = 0; first < M; first += MANY) {
      const int count = M - first < MANY ? M - first : MANY;
      float* rows[MANY];
      for (int m = 0; m < count; m++)
        rows[m] = y + (int64_t)(gather.to ? gather.to[first + m] : first + m) * y_stride + (int64_t)b * BLOCK;
      block_product(w, b, x, gather.from, first, count, rows, exact);
    }
}

// ---- activations ----------------------------------------------------------------------------------------------------

// The twins of the group that begins at `at`, a multiple of 32.
void quantise_group(const Activations& x, int64_t at) {
  const float* f = x.f + at;
  int8_t* q = x.q + at;
  float& scale = x.scale[at / GROUP];
  int32_t& less = x.less[at / GROUP];
#if defined(__AVX512BF16__)
  to_bf16(x.half + at, f, GROUP);
#endif
  const F16 a = f_load(f), b = f_load(f + 16);
  const float highest = f_highest(f_max(f_abs(a), f_abs(b)));
  scale = highest / 127.0f;
  if (!(scale > 0)) {  // all zero, or too small to divide by
    scale = 0, less = 0;
    memset(q, 0, GROUP);
    return;
  }
  const F16 unit = f_set(scale);
  store_i8(q, i_from(f_div(a, unit))), store_i8(q + 16, i_from(f_div(b, unit)));
  int32_t total = 0;
  for (int i = 0; i < GROUP; i++) total += q[i];
  less = -8 * total;
}

void quantise(const Activations& x, int row0, int row1, int group0, int group1) {
  for (int64_t row = row0; row < row1; row++)
    for (int64_t g = group0; g < group1; g++) quantise_group(x, row * x.stride + g * GROUP);
}

inline F16 silu(F16 x) {
  return f_div(x, f_add(f_set(1.0f), f_exp(f_sub(f_zero(), x))));
}

void swiglu(const Matrix& gate, const Matrix& up, const Activations& x, Gather gather, int M, const Activations& h,
            int block0, int block1, bool exact, bool twins) {
  // With few tokens many blocks of gate pass before those of up: changing from one to the other after each block cost a
  // fifth of the memory's rate.
  alignas(64) float a[MANY][BLOCK], b[MANY][BLOCK];
  float *rows_a[MANY], *rows_b[MANY];
  for (int m = 0; m < MANY; m++) rows_a[m] = a[m], rows_b[m] = b[m];
  for (int first = 0; first < M; first += MANY) {
    const int count = M - first < MANY ? M - first : MANY, run = MANY / count;
    for (int block = block0; block < block1; block += run) {
      const int blocks = block1 - block < run ? block1 - block : run;
      for (int i = 0; i < blocks; i++)
        block_product(gate, block + i, x, gather.from, first, count, rows_a + i * count, exact);
      for (int i = 0; i < blocks; i++)
        block_product(up, block + i, x, gather.from, first, count, rows_b + i * count, exact);
      for (int i = 0; i < blocks; i++)
        for (int m = 0; m < count; m++) {
          const float *g = a[i * count + m], *u = b[i * count + m];
          const int64_t row = gather.to ? gather.to[first + m] : first + m;
          const int64_t at = row * h.stride + (int64_t)(block + i) * BLOCK;
          for (int l = 0; l < BLOCK; l += 16) f_store(h.f + at + l, f_mul(silu(f_load(g + l)), f_load(u + l)));
          if (twins) quantise_group(h, at);
        }
    }
  }
}

void rmsnorm(float* y, const float* x, const float* w, int D, int padded, float eps) {
  F16 squares = f_zero();
  int i = 0;
  for (; i + 16 <= D; i += 16) squares = f_fma(f_load(x + i), f_load(x + i), squares);
  float total = f_sum(squares);
  for (int j = i; j < D; j++) total += x[j] * x[j];
  const float factor = 1.0f / sqrtf(total / (float)D + eps);
  for (i = 0; i + 16 <= D; i += 16) f_store(y + i, f_mul(f_mul(f_load(x + i), f_set(factor)), f_load(w + i)));
  for (; i < D; i++) y[i] = x[i] * factor * w[i];
  for (; i < padded; i++) y[i] = 0;
}

// out[t, e] = row e of w . x[t] for NT tokens and NE rows, each sum in an order of its own: whoever is computed beside
// it changes nothing.
template <class T, int NT, int NE>
void dot_block(float* out, int64_t out_stride, const T* w, const float* x, int64_t x_stride, int D) {
  auto load = [&](int e, int at) {
    if constexpr (sizeof(T) == 2)
      return f_load_bf16((const uint16_t*)w + (int64_t)e * D + at);
    else
      return f_load((const float*)w + (int64_t)e * D + at);
  };
  F16 even[NT][NE], odd[NT][NE];
  for (int t = 0; t < NT; t++)
    for (int e = 0; e < NE; e++) even[t][e] = odd[t][e] = f_zero();
  int i = 0;
  for (; i + 32 <= D; i += 32) {
    F16 w0[NE], w1[NE];
    for (int e = 0; e < NE; e++) w0[e] = load(e, i), w1[e] = load(e, i + 16);
    for (int t = 0; t < NT; t++) {
      const F16 x0 = f_load(x + t * x_stride + i), x1 = f_load(x + t * x_stride + i + 16);
      for (int e = 0; e < NE; e++) even[t][e] = f_fma(w0[e], x0, even[t][e]), odd[t][e] = f_fma(w1[e], x1, odd[t][e]);
    }
  }
  for (int t = 0; t < NT; t++)
    for (int e = 0; e < NE; e++) {
      float total = f_sum(f_add(even[t][e], odd[t][e]));
      for (int j = i; j < D; j++) {
        const T weight = w[(int64_t)e * D + j];
        if constexpr (sizeof(T) == 2)
          total += bf16_to_float(weight) * x[t * x_stride + j];
        else
          total += weight * x[t * x_stride + j];
      }
      out[t * out_stride + e] = total;
    }
}

template <class T, int NT>
void dot_rows(float* out, int64_t out_stride, const T* w, const float* x, int64_t x_stride, int D, int e0, int e1) {
  int e = e0;
  for (; e + 2 <= e1; e += 2) dot_block<T, NT, 2>(out + e, out_stride, w + (int64_t)e * D, x, x_stride, D);
  if (e < e1) dot_block<T, NT, 1>(out + e, out_stride, w + (int64_t)e * D, x, x_stride, D);
}

template <class T>
void dots_of(float* out, int64_t out_stride, const T* w, const float* x, int64_t x_stride, int count, int D, int e0,
             int e1) {
  int t = 0;
  for (; t + 4 <= count; t += 4)
    dot_rows<T, 4>(out + t * out_stride, out_stride, w, x + t * x_stride, x_stride, D, e0, e1);
  for (; t < count; t++) dot_rows<T, 1>(out + t * out_stride, out_stride, w, x + t * x_stride, x_stride, D, e0, e1);
}

void dots(float* out, int64_t out_stride, const void* w, bool bf16, const float* x, int64_t x_stride, int count, int D,
          int e0, int e1) {
  if (bf16)
    dots_of(out, out_stride, (const uint16_t*)w, x, x_stride, count, D, e0, e1);
  else
    dots_of(out, out_stride, (const float*)w, x, x_stride, count, D, e0, e1);
}

// ---- the router -----------------------------------------------------------------------------------------------------

// Leaves -inf wherever a group of experts is out of the running.
void drop_groups(const Routing& r, float* choose) {
  const int size = r.E / r.groups;
  float standing[256];
  for (int g = 0; g < r.groups; g++) {
    float best = -INFINITY, second = -INFINITY;
    for (int i = g * size; i < (g + 1) * size; i++) {
      if (choose[i] > best)
        second = best, best = choose[i];
      else if (choose[i] > second)
        second = choose[i];
    }
    // DeepSeek-V3 ranks groups by their two best experts, V2 by the best one.
    standing[g] = r.kind == Router::sigmoid ? best + (size > 1 ? second : 0.0f) : best;
  }
  bool kept[256] = {};
  for (int k = 0; k < r.groups_kept; k++) {
    int best = -1;
    for (int g = 0; g < r.groups; g++)
      if (!kept[g] && (best < 0 || standing[g] > standing[best])) best = g;
    kept[best] = true;
  }
  for (int i = 0; i < r.E; i++)
    if (!kept[i / size]) choose[i] = -INFINITY;
}

void route(const Routing& r, const float* logits, const float* bias, int32_t* chosen, float* weights, float* scratch) {
  float *score = scratch, *choose = scratch + r.E;
  if (r.kind == Router::sigmoid) {
    for (int i = 0; i < r.E; i++) score[i] = 1.0f / (1.0f + expf(-logits[i]));
  } else {
    float highest = logits[0], total = 0;
    for (int i = 1; i < r.E; i++) highest = logits[i] > highest ? logits[i] : highest;
    for (int i = 0; i < r.E; i++) total += score[i] = expf(logits[i] - highest);
    for (int i = 0; i < r.E; i++) score[i] /= total;
  }
  for (int i = 0; i < r.E; i++) choose[i] = score[i] + (bias ? bias[i] : 0.0f);
  if (r.groups > 1) drop_groups(r, choose);
  float total = 0;
  for (int k = 0; k < r.K; k++) {
    int best = 0;
    for (int i = 1; i < r.E; i++)
      if (choose[i] > choose[best]) best = i;
    // A NaN beats nothing: the choice is still a legal expert, and no expert is chosen twice.
    if (choose[best] == -INFINITY || choose[best] != choose[best])
      for (best = 0; best < r.E - 1; best++) {
        bool taken = false;
        for (int j = 0; j < k; j++) taken |= chosen[j] == best;
        if (!taken) break;
      }
    chosen[k] = best;
    choose[best] = -INFINITY;
    total += weights[k] = score[best];
  }
  for (int k = 0; k < r.K; k++) weights[k] = (r.normalise ? weights[k] / (total + 1e-20f) : weights[k]) * r.scale;
}

void rotate(float* x, const float* cosine, const float* sine, int R) {
  for (int i = 0; i < R / 2; i++) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cosine[i] - b * sine[i];
    x[2 * i + 1] = b * cosine[i] + a * sine[i];
  }
}

void combine(float* x, const float* const* parts, const float* weights, int K, const float* extra, int i0, int i1) {
  for (int i = i0; i < i1; i += 16) {  // buffers are padded to 32
    F16 sum = f_zero();
    for (int k = 0; k < K; k++) sum = f_fma(f_set(weights[k]), f_load(parts[k] + i), sum);
    if (extra) sum = f_add(sum, f_load(extra + i));
    f_store(x + i, f_add(f_load(x + i), sum));
  }
}

void attend(const CacheView& cache, int begin, int end, int L, const float* q, int64_t q_stride, float* o,
            int64_t o_stride, Sums* sums, float scale, int heads) {
  (cache.format == Format::int8 ? attend_int8 : attend_numbers)(cache, begin, end, L, q, q_stride, o, o_stride, sums,
                                                                scale, heads);
}

}  // namespace

#if defined(__AVX512BF16__)
constexpr bool MULTIPLIES_BF16 = true;
#else
constexpr bool MULTIPLIES_BF16 = false;
#endif

#define NAME_(isa) ops_##isa
#define NAME(isa) NAME_(isa)
#define TEXT_(isa) #isa
#define TEXT(isa) TEXT_(isa)
extern const Ops NAME(MOONLET_ISA) = {
    TEXT(MOONLET_ISA),
    MULTIPLIES_BF16,
    quantise,
    matmul,
    swiglu,
    rmsnorm,
    dots,
    route,
    attend,
    join,
    soften,
    settle,
    rotate,
    combine,
};

}  // namespace moonlet
