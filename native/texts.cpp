// A tile is 64 queries by 256 keys of one head, small enough to stay in a core's cache. Every product is the ordinary
// one of a packed matrix and rows of activations, whichever of the two factors is the matrix.
#include "texts.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <system_error>
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

int blocks_of(int rows) {
  return (rows + BLOCK - 1) / BLOCK;
}

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

// Pairs of rows as the packed form of their transpose has them: word i is the bits of low[i], then those of high[i].
WIDEST void pair_rows(uint32_t* both, const uint16_t* low, const uint16_t* high, int n) {
  for (int i = 0; i < n; i++) both[i] = low[i] | (uint32_t)high[i] << 16;
}

// bf16 rows of a width padded to whole groups with zeros, and the same as float32 where the processor multiplies that.
struct Rows {
  int64_t width;
  std::vector<uint16_t> half;
  std::vector<float> f;
  Rows(int64_t rows, int width) : width(pad(width)), half(rows * this->width) {}
  uint16_t* at(int64_t row) { return half.data() + row * width; }
  Activations from(const Ops& ops, int64_t row) {
    if (!ops.bf16 && f.empty()) {
      f.resize(half.size());
      std::transform(half.begin(), half.end(), f.begin(), bf16_to_float);
    }
    return {ops.bf16 ? nullptr : f.data() + row * width, nullptr, nullptr, nullptr, at(row), width};
  }
};

struct Packed {
  std::vector<uint8_t> data;
  int rows, cols;
  Packed(int rows, int cols) : data(packed_bytes(Format::bf16, rows, cols)), rows(rows), cols(cols) {}
  Matrix matrix() const { return {data.data(), Format::bf16, rows, cols}; }
  // `count` rows of `cols` numbers each, fewer than all: what is past them is not read.
  void take(const uint16_t* from, int count) { pack(data.data(), from, Format::bf16, count, cols); }
  // The transpose of `count` rows, `stride` apart; columns from `count` on are zero.
  void take_transposed(const uint16_t* from, int64_t stride, int count) {
    if (count < cols) std::fill(data.begin(), data.end(), uint8_t(0));
    const int64_t tile = block_bytes(Format::bf16, GROUP), groups = round_up(cols, GROUP) / GROUP;
    const uint16_t zeros[BLOCK] = {};
    for (int b = 0; b * BLOCK < rows; b++)
      for (int j = 0; j < count; j += 2) {
        uint32_t both[BLOCK];
        const uint16_t* low = from + j * stride + b * BLOCK;
        pair_rows(both, low, j + 1 < count ? low + stride : zeros, BLOCK);
        memcpy(data.data() + (b * groups + j / GROUP) * tile + j % GROUP / 2 * sizeof both, both, sizeof both);
      }
  }
};

// One head of one row, and how its numbers lie in the tensors of all.
struct Head {
  const Attended& in;
  int b, h;
  int64_t token(int t) const { return (int64_t)b * in.T + t; }
  int64_t q(int t) const { return (token(t) * in.H + h) * (in.N + in.R); }
  int64_t kv(int t) const { return (token(t) * in.H + h) * (in.N + in.value); }
  int64_t out(int t) const { return (token(t) * in.H + h) * in.value; }
  int64_t sum(int t) const { return ((int64_t)b * in.H + h) * in.T + t; }

