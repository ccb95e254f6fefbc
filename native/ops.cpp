// Compiled once for each instruction set (MOONLET_ISA); see ops.h for what each function promises.
#include "ops.h"

#include "simd.h"
// After simd.h, which it is written in.
#include "attend.h"
#include "attend_int8.h"
#include "products.h"

namespace moonlet {
namespace {

// ---- products -------------------------------------------------------------------------------------------------------

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
