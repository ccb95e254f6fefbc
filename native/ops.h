// The arithmetic of a step: one table of functions for each instruction set. Shapes: T tokens, D width, H heads,
// L latent, R rotated part, E experts, K experts a token, F expert width. Every function works on a range, so that the
// caller decides how threads share the work; the order of every sum is fixed by shapes alone, never by the range.
#pragma once
#include <cstdint>

namespace moonlet {

constexpr int GROUP = 32;   // columns that share a scale
constexpr int BLOCK = 32;   // rows that are stored together
constexpr int PAGE = 64;    // tokens in a page of the cache
constexpr int SPAN = 1024;  // positions that are attended to in one go: longer contexts are joined from such spans

enum class Format : int { f32 = 0, bf16 = 1, int8 = 2, int4 = 3 };

static inline int64_t round_up(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}

// Bytes of one block of 32 rows. The layout is specified in kernels/reference.py.
static inline int64_t block_bytes(Format format, int64_t cols) {
  const int64_t padded = round_up(cols, GROUP);
  switch (format) {
    case Format::f32:
      return padded * BLOCK * 4;
    case Format::bf16:
      return padded * BLOCK * 2;
    case Format::int8:
      return padded / GROUP * (BLOCK * GROUP + BLOCK * 2);
    case Format::int4:
      return padded / GROUP * (BLOCK * GROUP / 2 + BLOCK * 2);
  }
  return 0;
}
static inline int64_t packed_bytes(Format format, int64_t rows, int64_t cols) {
  return round_up(rows, BLOCK) / BLOCK * block_bytes(format, cols);
}

// W of y = W x, packed.
struct Matrix {
  const uint8_t* data = nullptr;
  Format format = Format::bf16;
  int rows = 0, cols = 0;
  int blocks() const { return (rows + BLOCK - 1) / BLOCK; }
};

// T rows of activations, `stride` floats apart (a multiple of 32; what lies past the width is zero), and their twins
// with the same stride: int8 codes, with one scale and one `less` for each group of 32, and bf16. `less` is -8 times
// the sum of a group's codes: what a product with weights that are stored with 8 added comes to by that.
struct Activations {
  float* f = nullptr;
  int8_t* q = nullptr;
  float* scale = nullptr;
  int32_t* less = nullptr;
  uint16_t* half = nullptr;
  int64_t stride = 0;
};

// Which rows of the activations a product takes and where its results go; null: row m is m.
struct Gather {
  const int32_t* from = nullptr;
  const int32_t* to = nullptr;
};

enum class Router : int { sigmoid = 0, softmax = 1 };

struct Routing {
  Router kind;
  int E, K, groups, groups_kept;
  bool normalise;
  float scale;
};

// The latent cache of one layer, f32, bf16 or int8. Row of a token: L normalised latents, then R rotated key numbers.
struct CacheView {
  const void* rows;      // [pages] of page_bytes
  const int32_t* pages;  // the sequence's pages, in order
  int width;             // f32, bf16: L + R, padded to 32, a row after the other; int8: L + R
  Format format;
};

// Bytes of a page of the cache of one layer. int8: for each 16 tokens and each four numbers of a row, those four of one
// token after the other, as code + 128; then the tokens' scales of their latents and those of their rotated parts.
static inline int64_t cache_page_bytes(Format format, int64_t L, int64_t R) {
  if (format == Format::int8) return PAGE * (L + R) + PAGE * 2 * (int64_t)sizeof(float);
  return PAGE * round_up(L + R, 32) * (format == Format::f32 ? 4 : 2);
}

// What a head has read of a span of positions: the highest score s, and the sum of all e^(s - highest).
struct Sums {
  float highest, total;
};

struct Ops {
  const char* name;
  bool bf16;  // the processor multiplies pairs of bf16: bf16 weights take bf16 twins

