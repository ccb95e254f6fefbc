// One forward step of the whole network, for a mixed batch of tokens from any sequences.
//
// Shapes: T tokens of the step, D width, H heads, N and R the parts of a head without and with position, L latent,
// E experts, K experts a token, F expert width, V vocabulary. Buffers are f32 with rows padded to 32 numbers.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops.h"
#include "pool.h"
#include "store.h"

namespace moonlet {

struct Layout;

struct Shape {
  int V, D, layers, H, q_rank, L, N, R, value;  // q_rank 0: queries come from one matrix
  int dense_width, dense_layers, E, K, shared_width, F;
  int router, groups, groups_kept;
  bool normalise;
  float routed_scale, eps, score_scale, rotation_scale;
  std::vector<float> inverse_frequencies;  // R / 2
};

// Row-major numbers used as they lie in the file.
struct Table {
  const void* data = nullptr;
  bool bf16 = false;
};

struct LayerWeights {
  const float *attention_norm, *q_a_norm, *kv_a_norm, *mlp_norm;
  Matrix q_a, q, kv_a, o;    // q: from the normalised rank, or from the width if there is none
  std::vector<Matrix> k_up;  // per head, (L, N): a query's part without position into latent space
  std::vector<Matrix> v_up;  // per head, (value, L)
  Matrix gate, up, down;     // dense layer, or the shared experts of a sparse one (rows 0: none)
  Table router;              // (E, D)
  const float* router_bias;  // (E), or null
};

struct Weights {
  Table embed;  // (V, D)
  const float* norm;
  Matrix head;
  std::vector<LayerWeights> layers;
  Format experts;  // of the packed gate (F, D), up (F, D) and down (D, F) that follow each other in a row of the store
};

struct Limits {
  int tokens;                   // of a step
  int rows;                     // of logits of a step
  int pages;                    // of the cache
  int threads;                  // 0: one for each core
  bool exact;                   // activations stay f32; the cache must be so too
  bool expanded = false;        // prompts attend in the expanded form, see expanded.cpp; a cache of bf16
  Format cache = Format::bf16;  // or int8: half the bytes, and integer products
};

struct Batch {
  int T;
  const int32_t* ids;        // [T]
  const int32_t* positions;  // [T]
  const int32_t* sequences;  // [T] row of `pages`
  const int32_t* pages;      // [sequences][pages_stride] pages of the cache, in order of positions
  int pages_stride;
  int rows;             // how many tokens want logits
  const int32_t* want;  // [rows] which
};

// Where a step's time goes. The head has the embedding with it, the experts the shared ones.
enum Part : int { ATTENTION, ROUTER, EXPERTS, DISK, DENSE, HEAD, PARTS };

// What a step tells to whoever looks on. It changes nothing of what is computed.
struct Watch {
  float* weights;   // [sparse layers, T, K] how much of a chosen expert's output counts
  uint8_t* tiers;   // [sparse layers, E] Tier of each chosen expert when it was asked for; others are left alone
  int64_t* ns;      // [PARTS] by the clock of thread 0, which passes every border between parts
  int64_t last_ns;  // the border before
};

class Model {
 public:
  Model(Shape shape, Weights weights, std::shared_ptr<ExpertStore> store, const Ops& ops, Limits limits);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Writes the tokens into the cache, logits[rows, round_up(V, 32)] and, unless null, the chosen experts
  // chosen[sparse layers, T, K]. Tokens of one sequence must come in order of position, after all earlier ones.
  // `watch`: null when nobody looks on.
  void step(const Batch& batch, float* logits, int32_t* chosen, Watch* watch = nullptr);

  // A page of every layer, copied out of the cache or into it; safe beside a step that does not use the page.
  int64_t page_bytes() const { return cache_bytes_ / limits_.pages; }
  void export_page(int page, uint8_t* to) const;
  void import_page(int page, const uint8_t* from);

  // Tokens [T] of the last step that needed an expert which could not be read; what was computed of their sequences is
  // wrong. fault() says why; it is empty if there are none.
  const uint8_t* failed() const { return failed_.data(); }
  const std::string& fault() const { return store_->fault(); }

