#include "pool.h"

#include <sched.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <system_error>

namespace moonlet {
namespace {

// About 50 microseconds: longer than the gap between two phases of a step, shorter than a user's patience with a fan.
constexpr int SPINS = 4000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

void await_change(std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < SPINS; i++) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

#if defined(__linux__)
void pin(const cpu_set_t& set) {
  sched_setaffinity(0, sizeof set, &set);
}
void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pin(set);
}
#endif

}  // namespace

std::vector<int> Pool::cores() {
  std::vector<int> found;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; i++)
      if (CPU_ISSET(i, &set)) found.push_back(i);
#endif
  if (found.empty()) found.resize(std::thread::hardware_concurrency() ? std::thread::hardware_concurrency() : 1, -1);
  return found;
}

Pool::Pool(int threads) : cores_(cores()) {
  size_ = threads > 0 ? threads : (int)cores_.size();
  try {
    for (int i = 1; i < size_; i++)
      // Only who has all cores keeps to them: of two engines of half as many threads, both would sit on the first half.
      threads_.emplace_back([this, i] { work(i, size_ == (int)cores_.size() ? cores_[i] : -1); });
  } catch (const std::system_error&) {
    end();
    throw std::runtime_error("the system refuses a thread, number " + std::to_string(threads_.size() + 1) + " of " +
                             std::to_string(size_) + ": allow more of them, or ask for fewer with --threads");
  }
}

Pool::~Pool() {
  end();
}

void Pool::end() {
  ending_ = true;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Pool::work(int thread, int core) {
#if defined(__linux__)
  if (core >= 0) pin(core);
#else
  (void)core;
#endif
  uint32_t seen = 0;
  for (;;) {
    await_change(job_, seen);
    seen++;
    if (ending_) return;
    call_(context_, thread);
    barrier();
  }
}

void Pool::start(Call call, void* context) {
  if (size_ == 1) {
    call(context, 0);
    return barrier();
  }
  call_ = call, context_ = context;
#if defined(__linux__)
  // The caller works too, and must not share a core with a pinned worker; afterwards it is as free as before.
  cpu_set_t before;
  const bool pinned =
      cores_[0] >= 0 && size_ == (int)cores_.size() && sched_getaffinity(0, sizeof before, &before) == 0;
  if (pinned) pin(cores_[0]);
#endif
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  call(context, 0);
  barrier();
#if defined(__linux__)
  if (pinned) pin(before);
#endif
}

bool Pool::take(int64_t from, int64_t count, int64_t least, int& begin, int& end) {
  int64_t at = taken_.load(std::memory_order_relaxed), portion;
  do {
    const int64_t left = count - from - at;
    if (left <= 0) return false;
    portion = std::min(std::max(left / (2 * size_), least), left);
  } while (!taken_.compare_exchange_weak(at, at + portion, std::memory_order_relaxed));
  begin = (int)(from + at), end = (int)(from + at + portion);
  return true;
}

void Pool::barrier() {
  if (size_ == 1) return taken_.store(0, std::memory_order_relaxed);
  const uint32_t round = round_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == (uint32_t)size_) {
    arrived_.store(0, std::memory_order_relaxed);
    taken_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  } else {
    await_change(round_, round);
  }
}

}  // namespace moonlet
