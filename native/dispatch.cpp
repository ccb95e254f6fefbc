// Which table of operations this processor runs.
#include <cstring>

#include "ops.h"

namespace moonlet {
namespace {

const Ops* const tables[] = {
#if defined(__x86_64__)
    &ops_avx512bf16,
    &ops_avx512,
    &ops_avx2,
#endif
    &ops_plain,
};

}  // namespace

bool runs(const Ops& ops) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (&ops == &ops_avx2) return avx2;
  if (&ops == &ops_avx512bf16) return runs(ops_avx512) && __builtin_cpu_supports("avx512bf16");
  if (&ops == &ops_avx512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
#endif
  return &ops == &ops_plain;
}

const Ops& best_ops() {
  for (const Ops* ops : tables)
    if (runs(*ops)) return *ops;
  return ops_plain;
}

const Ops* find_ops(const char* name) {
  for (const Ops* ops : tables)
    if (!strcmp(ops->name, name) && runs(*ops)) return ops;
  return nullptr;
}

}  // namespace moonlet
