// Latent attention of whole rows and its gradients, for training (the engine's reads a cache: attention.cpp).
#pragma once
#include <cstdint>
#include <vector>

#include "ops.h"

namespace moonlet {

// The tokens [begin, end) of a row. Each sees the row's first `before` tokens, and its own text up to itself.
struct Text {
  int begin, end, before;
};

// What attention is computed from, as bf16 bits: queries q (B, T, H, N + R), the keys' parts without position and the
// values kv (B, T, H, N + value), and the keys' parts with position, shared by all heads, rope (B, T, R). The last R
// numbers of a query and `rope` are rotated here: cosine, sine (T, R / 2).
struct Attended {
  int B, T, H, N, R, value;
  float scale;                           // of a score
  std::vector<std::vector<Text>> texts;  // of each row: every token in one, `before` 0 or where the first one ends
  const uint16_t *q, *kv, *rope;
  const float *cosine, *sine;
};

// out (B, T, H, value) as bf16 bits; lse (B, H, T): log of the sum of all e^score; highest (H): the largest score.
void attend_texts(const Attended& in, const Ops& ops, int threads, uint16_t* out, float* lse, float* highest);

// Gradients of q, kv and rope, in their shapes, as bf16 bits, from that of `out`. With P the shares, dP = dO V^T and
// delta = rowsum(dO O): dV = P^T dO, dS = P (dP - delta), dQ = dS K, dK = dS^T Q (arXiv 2205.14135, appendix B).
// Factors are rounded to bf16 where the processor multiplies it; sums are float32.
void attend_texts_back(const Attended& in, const Ops& ops, int threads, const uint16_t* out, const float* lse,
                       const uint16_t* grad, uint16_t* dq, uint16_t* dkv, uint16_t* drope);

}  // namespace moonlet
