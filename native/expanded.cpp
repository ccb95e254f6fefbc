// Attention of a prompt's tokens in the expanded form: keys and values written out for each head.
//
// The absorbed form multiplies L + R and L numbers for a head, a token and a position before it; this one N + R and
// `value`, a third of that in K2's shapes, but it first makes them out of the latents, which pays from some two hundred
// tokens of one sequence on. The sums are others: a token's bits depend on how its prompt was cut. So it is asked for.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "layout.h"
#include "model.h"
#include "pack.h"

namespace moonlet {
namespace {

constexpr int LEAST = 256;   // tokens of one sequence in a step that attend in this form
constexpr int KEYS = 256;    // positions that are written out at a time
constexpr int QUERIES = 64;  // tokens that pass over them together
static_assert(KEYS % PAGE == 0);

}  // namespace

void Model::place_expanded(Layout& layout) {
  const Shape& s = shape_;
  const int64_t heads = (int64_t)s.layers * s.H, head = s.N + s.R;
  layout.place(expanded_keys_, heads * packed_bytes(Format::bf16, s.N, s.L));
  layout.place(expanded_values_, heads * packed_bytes(Format::bf16, s.value, s.L));
  for (Tile& tile : tiles_) {
    layout.place(tile.latents, PAGE * pad(s.L));
    layout.place(tile.made, PAGE * (int64_t)std::max(pad(s.N), pad(s.value)));
    layout.place(tile.rows, PAGE * head);
    layout.place(tile.keys, packed_bytes(Format::bf16, KEYS, head));
    layout.place(tile.values, packed_bytes(Format::bf16, s.value, KEYS));
    layout.place(tile.queries, limits_.tokens, pad(head));
    layout.place(tile.shares, QUERIES, KEYS);
    layout.place(tile.read, QUERIES * (int64_t)pad(s.value));
    layout.place(tile.sums, limits_.tokens);
  }
}

// The two matrices that write keys and values out, in bf16: a query's is turned round.
void Model::expand_weights() {
  const Shape& s = shape_;
  const int64_t key_bytes = packed_bytes(Format::bf16, s.N, s.L),
                value_bytes = packed_bytes(Format::bf16, s.value, s.L);
  auto work = [&](int thread) {
    std::vector<float> up((size_t)s.L * std::max(s.N, s.value)), turned(up.size());
    const Span heads = share(thread, (int64_t)weights_.layers.size() * s.H);
    for (int64_t at = heads.begin; at < heads.end; at++) {
      const LayerWeights& w = weights_.layers[at / s.H];
      const Matrix &k = w.k_up[at % s.H], &v = w.v_up[at % s.H];
      unpack(up.data(), k.data, k.format, s.L, s.N);
      for (int l = 0; l < s.L; l++)
        for (int n = 0; n < s.N; n++) turned[(size_t)n * s.L + l] = up[(size_t)l * s.N + n];
      pack(expanded_keys_ + at * key_bytes, turned.data(), Format::bf16, s.N, s.L);
      unpack(up.data(), v.data, v.format, s.value, s.L);
      pack(expanded_values_ + at * value_bytes, up.data(), Format::bf16, s.value, s.L);
    }
  };
  pool_.run(work);
}

// Which tokens of the step attend in which form.
void Model::find_prompts() {
  prompts_.clear(), rest_.clear();
  for (int begin = 0, end; begin < batch_.T; begin = end) {
    for (end = begin + 1; end < batch_.T && batch_.sequences[end] == batch_.sequences[begin];) end++;
    if (limits_.expanded && end - begin >= LEAST)
      prompts_.push_back({begin, end});
    else
      for (int t = begin; t < end; t++) rest_.push_back(t);
  }
}

// A head's keys and values of positions [begin, end), packed as matrices: keys (positions, N + R), values (value,
// positions).
void Model::expand(int layer, int head, const int32_t* pages, int begin, int end, Tile& tile) {
  const Shape& s = shape_;
  const int64_t at = (int64_t)layer * s.H + head, width = s.N + s.R;
  const Matrix keys{expanded_keys_ + at * packed_bytes(Format::bf16, s.N, s.L), Format::bf16, s.N, s.L};
  const Matrix values{expanded_values_ + at * packed_bytes(Format::bf16, s.value, s.L), Format::bf16, s.value, s.L};
  const int64_t block = block_bytes(Format::bf16, width), tile_bytes = block_bytes(Format::bf16, GROUP);
  if (end - begin < KEYS) memset(tile.values, 0, packed_bytes(Format::bf16, s.value, KEYS));
  for (int first = begin; first < end; first += PAGE) {
    const int count = std::min(end - first, PAGE), even = (int)round_up(count, 2);
    const uint16_t* rows =
        (const uint16_t*)cache_ + ((int64_t)layer * limits_.pages + pages[first / PAGE]) * PAGE * cache_width_;
    Activations x{nullptr, nullptr, nullptr, nullptr, (uint16_t*)rows, cache_width_};
    if (!ops_.bf16) {
      for (int j = 0; j < count; j++)
        for (int i = 0; i < s.L; i++) tile.latents[j * pad(s.L) + i] = bf16_to_float(rows[j * cache_width_ + i]);
      x.f = tile.latents, x.stride = pad(s.L);
    }
    ops_.matmul(keys, x, {}, count, tile.made, pad(s.N), 0, keys.blocks(), false);
    for (int j = 0; j < count; j++) {
      float* row = tile.rows + j * width;
      memcpy(row, tile.made + (int64_t)j * pad(s.N), sizeof(float) * s.N);
      for (int i = 0; i < s.R; i++) row[s.N + i] = bf16_to_float(rows[j * cache_width_ + s.L + i]);
    }
    pack(tile.keys + (first - begin) / BLOCK * block, tile.rows, Format::bf16, count, width);

    ops_.matmul(values, x, {}, count, tile.made, pad(s.value), 0, values.blocks(), false);
    if (even > count) std::fill_n(tile.made + (int64_t)count * pad(s.value), pad(s.value), 0.0f);
    for (int b = 0; b < values.blocks(); b++)
      for (int j = 0; j < even; j += 2) {
        const int column = first - begin + j;
        uint8_t* to =
            tile.values + ((int64_t)b * (KEYS / GROUP) + column / GROUP) * tile_bytes + column % GROUP / 2 * 128;
        const float *low = tile.made + (int64_t)j * pad(s.value) + b * BLOCK, *high = low + pad(s.value);
        uint32_t both[BLOCK];
        for (int v = 0; v < BLOCK; v++) both[v] = float_to_bf16(low[v]) | (uint32_t)float_to_bf16(high[v]) << 16;
        memcpy(to, both, sizeof both);
      }
  }
}

// What each head of the prompts' tokens reads, through its values, into values_.
void Model::read_expanded(int thread, int layer) {
  const Shape& s = shape_;
  const int head = s.N + s.R, q_stride = pad((int64_t)s.H * head), wide = pad(s.value);
  const int parts = std::max(1, pool_.size() / s.H);  // of a prompt's tokens, where there are more threads than heads
  pool_.deal(thread, (int64_t)prompts_.size() * s.H * parts, [&](int begin, int end) {
    for (int task = begin; task < end; task++) {
      const Span prompt = prompts_[task / (s.H * parts)];
      const int h = task / parts % s.H, piece = task % parts, length = prompt.end - prompt.begin;
      const int t0 = prompt.begin + length * piece / parts, count = prompt.begin + length * (piece + 1) / parts - t0;
      const int last = batch_.positions[t0 + count - 1];
      const int32_t* pages = batch_.pages + (int64_t)batch_.sequences[t0] * batch_.pages_stride;
      Tile& tile = tiles_[thread];
      auto out = [&](int i) { return values_.f + ((int64_t)(t0 + i) * s.H + h) * wide; };
      for (int i = 0; i < count; i++) {
        memcpy(tile.queries.f + i * tile.queries.stride, q_ + (int64_t)(t0 + i) * q_stride + h * head,
               sizeof(float) * head);
        tile.sums[i] = {-INFINITY, 0};
        std::fill_n(out(i), wide, 0.0f);
      }
      ops_.quantise(tile.queries, 0, count, 0, (int)(tile.queries.stride / GROUP));
      for (int from = 0; from <= last; from += KEYS) {
        const int keys = std::min(KEYS, last + 1 - from), padded = pad(keys);
        expand(layer, h, pages, from, from + keys, tile);
        for (int i = 0; i < count; i += QUERIES) {
          const int rows = std::min(QUERIES, count - i);
          const int* positions = batch_.positions + t0 + i;
          if (positions[rows - 1] < from) continue;
          ops_.matmul({tile.keys, Format::bf16, keys, head}, part(tile.queries, i, 1), {}, rows, tile.shares.f, KEYS, 0,
                      padded / BLOCK, false);
          float keep[QUERIES];
          for (int r = 0; r < rows; r++) {
            float* scores = tile.shares.f + r * KEYS;
            const int seen = std::clamp(positions[r] + 1 - from, 0, keys);
            keep[r] = 1;
            if (seen)
              keep[r] = ops_.soften(tile.sums[i + r], scores, tile.shares.half + r * KEYS, seen, KEYS, s.score_scale);
            else
              std::fill_n(scores, KEYS, 0.0f), std::fill_n(tile.shares.half + r * KEYS, KEYS, 0);
          }
          ops_.matmul({tile.values, Format::bf16, s.value, KEYS}, tile.shares, {}, rows, tile.read, wide, 0,
                      wide / BLOCK, false);
          for (int r = 0; r < rows; r++) {
            float* o = out(i + r);
            const float* more = tile.read + (int64_t)r * wide;
            for (int d = 0; d < wide; d++) o[d] = o[d] * keep[r] + more[d];
          }
        }
      }
      for (int i = 0; i < count; i++) ops_.settle(tile.sums[i], out(i), s.value, wide);
    }
  });
}

}  // namespace moonlet
