#include "disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace moonlet {
namespace {

void modified(const struct stat& info, int64_t& s, int64_t& ns) {
#if defined(__APPLE__)
  s = info.st_mtimespec.tv_sec, ns = info.st_mtimespec.tv_nsec;
#else
  s = info.st_mtim.tv_sec, ns = info.st_mtim.tv_nsec;
#endif
}

// As strerror, whose buffer threads would share.
const char* reason(int code) {
  switch (code) {
    case EIO:
      return "the disk reports an error (EIO)";
    case ENXIO:
    case ENODEV:
      return "the disk is gone";
    case EINVAL:
      return "the file system refuses direct reads (EINVAL)";
    default:
      return "the system refuses to read it";
  }
}

}  // namespace

DiskFile::DiskFile(const std::string& path, int64_t bytes) : path_(path) {
#if defined(O_DIRECT)
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  direct_ = fd_ >= 0;
  if (fd_ < 0 && errno == EINVAL)  // tmpfs and some network file systems know no direct reads
#endif
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) throw FileError(path + ": " + strerror(errno));
  struct stat info = {};
  if (fstat(fd_, &info) != 0 || info.st_size < bytes) {
    close(fd_);
    throw FileError(path + ": holds " + std::to_string((long long)info.st_size) + " bytes, needs " +
                    std::to_string((long long)bytes));
  }
  size_ = info.st_size;
  modified(info, changed_s_, changed_ns_);
#if defined(O_DIRECT)
  alignas(DISK_BLOCK) static thread_local uint8_t probe[DISK_BLOCK];
  if (direct_ && size_ >= DISK_BLOCK && pread(fd_, probe, DISK_BLOCK, 0) < 0 && errno == EINVAL)
    direct_ = fcntl(fd_, F_SETFL, 0) < 0;  // opened, but wants more than blocks of 4096: read it plainly
#endif
#if defined(F_NOCACHE)
  direct_ = fcntl(fd_, F_NOCACHE, 1) == 0;
#elif defined(POSIX_FADV_RANDOM)
  if (!direct_) posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);  // no reading ahead: what follows is another expert
#endif
}

DiskFile::DiskFile(DiskFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      direct_(other.direct_),
      size_(other.size_),
      changed_s_(other.changed_s_),
      changed_ns_(other.changed_ns_) {}

DiskFile::~DiskFile() {
  if (fd_ >= 0) close(fd_);
}

const char* DiskFile::read(const ReadCall& call, uint8_t* to, int64_t bytes, int64_t at) const {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got = call(fd_, to + done, (size_t)(bytes - done), (off_t)(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return reason(errno);
    if (got == 0) return "it ends too early";
    done += got;
    // A direct read that stops between blocks has met the end of the file or a fault; going on needs a whole block.
    if (direct_ && done < bytes && done % DISK_BLOCK) return "a read ended short";
  }
#if !defined(F_NOCACHE) && defined(POSIX_FADV_DONTNEED)
  // The bytes are kept once, in the slot, and not a second time in the page cache.
  if (!direct_) posix_fadvise(fd_, (off_t)at, (off_t)bytes, POSIX_FADV_DONTNEED);
#endif
  return nullptr;
}

const char* DiskFile::changed() const {
  struct stat info;
  if (fstat(fd_, &info) != 0) return "it cannot be examined";
  int64_t s, ns;
  modified(info, s, ns);
  if (info.st_size < size_) return "it was cut off while in use";
  if (info.st_size != size_ || s != changed_s_ || ns != changed_ns_) return "it was changed while in use";
  return nullptr;
}

}  // namespace moonlet