  // The twins of groups [group0, group1) of rows [row0, row1) from f; bf16 only where the processor multiplies it.
  void (*quantise)(const Activations& x, int row0, int row1, int group0, int group1);

  // y[to(m), 32 b .. 32 b + 31] = W x[from(m)] for blocks [block0, block1) and M rows. Integer formats use the int8
  // twins unless `exact`, bf16 the bf16 twins where the processor multiplies those. y's stride is in floats and holds
  // whole blocks.
  void (*matmul)(const Matrix& w, const Activations& x, Gather gather, int M, float* y, int64_t y_stride, int block0,
                 int block1, bool exact);

  // h[to(m)] = silu(gate x) * (up x) for blocks [block0, block1) of the width, with the twins if `twins`.
  void (*swiglu)(const Matrix& gate, const Matrix& up, const Activations& x, Gather gather, int M, const Activations& h,
                 int block0, int block1, bool exact, bool twins);

  // y = x / rms(x) * w over D numbers; y's padding up to `padded` is zeroed.
  void (*rmsnorm)(float* y, const float* x, const float* w, int D, int padded, float eps);

  // out[t, e] = W[e] . x[t] over D numbers, for `count` rows of x and e in [e0, e1); W row-major, f32 or bf16.
  void (*dots)(float* out, int64_t out_stride, const void* w, bool bf16, const float* x, int64_t x_stride, int count,
               int D, int e0, int e1);

  // The K chosen experts and their weights from E router logits; `bias` only steers the choice. scratch: 2 E floats.
  void (*route)(const Routing& routing, const float* logits, const float* bias, int32_t* chosen, float* weights,
                float* scratch);

  // What at most 32 heads read of positions [begin, end), begin a multiple of PAGE: o[h, 0..L) is the sum of
  // e^(s - highest) times the latent part of the rows, with s = scale * q[h] . row. q: [heads, q_stride],
  // o: [heads, o_stride]. Where the processor multiplies bf16 and the cache is bf16, queries and shares are rounded to
  // bf16; where the cache is int8 they become codes.
  void (*attend)(const CacheView& cache, int begin, int end, int L, const float* q, int64_t q_stride, float* o,
                 int64_t o_stride, Sums* sums, float scale, int heads);

  // Takes what the head read of the following positions, `more` and p[0..L), into what it read before, `sums` and o.
  void (*join)(Sums& sums, float* o, const Sums& more, const float* p, int L);

  // Takes `count` scores into what was read before: they become shares e^(scale s - highest), zeros up to `padded`, a
  // multiple of 32, with bf16 twins. Returns what the sums before are worth on the scale of the highest score now.
  float (*soften)(Sums& sums, float* s, uint16_t* half, int count, int padded, float scale);

  // o = o / total: softmax at last. Its padding up to `stride` is zeroed.
  void (*settle)(const Sums& sums, float* o, int L, int64_t stride);

  // Rotates R/2 interleaved pairs in place.
  void (*rotate)(float* x, const float* cosine, const float* sine, int R);

  // x[i] += sum over k of weights[k] * parts[k][i], in order of k, then += extra[i] if given; i in [i0, i1).
  void (*combine)(float* x, const float* const* parts, const float* weights, int K, const float* extra, int i0, int i1);
};

extern const Ops ops_plain;
#if defined(__x86_64__)
extern const Ops ops_avx2;
extern const Ops ops_avx512;
extern const Ops ops_avx512bf16;  // the same with attention and bf16 weights multiplied in bf16
#endif

// Whether this processor can run a table, and the best one that it can.
bool runs(const Ops& ops);
const Ops& best_ops();
const Ops* find_ops(const char* name);  // null: no such table, or not on this processor

static inline float bf16_to_float(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float x;
  __builtin_memcpy(&x, &wide, 4);
  return x;
}
static inline uint16_t float_to_bf16(float x) {  // to nearest, half to even
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);  // a NaN stays one
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace moonlet
