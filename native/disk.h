// A file that is read past the page cache, as it was when it was opened.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "mapping.h"

namespace moonlet {

constexpr int64_t DISK_BLOCK = 4096;  // places, sizes and memory of direct reads are multiples of it

// How bytes are read; `pread` unless a test puts faults in between.
using ReadCall = std::function<ssize_t(int fd, void* to, size_t bytes, off_t at)>;

class DiskFile {
 public:
  // Throws FileError if it cannot be opened or is shorter than `bytes`.
  DiskFile(const std::string& path, int64_t bytes);
  ~DiskFile();
  DiskFile(DiskFile&& other) noexcept;
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;
  DiskFile& operator=(DiskFile&&) = delete;

  // Fills `bytes` at `to` from place `at`; null, or why not. From any thread.
  const char* read(const ReadCall& call, uint8_t* to, int64_t bytes, int64_t at) const;
  // Null, or what has happened to the file since it was opened: call it after reading, before using what was read.
  const char* changed() const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
  bool direct_ = false;  // the file system reads past the page cache itself
  int64_t size_ = 0, changed_s_ = 0, changed_ns_ = 0;
};

}  // namespace moonlet
