// The most int8 multiplications and additions that the vector instructions do on all threads, in operations a second.
// Only registers are used. Matrix units (AMX) are not asked. Prints one number; exit code 1 for other processors.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

#if defined(__AVX512VNNI__)
using Vector = __m512i;
static Vector filled(int x) { return _mm512_set1_epi32(x); }
static Vector step(Vector sum, Vector a, Vector b) { return _mm512_dpbusd_epi32(sum, a, b); }
#elif defined(__AVXVNNI__)
using Vector = __m256i;
static Vector filled(int x) { return _mm256_set1_epi32(x); }
static Vector step(Vector sum, Vector a, Vector b) { return _mm256_dpbusd_avx_epi32(sum, a, b); }
#elif defined(__AVX2__)
using Vector = __m256i;
static Vector filled(int x) { return _mm256_set1_epi32(x); }
static Vector step(Vector sum, Vector a, Vector b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_xor_si256(a, sum), b), filled(0x10001)));
}
#elif defined(__ARM_FEATURE_DOTPROD)
using Vector = int32x4_t;
static Vector filled(int x) { return vdupq_n_s32(x); }
static Vector step(Vector sum, Vector a, Vector b) {
  return vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
}
#else
#define UNKNOWN
#endif

#ifdef UNKNOWN
int main() { return 1; }
#else
constexpr int SUMS = 12;  // independent ones: an instruction's result comes some cycles later
constexpr long ROUNDS = 80'000'000;

static void work(int* out) {
  Vector sums[SUMS], a = filled(0x01020301), b = filled(0x02010102);
  for (int i = 0; i < SUMS; ++i) sums[i] = filled(i);
  for (long round = 0; round < ROUNDS; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; ++i) sums[i] = step(sums[i], a, b);
  }
  Vector all = sums[0];
  for (int i = 1; i < SUMS; ++i) all = step(all, sums[i], b);
  *out = *reinterpret_cast<int*>(&all);
}

int main(int, char** argv) {
  int count = std::atoi(argv[1]);
  std::vector<int> results(count);
  auto begun = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int& result : results) threads.emplace_back(work, &result);
  for (auto& thread : threads) thread.join();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  double each = 2.0 * sizeof(Vector) * SUMS * ROUNDS;
  std::printf("%.0f\n", count * each / seconds);
  return results[0] == 12345;
}
#endif
