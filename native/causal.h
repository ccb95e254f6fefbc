// Causal attention of whole rows and its gradients, for training (the engine's reads a cache: attention.cpp).
#pragma once
#include <cstdint>
#include <vector>

#include "ops.h"

namespace moonlet {

// For B sequences and H heads, in that order: T rows of queries of `head` numbers, S >= T rows of keys as wide, and of
// values of `value` numbers, as bf16 bits. The queries are of the last T tokens. A token sees the tokens of its own
// text up to itself; there is more than one text only where S = T.
struct Causal {
  int B, H, T, S, head, value;
  float scale;                           // of a score
  std::vector<std::vector<int>> starts;  // of each sequence, where its texts begin: the first at 0, ascending
  const uint16_t *q, *k, *v;
};

// out (B, H, T, value) as bf16 bits; lse (B, H, T): log of the sum of all e^score; highest (B, H): the largest score.
void read_causal(const Causal& in, const Ops& ops, int threads, uint16_t* out, float* lse, float* highest);

// Gradients dq (B, H, T, head), dk (B, H, S, head) and dv (B, H, S, value) from that of `out`. With P the shares, dP =
// dO V^T and delta = rowsum(dO O): dV = P^T dO, dS = P (dP - delta), dQ = dS K, dK = dS^T Q (arXiv 2205.14135, appendix
// B). Factors are rounded to bf16 where the processor multiplies it; sums are float32.
void causal_gradients(const Causal& in, const Ops& ops, int threads, const uint16_t* out, const float* lse,
                      const uint16_t* grad, float* dq, float* dk, float* dv);

}  // namespace moonlet
