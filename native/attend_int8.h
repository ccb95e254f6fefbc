// Attention over a cache of int8 codes, compiled once for each instruction set; ops.h says how a page lies.
//
// Queries become codes too, in groups of 64 numbers with a scale each, and the shares of a stretch of positions, times
// the scales of the latents that they weigh, codes of 0 to 255: both products are of integers, so that every
// instruction set has the same. Softmax is computed in float32, stretch by stretch, as attend.h does page by page.
#pragma once
#include "attend.h"

namespace moonlet {
namespace {

constexpr int STRETCH = 2 * PAGE;  // positions whose shares are codes of one scale
constexpr int QUERY_GROUP = 64;    // numbers of a query with one scale
constexpr int MOST_GROUPS = MOST_WIDTH / QUERY_GROUP + 2;

// A head's query: codes, each group's scale, and what the codes' offset of 128 in the cache adds to a group's sum.
struct Codes {
  alignas(64) int8_t q[MOST_WIDTH];
  float scale[MOST_GROUPS];
  int32_t offset[MOST_GROUPS];
};

inline void to_codes(Codes& to, const float* q, int L, int R) {
  int group = 0;
  for (int part = 0, d = 0; part < 2; part++)
    for (const int end = part ? L + R : L; d < end; group++) {
      const int stop = d + QUERY_GROUP < end ? d + QUERY_GROUP : end;
      float most = 0;
      for (int i = d; i < stop; i++) most = fabsf(q[i]) > most ? fabsf(q[i]) : most;
      const float inverse = most > 0 ? 127 / most : 0;
      int32_t sum = 0;
      for (int i = d; i < stop; i++) sum += to.q[i] = (int8_t)lrintf(q[i] * inverse);
      to.scale[group] = most / 127, to.offset[group] = -128 * sum;
      d = stop;
    }
}

// A page of the cache, by a position in it.
struct Page8 {
  const CacheView& cache;
  int L, R;
  const uint8_t* page(int position) const {
    return (const uint8_t*)cache.rows + cache.pages[position / PAGE] * cache_page_bytes(Format::int8, L, R);
  }
  // Of the latents of sixteen tokens; those of their rotated parts PAGE further.
  const float* scales(int position) const {
    return (const float*)(page(position) + (int64_t)PAGE * (L + R)) + position % PAGE;
  }
  const uint8_t* codes(int position) const { return page(position) + (int64_t)(position % PAGE) * (L + R); }
};

#if defined(__AVX512VNNI__)

constexpr int TOGETHER = 4;  // heads that pass over a stretch together
constexpr int WOVEN = 4;     // a head's sums are kept apart for every fourth four of positions until the end

// acc += the sums of four products of unsigned codes and a query's four, the same in each lane. Written out since
// compilers load the four by an instruction of its own and move the sums from register to register.
inline void dot_query(I16& acc, I16 codes, const int8_t* four) {
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(codes), "m"(*(const int32_t (*)[1])four));
}
inline void dot_share(I16& acc, I16 share, I16 codes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(share), "v"(codes));
}

// Scores of four heads at two times sixteen positions. `ahead`: codes that are read next, or the same ones.
inline void scores_4x2(const uint8_t* const codes[2], const uint8_t* const ahead[2], const float* const scales[2],
                       int L, int R, const Codes* q, float scale, float* const s[4]) {
  F16 found[8];
  for (int part = 0, group = 0, d = 0; part < 2; part++) {
    F16 total[8];
    for (F16& one : total) one = f_zero();
    for (const int end = part ? L + R : L; d < end; group++) {
      const int stop = d + QUERY_GROUP < end ? d + QUERY_GROUP : end;
      I16 a0 = i_set(q[0].offset[group]), a1 = i_set(q[1].offset[group]), a2 = i_set(q[2].offset[group]),
          a3 = i_set(q[3].offset[group]), b0 = a0, b1 = a1, b2 = a2, b3 = a3;
      for (; d < stop; d += 4) {
        const I16 first = i_load(codes[0] + (int64_t)d * 16), second = i_load(codes[1] + (int64_t)d * 16);
        __builtin_prefetch(ahead[0] + (int64_t)d * 16, 0, 2), __builtin_prefetch(ahead[1] + (int64_t)d * 16, 0, 2);
        dot_query(a0, first, q[0].q + d), dot_query(b0, second, q[0].q + d);
        dot_query(a1, first, q[1].q + d), dot_query(b1, second, q[1].q + d);
        dot_query(a2, first, q[2].q + d), dot_query(b2, second, q[2].q + d);
        dot_query(a3, first, q[3].q + d), dot_query(b3, second, q[3].q + d);
      }
      const I16 acc[8] = {a0, b0, a1, b1, a2, b2, a3, b3};
      for (int i = 0; i < 8; i++) total[i] = f_fma(f_from(acc[i]), f_set(q[i / 2].scale[group]), total[i]);
    }
    for (int i = 0; i < 8; i++) {
      const F16 own = f_mul(total[i], f_mul(f_load(scales[i % 2] + part * PAGE), f_set(scale)));
      found[i] = part ? f_add(found[i], own) : own;
    }
  }
  for (int i = 0; i < 8; i++) f_store(s[i / 2] + i % 2 * 16, found[i]);
}

