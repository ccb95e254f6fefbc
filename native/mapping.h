// A file mapped for reading, in huge pages where the file system has them.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace moonlet {

// The world's fault: a file that cannot be read as promised.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Mapping {
 public:
  // The first `size` bytes, or the whole file if negative. Throws FileError if there are fewer.
  Mapping(const std::string& path, int64_t size);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Mapping& operator=(Mapping&&) = delete;

  const uint8_t* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  const uint8_t* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace moonlet
