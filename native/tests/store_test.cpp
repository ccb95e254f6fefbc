// A model and its expert store under the sanitizers: the same bits whatever the budget, the threads, the disk's delays
// and faults; no allocation in a step. `make check-native` builds and runs it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <new>
#include <numeric>
#include <thread>

#include "check.h"

namespace {
std::atomic<int64_t> allocations{0};
}

void* operator new(size_t bytes) {
  allocations++;
  if (void* p = malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept {
  free(p);
}
void operator delete(void* p, size_t) noexcept {
  free(p);
}

using namespace moonlet;

namespace {

std::vector<int32_t> some_ids(int count, int seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = (int32_t)(random() % 96);
  return ids;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && !memcmp(a.data(), b.data(), a.size() * sizeof(float));
}

// Steps of one thread are many and quick; those of several show whether threads agree on what is where.
void any_budget(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(24, 1);
  const std::vector<float> wanted = run(*tiny.model(tiny.store(0), 1, 24), ids, 24);
  for (int slots : {2, 3, 9, 30, 47}) {
    auto model = tiny.model(tiny.store(slots), 1, 24);
    for (int chunk : {24, 7, 1}) CHECK(same(run(*model, ids, chunk), wanted));
    CHECK(same(run(*tiny.model(tiny.store(slots), 2, 24), ids, 13), wanted));
  }
  CHECK(same(run(*tiny.model(tiny.store(9), 3, 24), ids, 13), wanted));
}

void changing_budget(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(24, 2);
  const std::vector<float> wanted = run(*tiny.model(tiny.store(0), 1, 24), ids, 24);
  auto store = tiny.store(20);
  auto model = tiny.model(store, 1, 24);
  std::atomic<bool> over{false};
  std::thread other([&] {
    std::mt19937 random(3);
    while (!over) {
      const int64_t slots = 2 + random() % 46;
      store->set_budget(tiny.budget(slots));
      CHECK(store->counters().hits >= 0);
      std::vector<float> heat(Tiny::E * Tiny::SPARSE);
      CHECK(store->heat(heat.data()) >= 0);
      usleep(300);
    }
  });
  for (int i = 0; i < 20; i++) CHECK(same(run(*model, ids, 2 + i % 7), wanted));
  over = true;
  other.join();
}

void slow_and_faulty(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(24, 4);
  const std::vector<float> wanted = run(*tiny.model(tiny.store(0), 1, 24), ids, 24);
  std::atomic<int> reads{0}, every{7};
  const ReadCall call = [&](int fd, void* to, size_t bytes, off_t at) -> ssize_t {
    const int count = reads++;
    if (count % 5 == 0) usleep(500);
    if (every && count % every == 0) return errno = EIO, -1;
    return pread(fd, to, bytes, at);
  };
  auto model = tiny.model(tiny.store(12, call), 1, 24);
  bool failed = false;
  for (int i = 0; i < 5; i++) {
    run(*model, ids, 24);
    failed |= !model->fault().empty() && model->failed()[23] + model->failed()[0] <= 2;
  }
  CHECK(failed);
  every = 0;
  CHECK(same(run(*model, ids, 13), wanted));
  CHECK(model->fault().empty());
  // Of three drives, one in seven reads fails: another one gives the expert.
  every = 7;
  auto thrice = tiny.model(tiny.store(12, call, 3), 1, 24);
  for (int i = 0; i < 5; i++) {
    const std::vector<float> got = run(*thrice, ids, 24);
    CHECK(!thrice->fault().empty() || same(got, wanted));
  }
}

void nothing_is_allocated_in_a_step(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(1, 5), position{0}, sequence{0}, pages{0}, want{0};
  std::vector<float> logits(96);
  for (int slots : {0, 2, 20}) {
    auto model = tiny.model(tiny.store(slots), 2, 1);
    const Batch batch{1, ids.data(), position.data(), sequence.data(), pages.data(), 1, 1, want.data()};
    model->step(batch, logits.data(), nullptr);
    const int64_t before = allocations;
    for (int i = 0; i < 20; i++) model->step(batch, logits.data(), nullptr);
    CHECK(allocations == before);
  }
}

// A context of several spans, which one thread reads or several do.
void long_context(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(SPAN + 50, 6);
  const std::vector<float> wanted = run(*tiny.model(tiny.store(0), 1, 256), ids, 256);
  CHECK(same(run(*tiny.model(tiny.store(0), 2, 8), ids, 8), wanted));
  CHECK(same(run(*tiny.model(tiny.store(0), 3, 2), ids, 2), wanted));
}

// A prompt in the expanded form: the same whatever the threads, and near what the absorbed form gives.
void expanded_prompt(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(700, 8);
  const std::vector<float> absorbed = run(*tiny.model(tiny.store(0), 1, 350), ids, 350);
  const std::vector<float> alone = run(*tiny.model(tiny.store(0), 1, 350, true), ids, 350);
  CHECK(same(run(*tiny.model(tiny.store(0), 5, 350, true), ids, 350), alone));
  double apart = 0, size = 0;
  for (size_t i = 0; i < alone.size(); i++) apart += std::fabs(alone[i] - absorbed[i]), size += std::fabs(absorbed[i]);
  CHECK(apart > 0 && apart < 0.05 * size);
}

// A cache of int8: the same however it was cut and whoever read it, and near what one of bf16 gives.
void small_cache(const Tiny& tiny) {
  const std::vector<int32_t> ids = some_ids(SPAN + 70, 9);
  const std::vector<float> wide = run(*tiny.model(tiny.store(0), 1, 256), ids, 256);
  const std::vector<float> small = run(*tiny.model(tiny.store(0), 1, 256, false, Format::int8), ids, 256);
  CHECK(same(run(*tiny.model(tiny.store(0), 3, 40, false, Format::int8), ids, 40), small));
  double apart = 0, size = 0;
  for (size_t i = 0; i < wide.size(); i++) apart += std::fabs(wide[i] - small[i]), size += std::fabs(wide[i]);
  CHECK(apart > 0 && apart < 0.1 * size);
}

// Of two drives one is dead while the other reads ahead: what is asked for must not wait for readers that wait for it.
void a_dead_drive(const Tiny&) {
  constexpr int64_t ROW = 4 << 20, E = 64;  // several pieces of what is read ahead
  constexpr int SPARSE = 4, SLOTS = 200, K = 8;
  std::vector<std::string> paths{"moonlet-check-dead", "moonlet-check-alive"};
  for (const std::string& path : paths) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, SPARSE * E * ROW) == 0);
    close(fd);
  }
  struct stat dead;
  CHECK(stat(paths[0].c_str(), &dead) == 0);
  const ReadCall call = [&](int fd, void*, size_t bytes, off_t) -> ssize_t {
    struct stat info;
    CHECK(fstat(fd, &info) == 0);
    usleep(300);
    return info.st_ino == dead.st_ino ? (errno = EIO, -1) : (ssize_t)bytes;
  };
  std::mt19937 random(10);
  alarm(60);  // s: a hang would last for ever
  for (int round = 0; round < 20; round++) {
    ExpertStore store(SLOTS * (ROW + 64) + SPARSE * E * 20, call);
    for (int layer = 0; layer < SPARSE; layer++) store.add_layer(paths, layer * E * ROW, E, ROW);
    const std::vector<float> heat(SPARSE * E, 0.5f);
    store.open(heat.data(), 1000);
    for (int layer = 0; layer < SPARSE; layer++) {
      std::vector<int32_t> all(E), tokens(K, 1);
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), random);
      std::sort(all.begin(), all.begin() + K);
      store.begin(layer, all.data(), tokens.data(), K, 1, nullptr);
      while (store.next(true)) CHECK(store.failed().empty());
    }
  }
  alarm(0);
  for (const std::string& path : paths) unlink(path.c_str());
}