// Scores of `count` positions from `start`; so many as `next` of the stretch behind are asked for. Where fewer than
// four heads or two sixteens are left, the last come again.
template <int NH>
void code_scores(const Page8& in, int start, int count, int next, const Codes* q, float scale, float s[][STRETCH]) {
  if constexpr (NH < 4) {
    static thread_local Codes four[4];
    alignas(64) float more[4][STRETCH];
    for (int h = 0; h < 4; h++) four[h] = q[h < NH ? h : 0];
    code_scores<4>(in, start, count, next, four, scale, more);
    memcpy(s, more, sizeof(float) * NH * STRETCH);
  } else {
    for (int j = 0; j < count; j += 32) {
      const int second = j + 16 < count ? j + 16 : j;
      const uint8_t* const codes[2] = {in.codes(start + j), in.codes(start + second)};
      const float* const scales[2] = {in.scales(start + j), in.scales(start + second)};
      for (int h = 0; h < NH; h += 4) {
        float* const to[4] = {s[h] + j, s[h + 1] + j, s[h + 2] + j, s[h + 3] + j};
        const bool asks = h == 0 && j + 16 < next;
        const uint8_t* const ahead[2] = {asks ? in.codes(start + STRETCH + j) : codes[0],
                                         asks ? in.codes(start + STRETCH + j + 16) : codes[1]};
        scores_4x2(codes, ahead, scales, in.L, in.R, q + h, scale, to);
      }
    }
  }
}

// Shares times the scales of what they weigh become codes; back[h]: what a code is worth.
template <int NH>
void code_shares(const Page8& in, int start, int count, float s[][STRETCH], uint8_t share[][STRETCH], float* back) {
  const int blocks = (count + 15) / 16;
  for (int h = 0; h < NH; h++) {
    F16 most = f_zero();
    for (int b = 0; b < blocks; b++) {
      const F16 x = f_mul(f_load(s[h] + 16 * b), f_load(in.scales(start + 16 * b)));
      f_store(s[h] + 16 * b, x);
      most = f_max(most, x);
    }
    const float top = f_highest(most);
    const F16 inverse = f_set(top > 0 ? 255 / top : 0);
    for (int b = 0; b < blocks; b++)
      _mm_storeu_si128((__m128i*)(share[h] + 16 * b),
                       _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(f_mul(f_load(s[h] + 16 * b), inverse))));
    back[h] = top / 255;
  }
}

// woven[h] = woven[h] * keep + back * sum of share * code. A vector of codes has four numbers of sixteen positions:
// turned, each lane has one number of four positions.
template <int NH>
void code_values(const Page8& in, int start, int count, const uint8_t share[][STRETCH], const float* back,
                 const Head* head, float* woven, int64_t stride) {
  constexpr int MOST = STRETCH / 16;
  const I16 spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const I16 turn = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const I16 sign = _mm512_set1_epi8((char)0x80);
  const int blocks = (count + 15) / 16;
  const uint8_t* codes[MOST];
  for (int b = 0; b < blocks; b++) codes[b] = in.codes(start + 16 * b);
  for (int first = 0; first < NH; first += 4) {
    constexpr int N = NH < 4 ? NH : 4;
    I16 p[MOST][N];
    for (int b = 0; b < blocks; b++)
      for (int h = 0; h < N; h++)
        p[b][h] = _mm512_permutexvar_epi32(
            spread, _mm512_castsi128_si512(_mm_loadu_si128((const __m128i*)(share[first + h] + 16 * b))));
    for (int d = 0; d < in.L; d += 8) {  // two fours; where only one is left, both are the last
      const int e = d + 4 < in.L ? d + 4 : d;
      I16 low[N], high[N];
      for (int h = 0; h < N; h++) low[h] = i_zero(), high[h] = i_zero();
      for (int b = 0; b < blocks; b++) {
        const I16 x = _mm512_shuffle_epi8(_mm512_xor_si512(i_load(codes[b] + (int64_t)d * 16), sign), turn);
        const I16 y = _mm512_shuffle_epi8(_mm512_xor_si512(i_load(codes[b] + (int64_t)e * 16), sign), turn);
        for (int h = 0; h < N; h++) dot_share(low[h], p[b][h], x), dot_share(high[h], p[b][h], y);
      }
      for (int h = 0; h < N; h++) {
        const F16 keep = f_set(head[first + h].keep), worth = f_set(back[first + h]);
        float* to = woven + (first + h) * stride;
        const F16 before = f_mul(f_load(to + 4 * d), keep), also = f_mul(f_load(to + 4 * e), keep);
        f_store(to + 4 * e, f_fma(f_from(high[h]), worth, also));
        f_store(to + 4 * d, f_fma(f_from(low[h]), worth, before));
      }
    }
  }
}

