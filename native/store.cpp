// Which expert has which slot. What readers do with them: store_reading.cpp.
#include "store.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <stdexcept>
#include <system_error>

namespace moonlet {
namespace {

constexpr int READERS = 4;  // of each drive: enough for its queue, few enough that one expert is not long in coming
constexpr int64_t HUGE_PAGE = 2 << 20;
constexpr int64_t LEAST_SLOTS = 2;  // one computes, one is read

// Half-lives in tokens. The short one keeps what the last tokens used, which correlated routing uses again; the long
// one is a frequency that forgets a topic after some sentences. Mixed 1 : 4 they beat either alone, and LRU, on every
// kind of trace tried (even, skewed, correlated, drifting).
constexpr float RECENT = 1, LASTING = 64, HEAT = 1 << 17, RECENT_SHARE = 0.2f;
// How much less an expert is worth whose layer has just been passed than the same in the layer that comes next.
constexpr float FARNESS = 0.05f;

constexpr int64_t PORTION = 8;       // experts computed at a time while others are still read
constexpr int GUESS_TOKENS = 16;     // above, guessing costs more than it can save
constexpr float FADING = 0.98f;      // of a record, each time a layer is passed
constexpr float LEAST_RECORD = 16;   // guesses after which a record counts
constexpr int64_t PROBE = 16;        // steps between looks at whether guesses have become good
constexpr int64_t PIN_TRIAL = 4096;  // experts asked for, after which pins are judged

int64_t padded(int64_t bytes, int64_t to) {
  return (bytes + to - 1) / to * to;
}

int64_t whole_pages(int64_t bytes) {
  static const int64_t page = sysconf(_SC_PAGESIZE);
  return padded(bytes, page);
}

}  // namespace

ExpertStore::ExpertStore(int64_t budget, ReadCall call)
    : streamed_(budget >= 0),
      budget_(budget),
      next_budget_(budget),
      call_(call ? std::move(call) : ReadCall(::pread)) {}

ExpertStore::~ExpertStore() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  for (std::thread& reader : readers_) reader.join();
  if (arena_) munmap(arena_, (size_t)arena_bytes_);
}

void ExpertStore::add_layer(const std::vector<std::string>& paths, int64_t offset, int64_t experts, int64_t row_bytes) {
  assert(!paths.empty() && offset % DISK_BLOCK == 0 && row_bytes % DISK_BLOCK == 0);
  const int64_t end = offset + experts * row_bytes;
  Layer layer{nullptr, {}, offset, experts, row_bytes};
  if (streamed())
    for (const std::string& path : paths) layer.copies.emplace_back(path, end);
  else
    layer.file = std::make_unique<Mapping>(paths[0], end);
  layers_.push_back(std::move(layer));
  E_ = experts, row_bytes_ = row_bytes, drives_ = (int)paths.size();
}

void ExpertStore::open(const float* heat, double tokens) {
  if (!streamed() || layers_.empty()) return;
  const int64_t count = layers() * E_;
  // Address space costs nothing; memory comes with the slots.
  arena_bytes_ = padded(count * row_bytes_, HUGE_PAGE) + HUGE_PAGE;
  void* space = mmap(nullptr, (size_t)arena_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED)
    throw std::runtime_error("the system refuses " + std::to_string(arena_bytes_) +
                             " bytes of addresses for experts: allow more with ulimit -v");
  uint8_t* start = (uint8_t*)padded((int64_t)space, HUGE_PAGE);
  if (start != space) munmap(space, (size_t)(start - (uint8_t*)space));
  arena_bytes_ -= start - (uint8_t*)space;
  arena_ = start;
  place_.assign(count, -1);
  recent_.assign(count, 0), lasting_.assign(count, 0), value_.assign(count, 0), heat_.assign(count, 0);
  nearness_.assign(layers_.size(), 1), records_.resize(layers_.size());
  asked_at_.assign(E_, 0), ahead_reading_.assign(drives_, 0);
  for (std::vector<int32_t>* list : {&asked_, &present_, &todo_, &coming_, &wave_, &failed_, &guessed_, &forecast_})
    list->reserve(E_);
  resize(slots_for(budget_));
  if (heat) warm(heat, tokens);
  try {
    for (int i = 0; i < drives_ * READERS; i++) readers_.emplace_back([this, i] { read_loop(i % drives_); });
  } catch (const std::system_error&) {
    throw std::runtime_error("the system refuses a thread that reads experts: allow more of them");
  }
}

