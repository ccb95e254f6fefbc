#include "model.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "cache.h"
#include "layout.h"

namespace moonlet {
namespace {

int64_t now_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Zeroed memory straight from the system, in huge pages where it has them; not touched before it is used.
void* reserve(int64_t bytes) {
  void* p = mmap(nullptr, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED)
    throw std::runtime_error("the system refuses " + std::to_string(bytes) +
                             " bytes for the cache or a step's buffers: allow more (ulimit -v, overcommit), or keep "
                             "fewer tokens with --cache-tokens");
#if defined(MADV_HUGEPAGE)
  madvise(p, (size_t)bytes, MADV_HUGEPAGE);
#endif
  return p;
}

}  // namespace

// Tokens of a step sorted by expert. `token` and `slot` are parallel: slot = token * K + rank of the expert there.
struct Model::Experts {
  std::vector<int32_t> start, token, slot;  // start[e]..start[e+1]: the tokens of expert e
  std::vector<int32_t> active, tokens;      // experts that were chosen, and by how many

  void sort(const int32_t* chosen, int T, int K, int E) {
    std::fill(start.begin(), start.end(), 0);
    for (int i = 0; i < T * K; i++) start[chosen[i] + 1]++;
    active.clear(), tokens.clear();
    for (int e = 0; e < E; e++) {
      if (start[e + 1]) active.push_back(e), tokens.push_back(start[e + 1]);
      start[e + 1] += start[e];
    }
    for (int i = 0; i < T * K; i++) {
      const int at = start[chosen[i]]++;
      token[at] = i / K, slot[at] = i;
    }
    for (int e = E; e > 0; e--) start[e] = start[e - 1];
    start[0] = 0;
  }
};

Model::Model(Shape shape, Weights weights, std::shared_ptr<ExpertStore> store, const Ops& ops, Limits limits)
    : shape_(std::move(shape)),
      weights_(std::move(weights)),
      store_(std::move(store)),
      ops_(ops),
      limits_(limits),
      pool_(limits.threads) {
  cache_width_ = limits_.cache == Format::int8 ? shape_.L + shape_.R : pad(shape_.L + shape_.R);
  layer_bytes_ = limits_.pages * cache_page_bytes(limits_.cache, shape_.L, shape_.R);
  cache_bytes_ = shape_.layers * layer_bytes_;
  cache_ = reserve(cache_bytes_);
  most_spans_ = (int)((int64_t)limits_.pages * PAGE / SPAN) + 64;
  first_span_.resize(limits_.tokens + 1);
  rest_.reserve(limits_.tokens), prompts_.reserve(limits_.tokens);
  if (limits_.expanded) tiles_.resize(pool_.size());
  allocate();
  if (limits_.expanded) expand_weights();
  failed_.resize(limits_.tokens);
  experts_.resize(pool_.size());
  for (Experts& experts : experts_) {
    experts.start.resize(shape_.E + 1);
    experts.token.resize((size_t)limits_.tokens * shape_.K);
    experts.slot.resize((size_t)limits_.tokens * shape_.K);
    experts.active.reserve(shape_.E), experts.tokens.reserve(shape_.E);
  }
}

Model::~Model() {
  munmap(cache_, (size_t)cache_bytes_);
  munmap(workspace_, (size_t)workspace_bytes_);
}

void Model::allocate() {
  const Shape& s = shape_;
  const int64_t T = limits_.tokens, D = pad(s.D);
  for (int pass = 0; pass < 2; pass++) {
    Layout layout{(uint8_t*)workspace_};
    layout.place(x_, T * D);
    layout.place(y_, T * D);
    layout.place(kv_, T * pad(s.L + s.R));
    layout.place(q_, T * pad(s.H * (s.N + s.R)));
    layout.place(cosine_, T * s.R / 2);
    layout.place(sine_, T * s.R / 2);
    layout.place(normed_, T, D);
    layout.place(ranked_, T, pad(s.q_rank));
    layout.place(nope_, T * s.H, pad(s.N));
    layout.place(query_, T * s.H * pad(s.L + s.R));
    layout.place(spans_, std::max<int64_t>((int64_t)most_spans_ * s.H, 32 * pool_.size()) * pad(s.L));
    layout.place(span_sums_, (int64_t)most_spans_ * s.H);
    layout.place(latents_, T * s.H, pad(s.L));
    layout.place(values_, T * s.H, pad(s.value));
    layout.place(mixed_, T, pad((int64_t)s.H * s.value));
    layout.place(hidden_, T, pad(s.dense_width > s.shared_width ? s.dense_width : s.shared_width));
    layout.place(expert_hidden_, T * s.K, pad(s.F));
    layout.place(expert_out_, T * s.K * D);
    layout.place(router_, T * s.E);
    layout.place(route_weights_, T * s.K);
    layout.place(route_scratch_, (int64_t)pool_.size() * 2 * s.E);
    layout.place(chosen_, T * s.K);
    if (limits_.expanded) place_expanded(layout);
    if (pass == 0) {
      workspace_bytes_ = layout.used;
      workspace_ = reserve(workspace_bytes_);
    }
  }
}

Model::Span Model::share(int thread, int64_t count) const {
  const int64_t n = pool_.size();
  return {(int)(count * thread / n), (int)(count * (thread + 1) / n)};
}

bool Model::wants_twins(Format format) const {
  const bool integer = format == Format::int8 || format == Format::int4;
  return !limits_.exact && (integer || (format == Format::bf16 && ops_.bf16));
}
bool Model::wants_twins(const Matrix& w) const {
  return wants_twins(w.format);
}

uint8_t* Model::cache_page(int layer, int token) const {
  const int32_t position = batch_.positions[token];
  const int32_t* pages = batch_.pages + (int64_t)batch_.sequences[token] * batch_.pages_stride;
  return (uint8_t*)cache_ + layer * layer_bytes_ +
         pages[position / PAGE] * cache_page_bytes(limits_.cache, shape_.L, shape_.R);
}

void Model::keep(int layer, int token, const float* row) const {
  keep_row(limits_.cache, cache_page(layer, token), batch_.positions[token] % PAGE, row, shape_.L, shape_.R);
}

void Model::export_page(int page, uint8_t* to) const {
  const int64_t bytes = page_bytes() / shape_.layers;
  for (int64_t layer = 0; layer < shape_.layers; layer++)
    memcpy(to + layer * bytes, (const uint8_t*)cache_ + (layer * limits_.pages + page) * bytes, (size_t)bytes);
}

void Model::import_page(int page, const uint8_t* from) {
  const int64_t bytes = page_bytes() / shape_.layers;
  for (int64_t layer = 0; layer < shape_.layers; layer++)
    memcpy((uint8_t*)cache_ + (layer * limits_.pages + page) * bytes, from + layer * bytes, (size_t)bytes);
}

void Model::step(const Batch& batch, float* logits, int32_t* chosen, Watch* watch) {
  assert(batch.T <= limits_.tokens && batch.rows <= limits_.rows);
  batch_ = batch, logits_ = logits, chosen_out_ = chosen, watch_ = watch;
  std::fill_n(failed_.begin(), batch.T, 0);
  if (store_->streamed()) store_->begin_step();
  if (watch_) watch_->last_ns = now_ns();
  find_prompts();
  spread_ = cut_into_spans();
  auto work = [this](int thread) { body(thread); };
  pool_.run(work);
  mark(0, HEAD);
}

// Where the watch has the tiers of a sparse layer's experts; null if nobody watches.
uint8_t* Model::tiers_of(int layer) const {
  return watch_ ? watch_->tiers + (int64_t)layer * shape_.E : nullptr;
}

// The time since the last border was this part's.
void Model::mark(int thread, Part part) {
  if (!watch_ || thread) return;
  const int64_t now = now_ns();
  watch_->ns[part] += now - watch_->last_ns;
  watch_->last_ns = now;
}

void Model::body(int thread) {
  embed(thread);
  mark(thread, HEAD);
  for (int layer = 0; layer < shape_.layers; layer++) {
    attention(thread, layer);
    mark(thread, ATTENTION);
    feed_forward(thread, layer);
    mark(thread, layer < shape_.dense_layers ? DENSE : EXPERTS);
  }
  head(thread);
}

// y = W x for all tokens of the step, dealt by blocks of rows so that each weight is read once.
void Model::product(int thread, const Matrix& w, const Activations& x, float* y, int64_t stride) {
  pool_.deal(thread, w.blocks(),
             [&](int begin, int end) { ops_.matmul(w, x, {}, batch_.T, y, stride, begin, end, limits_.exact); });
}

void Model::embed(int thread) {
  const int D = shape_.D, stride = pad(D), half = shape_.R / 2;
  const Span tokens = share(thread, batch_.T);
  for (int t = tokens.begin; t < tokens.end; t++) {
    float* x = x_ + (int64_t)t * stride;
    const int64_t at = (int64_t)batch_.ids[t] * D;
    if (weights_.embed.bf16)
      for (int i = 0; i < D; i++) x[i] = bf16_to_float(((const uint16_t*)weights_.embed.data)[at + i]);
    else
      memcpy(x, (const float*)weights_.embed.data + at, sizeof(float) * D);
    memset(x + D, 0, sizeof(float) * (stride - D));
    for (int i = 0; i < half; i++) {
      // The product is rounded to f32, as in training: at long range that rounding is part of the model.
      const float angle = (float)batch_.positions[t] * shape_.inverse_frequencies[i];
      cosine_[(int64_t)t * half + i] = (float)std::cos((double)angle) * shape_.rotation_scale;
      sine_[(int64_t)t * half + i] = (float)std::sin((double)angle) * shape_.rotation_scale;
    }
    const LayerWeights& first = weights_.layers[0];
    ops_.rmsnorm(normed_.f + (int64_t)t * stride, x, first.attention_norm, D, stride, shape_.eps);
    ops_.quantise(normed_, t, t + 1, 0, stride / GROUP);
  }
  pool_.barrier();
}

// x += y, then normed = rmsnorm(x): the border between two halves of a block.
void Model::add_and_norm(int thread, const float* norm) {
  const int stride = pad(shape_.D);
  const Span tokens = share(thread, batch_.T);
  for (int t = tokens.begin; t < tokens.end; t++) {
    float *x = x_ + (int64_t)t * stride, *y = y_ + (int64_t)t * stride;
    for (int i = 0; i < stride; i++) x[i] += y[i];
    ops_.rmsnorm(normed_.f + (int64_t)t * stride, x, norm, shape_.D, stride, shape_.eps);
    ops_.quantise(normed_, t, t + 1, 0, stride / GROUP);
  }
  pool_.barrier();
}

void Model::feed_forward(int thread, int layer) {
  const LayerWeights& w = weights_.layers[layer];
  const float* next = layer + 1 < shape_.layers ? weights_.layers[layer + 1].attention_norm : weights_.norm;
  if (layer < shape_.dense_layers) {
    pool_.deal(thread, w.gate.blocks(), [&](int begin, int end) {
      ops_.swiglu(w.gate, w.up, normed_, {}, batch_.T, hidden_, begin, end, limits_.exact, wants_twins(w.down));
    });
    pool_.barrier();
    product(thread, w.down, hidden_, y_, pad(shape_.D));
    pool_.barrier();
    return add_and_norm(thread, next);
  }
  sparse(thread, w, layer);

  // Streamed experts of the next layer are guessed by its router from what is known now, before its attention: y_ is
  // free until then.
  const bool ahead = store_->streamed() && layer + 1 < shape_.layers;
  const int T = batch_.T, K = shape_.K, next_sparse = layer + 1 - shape_.dense_layers;
  const bool sweep = ahead && store_->sweeps(T, K);
  const bool guess = ahead && !sweep && store_->wants_guess(next_sparse, T, K);
  if (sweep && thread == 0) store_->guess_all(next_sparse);

  const int stride = pad(shape_.D);
  const Span tokens = share(thread, T);
  for (int t = tokens.begin; t < tokens.end; t++) {
    const float* x = x_ + (int64_t)t * stride;
    ops_.rmsnorm(normed_.f + (int64_t)t * stride, x, next, shape_.D, stride, shape_.eps);
    ops_.quantise(normed_, t, t + 1, 0, stride / GROUP);
    if (guess)
      ops_.rmsnorm(y_ + (int64_t)t * stride, x, weights_.layers[layer + 1].mlp_norm, shape_.D, stride, shape_.eps);
  }
  pool_.barrier();
  if (guess) {
    mark(thread, EXPERTS);
    choose(thread, weights_.layers[layer + 1], y_);
    if (thread == 0) store_->guess(next_sparse, chosen_, T, K);
    mark(thread, ROUTER);
  }
}

// The experts of each token and their weights, by a layer's router, from rows x [T, D].
void Model::choose(int thread, const LayerWeights& w, const float* x) {
  const Shape& s = shape_;
  const int T = batch_.T, D = pad(s.D);
  const Routing routing{(Router)s.router, s.E, s.K, s.groups, s.groups_kept, s.normalise, s.routed_scale};

  // A task computes the logits of some experts for some tokens. Tasks of the same experts follow one another, so that
  // their rows of the router stay in the second-level cache while all tokens pass.
  constexpr int EXPERTS_A_TASK = 16, TOKENS_A_TASK = 16;
  const int chunks = (s.E + EXPERTS_A_TASK - 1) / EXPERTS_A_TASK, groups = (T + TOKENS_A_TASK - 1) / TOKENS_A_TASK;
  pool_.deal(thread, (int64_t)chunks * groups, [&](int begin, int end) {
    for (int task = begin; task < end; task++) {
      const int e0 = task / groups * EXPERTS_A_TASK, e1 = std::min(e0 + EXPERTS_A_TASK, s.E);
      const int t0 = task % groups * TOKENS_A_TASK, t1 = std::min(t0 + TOKENS_A_TASK, T);
      ops_.dots(router_ + (int64_t)t0 * s.E, s.E, w.router.data, w.router.bf16, x + (int64_t)t0 * D, D, t1 - t0, s.D,
                e0, e1);
    }
  });
  pool_.barrier();
  const Span tokens = share(thread, T);
  for (int t = tokens.begin; t < tokens.end; t++)
    ops_.route(routing, router_ + (int64_t)t * s.E, w.router_bias, chosen_ + (int64_t)t * s.K,
               route_weights_ + (int64_t)t * s.K, route_scratch_ + (int64_t)thread * 2 * s.E);
  pool_.barrier();
}

// x += routed experts + shared experts.
void Model::sparse(int thread, const LayerWeights& w, int layer) {
  const Shape& s = shape_;
  const int T = batch_.T, D = pad(s.D), sparse_layer = layer - s.dense_layers;
  choose(thread, w, normed_.f);
  Experts& experts = experts_[thread];
  experts.sort(chosen_, T, s.K, s.E);
  if (chosen_out_ && thread == 0)
    memcpy(chosen_out_ + (int64_t)sparse_layer * T * s.K, chosen_, sizeof(int32_t) * T * s.K);
  if (watch_ && thread == 0) {
    memcpy(watch_->weights + (int64_t)sparse_layer * T * s.K, route_weights_, sizeof(float) * T * s.K);
    if (!store_->streamed())  // else asking tells
      store_->tiers(sparse_layer, experts.active.data(), (int)experts.active.size(), tiers_of(sparse_layer));
  }
  mark(thread, ROUTER);

  if (store_->streamed()) {
    stream(thread, w, sparse_layer);
  } else {
    gate_up(thread, w, sparse_layer, experts, experts.active, true);
    pool_.barrier();
    down(thread, w, sparse_layer, experts, experts.active, true);
    pool_.barrier();
  }

  // Every sum is over a token's experts in their rank, whatever the order in which they were computed.
  const int out_blocks = D / BLOCK;
  const Span columns = share(thread, (int64_t)T * out_blocks);
  for (int task = columns.begin; task < columns.end; task++) {
    const int t = task / out_blocks, i = task % out_blocks * BLOCK;
    const float* parts[64];
    for (int k = 0; k < s.K; k++) parts[k] = expert_out_ + ((int64_t)t * s.K + k) * D;
    ops_.combine(x_ + (int64_t)t * D, parts, route_weights_ + (int64_t)t * s.K, s.K,
                 w.gate.rows ? y_ + (int64_t)t * D : nullptr, i, i + BLOCK);
  }
  pool_.barrier();
}

// A layer's experts in waves: first those that are in memory, with the shared ones, then others as they come.
void Model::stream(int thread, const LayerWeights& w, int layer) {
  const Experts& experts = experts_[thread];
  for (bool first = true;; first = false) {
    if (thread == 0) {
      if (first)
        store_->begin(layer, experts.active.data(), experts.tokens.data(), (int)experts.active.size(), batch_.T,
                      tiers_of(layer));
      mark(thread, EXPERTS);
      more_ = store_->next(!first);
      mark(thread, DISK);
      for (const int expert : store_->failed()) give_up(experts, expert);
    }
    pool_.barrier();
    if (!more_) return;
    gate_up(thread, w, layer, experts, store_->wave(), first);
    pool_.barrier();
    down(thread, w, layer, experts, store_->wave(), first);
    pool_.barrier();
  }
}

// An expert cannot be read: the tokens that chose it fail, the others of the step are as they would be without them.
void Model::give_up(const Experts& experts, int expert) {
  const int64_t D = pad(shape_.D);
  for (int i = experts.start[expert]; i < experts.start[expert + 1]; i++) {
    failed_[experts.token[i]] = 1;
    std::fill_n(expert_out_ + experts.slot[i] * D, D, 0.0f);
  }
}

// Gate and up of these experts and, after them, of the shared ones, dealt as one list of blocks.
void Model::gate_up(int thread, const LayerWeights& w, int layer, const Experts& experts,
                    const std::vector<int32_t>& list, bool shared) {
  const Shape& s = shape_;
  const Format format = weights_.experts;
  const int64_t wide = packed_bytes(format, s.F, s.D);
  const bool twins = wants_twins(format);
  const int count = (int)list.size(), expert_blocks = pad(s.F) / BLOCK, routed = count * expert_blocks;
  pool_.deal(thread, routed + (shared && w.gate.rows ? w.gate.blocks() : 0), [&](int begin, int end) {
    while (begin < end && begin < routed) {
      const int i = begin / expert_blocks, e = list[i], first = begin % expert_blocks;
      const int last = std::min(first + end - begin, expert_blocks);
      const uint8_t* row = store_->expert(layer, e);
      const int32_t *token = experts.token.data() + experts.start[e], *slot = experts.slot.data() + experts.start[e];
      ops_.swiglu({row, format, s.F, s.D}, {row + wide, format, s.F, s.D}, normed_, {token, slot},
                  experts.start[e + 1] - experts.start[e], expert_hidden_, first, last, limits_.exact, twins);
      begin += last - first;
    }
    if (begin < end)
      ops_.swiglu(w.gate, w.up, normed_, {}, batch_.T, hidden_, begin - routed, end - routed, limits_.exact,
                  wants_twins(w.down));
  });
}

// Down of the same, into expert_out_ and y_.
void Model::down(int thread, const LayerWeights& w, int layer, const Experts& experts, const std::vector<int32_t>& list,
                 bool shared) {
  const Shape& s = shape_;
  const Format format = weights_.experts;
  const int64_t wide = packed_bytes(format, s.F, s.D);
  const int D = pad(s.D), out_blocks = D / BLOCK, routed = (int)list.size() * out_blocks;
  pool_.deal(thread, routed + (shared && w.gate.rows ? out_blocks : 0), [&](int begin, int end) {
    while (begin < end && begin < routed) {
      const int e = list[begin / out_blocks], first = begin % out_blocks;
      const int last = std::min(first + end - begin, out_blocks);
      const int32_t* slot = experts.slot.data() + experts.start[e];
      ops_.matmul({store_->expert(layer, e) + 2 * wide, format, s.D, s.F}, expert_hidden_, {slot, slot},
                  experts.start[e + 1] - experts.start[e], expert_out_, D, first, last, limits_.exact);
      begin += last - first;
    }
    if (begin < end) ops_.matmul(w.down, hidden_, {}, batch_.T, y_, D, begin - routed, end - routed, limits_.exact);
  });
}

// Logits of the tokens that want them; normed_ already holds the final norm.
void Model::head(int thread) {
  pool_.deal(thread, weights_.head.blocks(), [&](int begin, int end) {
    ops_.matmul(weights_.head, normed_, {batch_.want, nullptr}, batch_.rows, logits_, pad(shape_.V), begin, end,
                limits_.exact);
  });
}

}  // namespace moonlet
