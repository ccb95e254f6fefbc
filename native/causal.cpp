// A tile is 64 queries by 256 keys of one head, small enough to stay in a core's cache. Every product is the ordinary
// one of a packed matrix and rows of activations, whichever of the two factors is the matrix.
#include "causal.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "layout.h"
#include "pack.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDEST
#endif

namespace moonlet {
namespace {

constexpr int QUERIES = 64, KEYS = 256;
static_assert(QUERIES % GROUP == 0 && KEYS % BLOCK == 0);

// Rows that are multiplied: float32, or bf16 where the processor multiplies that.
struct Rows {
  bool bf16;
  int64_t stride;
  std::vector<float> f;
  std::vector<uint16_t> half;
  Rows(bool bf16, int64_t rows, int width) : bf16(bf16), stride(pad(width)) {
    bf16 ? half.resize(rows * stride) : f.resize(rows * stride);
  }
  void put(int64_t row, int64_t column, uint16_t bits) {
    if (bf16)
      half[row * stride + column] = bits;
    else
      f[row * stride + column] = bf16_to_float(bits);
  }
  Activations from(int64_t row) {
    return {bf16 ? nullptr : f.data() + row * stride,    nullptr, nullptr, nullptr,
            bf16 ? half.data() + row * stride : nullptr, stride};
  }
};

int blocks_of(int rows) {
  return (rows + BLOCK - 1) / BLOCK;
}

struct Packed {
  std::vector<uint8_t> data;
  int rows, cols;
  Packed(int rows, int cols) : data(packed_bytes(Format::bf16, rows, cols)), rows(rows), cols(cols) {}
  Matrix matrix() const { return {data.data(), Format::bf16, rows, cols}; }
};

WIDEST void to_half(uint16_t* half, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    half[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

WIDEST void add(float* to, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] += x[i];
}

// d becomes p (d - delta).
WIDEST void score_gradients(float* d, const float* p, float delta, int n) {
  for (int i = 0; i < n; i++) d[i] = p[i] * (d[i] - delta);
}

// Pairs of rows as the packed form of their transpose has them: word j is the bits of low[j], then those of high[j].
WIDEST void pair_rows(uint32_t* both, const uint16_t* low, const uint16_t* high, int n) {
  for (int i = 0; i < n; i++) both[i] = low[i] | (uint32_t)high[i] << 16;
}

// The transpose of bf16 rows (count, width), `stride` apart, packed as a matrix (width, cols); rows from `count` up to
// `cols` are zero.
void pack_transposed(Packed& to, const uint16_t* rows, int64_t stride, int count) {
  if (count < to.cols) std::fill(to.data.begin(), to.data.end(), uint8_t(0));
  const int64_t tile = block_bytes(Format::bf16, GROUP), groups = round_up(to.cols, GROUP) / GROUP;
  const std::vector<uint16_t> zeros(BLOCK);
  for (int b = 0; b * BLOCK < to.rows; b++) {
    const int width = std::min(BLOCK, to.rows - b * BLOCK);
    for (int j = 0; j < count; j += 2) {
      uint32_t both[BLOCK] = {};
      const uint16_t *low = rows + j * stride + b * BLOCK, *high = j + 1 < count ? low + stride : zeros.data();
      pair_rows(both, low, high, width);
      memcpy(to.data.data() + (b * groups + j / GROUP) * tile + j % GROUP / 2 * sizeof both, both, sizeof both);
    }
  }
}

// One text of one head of one sequence.
struct Text {
  int64_t query, key;  // the first row of each
  int queries, past;   // how many, and how many keys there are before the first
  int keys() const { return past + queries; }
};

// How many of the `count` keys from `from` on query i sees.
int seen_by(const Text& text, int i, int from, int count) {
  return std::clamp(text.past + i + 1 - from, 0, count);
}

// The first block of queries that sees a key from `from` on.
int first_query(const Text& text, int from) {
  return std::max(0, from - text.past) / QUERIES * QUERIES;
}

// Calls `work` for every text, on several threads.
void each_text(const Causal& in, int threads, const std::function<void(const Text&)>& work) {
  std::vector<Text> texts;
  for (int64_t b = 0; b < in.B; b++)
    for (int64_t row = b * in.H; row < (b + 1) * in.H; row++)
      for (size_t i = 0; i < in.starts[b].size(); i++) {
        const int begin = in.starts[b][i], end = i + 1 < in.starts[b].size() ? in.starts[b][i + 1] : in.T;
        texts.push_back({row * in.T + begin, row * in.S + begin, end - begin, in.S - in.T});
      }
  // Long ones first, so that no thread begins one when the others are done.
  std::stable_sort(texts.begin(), texts.end(), [](const Text& a, const Text& b) { return a.queries > b.queries; });
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t i; (i = next++) < texts.size();) work(texts[i]);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back(run);
  run();
  for (std::thread& one : others) one.join();
}

}  // namespace

void read_causal(const Causal& in, const Ops& ops, int threads, uint16_t* out, float* lse, float* highest) {
  const int wide = pad(in.value);
  std::vector<float> most((size_t)in.B * in.H * in.T);
  each_text(in, threads, [&](const Text& text) {
    const int length = text.queries;
    const int64_t base = text.query;
    const uint16_t *q = in.q + base * in.head, *k = in.k + text.key * in.head, *v = in.v + text.key * in.value;
    Rows queries(ops.bf16, length, in.head);
    for (int i = 0; i < length; i++)
      for (int d = 0; d < in.head; d++) queries.put(i, d, q[(int64_t)i * in.head + d]);
    Packed values(in.value, KEYS);
    std::vector<float> o((size_t)length * wide), scores(QUERIES * KEYS), read(QUERIES * wide);
    std::vector<uint16_t> half(QUERIES * KEYS);
    std::vector<Sums> sums(length, Sums{-INFINITY, 0});
    const Activations shares{scores.data(), nullptr, nullptr, nullptr, half.data(), KEYS};
    for (int from = 0; from < text.keys(); from += KEYS) {
      const int count = std::min(KEYS, text.keys() - from);
      Packed keys(count, in.head);
      pack(keys.data.data(), k + (int64_t)from * in.head, Format::bf16, count, in.head);
      pack_transposed(values, v + (int64_t)from * in.value, in.value, count);
      for (int i = first_query(text, from); i < length; i += QUERIES) {
        const int rows = std::min(QUERIES, length - i), blocks = blocks_of(seen_by(text, i + rows - 1, from, count));
        ops.matmul(keys.matrix(), queries.from(i), {}, rows, scores.data(), KEYS, 0, blocks, false);
        for (int r = 0; r < rows; r++) {
          const int seen = seen_by(text, i + r, from, count);
          float* s = scores.data() + r * KEYS;
          float keep = 1;
          if (seen)
            keep = ops.soften(sums[i + r], s, half.data() + r * KEYS, seen, KEYS, in.scale);
          else
            std::fill_n(s, KEYS, 0.0f), std::fill_n(half.data() + r * KEYS, KEYS, 0);
          float* to = o.data() + (int64_t)(i + r) * wide;
          if (keep != 1)
            for (int d = 0; d < wide; d++) to[d] *= keep;
        }
        ops.matmul(values.matrix(), shares, {}, rows, read.data(), wide, 0, wide / BLOCK, false);
        add(o.data() + (int64_t)i * wide, read.data(), (int64_t)rows * wide);
      }
    }
    for (int i = 0; i < length; i++) {
      float* from = o.data() + (int64_t)i * wide;
      ops.settle(sums[i], from, in.value, wide);
      to_half(out + (base + i) * in.value, from, in.value);
      lse[base + i] = sums[i].highest + std::log(sums[i].total);
      most[base + i] = sums[i].highest;
    }
  });
  for (int64_t row = 0; row < (int64_t)in.B * in.H; row++)
    highest[row] = *std::max_element(most.begin() + row * in.T, most.begin() + (row + 1) * in.T);
}

void causal_gradients(const Causal& in, const Ops& ops, int threads, const uint16_t* out, const float* lse,
                      const uint16_t* grad, float* dq, float* dk, float* dv) {
  const int tall = pad(in.head), wide = pad(in.value);
  each_text(in, threads, [&](const Text& text) {
    const int length = text.queries, groups = (length + QUERIES - 1) / QUERIES;
    const int64_t base = text.query;
    const uint16_t *q = in.q + base * in.head, *k = in.k + text.key * in.head, *v = in.v + text.key * in.value;
    const uint16_t *o = out + base * in.value, *g = grad + base * in.value;
    // Queries and the gradient of what they read, and for each block of queries their transposes.
    Rows queries(ops.bf16, length, in.head), gradients(ops.bf16, length, in.value);
    Rows turned(ops.bf16, (int64_t)groups * in.head, QUERIES);
    Rows turned_gradients(ops.bf16, (int64_t)groups * in.value, QUERIES);
    std::vector<float> delta(length);
    for (int i = 0; i < length; i++) {
      for (int d = 0; d < in.head; d++) {
        const uint16_t bits = q[(int64_t)i * in.head + d];
        queries.put(i, d, bits);
        turned.put((int64_t)(i / QUERIES) * in.head + d, i % QUERIES, bits);
      }
      for (int d = 0; d < in.value; d++) {
        const int64_t at = (int64_t)i * in.value + d;
        gradients.put(i, d, g[at]);
        turned_gradients.put((int64_t)(i / QUERIES) * in.value + d, i % QUERIES, g[at]);
        delta[i] += bf16_to_float(g[at]) * bf16_to_float(o[at]);
      }
    }
    Packed keys_turned(in.head, KEYS), shares_turned(KEYS, QUERIES), scores_turned(KEYS, QUERIES);
    std::vector<float> shares(QUERIES * KEYS), scores(QUERIES * KEYS), made((size_t)std::max(tall, wide) * KEYS);
    std::vector<float> key_sums((size_t)in.head * KEYS), value_sums((size_t)in.value * KEYS);
    std::vector<float> query_sums((size_t)length * tall);
    std::vector<uint16_t> half(QUERIES * KEYS), score_half(QUERIES * KEYS);
    for (int from = 0; from < text.keys(); from += KEYS) {
      const int count = std::min(KEYS, text.keys() - from);
      Packed keys(count, in.head), values(count, in.value);
      pack(keys.data.data(), k + (int64_t)from * in.head, Format::bf16, count, in.head);
      pack(values.data.data(), v + (int64_t)from * in.value, Format::bf16, count, in.value);
      pack_transposed(keys_turned, k + (int64_t)from * in.head, in.head, count);
      std::fill(key_sums.begin(), key_sums.end(), 0.0f);
      std::fill(value_sums.begin(), value_sums.end(), 0.0f);
      for (int i = first_query(text, from); i < length; i += QUERIES) {
        const int rows = std::min(QUERIES, length - i), blocks = blocks_of(seen_by(text, i + rows - 1, from, count));
        ops.matmul(keys.matrix(), queries.from(i), {}, rows, shares.data(), KEYS, 0, blocks, false);
        ops.matmul(values.matrix(), gradients.from(i), {}, rows, scores.data(), KEYS, 0, blocks, false);
        for (int r = 0; r < rows; r++) {
          const int seen = seen_by(text, i + r, from, count);
          float *p = shares.data() + r * KEYS, *s = scores.data() + r * KEYS;
          Sums known{lse[base + i + r], 1};
          if (seen) ops.soften(known, p, half.data() + r * KEYS, seen, KEYS, in.scale);
          score_gradients(s, p, delta[i + r], seen);
          std::fill(p + seen, p + KEYS, 0.0f);
          std::fill(s + seen, s + KEYS, 0.0f);
        }
        to_half(half.data(), shares.data(), (int64_t)rows * KEYS);
        to_half(score_half.data(), scores.data(), (int64_t)rows * KEYS);
        const Activations s{scores.data(), nullptr, nullptr, nullptr, score_half.data(), KEYS};
        ops.matmul(keys_turned.matrix(), s, {}, rows, made.data(), tall, 0, tall / BLOCK, false);
        add(query_sums.data() + (int64_t)i * tall, made.data(), (int64_t)rows * tall);

        const int first = i / QUERIES;
        pack_transposed(scores_turned, score_half.data(), KEYS, rows);
        ops.matmul(scores_turned.matrix(), turned.from((int64_t)first * in.head), {}, in.head, made.data(), KEYS, 0,
                   blocks, false);
        for (int d = 0; d < in.head; d++) add(key_sums.data() + d * KEYS, made.data() + d * KEYS, blocks * BLOCK);
        pack_transposed(shares_turned, half.data(), KEYS, rows);
        ops.matmul(shares_turned.matrix(), turned_gradients.from((int64_t)first * in.value), {}, in.value, made.data(),
                   KEYS, 0, blocks, false);
        for (int d = 0; d < in.value; d++) add(value_sums.data() + d * KEYS, made.data() + d * KEYS, blocks * BLOCK);
      }
      for (int j = 0; j < count; j++) {
        float *to = dk + (text.key + from + j) * in.head, *value_to = dv + (text.key + from + j) * in.value;
        for (int d = 0; d < in.head; d++) to[d] = key_sums[d * KEYS + j] * in.scale;
        for (int d = 0; d < in.value; d++) value_to[d] = value_sums[d * KEYS + j];
      }
    }
    for (int64_t i = 0; i < length; i++)
      for (int d = 0; d < in.head; d++) dq[(base + i) * in.head + d] = query_sums[i * tall + d] * in.scale;
  });
}

}  // namespace moonlet