// ---- budget ---------------------------------------------------------------------------------------------------------

int64_t ExpertStore::slots_for(int64_t budget) const {
  const int64_t all = layers() * E_, fixed = all * (int64_t)(sizeof place_[0] + 4 * sizeof recent_[0]);
  const int64_t slots = (budget - fixed) / (row_bytes_ + (int64_t)sizeof(Slot));
  if (slots < LEAST_SLOTS)
    throw std::invalid_argument("experts need memory for at least two of them, " +
                                std::to_string(fixed + LEAST_SLOTS * (row_bytes_ + (int64_t)sizeof(Slot))) +
                                " bytes, and get " + std::to_string(budget));
  return std::min(slots, all);
}

int64_t ExpertStore::used_bytes() const {
  if (!streamed()) return 0;
  const int64_t about = (int64_t)(sizeof place_[0] + 4 * sizeof recent_[0]);
  return slot_count_ * (row_bytes_ + (int64_t)sizeof(Slot)) + layers() * E_ * about;
}

void ExpertStore::set_budget(int64_t budget) {
  if (!streamed()) return;
  slots_for(budget);  // throws if it is too little
  next_budget_ = budget;
}

// The most valuable experts stay: those in slots that go move into places of lesser ones.
void ExpertStore::resize(int64_t slots) {
  std::unique_lock lock(mutex_);
  const int64_t before = (int64_t)slots_.size();
  for (int64_t i = slots; i < before; i++) drop((int)i);
  arrived_.wait(lock, [&] {
    return std::none_of(slots_.begin() + std::min(slots, before), slots_.end(),
                        [](const Slot& slot) { return slot.state == State::reading; });
  });
  if (slots < before) {
    int64_t pins = 0;  // at most half of what stays: others need places
    for (Slot& slot : slots_) slot.pinned = slot.pinned && pins < slots / 2, pins += slot.pinned;
    for (int64_t i = slots; i < before; i++) slots_[i].held = true;  // no place for others
    for (int64_t i = slots; i < before; i++) {
      const int to = slots_[i].state == State::ready ? victim(false) : -1;
      const bool dearer =
          to >= 0 && (slots_[to].state != State::ready || value_[slots_[i].owner] > value_[slots_[to].owner]);
      dearer ? move((int)i, to) : empty((int)i);
      slots_[i].held = true;
    }
    const int64_t from = whole_pages(slots * row_bytes_), bytes = whole_pages(before * row_bytes_) - from;
    madvise(arena_ + from, (size_t)bytes, MADV_DONTNEED);
    mprotect(arena_ + from, (size_t)bytes, PROT_NONE);
  } else if (mprotect(arena_, (size_t)whole_pages(slots * row_bytes_), PROT_READ | PROT_WRITE) != 0) {
    throw std::bad_alloc();
  }
#if defined(MADV_HUGEPAGE)
  madvise(arena_, (size_t)whole_pages(slots * row_bytes_), MADV_HUGEPAGE);
#endif
  slots_.resize(slots);
  pinned_ = std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.pinned; });
  slot_count_ = slots;
  window_ = (size_t)std::max<int64_t>(2 * READERS * drives_, slots / 16);
}

void ExpertStore::move(int from, int to) {
  empty(to);
  Slot &a = slots_[from], &b = slots_[to];
  std::copy_n(arena_ + from * row_bytes_, row_bytes_, arena_ + to * row_bytes_);
  b.owner = a.owner, b.layer = a.layer, b.state = State::ready, b.pinned = a.pinned;
  place_[b.owner] = to;
  a = Slot{};
}

// Nobody waits for it any more: unread it is emptied, being read it need not be read to its end.
void ExpertStore::drop(int slot) {
  Slot& s = slots_[slot];
  if (s.state == State::queued) empty(slot);
  if (s.state == State::reading) s.dropped = true;
}

void ExpertStore::empty(int slot) {
  Slot& s = slots_[slot];
  assert(s.state != State::reading);
  if (s.state == State::queued) remove(queue_of(s), slot);
  if (s.owner >= 0) place_[s.owner] = -1;
  s = Slot{};
}

