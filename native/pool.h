// A fixed team of threads, one a core, that spins briefly and then sleeps.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace moonlet {

class Pool {
 public:
  // `threads` 0: one for each core this process may use. The caller of run() is thread 0. Throws runtime_error if the
  // system refuses one.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int size() const { return size_; }

  // body(thread) on every thread; returns when all have ended. One run at a time.
  template <class Body>
  void run(Body& body) {
    start([](void* context, int thread) { (*static_cast<Body*>(context))(thread); }, &body);
  }

  // Inside a body: waits for the others. Every thread must pass the same barriers.
  void barrier();

  // Inside a body, at most once between two barriers: work(begin, end) on portions of [0, count). Half is cut evenly,
  // which costs nothing on many cores; the rest is taken by whoever is free, in portions that fall with what is left,
  // to `least`, so that nobody waits for a core that others slow down. Where there is too little of it, all is cut
  // evenly.
  template <class Work>
  void deal(int thread, int64_t count, Work work, int64_t least = 1) {
    const int64_t sure = count < 4 * size_ * least ? count : count / 2;
    int begin = (int)(sure * thread / size_), end = (int)(sure * (thread + 1) / size_);
    if (begin < end) work(begin, end);
    while (take(sure, count, least, begin, end)) work(begin, end);
  }

  // Cores this process may use.
  static std::vector<int> cores();

 private:
  using Call = void (*)(void*, int);
  void start(Call call, void* context);
  void end();
  void work(int thread, int core);
  bool take(int64_t from, int64_t count, int64_t least, int& begin, int& end);

  int size_;
  std::vector<std::thread> threads_;
  std::vector<int> cores_;
  Call call_ = nullptr;
  void* context_ = nullptr;
  bool ending_ = false;
  alignas(64) std::atomic<uint32_t> job_{0};      // counts runs: a change wakes the workers
  alignas(64) std::atomic<uint32_t> arrived_{0};  // threads at the barrier
  alignas(64) std::atomic<uint32_t> round_{0};    // counts barriers: a change lets them go
  alignas(64) std::atomic<int64_t> taken_{0};     // of what is free to take, since the last barrier
};

}  // namespace moonlet
