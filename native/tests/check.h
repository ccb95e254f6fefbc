// What the native tests share: one check, and a model of random weights with its experts in a file.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../model.h"
#include "../pack.h"

#define CHECK(holds)                                                            \
  do {                                                                          \
    if (!(holds)) {                                                             \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #holds); \
      abort();                                                                  \
    }                                                                           \
  } while (0)

namespace moonlet {

// Two dense and three sparse layers; the weights live as long as this does.
class Tiny {
 public:
  static constexpr int E = 16, K = 4, SPARSE = 3, LAYERS = 5, D = 64, F = 48;
  const std::string path;  // with all sparse layers' rows, one after the other
  int64_t row_bytes = 0;

  Tiny();
  ~Tiny();
  Tiny(const Tiny&) = delete;
  Tiny& operator=(const Tiny&) = delete;

  // `slots` 0: mapped.
  std::shared_ptr<ExpertStore> store(int64_t slots, ReadCall call = {}, int copies = 1) const;
  std::unique_ptr<Model> model(std::shared_ptr<ExpertStore> store, int threads, int tokens, bool expanded = false,
                               Format cache = Format::bf16) const;
  // Bytes that so many slots need.
  int64_t budget(int64_t slots) const { return slots * (row_bytes + 64) + SPARSE * E * 20; }

 private:
  Matrix matrix(int rows, int cols, Format format = Format::int8);
  const float* gains(int count, float middle);

  std::mt19937 random_{7};
  std::vector<std::vector<uint8_t>> packed_;
  std::vector<std::vector<float>> floats_;
  Weights weights_;
  Shape shape_{};
};

constexpr int PAGES = 24;  // of a model's cache

// One sequence's tokens from its first one on; logits of all of them.
std::vector<float> run(Model& model, const std::vector<int32_t>& ids, int chunk);

void test_texts();  // texts_test.cpp

}  // namespace moonlet
