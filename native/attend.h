// Attention over the latent cache, compiled once for each instruction set; ops.h says what `attend` promises.
//
// Softmax page by page in the order of positions, so that a token's result depends on nothing but what it attends to;
// spans of pages are read apart and joined in their order, whoever read them.
// All heads of a call pass over a page before the next is touched: it is read from memory once and then from the cache
// of the processor. Scores and sums of four heads and four tokens stay in registers.
#pragma once
#include "ops.h"
#include "simd.h"

namespace moonlet {
namespace {

constexpr int HEADS = 4, KEYS = 4;
constexpr int MOST_HEADS = 32, MOST_WIDTH = 1024;  // of a call; a page serves so many heads before it is let go

// What a head carries from page to page: its highest score, the sum of all e^(s - highest), and what the sums before
// the page at hand are worth on the scale of the highest score so far.
struct Head {
  float highest, total, keep;
  Sums sums() const { return {highest, total}; }
};

// Scores of `count` tokens to shares: e^(s - highest). Lanes past `count` up to a multiple of 16 become zero.
inline void shares(Head& head, float* s, int count, bool first) {
  const int vectors = (count + 15) / 16;
  for (int j = count; j < vectors * 16; j++) s[j] = -INFINITY;
  F16 top = f_load(s);
  for (int v = 1; v < vectors; v++) top = f_max(top, f_load(s + 16 * v));
  const float here = f_highest(top), highest = first || here > head.highest ? here : head.highest;
  head.keep = first ? 0.0f : expf(head.highest - highest);
  head.highest = highest;
  for (int v = 0; v < vectors; v++) f_store(s + 16 * v, f_exp(f_sub(f_load(s + 16 * v), f_set(highest))));
  for (int j = count; j < vectors * 16; j++) s[j] = 0;
  F16 sum = f_zero();
  for (int v = 0; v < vectors; v++) sum = f_add(sum, f_load(s + 16 * v));
  head.total = (first ? 0.0f : head.total * head.keep) + f_sum(sum);
}

// ---- a cache of any numbers, computed in f32 ------------------------------------------------------------------------

template <class T>
inline F16 cache_load(const T* p) {
  if constexpr (sizeof(T) == 2)
    return f_load_bf16((const uint16_t*)p);
  else
    return f_load((const float*)p);
}

// s[j] = scale * q[h] . row j for `count` rows of a page (KEYS at a time; rows past count are read but not used).
template <class T, int NH>
void page_scores(const T* page, int width, int count, const float* q, int64_t q_stride, float scale, float s[][PAGE]) {
  for (int j = 0; j < count; j += KEYS) {
    F16 acc[NH][KEYS];
    for (int h = 0; h < NH; h++)
      for (int k = 0; k < KEYS; k++) acc[h][k] = f_zero();
    for (int d = 0; d < width; d += 16) {
      F16 row[KEYS];
      for (int k = 0; k < KEYS; k++) row[k] = cache_load(page + (int64_t)(j + k) * width + d);
      for (int h = 0; h < NH; h++) {
        const F16 v = f_load(q + h * q_stride + d);
        for (int k = 0; k < KEYS; k++) acc[h][k] = f_fma(v, row[k], acc[h][k]);
      }
    }
    for (int h = 0; h < NH; h++)
      for (int k = 0; k < KEYS; k++) s[h][j + k] = scale * f_sum(acc[h][k]);
  }
}

// o[h] = o[h] * keep + sum over j of share j * latent of row j.
template <class T, int NH>
void page_values(const T* page, int width, int count, int L, const Head* head, const float p[][PAGE], float* o,
                 int64_t o_stride) {
  for (int d = 0; d < (int)round_up(L, 16); d += 16) {
    F16 acc[NH];
    for (int h = 0; h < NH; h++) acc[h] = f_mul(f_load(o + h * o_stride + d), f_set(head[h].keep));
    for (int j = 0; j < count; j++) {
      const F16 row = cache_load(page + (int64_t)j * width + d);
      for (int h = 0; h < NH; h++) acc[h] = f_fma(f_set(p[h][j]), row, acc[h]);
    }
    for (int h = 0; h < NH; h++) f_store(o + h * o_stride + d, acc[h]);
  }
}

// Queries and results as they lie, in f32.
template <class T>
struct Floats {
  const float* q;
  int64_t q_stride;
  float* o;
  int64_t o_stride;