  int64_t cache_bytes() const { return cache_bytes_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }
  int threads() const { return pool_.size(); }
  const Shape& shape() const { return shape_; }
  const Limits& limits() const { return limits_; }

 private:
  struct Span {
    int begin, end;
  };
  struct Experts;  // which tokens go to which expert, one copy a thread
  struct Tile {    // what a thread writes out of the cache for one head, and the queries that pass over it
    float *latents, *made, *rows, *read;
    uint8_t *keys, *values;
    Activations queries, shares;
    Sums* sums;
  };

  Span share(int thread, int64_t count) const;  // a thread's part of what is short or touches all alike
  void body(int thread);
  void embed(int thread);
  void attention(int thread, int layer);
  void queries(int thread, const LayerWeights& w, int layer);
  void read_cache(int thread, const LayerWeights& w, int layer);
  bool cut_into_spans();
  void find_prompts();
  void expand_weights();
  void place_expanded(Layout& layout);
  void read_expanded(int thread, int layer);
  void expand(int layer, int head, const int32_t* pages, int begin, int end, Tile& tile);
  // The tokens that attend in the absorbed form, as rows of a product.
  Gather absorbed() const { return prompts_.empty() ? Gather{} : Gather{rest_.data(), rest_.data()}; }
  void feed_forward(int thread, int layer);
  void sparse(int thread, const LayerWeights& w, int layer);
  void choose(int thread, const LayerWeights& w, const float* x);
  void stream(int thread, const LayerWeights& w, int layer);
  void gate_up(int thread, const LayerWeights& w, int layer, const Experts& experts, const std::vector<int32_t>& list,
               bool shared);
  void down(int thread, const LayerWeights& w, int layer, const Experts& experts, const std::vector<int32_t>& list,
            bool shared);
  void give_up(const Experts& experts, int expert);
  uint8_t* tiers_of(int layer) const;
  void mark(int thread, Part part);
  void add_and_norm(int thread, const float* norm);
  void head(int thread);
  void product(int thread, const Matrix& w, const Activations& x, float* y, int64_t stride);
  bool wants_twins(const Matrix& w) const;
  bool wants_twins(Format format) const;
  uint8_t* cache_page(int layer, int token) const;
  void keep(int layer, int token, const float* row) const;
  void allocate();

  Shape shape_;
  Weights weights_;
  std::shared_ptr<ExpertStore> store_;
  const Ops& ops_;
  Limits limits_;
  Pool pool_;
  Batch batch_{};
  float* logits_ = nullptr;
  int32_t* chosen_out_ = nullptr;
  Watch* watch_ = nullptr;

  int cache_width_ = 0;      // numbers of a cached token, padded to 32 unless they are codes
  int64_t layer_bytes_ = 0;  // of the cache
  void* cache_ = nullptr;
  int64_t cache_bytes_ = 0;

  void* workspace_ = nullptr;
  int64_t workspace_bytes_ = 0;
  float *x_ = nullptr, *y_ = nullptr, *kv_ = nullptr, *q_ = nullptr, *cosine_ = nullptr, *sine_ = nullptr;
  Activations normed_, ranked_, nope_, latents_, values_, mixed_, hidden_, expert_hidden_;
  float* query_ = nullptr;  // [T, H, latent and rotated part]
  float* spans_ = nullptr;  // [spans, H, L] what was read of each, until they are joined
  Sums* span_sums_ = nullptr;
  int most_spans_ = 0;
  std::vector<int32_t> first_span_;                                // of each token, and the count of all
  bool spread_ = false;                                            // a token's spans are read by several threads
  std::vector<Span> prompts_;                                      // tokens that attend in the expanded form
  std::vector<int32_t> rest_;                                      // the others
  uint8_t *expanded_keys_ = nullptr, *expanded_values_ = nullptr;  // [layers, H] packed bf16 (N, L) and (value, L)
  std::vector<Tile> tiles_;                                        // of a thread
  float *expert_out_ = nullptr, *router_ = nullptr, *route_weights_ = nullptr, *route_scratch_ = nullptr;
  int32_t* chosen_ = nullptr;
  std::vector<Experts> experts_;
  std::vector<uint8_t> failed_;
  bool more_ = false;  // a wave of streamed experts is to be computed
};

}  // namespace moonlet
