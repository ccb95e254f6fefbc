// The expert store as Python holds it.
#pragma once
#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

#include "store.h"

namespace moonlet {

// A store whose reading tests can disturb.
struct Faults {
  std::atomic<int> errors{0}, ends{0};  // so many of the next reads fail, or find the end of the file
  std::atomic<int> delay_us{0};         // of every read
};

struct Store {
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  std::shared_ptr<ExpertStore> store;
  explicit Store(int64_t budget) : store(std::make_shared<ExpertStore>(budget, reading(faults))) {}
  // It waits for reads under way, which a dead drive may never end; nobody else waits for that.
  ~Store() {
    nanobind::gil_scoped_release free;
    store.reset();
  }

  static ReadCall reading(std::shared_ptr<Faults> faults) {
    return [faults](int fd, void* to, size_t bytes, off_t at) -> ssize_t {
      if (const int delay = faults->delay_us) usleep((useconds_t)delay);
      if (taken(faults->errors)) return errno = EIO, -1;
      if (taken(faults->ends)) return 0;
      return pread(fd, to, bytes, at);
    };
  }
  static bool taken(std::atomic<int>& left) {
    int now = left;
    while (now > 0 && !left.compare_exchange_weak(now, now - 1)) {
    }
    return now > 0;
  }
};

}  // namespace moonlet