void closing_in_the_middle(const Tiny& tiny) {
  for (int i = 0; i < 20; i++) {
    const ReadCall slow = [](int fd, void* to, size_t bytes, off_t at) -> ssize_t {
      usleep(200);
      return pread(fd, to, bytes, at);
    };
    ExpertStore store(tiny.budget(30), slow);
    for (int layer = 0; layer < Tiny::SPARSE; layer++)
      store.add_layer({tiny.path, tiny.path}, layer * Tiny::E * tiny.row_bytes, Tiny::E, tiny.row_bytes);
    std::vector<float> heat(Tiny::E * Tiny::SPARSE, 0.5f);
    store.open(heat.data(), 1000);
    usleep(i * 100);
  }
}

}  // namespace

int main() {
  const Tiny tiny;
  for (const auto& [name, test] : {
           std::pair{"any budget", &any_budget},
           {"a changing budget", &changing_budget},
           {"slow and faulty reads", &slow_and_faulty},
           {"a long context", &long_context},
           {"an expanded prompt", &expanded_prompt},
           {"a cache of int8", &small_cache},
           {"no allocation in a step", &nothing_is_allocated_in_a_step},
           {"closing in the middle", &closing_in_the_middle},
           {"a dead drive", &a_dead_drive},
           {"attention of the trainer", [](const Tiny&) { test_texts(); }},
       }) {
    test(tiny);
    printf("%s: good\n", name);
    fflush(stdout);
  }
}