  void rotated(uint16_t* to, const uint16_t* from, int t) const {
    const float *cosine = in.cosine + (int64_t)t * (in.R / 2), *sine = in.sine + (int64_t)t * (in.R / 2);
    for (int i = 0; i < in.R / 2; i++) {
      const float even = bf16_to_float(from[2 * i]), odd = bf16_to_float(from[2 * i + 1]);
      to[2 * i] = float_to_bf16(even * cosine[i] - odd * sine[i]);
      to[2 * i + 1] = float_to_bf16(odd * cosine[i] + even * sine[i]);
    }
  }
  // The gradient of what was rotated from that of what came out.
  void rotated_back(float* x, int t) const {
    const float *cosine = in.cosine + (int64_t)t * (in.R / 2), *sine = in.sine + (int64_t)t * (in.R / 2);
    for (int i = 0; i < in.R / 2; i++) {
      const float even = x[2 * i], odd = x[2 * i + 1];
      x[2 * i] = even * cosine[i] + odd * sine[i];
      x[2 * i + 1] = odd * cosine[i] - even * sine[i];
    }
  }
  void query(uint16_t* to, int t) const {
    memcpy(to, in.q + q(t), sizeof(uint16_t) * in.N);
    rotated(to + in.N, in.q + q(t) + in.N, t);
  }
  void key(uint16_t* to, int t) const {
    memcpy(to, in.kv + kv(t), sizeof(uint16_t) * in.N);
    rotated(to + in.N, in.rope + token(t) * in.R, t);
  }
  void value(uint16_t* to, int t) const { memcpy(to, in.kv + kv(t) + in.N, sizeof(uint16_t) * in.value); }
};

// A text's keys in their order: those before it, then its own.
struct Seen : Text {
  Seen(const Text& text) : Text(text) {}
  int queries() const { return end - begin; }
  int keys() const { return before + queries(); }
  int token(int key) const { return key < before ? key : begin + key - before; }
  // How many of the `count` keys from `from` on query i sees.
  int seen(int i, int from, int count) const { return std::clamp(before + i + 1 - from, 0, count); }
  // The first block of queries that sees a key from `from` on.
  int first_query(int from) const { return std::max(0, from - before) / QUERIES * QUERIES; }
};

// The `count` keys of a text from `from` on, and their values.
void gather(Rows& keys, Rows& values, const Head& head, const Seen& text, int from, int count) {
  for (int j = 0; j < count; j++) {
    head.key(keys.at(j), text.token(from + j));
    head.value(values.at(j), text.token(from + j));
  }
}

// Calls `work` for every head with texts that must be read one after the other: those of a row that share what is
// before them, and each of the others alone. On several threads; long ones first, so that none begins one at the end.
void each_head(const Attended& in, int threads,
               const std::function<void(const Head&, const std::vector<Text>&)>& work) {
  struct Task {
    int b, h, tokens;
    std::vector<Text> texts;
  };
  std::vector<Task> tasks;
  for (int b = 0; b < in.B; b++) {
    const auto& texts = in.texts[b];
    const bool shared = std::any_of(texts.begin(), texts.end(), [](const Text& one) { return one.before > 0; });
    for (int h = 0; h < in.H; h++) {
      if (shared) tasks.push_back({b, h, in.T, texts});
      for (const Text& one : texts)
        if (!shared) tasks.push_back({b, h, one.end - one.begin, {one}});
    }
  }
  std::sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.tokens > b.tokens; });
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t i; (i = next++) < tasks.size();) work({in, tasks[i].b, tasks[i].h}, tasks[i].texts);
  };
  std::vector<std::thread> others;
  try {
    for (int i = 1; i < threads; i++) others.emplace_back(run);
  } catch (const std::system_error&) {  // no more threads: those there are do it all
  }
  run();
  for (std::thread& one : others) one.join();
}

}  // namespace