void ExpertStore::fill(int slot, int owner, bool wanted, Queue& queue) {
  empty(slot);
  Slot& s = slots_[slot];
  s.owner = owner, s.layer = (int16_t)(owner / E_), s.wanted = wanted, s.state = State::queued;
  place_[owner] = slot;
  push(queue, slot);
}

// The slot that is missed least, or -1: an empty one, one that is waiting to be read ahead, the least valuable expert.
int ExpertStore::victim(bool for_guess) const {
  int best = -1;
  float least = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < slots_.size(); i++) {
    const Slot& s = slots_[i];
    if (s.held || s.pinned || s.state == State::reading || (s.state == State::queued && s.wanted)) continue;
    if (for_guess && s.guessed) continue;
    if (s.state == State::empty || s.state == State::failed) return (int)i;
    const float value = s.state == State::queued ? value_[s.owner] - 1 : value_[s.owner] * nearness_[s.layer];
    if (value < least) least = value, best = (int)i;
  }
  return best;
}

// ---- a layer's pass -------------------------------------------------------------------------------------------------

void ExpertStore::adopt_budget() {
  const int64_t budget = next_budget_;
  if (budget == budget_) return;
  budget_ = budget;  // first: if there is no memory for it, the slots stay as they are and it is not tried again
  resize(slots_for(budget));
}

void ExpertStore::begin_step() {
  adopt_budget();
  fault_.clear();
  steps_++;
  missing_ = counters_.misses != misses_before_;  // only this thread counts them
  misses_before_ = counters_.misses;
}

void ExpertStore::begin(int layer, const int32_t* experts, const int32_t* tokens, int count, int T, uint8_t* tiers) {
  std::lock_guard lock(mutex_);
  layer_ = layer, pass_++;
  next_todo_ = next_present_ = 0;
  for (std::vector<int32_t>* list : {&asked_, &present_, &todo_, &coming_, &wave_, &failed_}) list->clear();
  learn(layer, experts, tokens, count, T);
  const int64_t n = layers();
  for (int64_t i = 0; i < n; i++) nearness_[i] = 1 - FARNESS * (float)((i - layer - 1 + n) % n) / (float)n;
  for (int i = 0; i < count; i++) {
    asked_.push_back((int32_t)(layer * E_ + experts[i]));
    asked_at_[experts[i]] = pass_;
    const Tier found = ask(i);
    if (tiers) tiers[experts[i]] = (uint8_t)found;
  }
  judge_guesses();
  if (2 * count < E_) judge_pins();  // a pass over nearly everything says nothing
  assign();
}

// The shares of the layer's experts after T more tokens.
void ExpertStore::learn(int layer, const int32_t* experts, const int32_t* tokens, int count, int T) {
  const float recent = std::exp2(-(float)T / RECENT), lasting = std::exp2(-(float)T / LASTING);
  const float heat = std::exp2(-(float)T / HEAT);
  const int64_t at = layer * E_;
  for (int64_t i = at; i < at + E_; i++) recent_[i] *= recent, lasting_[i] *= lasting, heat_[i] *= heat;
  for (int i = 0; i < count; i++) {
    const int64_t owner = at + experts[i];
    const float share = (float)tokens[i] / (float)T;
    recent_[owner] += share * (1 - recent), lasting_[owner] += share * (1 - lasting);
    heat_[owner] += (float)tokens[i];
  }
  if (layer == 0) heat_tokens_ = heat_tokens_ * heat + T;
  for (int64_t i = at; i < at + E_; i++) value_[i] = RECENT_SHARE * recent_[i] + (1 - RECENT_SHARE) * lasting_[i];
}

Tier ExpertStore::ask(int index) {
  const int32_t at = place_[asked_[index]];
  if (at >= 0 && slots_[at].state == State::failed) empty(at);  // this time it may go well
  if (place_[asked_[index]] < 0) {
    counters_.misses++;
    todo_.push_back(index);
    return Tier::disk;
  }
  Slot& s = slots_[at];
  s.held = true, s.dropped = false;
  if (s.state == State::ready) {
    counters_.hits++, counters_.pinned_hits += s.pinned;
    present_.push_back(index);
    return s.pinned ? Tier::pinned : Tier::cached;
  }
  counters_.misses++;
  coming_.push_back(index);
  if (s.wanted) return Tier::disk;
  if (s.state == State::queued) {
    remove(queue_of(s), at);
    s.wanted = true;
    push(wanted_, at);
  } else {
    s.wanted = true;
    wanted_reading_++, ahead_reading_[s.drive]--;
  }
  return Tier::disk;
}

