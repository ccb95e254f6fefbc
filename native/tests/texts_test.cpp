// Attention of the trainer: the same with three threads and one, and its gradients against a step of the inputs.
#include "../texts.h"

#include <cmath>

#include "check.h"

namespace moonlet {

namespace {

constexpr int B = 2, H = 3, T = 150, N = 16, R = 8, VALUE = 40;
constexpr int64_t TOKENS = (int64_t)B * T;

std::vector<uint16_t> random_bits(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> bits(count);
  for (uint16_t& one : bits) one = float_to_bf16(normal(random));
  return bits;
}

struct Read {
  std::vector<uint16_t> out = std::vector<uint16_t>(TOKENS * H * VALUE);
  std::vector<float> lse = std::vector<float>(TOKENS * H), highest = std::vector<float>(H);
};

struct Gradients {
  std::vector<uint16_t> q = std::vector<uint16_t>(TOKENS * H * (N + R));
  std::vector<uint16_t> kv = std::vector<uint16_t>(TOKENS * H * (N + VALUE));
  std::vector<uint16_t> rope = std::vector<uint16_t>(TOKENS * R);
};

}  // namespace

void test_texts() {
  const auto q = random_bits(TOKENS * H * (N + R), 1), kv = random_bits(TOKENS * H * (N + VALUE), 2);
  const auto rope = random_bits(TOKENS * R, 3), grad = random_bits(TOKENS * H * VALUE, 4);
  std::vector<float> cosine, sine;
  for (int i = 0; i < T * R / 2; i++) cosine.push_back(std::cos(0.1f * i)), sine.push_back(std::sin(0.1f * i));
  const std::vector<std::vector<Text>> texts{{{0, 70, 0}, {70, 71, 70}, {71, T, 70}},
                                             {{0, 1, 0}, {1, 149, 0}, {149, T, 0}}};
  const Attended in{B, T, H, N, R, VALUE, 0.2f, texts, q.data(), kv.data(), rope.data(), cosine.data(), sine.data()};
  auto read = [&](const Attended& in, int threads) {
    Read made;
    attend_texts(in, ops_plain, threads, made.out.data(), made.lse.data(), made.highest.data());
    return made;
  };
  const Read one = read(in, 1), three = read(in, 3);
  CHECK(one.out == three.out && one.lse == three.lse && one.highest == three.highest);
  auto back = [&](int threads) {
    Gradients made;
    attend_texts_back(in, ops_plain, threads, one.out.data(), one.lse.data(), grad.data(), made.q.data(),
                      made.kv.data(), made.rope.data());
    return made;
  };
  const Gradients alone = back(1), together = back(3);
  CHECK(alone.q == together.q && alone.kv == together.kv && alone.rope == together.rope);
  // What the sum of grad * out changes by when kv moves a little along its own gradient.
  auto sum = [&](const Attended& in) {
    const Read made = read(in, 2);
    double total = 0;
    for (size_t i = 0; i < made.out.size(); i++) total += (double)bf16_to_float(made.out[i]) * bf16_to_float(grad[i]);
    return total;
  };
  auto moved = kv;
  double expected = 0;
  for (size_t i = 0; i < kv.size(); i++) {
    moved[i] = float_to_bf16(bf16_to_float(kv[i]) + 0.05f * bf16_to_float(alone.kv[i]));
    expected += (double)(bf16_to_float(moved[i]) - bf16_to_float(kv[i])) * bf16_to_float(alone.kv[i]);
  }
  Attended other = in;
  other.kv = moved.data();
  CHECK(std::fabs(sum(other) - sum(in) - expected) < 0.1 * expected);
}

}  // namespace moonlet