  template <int NH>
  void page(const T* rows, const T*, int width, int count, int L, float scale, bool first, int h, Head* head) const {
    float s[NH][PAGE];
    page_scores<T, NH>(rows, width, count, q + h * q_stride, q_stride, scale, s);
    for (int i = 0; i < NH; i++) shares(head[i], s[i], count, first);
    page_values<T, NH>(rows, width, count, L, head, s, o + h * o_stride, o_stride);
  }
  void finish(float*, int) const {}
};

// ---- a bf16 cache where the processor multiplies pairs of bf16 ------------------------------------------------------

#if defined(__AVX512BF16__)

inline __m512bh bf16_pairs(I16 x) {
  return (__m512bh)x;
}

inline void to_bf16(uint16_t* out, const float* x, int count) {
  for (int d = 0; d < count; d += 16)
    _mm256_storeu_si256((__m256i*)(out + d), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + d)));
}

// The sums of sixteen vectors' lanes as one vector: lane i is the sum of x[i].
inline F16 sums(const F16 x[16]) {
  F16 quarter[4];  // of each four vectors: in every 128 bits the sums of those 128 bits
  for (int i = 0; i < 4; i++) {
    const F16 a = x[4 * i], b = x[4 * i + 1], c = x[4 * i + 2], d = x[4 * i + 3];
    const __m512d ab = _mm512_castps_pd(f_add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
    const __m512d cd = _mm512_castps_pd(f_add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
    quarter[i] = f_add(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
  }
  auto folded = [](F16 a, F16 b) { return f_add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd)); };
  return folded(folded(quarter[0], quarter[1]), folded(quarter[2], quarter[3]));
}

// Queries rounded to bf16. Results stay woven until the end: rows of two tokens are woven together so that one product
// takes both, which leaves every 32 numbers in an order of its own.
struct Pairs {
  const uint16_t* q;
  int64_t q_stride;
  float* o;
  int64_t o_stride;

  template <int NH>
  void page(const uint16_t* rows, const uint16_t* next, int width, int count, int L, float scale, bool first, int h,
            Head* head) const {
    static_assert(HEADS * KEYS == 16);
    alignas(64) float s[HEADS][PAGE];
    for (int j = 0; j < count; j += KEYS) {
      if (h == 0 && next)
        for (int d = 0; d < KEYS * width; d += 32) __builtin_prefetch(next + (int64_t)j * width + d, 0, 2);
      F16 acc[HEADS * KEYS];
      for (int i = 0; i < HEADS * KEYS; i++) acc[i] = f_zero();
      for (int d = 0; d < width; d += 32) {
        __m512bh row[KEYS];
        for (int k = 0; k < KEYS; k++) row[k] = bf16_pairs(i_load(rows + (int64_t)(j + k) * width + d));
        for (int i = 0; i < NH; i++) {
          const __m512bh v = bf16_pairs(i_load(q + (h + i) * q_stride + d));
          for (int k = 0; k < KEYS; k++) acc[i * KEYS + k] = _mm512_dpbf16_ps(acc[i * KEYS + k], v, row[k]);
        }
      }
      const F16 found = f_mul(sums(acc), f_set(scale));
      _mm_storeu_ps(s[0] + j, _mm512_extractf32x4_ps(found, 0));
      if constexpr (NH == HEADS) {
        _mm_storeu_ps(s[1] + j, _mm512_extractf32x4_ps(found, 1));
        _mm_storeu_ps(s[2] + j, _mm512_extractf32x4_ps(found, 2));
        _mm_storeu_ps(s[3] + j, _mm512_extractf32x4_ps(found, 3));
      }
    }
    alignas(64) uint16_t share[NH][PAGE];
    for (int i = 0; i < NH; i++) {
      shares(head[i], s[i], count, first);
      to_bf16(share[i], s[i], (int)round_up(count, 16));
    }
    for (int d = 0; d < L; d += 32) {
      F16 low[NH], high[NH];
      for (int i = 0; i < NH; i++) {
        const F16 keep = f_set(head[i].keep);
        low[i] = f_mul(f_load(o + (h + i) * o_stride + d), keep);
        high[i] = f_mul(f_load(o + (h + i) * o_stride + d + 16), keep);
      }
      for (int j = 0; j < count; j += 2) {
        const uint16_t* row = rows + (int64_t)j * width + d;
        // What lies past the last token is not zero, and times nothing may still be no number.
        const I16 a = i_load(row), b = j + 1 < count ? i_load(row + width) : i_zero();
        const __m512bh lo = bf16_pairs(_mm512_unpacklo_epi16(a, b)), hi = bf16_pairs(_mm512_unpackhi_epi16(a, b));
        for (int i = 0; i < NH; i++) {
          int32_t two;
          memcpy(&two, share[i] + j, 4);
          const __m512bh p = bf16_pairs(i_set(two));
          low[i] = _mm512_dpbf16_ps(low[i], p, lo), high[i] = _mm512_dpbf16_ps(high[i], p, hi);
        }
      }
      for (int i = 0; i < NH; i++) {
        f_store(o + (h + i) * o_stride + d, low[i]);
        f_store(o + (h + i) * o_stride + d + 16, high[i]);
      }
    }
  }

  // Back into the order of the rows.
  void finish(float* out, int L) const {
    const I16 front = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const I16 back = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    for (int d = 0; d < L; d += 32) {
      const F16 low = f_load(out + d), high = f_load(out + d + 16);
      f_store(out + d, _mm512_permutex2var_ps(low, front, high));
      f_store(out + d + 16, _mm512_permutex2var_ps(low, back, high));
    }
  }
};

#endif

// ---- all pages ------------------------------------------------------------------------------------------------------

template <class T, class Kind>
void attend_pages(const CacheView& cache, int begin, int end, int L, const Kind& kind, float scale, int heads,
                  Sums* sums) {
  Head head[MOST_HEADS];
  for (int h = 0; h < heads; h++) memset(kind.o + h * kind.o_stride, 0, sizeof(float) * kind.o_stride);
  for (int start = begin; start < end; start += PAGE) {
    const int count = end - start < PAGE ? end - start : PAGE;
    const bool first = start == begin;
    const auto page = [&](int at) { return (const T*)cache.rows + (int64_t)cache.pages[at] * PAGE * cache.width; };
    const T *rows = page(start / PAGE), *next = start + PAGE < end ? page(start / PAGE + 1) : nullptr;
    int h = 0;
    for (; h + HEADS <= heads; h += HEADS)
      kind.template page<HEADS>(rows, next, cache.width, count, L, scale, first, h, head + h);
    for (; h < heads; h++) kind.template page<1>(rows, next, cache.width, count, L, scale, first, h, head + h);
  }
  for (int h = 0; h < heads; h++) {
    kind.finish(kind.o + h * kind.o_stride, L);
    sums[h] = head[h].sums();
  }
}

void attend_numbers(const CacheView& cache, int begin, int end, int L, const float* q, int64_t q_stride, float* o,
                    int64_t o_stride, Sums* sums, float scale, int heads) {
  if (cache.format == Format::f32)
    return attend_pages<float>(cache, begin, end, L, Floats<float>{q, q_stride, o, o_stride}, scale, heads, sums);
#if defined(__AVX512BF16__)
  alignas(64) uint16_t rounded[MOST_HEADS * MOST_WIDTH];
  for (int h = 0; h < heads; h++) to_bf16(rounded + h * cache.width, q + h * q_stride, cache.width);
  attend_pages<uint16_t>(cache, begin, end, L, Pairs{rounded, cache.width, o, o_stride}, scale, heads, sums);
#else
  attend_pages<uint16_t>(cache, begin, end, L, Floats<uint16_t>{q, q_stride, o, o_stride}, scale, heads, sums);
#endif
}

void join(Sums& sums, float* o, const Sums& more, const float* p, int L) {
  const float highest = sums.highest > more.highest ? sums.highest : more.highest;
  const float own = expf(sums.highest - highest), other = expf(more.highest - highest);
  for (int d = 0; d < L; d++) o[d] = o[d] * own + p[d] * other;
  sums = {highest, sums.total * own + more.total * other};
}

float soften(Sums& sums, float* s, uint16_t* half, int count, int padded, float scale) {
  for (int j = 0; j < count; j++) s[j] *= scale;
  Head head{sums.highest, sums.total, 0};
  shares(head, s, count, sums.total == 0);
  for (int j = (int)round_up(count, 16); j < padded; j++) s[j] = 0;
#if defined(__AVX512BF16__)
  to_bf16(half, s, padded);
#else
  (void)half;
#endif
  sums = head.sums();
  return head.keep;
}

void settle(const Sums& sums, float* o, int L, int64_t stride) {
  const float inverse = 1.0f / sums.total;
  for (int d = 0; d < L; d++) o[d] *= inverse;
  for (int64_t d = L; d < stride; d++) o[d] = 0;
}

}  // namespace
}  // namespace moonlet
