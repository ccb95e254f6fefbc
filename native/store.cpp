#include "store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace moonlet {

ExpertStore::~ExpertStore() {
  for (const Layer& layer : layers_) munmap(layer.map, (size_t)layer.mapped_bytes);
}

void ExpertStore::add_layer(const std::string& path, int64_t offset, int64_t experts, int64_t row_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw StoreError(path + ": " + strerror(errno));
  struct stat info;
  const int64_t needed = offset + experts * row_bytes;
  if (fstat(fd, &info) != 0 || info.st_size < needed) {
    close(fd);
    throw StoreError(path + ": holds " + std::to_string((long long)info.st_size) + " bytes, needs " +
                     std::to_string((long long)needed));
  }
  void* map = mmap(nullptr, (size_t)needed, PROT_READ, MAP_SHARED, fd, 0);
  const int why = errno;
  close(fd);
  if (map == MAP_FAILED) throw StoreError(path + ": cannot be mapped: " + strerror(why));
  layers_.push_back({map, needed, (const uint8_t*)map + offset, experts, row_bytes});
}

}  // namespace moonlet
