// A fixed team of threads, one a core, that spins briefly and then sleeps.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace moonlet {

class Pool {
 public:
  // `threads` 0: one for each core this process may use. The caller of run() is thread 0.
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

  // Cores this process may use.
  static std::vector<int> cores();

 private:
  using Call = void (*)(void*, int);
  void start(Call call, void* context);
  void work(int thread, int core);

  int size_;
  std::vector<std::thread> threads_;
  std::vector<int> cores_;
  Call call_ = nullptr;
  void* context_ = nullptr;
  bool ending_ = false;
  alignas(64) std::atomic<uint32_t> job_{0};      // counts runs: a change wakes the workers
  alignas(64) std::atomic<uint32_t> arrived_{0};  // threads at the barrier
  alignas(64) std::atomic<uint32_t> round_{0};    // counts barriers: a change lets them go
};

}  // namespace moonlet