// Slots for what is missing: as many at a time as keep the disk busy, so that a long pass evicts little that is worth
// more than what it reads.
void ExpertStore::assign() {
  while (next_todo_ < todo_.size() && coming_.size() < window_) {
    const int slot = victim(false);
    if (slot < 0) break;
    const int index = todo_[next_todo_++];
    fill(slot, asked_[index], true, wanted_);
    slots_[slot].held = true;
    coming_.push_back(index);
  }
  work_.notify_all();
}

// What has come moves into the wave, what has failed is told.
void ExpertStore::collect() {
  size_t kept = 0;
  for (const int32_t index : coming_) {
    const int at = place_[asked_[index]];
    const Slot& s = slots_[at];
    if (s.state == State::ready) {
      wave_.push_back(asked_[index] % (int32_t)E_);
    } else if (s.state == State::failed) {
      if (fault_.empty())
        fault_ = layers_[s.layer].copies[s.drive].path() + ": expert " + std::to_string(asked_[index] % E_) +
                 " could not be read: " + s.why;
      counters_.faults++;
      failed_.push_back(asked_[index] % (int32_t)E_);
      empty(at);
    } else {
      coming_[kept++] = index;
    }
  }
  coming_.resize(kept);
}

bool ExpertStore::next(bool wait) {
  std::unique_lock lock(mutex_);
  for (const int32_t expert : wave_) slots_[place_[layer_ * E_ + expert]].held = false;
  wave_.clear(), failed_.clear();
  for (;;) {
    assign();
    collect();
    const bool reading = !coming_.empty() || next_todo_ < todo_.size();
    const size_t most = reading ? PORTION : present_.size();
    while (next_present_ < present_.size() && wave_.size() < most)
      wave_.push_back(asked_[present_[next_present_++]] % (int32_t)E_);
    if (!wave_.empty() || !failed_.empty()) return true;
    if (!reading) return false;
    if (!wait) return true;
    const auto begun = std::chrono::steady_clock::now();
    arrived_.wait(lock);
    counters_.wait_ns += std::chrono::nanoseconds(std::chrono::steady_clock::now() - begun).count();
  }
}

// ---- reading ahead --------------------------------------------------------------------------------------------------

bool ExpertStore::wants_guess(int layer, int T, int K) const {
  if (T > GUESS_TOKENS || !missing_ || slot_count_ < 4 * K) return false;
  const Record& record = records_[layer];
  return record.all < LEAST_RECORD || record.right > 0.1f * record.all || steps_ % PROBE == 0;
}

void ExpertStore::guess(int layer, const int32_t* chosen, int T, int K) {
  std::lock_guard lock(mutex_);
  forecast_.clear();
  const Record record = records_[layer];
  for (int i = 0; i < T * K; i++) {
    const int32_t owner = (int32_t)(layer * E_ + chosen[i % T * K + i / T]);  // every token's first, then the second
    const int at = place_[owner];
    if (at >= 0 && slots_[at].state != State::failed && !slots_[at].guessed) continue;
    if (std::find(forecast_.begin(), forecast_.end(), owner) != forecast_.end()) continue;
    forecast_.push_back(owner);
    const int loser = victim(true);
    if (record.all < LEAST_RECORD || loser < 0) continue;
    // Right, it saves the reading of a row. Wrong, it costs what is still under way of it when a layer asks for
    // another, and the place of an expert that would have been used again with the probability that its value is.
    const float lost = slots_[loser].state == State::ready ? value_[slots_[loser].owner] : 0;
    const float piece = (float)std::min(AHEAD_PIECE, row_bytes_) / (float)row_bytes_;
    if (record.right > (record.all - record.right) * (piece + lost)) read_ahead(owner);
  }
  work_.notify_all();
}

