// Attention of the trainer with three threads and one, and its gradients against a small step of the inputs.
#include "../causal.h"

#include <cmath>

#include "check.h"

namespace moonlet {

namespace {

constexpr int B = 2, H = 3, T = 150, S = T, KEY = 24, VALUE = 40;

std::vector<uint16_t> random_bits(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> bits(count);
  for (uint16_t& one : bits) one = float_to_bf16(normal(random));
  return bits;
}

struct Read {
  std::vector<uint16_t> out = std::vector<uint16_t>((size_t)B * H * T * VALUE);
  std::vector<float> lse = std::vector<float>((size_t)B * H * T), highest = std::vector<float>((size_t)B * H);
};

struct Gradients {
  std::vector<float> q = std::vector<float>((size_t)B * H * T * KEY), k = q,
                     v = std::vector<float>((size_t)B * H * T * VALUE);
};

}  // namespace

void test_causal() {
  const int64_t rows = (int64_t)B * H * T;
  const auto q = random_bits(rows * KEY, 1), k = random_bits(rows * KEY, 2);
  const auto v = random_bits(rows * VALUE, 3), grad = random_bits(rows * VALUE, 4);
  const Causal in{B, H, T, S, KEY, VALUE, 0.2f, {{0, 70}, {0, 1, 149}}, q.data(), k.data(), v.data()};
  auto read = [&](const Causal& in, int threads) {
    Read made;
    read_causal(in, ops_plain, threads, made.out.data(), made.lse.data(), made.highest.data());
    return made;
  };
  const Read one = read(in, 1), three = read(in, 3);
  CHECK(one.out == three.out && one.lse == three.lse && one.highest == three.highest);
  auto back = [&](int threads) {
    Gradients made;
    causal_gradients(in, ops_plain, threads, one.out.data(), one.lse.data(), grad.data(), made.q.data(), made.k.data(),
                     made.v.data());
    return made;
  };
  const Gradients alone = back(1), together = back(3);
  CHECK(alone.q == together.q && alone.k == together.k && alone.v == together.v);
  // The gradient of sum(grad * out), along a direction: what the sum changes by.
  auto sum = [&](const Causal& in) {
    const Read made = read(in, 2);
    double total = 0;
    for (size_t i = 0; i < made.out.size(); i++) total += (double)bf16_to_float(made.out[i]) * bf16_to_float(grad[i]);
    return total;
  };
  auto moved = v;
  double expected = 0;
  for (size_t i = 0; i < v.size(); i++) {
    moved[i] = float_to_bf16(bf16_to_float(v[i]) + 0.5f * bf16_to_float(grad[i]));
    expected += (double)(bf16_to_float(moved[i]) - bf16_to_float(v[i])) * alone.v[i];
  }
  Causal other = in;
  other.v = moved.data();
  CHECK(std::fabs(sum(other) - sum(in) - expected) < 0.01 * std::fabs(expected));
}

}  // namespace moonlet
