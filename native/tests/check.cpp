#include "check.h"

#include <unistd.h>

#include <cmath>

namespace moonlet {
namespace {

std::string fresh_path() {
  char name[] = "moonlet-check-XXXXXX";
  const int fd = mkstemp(name);
  CHECK(fd >= 0);
  close(fd);
  return name;
}

constexpr int V = 96;

}  // namespace

Matrix Tiny::matrix(int rows, int cols, Format format) {
  std::normal_distribution<float> normal(0, 1 / std::sqrt((float)cols));
  std::vector<float> w((size_t)rows * cols);
  for (float& x : w) x = normal(random_);
  packed_.emplace_back(packed_bytes(format, rows, cols));
  pack(packed_.back().data(), w.data(), format, rows, cols);
  return {packed_.back().data(), format, rows, cols};
}

const float* Tiny::gains(int count, float middle) {
  std::normal_distribution<float> normal(middle, 0.1f);
  floats_.emplace_back(count);
  for (float& x : floats_.back()) x = normal(random_);
  return floats_.back().data();
}

Tiny::Tiny() : path(fresh_path()) {
  Shape& s = shape_;
  s.V = V, s.D = D, s.layers = LAYERS, s.H = 2, s.q_rank = 0, s.L = 32, s.N = 16, s.R = 8, s.value = 16;
  s.dense_width = 96, s.dense_layers = LAYERS - SPARSE, s.E = E, s.K = K, s.shared_width = F, s.F = F;
  s.router = 0, s.groups = s.groups_kept = 1, s.normalise = true;
  s.routed_scale = 2, s.eps = 1e-6f, s.score_scale = 0.2f, s.rotation_scale = 1;
  for (int i = 0; i < s.R / 2; i++) s.inverse_frequencies.push_back(std::pow(50000.0f, -2.0f * i / s.R));
  floats_.reserve(64);
  weights_.embed = {gains(V * D, 0), false};
  for (float& x : floats_.back()) x *= 10;
  weights_.norm = gains(D, 1);
  weights_.head = matrix(V, D);
  weights_.experts = Format::int4;
  FILE* file = fopen(path.c_str(), "wb");
  for (int layer = 0; layer < LAYERS; layer++) {
    LayerWeights w{};
    w.attention_norm = gains(D, 1), w.kv_a_norm = gains(s.L, 1), w.mlp_norm = gains(D, 1);
    w.q = matrix(s.H * (s.N + s.R), D), w.kv_a = matrix(s.L + s.R, D), w.o = matrix(D, s.H * s.value);
    for (int h = 0; h < s.H; h++) w.k_up.push_back(matrix(s.L, s.N)), w.v_up.push_back(matrix(s.value, s.L));
    const int width = layer < s.dense_layers ? s.dense_width : s.shared_width;
    w.gate = matrix(width, D), w.up = matrix(width, D), w.down = matrix(D, width);
    if (layer >= s.dense_layers) {
      w.router = {gains(E * D, 0), false}, w.router_bias = gains(E, 0);
      for (int e = 0; e < E; e++) {
        std::vector<uint8_t> row;
        for (const auto& [rows, cols] : {std::pair{F, D}, std::pair{F, D}, std::pair{D, F}}) {
          matrix(rows, cols, Format::int4);
          row.insert(row.end(), packed_.back().begin(), packed_.back().end());
        }
        row_bytes = round_up((int64_t)row.size(), DISK_BLOCK);
        row.resize(row_bytes);
        CHECK(fwrite(row.data(), 1, row.size(), file) == row.size());
      }
    }
    weights_.layers.push_back(w);
  }
  fclose(file);
}

Tiny::~Tiny() {
  unlink(path.c_str());
}

std::shared_ptr<ExpertStore> Tiny::store(int64_t slots, ReadCall call, int copies) const {
  auto made = std::make_shared<ExpertStore>(slots ? budget(slots) : -1, std::move(call));
  for (int layer = 0; layer < SPARSE; layer++)
    made->add_layer(std::vector<std::string>(copies, path), layer * E * row_bytes, E, row_bytes);
  made->open();
  CHECK(made->slots() == slots);
  return made;
}

std::unique_ptr<Model> Tiny::model(std::shared_ptr<ExpertStore> store, int threads, int tokens, bool expanded,
                                   Format cache) const {
  return std::make_unique<Model>(shape_, weights_, std::move(store), ops_plain,
                                 Limits{tokens, tokens, PAGES, threads, false, expanded, cache});
}

std::vector<float> run(Model& model, const std::vector<int32_t>& ids, int chunk) {
  const int stride = (int)round_up(V, 32), count = (int)ids.size();
  std::vector<float> logits((size_t)count * stride);
  std::vector<int32_t> positions, sequences(chunk, 0), want, pages{3, 1, 0, 2};
  for (int page = (int)pages.size(); page < PAGES; page++) pages.push_back(page);
  for (int begin = 0; begin < count; begin += chunk) {
    const int T = count - begin < chunk ? count - begin : chunk;
    positions.clear(), want.clear();
    for (int t = 0; t < T; t++) positions.push_back(begin + t), want.push_back(t);
    model.step({T, ids.data() + begin, positions.data(), sequences.data(), pages.data(), PAGES, T, want.data()},
               logits.data() + (size_t)begin * stride, nullptr);
  }
  return logits;
}

}  // namespace moonlet