void attend_texts(const Attended& in, const Ops& ops, int threads, uint16_t* out, float* lse, float* highest) {
  const int wide = pad(in.value);
  std::vector<float> most((size_t)in.B * in.H * in.T);
  each_head(in, threads, [&](const Head& head, const std::vector<Text>& texts) {
    Packed values(wide, KEYS);
    std::vector<float> scores(QUERIES * KEYS), read(QUERIES * wide);
    std::vector<uint16_t> half(QUERIES * KEYS);
    const Activations shares{scores.data(), nullptr, nullptr, nullptr, half.data(), KEYS};
    for (const Seen text : texts) {
      const int length = text.queries();
      Rows queries(length, in.N + in.R), key_rows(KEYS, in.N + in.R), value_rows(KEYS, in.value);
      Packed keys(KEYS, (int)key_rows.width);
      for (int i = 0; i < length; i++) head.query(queries.at(i), text.begin + i);
      std::vector<float> o((size_t)length * wide);
      std::vector<Sums> sums(length, Sums{-INFINITY, 0});
      for (int from = 0; from < text.keys(); from += KEYS) {
        const int count = std::min(KEYS, text.keys() - from);
        gather(key_rows, value_rows, head, text, from, count);
        keys.take(key_rows.at(0), count);
        values.take_transposed(value_rows.at(0), value_rows.width, count);
        for (int i = text.first_query(from); i < length; i += QUERIES) {
          const int rows = std::min(QUERIES, length - i), blocks = blocks_of(text.seen(i + rows - 1, from, count));
          ops.matmul(keys.matrix(), queries.from(ops, i), {}, rows, scores.data(), KEYS, 0, blocks, false);
          for (int r = 0; r < rows; r++) {
            const int seen = text.seen(i + r, from, count);
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
        const int t = text.begin + i;
        float* from = o.data() + (int64_t)i * wide;
        ops.settle(sums[i], from, in.value, wide);
        to_half(out + head.out(t), from, in.value);
        lse[head.sum(t)] = sums[i].highest + std::log(sums[i].total);
        most[head.sum(t)] = sums[i].highest;
      }
    }
  });
  for (int h = 0; h < in.H; h++) {
    highest[h] = -INFINITY;
    for (int b = 0; b < in.B; b++) {
      const auto first = most.begin() + Head{in, b, h}.sum(0);
      highest[h] = std::max(highest[h], *std::max_element(first, first + in.T));
    }
  }
}

void attend_texts_back(const Attended& in, const Ops& ops, int threads, const uint16_t* out, const float* lse,
                       const uint16_t* grad, uint16_t* dq, uint16_t* dkv, uint16_t* drope) {
  const int width = in.N + in.R, tall = pad(width), wide = pad(in.value);
  std::vector<float> ropes((size_t)in.B * in.H * in.T * in.R);  // each head's share of the gradient of `rope`
  each_head(in, threads, [&](const Head& head, const std::vector<Text>& texts) {
    const int first = texts[0].begin, tokens = texts.back().end - first;
    std::vector<float> key_gradients((size_t)tokens * tall), value_gradients((size_t)tokens * wide);
    Packed keys_turned(tall, KEYS), shares_turned(KEYS, QUERIES), scores_turned(KEYS, QUERIES);
    std::vector<float> shares(QUERIES * KEYS), scores(QUERIES * KEYS), made((size_t)std::max(tall, wide) * KEYS);
    std::vector<float> key_sums((size_t)tall * KEYS), value_sums((size_t)wide * KEYS);
    std::vector<uint16_t> half(QUERIES * KEYS), score_half(QUERIES * KEYS);
    for (const Seen text : texts) {
      const int length = text.queries(), groups = (length + QUERIES - 1) / QUERIES;
      // Queries and the gradient of what they read, and for each block of queries their transposes.
      Rows queries(length, width), gradients(length, in.value);
      Rows turned((int64_t)groups * tall, QUERIES), turned_gradients((int64_t)groups * wide, QUERIES);
      std::vector<float> delta(length), query_sums((size_t)length * tall);
      for (int i = 0; i < length; i++) {
        const int64_t at = head.out(text.begin + i), group = i / QUERIES;
        head.query(queries.at(i), text.begin + i);
        memcpy(gradients.at(i), grad + at, sizeof(uint16_t) * in.value);
        for (int d = 0; d < width; d++) turned.at(group * tall + d)[i % QUERIES] = queries.at(i)[d];
        for (int d = 0; d < in.value; d++) {
          turned_gradients.at(group * wide + d)[i % QUERIES] = grad[at + d];
          delta[i] += bf16_to_float(grad[at + d]) * bf16_to_float(out[at + d]);
        }
      }
      Rows key_rows(KEYS, width), value_rows(KEYS, in.value);
      Packed keys(KEYS, tall), values(KEYS, wide);
      for (int from = 0; from < text.keys(); from += KEYS) {
        const int count = std::min(KEYS, text.keys() - from);
        gather(key_rows, value_rows, head, text, from, count);
        keys.take(key_rows.at(0), count);
        values.take(value_rows.at(0), count);
        keys_turned.take_transposed(key_rows.at(0), tall, count);
        std::fill(key_sums.begin(), key_sums.end(), 0.0f);
        std::fill(value_sums.begin(), value_sums.end(), 0.0f);
        for (int i = text.first_query(from); i < length; i += QUERIES) {
          const int rows = std::min(QUERIES, length - i), blocks = blocks_of(text.seen(i + rows - 1, from, count));
          ops.matmul(keys.matrix(), queries.from(ops, i), {}, rows, shares.data(), KEYS, 0, blocks, false);
          ops.matmul(values.matrix(), gradients.from(ops, i), {}, rows, scores.data(), KEYS, 0, blocks, false);
          for (int r = 0; r < rows; r++) {
            const int seen = text.seen(i + r, from, count);
            float *p = shares.data() + r * KEYS, *s = scores.data() + r * KEYS;
            Sums known{lse[head.sum(text.begin + i + r)], 1};
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

          const int64_t group = i / QUERIES;
          scores_turned.take_transposed(score_half.data(), KEYS, rows);
          ops.matmul(scores_turned.matrix(), turned.from(ops, group * tall), {}, width, made.data(), KEYS, 0, blocks,
                     false);
          for (int d = 0; d < width; d++) add(key_sums.data() + d * KEYS, made.data() + d * KEYS, blocks * BLOCK);
          shares_turned.take_transposed(half.data(), KEYS, rows);
          ops.matmul(shares_turned.matrix(), turned_gradients.from(ops, group * wide), {}, in.value, made.data(), KEYS,
                     0, blocks, false);
          for (int d = 0; d < in.value; d++) add(value_sums.data() + d * KEYS, made.data() + d * KEYS, blocks * BLOCK);
        }
        for (int j = 0; j < count; j++) {
          const int64_t row = text.token(from + j) - first;
          for (int d = 0; d < width; d++) key_gradients[row * tall + d] += key_sums[d * KEYS + j];
          for (int d = 0; d < in.value; d++) value_gradients[row * wide + d] += value_sums[d * KEYS + j];
        }
      }
      for (int i = 0; i < length; i++) {
        float* from = query_sums.data() + (int64_t)i * tall;
        for (int d = 0; d < width; d++) from[d] *= in.scale;
        head.rotated_back(from + in.N, text.begin + i);
        to_half(dq + head.q(text.begin + i), from, width);
      }
    }
    for (int row = 0; row < tokens; row++) {
      const int t = first + row;
      float* from = key_gradients.data() + (int64_t)row * tall;
      for (int d = 0; d < width; d++) from[d] *= in.scale;
      head.rotated_back(from + in.N, t);
      to_half(dkv + head.kv(t), from, in.N);
      to_half(dkv + head.kv(t) + in.N, value_gradients.data() + (int64_t)row * wide, in.value);
      memcpy(ropes.data() + head.sum(t) * in.R, from + in.N, sizeof(float) * in.R);
    }
  });
  std::vector<float> sum(in.R);
  for (int b = 0; b < in.B; b++)
    for (int t = 0; t < in.T; t++) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int h = 0; h < in.H; h++) add(sum.data(), ropes.data() + Head{in, b, h}.sum(t) * in.R, in.R);
      to_half(drope + ((int64_t)b * in.T + t) * in.R, sum.data(), in.R);
    }
}

}  // namespace moonlet
