// Sixteen lanes of float or int32, and the one integer dot product that matters, for the instruction set this file is
// compiled for. Everything is static: the same names exist once per instruction set and must never be shared by the
// linker.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace moonlet {
namespace {

#if defined(__AVX512F__) && defined(__AVX512VNNI__) && defined(__AVX512BW__)

using F16 = __m512;   // 16 floats
using I16 = __m512i;  // 16 int32, or 64 bytes

inline F16 f_zero() {
  return _mm512_setzero_ps();
}
inline F16 f_set(float x) {
  return _mm512_set1_ps(x);
}
inline F16 f_load(const float* p) {
  return _mm512_loadu_ps(p);
}
inline void f_store(float* p, F16 x) {
  _mm512_storeu_ps(p, x);
}
inline F16 f_add(F16 a, F16 b) {
  return _mm512_add_ps(a, b);
}
inline F16 f_sub(F16 a, F16 b) {
  return _mm512_sub_ps(a, b);
}
inline F16 f_mul(F16 a, F16 b) {
  return _mm512_mul_ps(a, b);
}
inline F16 f_div(F16 a, F16 b) {
  return _mm512_div_ps(a, b);
}
inline F16 f_max(F16 a, F16 b) {
  return _mm512_max_ps(a, b);
}
inline F16 f_min(F16 a, F16 b) {
  return _mm512_min_ps(a, b);
}
inline F16 f_fma(F16 a, F16 b, F16 c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline F16 f_round(F16 a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline F16 f_abs(F16 a) {
  return _mm512_abs_ps(a);
}
inline F16 f_from(I16 a) {
  return _mm512_cvtepi32_ps(a);
}
inline I16 i_from(F16 a) {
  return _mm512_cvtps_epi32(a);
}
inline F16 f_bits(I16 a) {
  return _mm512_castsi512_ps(a);
}
inline I16 i_zero() {
  return _mm512_setzero_si512();
}
inline I16 i_set(int32_t x) {
  return _mm512_set1_epi32(x);
}
inline I16 i_load(const void* p) {
  return _mm512_loadu_si512(p);
}
inline I16 i_add(I16 a, I16 b) {
  return _mm512_add_epi32(a, b);
}
inline I16 i_sub(I16 a, I16 b) {
  return _mm512_sub_epi32(a, b);
}
inline I16 i_and(I16 a, I16 b) {
  return _mm512_and_si512(a, b);
}
template <int N>
inline I16 i_left(I16 a) {
  return _mm512_slli_epi32(a, N);
}
template <int N>
inline I16 i_right(I16 a) {  // keeps the sign
  return _mm512_srai_epi32(a, N);
}
template <int N>
inline I16 i_right_bits(I16 a) {
  return _mm512_srli_epi32(a, N);
}
inline F16 f_load_bf16(const uint16_t* p) {
  return f_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
inline void store_i8(int8_t* p, I16 a) {
  _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(a));
}
// acc[j] += sum over i of (unsigned) w[4j+i] * x[i]; x: four signed bytes repeated.
inline I16 dot4_unsigned(I16 acc, I16 w, I16 x) {
  return _mm512_dpbusd_epi32(acc, w, x);
}
// The same with signed w, of which `signed_codes` has been taken; it adds SIGNED_OFFSET to each, which acc makes up
// for.
inline I16 signed_codes(I16 w) {
  return _mm512_xor_si512(w, _mm512_set1_epi8(-128));
}
inline I16 dot4_signed(I16 acc, I16 w, I16 x) {
  return _mm512_dpbusd_epi32(acc, w, x);
}
constexpr int32_t SIGNED_OFFSET = 128;
constexpr int VECTORS = 32;  // registers

#elif defined(__AVX2__)

struct F16 {
  __m256 a, b;
};
struct I16 {
  __m256i a, b;
};
inline F16 f_set(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline F16 f_zero() {
  return f_set(0);
}
inline F16 f_load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline void f_store(float* p, F16 x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline F16 f_add(F16 x, F16 y) {
  return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
inline F16 f_sub(F16 x, F16 y) {
  return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
inline F16 f_mul(F16 x, F16 y) {
  return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
inline F16 f_div(F16 x, F16 y) {
  return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
inline F16 f_max(F16 x, F16 y) {
  return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
inline F16 f_min(F16 x, F16 y) {
  return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
}
inline F16 f_fma(F16 x, F16 y, F16 z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline F16 f_round(F16 x) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, mode), _mm256_round_ps(x.b, mode)};
}
inline F16 f_abs(F16 x) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return {_mm256_and_ps(x.a, mask), _mm256_and_ps(x.b, mask)};
}
inline F16 f_from(I16 x) {
  return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}
inline I16 i_from(F16 x) {
  return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
}
inline F16 f_bits(I16 x) {
  return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)};
}
inline I16 i_set(int32_t x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
inline I16 i_zero() {
  return i_set(0);
}
inline I16 i_load(const void* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)p + 1)};
}
inline I16 i_add(I16 x, I16 y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
inline I16 i_sub(I16 x, I16 y) {
  return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
}
inline I16 i_and(I16 x, I16 y) {
  return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)};
}
template <int N>
inline I16 i_left(I16 x) {
  return {_mm256_slli_epi32(x.a, N), _mm256_slli_epi32(x.b, N)};
}
template <int N>
inline I16 i_right(I16 x) {
  return {_mm256_srai_epi32(x.a, N), _mm256_srai_epi32(x.b, N)};
}
template <int N>
inline I16 i_right_bits(I16 x) {
  return {_mm256_srli_epi32(x.a, N), _mm256_srli_epi32(x.b, N)};
}
inline F16 f_load_bf16(const uint16_t* p) {
  const __m256i lo = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p));
  const __m256i hi = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p + 1));
  return f_bits({_mm256_slli_epi32(lo, 16), _mm256_slli_epi32(hi, 16)});
}
inline void store_i8(int8_t* p, I16 x) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
  _mm_storeu_si128((__m128i*)p, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
inline __m256i dot4_half(__m256i acc, __m256i w, __m256i x) {  // unsigned w below 128: two products never saturate
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
inline I16 dot4_unsigned(I16 acc, I16 w, I16 x) {
  return {dot4_half(acc.a, w.a, x.a), dot4_half(acc.b, w.b, x.b)};
}
inline I16 signed_codes(I16 w) {
  return w;
}
// |w| times x with w's sign: two products of at most 127 * 127 do not saturate 16 bits. Codes are within -127..127.
inline I16 dot4_signed(I16 acc, I16 w, I16 x) {
  return {dot4_half(acc.a, _mm256_abs_epi8(w.a), _mm256_sign_epi8(x.a, w.a)),
          dot4_half(acc.b, _mm256_abs_epi8(w.b), _mm256_sign_epi8(x.b, w.b))};
}
constexpr int32_t SIGNED_OFFSET = 0;
constexpr int VECTORS = 16;

#else

// Plain C++: loops of sixteen that any compiler turns into the vectors it has.
#define LANES for (int l = 0; l < 16; l++)
struct F16 {
  float v[16];
};
struct I16 {
  int32_t v[16];
};
#define EACH_F(expression)   \
  F16 r;                     \
  LANES r.v[l] = expression; \
  return r
#define EACH_I(expression)   \
  I16 r;                     \
  LANES r.v[l] = expression; \
  return r
inline F16 f_set(float x) {
  EACH_F(x);
}
inline F16 f_zero() {
  return f_set(0);
}
inline F16 f_load(const float* p) {
  EACH_F(p[l]);
}
inline void f_store(float* p, F16 x) {
  LANES p[l] = x.v[l];
}
inline F16 f_add(F16 x, F16 y) {
  EACH_F(x.v[l] + y.v[l]);
}
inline F16 f_sub(F16 x, F16 y) {
  EACH_F(x.v[l] - y.v[l]);
}
inline F16 f_mul(F16 x, F16 y) {
  EACH_F(x.v[l] * y.v[l]);
}
inline F16 f_div(F16 x, F16 y) {
  EACH_F(x.v[l] / y.v[l]);
}
inline F16 f_max(F16 x, F16 y) {
  EACH_F(x.v[l] > y.v[l] ? x.v[l] : y.v[l]);
}
inline F16 f_min(F16 x, F16 y) {
  EACH_F(x.v[l] < y.v[l] ? x.v[l] : y.v[l]);
}
inline F16 f_fma(F16 x, F16 y, F16 z) {
  EACH_F(x.v[l] * y.v[l] + z.v[l]);
}
// Adding and taking off 1.5 * 2^23 rounds half to even, for |x| below 2^22.
inline F16 f_round(F16 x) {
  EACH_F((x.v[l] + 12582912.0f) - 12582912.0f);
}
inline F16 f_abs(F16 x) {
  EACH_F(x.v[l] < 0 ? -x.v[l] : x.v[l]);
}
inline F16 f_from(I16 x) {
  EACH_F((float)x.v[l]);
}
inline I16 i_from(F16 x) {
  EACH_I((int32_t)f_round(x).v[l]);
}
inline F16 f_bits(I16 x) {
  F16 r;
  memcpy(&r, &x, 64);
  return r;
}
inline I16 i_set(int32_t x) {
  EACH_I(x);
}
inline I16 i_zero() {
  return i_set(0);
}
inline I16 i_load(const void* p) {
  I16 r;
  memcpy(&r, p, 64);
  return r;
}
inline I16 i_add(I16 x, I16 y) {
  EACH_I(x.v[l] + y.v[l]);
}
inline I16 i_sub(I16 x, I16 y) {
  EACH_I(x.v[l] - y.v[l]);
}
inline I16 i_and(I16 x, I16 y) {
  EACH_I(x.v[l] & y.v[l]);
}
template <int N>
inline I16 i_left(I16 x) {
  EACH_I((int32_t)((uint32_t)x.v[l] << N));
}
template <int N>
inline I16 i_right(I16 x) {
  EACH_I(x.v[l] >> N);
}
template <int N>
inline I16 i_right_bits(I16 x) {
  EACH_I((int32_t)((uint32_t)x.v[l] >> N));
}
inline F16 f_load_bf16(const uint16_t* p) {
  I16 r;
  LANES r.v[l] = (int32_t)((uint32_t)p[l] << 16);
  return f_bits(r);
}
inline void store_i8(int8_t* p, I16 x) {
  LANES p[l] = (int8_t)x.v[l];
}
inline I16 dot4_unsigned(I16 acc, I16 w, I16 x) {
  const uint8_t* wb = (const uint8_t*)&w;
  const int8_t* xb = (const int8_t*)&x;
  LANES for (int i = 0; i < 4; i++) acc.v[l] += (int32_t)wb[4 * l + i] * xb[4 * l + i];
  return acc;
}
inline I16 signed_codes(I16 w) {
  return w;
}
inline I16 dot4_signed(I16 acc, I16 w, I16 x) {
  const int8_t* wb = (const int8_t*)&w;
  const int8_t* xb = (const int8_t*)&x;
  LANES for (int i = 0; i < 4; i++) acc.v[l] += (int32_t)wb[4 * l + i] * xb[4 * l + i];
  return acc;
}
constexpr int32_t SIGNED_OFFSET = 0;
constexpr int VECTORS = 16;
#undef LANES
#undef EACH_F
#undef EACH_I

#endif

// Sum of the lanes, always in the same tree.
inline float f_sum(F16 x) {
  float v[16];
  f_store(v, x);
  for (int step = 8; step; step /= 2)
    for (int l = 0; l < step; l++) v[l] += v[l + step];
  return v[0];
}
inline float f_highest(F16 x) {
  float v[16];
  f_store(v, x);
  for (int step = 8; step; step /= 2)
    for (int l = 0; l < step; l++) v[l] = v[l] > v[l + step] ? v[l] : v[l + step];
  return v[0];
}

// e^x to about 2 units in the last place: 2^n * polynomial of the rest (coefficients: minimax of degree 5 after
// Cephes).
inline F16 f_exp(F16 x) {
  x = f_min(f_max(x, f_set(-87.3f)), f_set(88.3f));
  const F16 n = f_round(f_mul(x, f_set(1.44269504088896341f)));
  const F16 r = f_fma(n, f_set(2.12194440e-4f), f_fma(n, f_set(-0.693359375f), x));
  F16 p = f_set(1.9875691500e-4f);
  p = f_fma(p, r, f_set(1.3981999507e-3f));
  p = f_fma(p, r, f_set(8.3334519073e-3f));
  p = f_fma(p, r, f_set(4.1665795894e-2f));
  p = f_fma(p, r, f_set(1.6666665459e-1f));
  p = f_fma(p, r, f_set(5.0000001201e-1f));
  p = f_add(f_fma(p, f_mul(r, r), r), f_set(1.0f));
  return f_mul(p, f_bits(i_left<23>(i_add(i_from(n), i_set(127)))));
}

}  // namespace
}  // namespace moonlet
