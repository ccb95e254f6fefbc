// A layer's attention in a step: queries, what each head reads of the cache in the absorbed form, and the way out.
// The expanded form is in expanded.cpp; the arithmetic is in attend.h.
#include <algorithm>
#include <cstring>
#include <utility>

#include "layout.h"
#include "model.h"

namespace moonlet {
namespace {

constexpr int FOUR = 4;  // heads that pass over a page together, at least

}  // namespace

// Fills nope_ (the part of each query without position), the rotated part of query_, and the cache rows.
void Model::queries(int thread, const LayerWeights& w, int layer) {
  const Shape& s = shape_;
  const int T = batch_.T, head = s.N + s.R, q_stride = pad(s.H * head), kv_stride = pad(s.L + s.R);
  // One list of blocks: the query's first matrix, then the latent's.
  const Matrix& first = s.q_rank ? w.q_a : w.q;
  float* first_out = s.q_rank ? ranked_.f : q_;
  const int64_t first_stride = s.q_rank ? ranked_.stride : q_stride;
  pool_.deal(thread, first.blocks() + w.kv_a.blocks(), [&](int begin, int end) {
    const int border = first.blocks(), middle = std::clamp(border, begin, end);
    ops_.matmul(first, normed_, {}, T, first_out, first_stride, begin, middle, limits_.exact);
    ops_.matmul(w.kv_a, normed_, {}, T, kv_, kv_stride, middle - border, end - border, limits_.exact);
  });
  pool_.barrier();
  const Span tokens = share(thread, T);
  for (int t = tokens.begin; t < tokens.end; t++) {
    float* kv = kv_ + (int64_t)t * kv_stride;
    ops_.rmsnorm(kv, kv, w.kv_a_norm, s.L, s.L, s.eps);
    ops_.rotate(kv + s.L, cosine_ + (int64_t)t * s.R / 2, sine_ + (int64_t)t * s.R / 2, s.R);
    keep(layer, t, kv);
    if (s.q_rank) {
      float* ranked = ranked_.f + t * ranked_.stride;
      ops_.rmsnorm(ranked, ranked, w.q_a_norm, s.q_rank, (int)ranked_.stride, s.eps);
      ops_.quantise(ranked_, t, t + 1, 0, (int)(ranked_.stride / GROUP));
    }
  }
  pool_.barrier();
  if (s.q_rank) {
    product(thread, w.q, ranked_, q_, q_stride);
    pool_.barrier();
  }
  const Span rows = share(thread, (int64_t)T * s.H);
  const bool twins = wants_twins(w.k_up[0]);
  for (int row = rows.begin; row < rows.end; row++) {
    const int t = row / s.H, h = row % s.H;
    float* q = q_ + (int64_t)t * q_stride + h * head;
    float* nope = nope_.f + row * nope_.stride;
    memcpy(nope, q, sizeof(float) * s.N);
    if (twins) ops_.quantise(nope_, row, row + 1, 0, (int)(nope_.stride / GROUP));
    ops_.rotate(q + s.N, cosine_ + (int64_t)t * s.R / 2, sine_ + (int64_t)t * s.R / 2, s.R);
  }
  pool_.barrier();
  // Into latent space, head by head; the rotated part follows once the block before it is written.
  const int blocks = w.k_up[0].blocks(), stride = pad(s.L + s.R), rest = (int)rest_.size();
  pool_.deal(thread, rest ? (int64_t)s.H * blocks : 0, [&](int begin, int end) {
    for (int task = begin; task < end; task++) {
      const int h = task / blocks, b = task % blocks;
      float* query = query_ + (int64_t)h * stride;
      ops_.matmul(w.k_up[h], part(nope_, h, s.H), absorbed(), rest, query, (int64_t)s.H * stride, b, b + 1,
                  limits_.exact);
      if (b == blocks - 1)
        for (const int t : rest_)
          memcpy(query + (int64_t)t * s.H * stride + s.L, q_ + (int64_t)t * q_stride + h * head + s.N,
                 sizeof(float) * s.R);
    }
  });
  pool_.barrier();
}

// Each token's positions are cut into the same spans whoever reads them, and joined in their order: one thread reads a
// token's spans one after another, or where the threads would have too few heads between them, or all of them would
// read a long cache, several do, and join them afterwards.
bool Model::cut_into_spans() {
  int64_t count = 0;
  const int T = (int)rest_.size(), fours = (shape_.H + FOUR - 1) / FOUR;
  for (int i = 0; i < T; i++) {
    first_span_[i] = (int32_t)count;
    count += batch_.positions[rest_[i]] / SPAN + 1;
  }
  first_span_[T] = (int32_t)std::min<int64_t>(count, INT32_MAX);
  return count > T && count <= most_spans_ && (count >= 4 * pool_.size() || T * fours < pool_.size());
}

// What each head reads of the cache, into latents_.
void Model::read_cache(int thread, const LayerWeights& w, int layer) {
  // Heads are dealt in fours; those of one token that a thread gets pass over the cache together.
  constexpr int MOST = 32;
  const Shape& s = shape_;
  const int stride = pad(s.L + s.R), wide = (int)latents_.stride, fours = (s.H + FOUR - 1) / FOUR;
  const bool twins = wants_twins(w.v_up[0]);

  auto read = [&](int t, int span, int h0, int h1, float* o, Sums* sums) {
    const CacheView view{(const uint8_t*)cache_ + layer * layer_bytes_,
                         batch_.pages + (int64_t)batch_.sequences[t] * batch_.pages_stride, cache_width_,
                         limits_.cache};
    const int begin = span * SPAN, end = std::min(begin + SPAN, batch_.positions[t] + 1);
    ops_.attend(view, begin, end, s.L, query_ + ((int64_t)t * s.H + h0) * stride, stride, o, wide, sums, s.score_scale,
                h1 - h0);
  };
  // `o` and `sums` hold the first span's; more(span) gives where the heads' others are.
  auto joined = [&](int t, int h0, int h1, float* o, Sums* sums, auto more) {
    for (int span = 1; span <= batch_.positions[t] / SPAN; span++) {
      const auto [p, next] = more(span);
      for (int h = 0; h < h1 - h0; h++) ops_.join(sums[h], o + (int64_t)h * wide, next[h], p + (int64_t)h * wide, s.L);
    }
    const int64_t row = (int64_t)t * s.H + h0;
    for (int h = 0; h < h1 - h0; h++) ops_.settle(sums[h], o + (int64_t)h * wide, s.L, wide);
    if (o != latents_.f + row * wide) memcpy(latents_.f + row * wide, o, sizeof(float) * (h1 - h0) * wide);
    if (twins) ops_.quantise(latents_, (int)row, (int)row + h1 - h0, 0, wide / GROUP);
  };
  auto in_spans = [&](int64_t span, int h) { return span * s.H + h; };

  if (spread_) {
    pool_.deal(
        thread, (int64_t)first_span_[rest_.size()] * fours,
        [&](int begin, int end) {
          while (begin < end) {
            const int span = begin / fours, h0 = begin % fours * FOUR;
            const int h1 = std::min({h0 + (end - begin) * FOUR, s.H, h0 + MOST});
            const auto next = std::upper_bound(first_span_.begin(), first_span_.begin() + rest_.size(), span);
            const int row = (int)(next - first_span_.begin()) - 1;
            read(rest_[row], span - first_span_[row], h0, h1, spans_ + in_spans(span, h0) * wide,
                 span_sums_ + in_spans(span, h0));
            begin += (h1 - h0 + FOUR - 1) / FOUR;
          }
        },
        fours);
    pool_.barrier();
  }
  pool_.deal(
      thread, (int64_t)rest_.size() * fours,
      [&](int begin, int end) {
        while (begin < end) {
          const int row = begin / fours, t = rest_[row], h0 = begin % fours * FOUR;
          const int h1 = std::min({h0 + (end - begin) * FOUR, s.H, h0 + MOST});
          if (spread_) {
            auto at = [&](int span) {
              const int64_t i = in_spans(first_span_[row] + span, h0);
              return std::pair(spans_ + i * wide, span_sums_ + i);
            };
            const auto [o, sums] = at(0);
            joined(t, h0, h1, o, sums, at);
          } else {
            Sums sums[MOST], others[MOST];
            float *o = latents_.f + ((int64_t)t * s.H + h0) * wide, *other = spans_ + (int64_t)thread * MOST * wide;
            read(t, 0, h0, h1, o, sums);
            joined(t, h0, h1, o, sums, [&](int span) {
              read(t, span, h0, h1, other, others);
              return std::pair(other, others);
            });
          }
          begin += (h1 - h0 + FOUR - 1) / FOUR;
        }
      },
      fours);
  pool_.barrier();
}

void Model::attention(int thread, int layer) {
  const Shape& s = shape_;
  const LayerWeights& w = weights_.layers[layer];
  const int T = batch_.T;
  queries(thread, w, layer);
  if (!prompts_.empty()) {
    read_expanded(thread, layer);
    pool_.barrier();
  }
  if (!rest_.empty()) {
    read_cache(thread, w, layer);
    const int blocks = w.v_up[0].blocks();
    pool_.deal(thread, (int64_t)s.H * blocks, [&](int begin, int end) {
      for (int task = begin; task < end; task++) {
        const int h = task / blocks, b = task % blocks;
        const Activations out = part(values_, h, s.H);
        ops_.matmul(w.v_up[h], part(latents_, h, s.H), absorbed(), (int)rest_.size(), out.f, out.stride, b, b + 1,
                    limits_.exact);
      }
    });
    pool_.barrier();
  }
  const Span tokens = share(thread, T);
  for (int t = tokens.begin; t < tokens.end; t++) {
    float* out = mixed_.f + t * mixed_.stride;
    for (int h = 0; h < s.H; h++)
      memcpy(out + (int64_t)h * s.value, values_.f + ((int64_t)t * s.H + h) * values_.stride, sizeof(float) * s.value);
    if (wants_twins(w.o)) ops_.quantise(mixed_, t, t + 1, 0, (int)(mixed_.stride / GROUP));
  }
  pool_.barrier();
  product(thread, w.o, mixed_, y_, pad(s.D));
  pool_.barrier();
  add_and_norm(thread, w.mlp_norm);
}

}  // namespace moonlet