inline void unweave(float* o, const float* woven, int L) {
  for (int d = 0; d < L; d += 4) {
    const F16 x = f_load(woven + 4 * d);
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    _mm_storeu_ps(o + d, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
  }
}

#else

constexpr int TOGETHER = 1, WOVEN = 1;

template <int NH>
void code_scores(const Page8& in, int start, int count, int, const Codes* q, float scale, float s[][STRETCH]) {
  for (int j = 0; j < count; j += 16) {
    const uint8_t* codes = in.codes(start + j);
    float total[2][16] = {};
    for (int part = 0, group = 0, d = 0; part < 2; part++)
      for (const int end = part ? in.L + in.R : in.L; d < end; group++) {
        int32_t acc[16];
        for (int i = 0; i < 16; i++) acc[i] = q->offset[group];
        for (const int stop = d + QUERY_GROUP < end ? d + QUERY_GROUP : end; d < stop; d += 4)
          for (int i = 0; i < 16; i++)
            for (int k = 0; k < 4; k++) acc[i] += (int32_t)codes[d * 16 + i * 4 + k] * q->q[d + k];
        for (int i = 0; i < 16; i++) total[part][i] += (float)acc[i] * q->scale[group];
      }
    const float* scales = in.scales(start + j);
    for (int i = 0; i < 16; i++)
      s[0][j + i] = total[0][i] * (scales[i] * scale) + total[1][i] * (scales[PAGE + i] * scale);
  }
}

template <int NH>
void code_shares(const Page8& in, int start, int count, float s[][STRETCH], uint8_t share[][STRETCH], float* back) {
  float most = 0;
  for (int j = 0; j < count; j++) {
    s[0][j] *= in.scales(start + j)[0];
    most = s[0][j] > most ? s[0][j] : most;
  }
  const float inverse = most > 0 ? 255 / most : 0;
  for (int j = 0; j < count; j++) share[0][j] = (uint8_t)lrintf(s[0][j] * inverse);
  *back = most / 255;
}

template <int NH>
void code_values(const Page8& in, int start, int count, const uint8_t share[][STRETCH], const float* back,
                 const Head* head, float* o, int64_t) {
  int32_t acc[MOST_WIDTH] = {};
  for (int j = 0; j < count; j++) {
    const uint8_t* codes = in.codes(start + j / 16 * 16) + j % 16 * 4;
    for (int d = 0; d < in.L; d += 4)
      for (int k = 0; k < 4; k++) acc[d + k] += (int32_t)share[0][j] * ((int32_t)codes[d * 16 + k] - 128);
  }
  for (int d = 0; d < in.L; d++) o[d] = o[d] * head->keep + (float)acc[d] * *back;
}

inline void unweave(float* o, const float* woven, int L) {
  for (int d = 0; d < L; d++) o[d] = woven[d];
}

#endif

// One stretch, of NH heads.
template <int NH>
void attend_stretch(const Page8& in, int start, int count, int next, bool first, const Codes* q, float scale,
                    Head* head, float* woven, int64_t stride) {
  alignas(64) float s[NH][STRETCH];
  alignas(64) uint8_t share[NH][STRETCH];
  float back[NH];
  code_scores<NH>(in, start, count, next, q, scale, s);
  for (int h = 0; h < NH; h++) shares(head[h], s[h], count, first);
  code_shares<NH>(in, start, count, s, share, back);
  code_values<NH>(in, start, count, share, back, head, woven, stride);
}

void attend_int8(const CacheView& cache, int begin, int end, int L, const float* q, int64_t q_stride, float* o,
                 int64_t o_stride, Sums* sums, float scale, int heads) {
  static thread_local Codes codes[MOST_HEADS];
  alignas(64) static thread_local float woven[MOST_HEADS * MOST_WIDTH * WOVEN];
  const Page8 in{cache, L, cache.width - L};
  const int64_t stride = (int64_t)L * WOVEN;
  Head head[MOST_HEADS];
  for (int h = 0; h < heads; h++) to_codes(codes[h], q + h * q_stride, L, in.R);
  for (int64_t i = 0; i < heads * stride; i++) woven[i] = 0;
  for (int start = begin; start < end; start += STRETCH) {
    const int count = end - start < STRETCH ? end - start : STRETCH, behind = end - start - STRETCH;
    for (int h = 0; h < heads;) {
      const int next = h ? 0 : behind;
      const bool together = h + TOGETHER <= heads;
      (together ? attend_stretch<TOGETHER> : attend_stretch<1>)(in, start, count, next, start == begin, codes + h,
                                                                scale, head + h, woven + h * stride, stride);
      h += together ? TOGETHER : 1;
    }
  }
  for (int h = 0; h < heads; h++) {
    unweave(o + h * o_stride, woven + h * stride, L);
    for (int64_t d = L; d < o_stride; d++) o[h * o_stride + d] = 0;
    sums[h] = head[h].sums();
  }
}

}  // namespace
}  // namespace moonlet