void ExpertStore::guess_all(int layer) {
  std::lock_guard lock(mutex_);
  forecast_.clear();  // says nothing about how well the router is guessed
  for (int64_t i = layer * E_; i < (layer + 1) * E_ && guessed_.size() < window_; i++)
    if (place_[i] < 0) read_ahead((int)i);
  work_.notify_all();
}

void ExpertStore::read_ahead(int owner) {
  if (place_[owner] >= 0 && slots_[place_[owner]].state == State::failed) empty(place_[owner]);
  if (place_[owner] >= 0 || (int64_t)guessed_.size() >= slot_count_ / 4) return;
  const int slot = victim(true);
  if (slot < 0) return;
  fill(slot, owner, false, guesses_);
  slots_[slot].guessed = true;
  guessed_.push_back(slot);
}

// A layer has asked: which guesses at it were right.
void ExpertStore::judge_guesses() {
  Record& record = records_[layer_];
  if (!forecast_.empty()) record.right *= FADING, record.all *= FADING;
  for (const int32_t owner : forecast_) record.all++, record.right += asked_at_[owner % E_] == pass_;
  forecast_.clear();
  for (const int32_t at : guessed_) {
    Slot& s = slots_[at];
    if (!s.guessed) continue;
    if (s.held)
      counters_.guesses_right++;
    else if (s.state != State::queued)
      counters_.guesses_wrong++;
    if (!s.held) drop(at);
    slots_[at].guessed = false;
  }
  guessed_.clear();
}

// Pins were set by what earlier runs used. They stay while a pinned slot serves about as often as another one.
void ExpertStore::judge_pins() {
  if (!pinned_) return;
  for (const int32_t index : present_) (slots_[place_[asked_[index]]].pinned ? pin_hits_ : other_hits_)++;
  pin_asked_ += (int64_t)asked_.size();
  if (pin_asked_ < PIN_TRIAL) return;
  const int64_t others = slot_count_ - pinned_;
  if (4 * pin_hits_ * others < 3 * other_hits_ * pinned_) {
    for (Slot& s : slots_) s.pinned = false;
    pinned_ = 0;
  }
  pin_asked_ = pin_hits_ = other_hits_ = 0;
}

// Fills the slots with the hottest experts, hottest first, and pins the hotter half of them.
void ExpertStore::warm(const float* heat, double tokens) {
  std::lock_guard lock(mutex_);
  std::vector<int32_t> hottest(place_.size());
  std::iota(hottest.begin(), hottest.end(), 0);
  std::sort(hottest.begin(), hottest.end(),
            [&](int32_t a, int32_t b) { return heat[a] != heat[b] ? heat[a] > heat[b] : a < b; });
  heat_tokens_ = tokens;
  for (size_t i = 0; i < heat_.size(); i++) {
    lasting_[i] = heat[i], value_[i] = (1 - RECENT_SHARE) * heat[i];
    heat_[i] = heat[i] * (float)tokens;
  }
  for (int64_t i = 0; i < slot_count_ && heat[hottest[i]] > 0; i++) {
    fill((int)i, hottest[i], false, warming_);
    slots_[i].pinned = i < slot_count_ / 2;
    pinned_ += slots_[i].pinned;
  }
}

// ---- what it knows --------------------------------------------------------------------------------------------------

void ExpertStore::tiers(int layer, const int32_t* experts, int count, uint8_t* out) const {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (streamed()) lock.lock();  // the threads that read change what is ready
  for (int i = 0; i < count; i++) {
    Tier tier = Tier::memory;
    if (streamed()) {
      const int32_t slot = place_[layer * E_ + experts[i]];
      const bool here = slot >= 0 && slots_[slot].state == State::ready;
      tier = !here ? Tier::disk : slots_[slot].pinned ? Tier::pinned : Tier::cached;
    }
    out[experts[i]] = (uint8_t)tier;
  }
}

StoreCounters ExpertStore::counters() const {
  std::lock_guard lock(mutex_);
  return counters_;
}

double ExpertStore::heat(float* out) const {
  std::lock_guard lock(mutex_);
  // Both are rounded, so that a share can come out just above 1.
  for (size_t i = 0; i < heat_.size(); i++)
    out[i] = heat_tokens_ > 0 ? std::min(heat_[i] / (float)heat_tokens_, 1.0f) : 0;
  return heat_tokens_;
}

}  // namespace moonlet
