// The threads that read experts into their slots. All but the reading itself happens under the store's mutex.
#include <algorithm>

#include "store.h"

namespace moonlet {
namespace {

constexpr int64_t WANTED_PIECE = 8 << 20;
constexpr int AHEAD_READERS = 2;  // of each drive, at most: they stand still while another drive fails a demand

}  // namespace

void ExpertStore::push(Queue& queue, int slot) {
  Slot& s = slots_[slot];
  s.before = queue.last, s.after = -1;
  (queue.last < 0 ? queue.first : slots_[queue.last].after) = slot;
  queue.last = slot;
}

void ExpertStore::remove(Queue& queue, int slot) {
  Slot& s = slots_[slot];
  (s.before < 0 ? queue.first : slots_[s.before].after) = s.after;
  (s.after < 0 ? queue.last : slots_[s.after].before) = s.before;
  s.before = s.after = -1;
}

// The next slot to be read from a drive, or -1. A faster drive comes back sooner and so takes more of them.
int ExpertStore::pick(int drive) {
  for (int slot = wanted_.first; slot >= 0; slot = slots_[slot].after)
    if (!(slots_[slot].tried >> drive & 1)) return slot;
  if (busy() || ahead_reading_[drive] >= AHEAD_READERS) return -1;
  return guesses_.first >= 0 ? guesses_.first : warming_.first;
}

void ExpertStore::read_loop(int drive) {
  std::unique_lock lock(mutex_);
  for (;;) {
    int slot = -1;
    work_.wait(lock, [&] { return closing_ || (slot = pick(drive)) >= 0; });
    if (closing_) return;
    Slot& s = slots_[slot];
    remove(queue_of(s), slot);
    s.state = State::reading, s.drive = (int8_t)drive;
    (s.wanted ? wanted_reading_ : ahead_reading_[drive])++;
    finish(slot, drive, fetch(slot, drive, lock));
  }
}

// Reads a slot's expert; null, or why it could not. Between pieces, what is read ahead lets demands pass.
const char* ExpertStore::fetch(int slot, int drive, std::unique_lock<std::mutex>& lock) {
  const int32_t owner = slots_[slot].owner;
  const Layer& layer = layers_[owner / E_];
  const DiskFile& file = layer.copies[drive];
  const int64_t at = layer.offset + owner % E_ * row_bytes_;
  uint8_t* to = arena_ + slot * row_bytes_;
  const char* why = nullptr;
  for (int64_t done = 0; done < row_bytes_ && !why;) {
    if (closing_ || slots_[slot].dropped) return "it was given up";
    const bool wanted = slots_[slot].wanted;
    if (!wanted && busy()) {
      work_.wait(lock);
      continue;
    }
    const int64_t piece = std::min(wanted ? WANTED_PIECE : AHEAD_PIECE, row_bytes_ - done);
    lock.unlock();
    why = file.read(call_, to + done, piece, at + done);
    done += piece;
    if (!why && done == row_bytes_) why = file.changed();
    lock.lock();
    counters_.read_bytes += why ? 0 : piece;
  }
  return why;
}

void ExpertStore::finish(int slot, int drive, const char* why) {
  Slot& s = slots_[slot];
  (s.wanted ? wanted_reading_ : ahead_reading_[drive])--;
  s.why = why;
  s.state = why ? State::failed : State::ready;  // what was read whole is kept, wanted or not
  s.dropped = false;
  if (why && s.wanted) {
    s.tried |= 1u << drive;
    if (s.tried + 1 != 1u << drives_) {  // another drive has a copy
      s.state = State::queued;
      push(wanted_, slot);
    }
  }
  arrived_.notify_all();
  work_.notify_all();
}

}  // namespace moonlet
