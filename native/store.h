// The expert store: the one owner of expert bytes. A layer's experts lie in one file, one row an expert, rows aligned
// to 4096 bytes. With memory for all of them they are used where they lie (mapped); otherwise each row is read from
// disk into one of a fixed number of slots when a layer asks for it, and stays there as long as it is worth its place:
//
//   pinned   read at the start because an earlier run used them most; evicted only if that turns out to be no help
//   cached   the rest of the slots; the expert least likely to be asked for again makes room
//   on disk  read by a few threads past the page cache, several at once, while experts that are present compute
//
// All but set_budget(), counters() and heat() belongs to the thread that steps.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "disk.h"
#include "mapping.h"

namespace moonlet {

// Since the store was opened. Experts are counted once for each layer of a step, however many tokens chose them.
struct StoreCounters {
  int64_t hits = 0;           // were there when they were asked for
  int64_t misses = 0;         // were not
  int64_t pinned_hits = 0;    // of the hits, in pinned slots
  int64_t read_bytes = 0;     // from disk
  int64_t wait_ns = 0;        // in which nothing could be computed for want of an expert
  int64_t guesses_right = 0;  // read ahead and then asked for
  int64_t guesses_wrong = 0;  // read ahead and not
  int64_t faults = 0;         // experts that could not be read
};

// Where an expert's bytes are, for whoever looks on.
enum class Tier : uint8_t { memory, pinned, cached, disk };  // memory: of a mapped store

class ExpertStore {
 public:
  // `budget` < 0: mapped. Otherwise bytes for slots and everything about them.
  explicit ExpertStore(int64_t budget = -1, ReadCall call = {});
  ~ExpertStore();
  ExpertStore(const ExpertStore&) = delete;
  ExpertStore& operator=(const ExpertStore&) = delete;

  // Layers are added in order, all of the same shape; `paths` are equal copies of the file, on different drives.
  // Throws FileError if one cannot be opened or is shorter than its rows.
  void add_layer(const std::vector<std::string>& paths, int64_t offset, int64_t experts, int64_t row_bytes);

  // After the last layer: makes the slots, starts the threads that read. `heat`, if given, is what heat() said of an
  // earlier run and `tokens` what it returned: the hottest are read at once, while the disk has nothing else to do.
  // Throws invalid_argument if the budget is too little, runtime_error if the system refuses addresses or a thread.
  void open(const float* heat = nullptr, double tokens = 0);

  bool streamed() const { return streamed_; }
  int layers() const { return (int)layers_.size(); }
  int64_t experts(int layer) const { return layers_[layer].experts; }
  int64_t row_bytes(int layer) const { return layers_[layer].row_bytes; }
  int64_t slots() const { return slot_count_; }
  int64_t used_bytes() const;  // by slots and everything about them

  // The bytes of an expert: any of a mapped store, else one that next() has handed out.
  const uint8_t* expert(int layer, int expert) const {
    const Layer& at = layers_[layer];
    if (!streamed()) return at.file->data() + at.offset + expert * at.row_bytes;
    return arena_ + (int64_t)place_[layer * E_ + expert] * row_bytes_;
  }

  // ---- a step of a streamed store ----

  // Forgets the last step's fault.
  void begin_step();
  // Makes as many slots as set_budget() last said; begin_step() does it too, but may be long in coming.
  void adopt_budget();
  // A layer asks for `count` experts, which `tokens[i]` of the step's T tokens have chosen. tiers[experts[i]]: where
  // each was found; null if nobody wants to know.
  void begin(int layer, const int32_t* experts, const int32_t* tokens, int count, int T, uint8_t* tiers);
  // What was handed out is used no more; wave() are experts that are there now, failed() those that will not come. With
  // `wait`, at least one of either. False when the layer has got all it asked for.
  bool next(bool wait);
  const std::vector<int32_t>& wave() const { return wave_; }
  const std::vector<int32_t>& failed() const { return failed_; }
  // Why experts of this step could not be read; empty if all could.
  const std::string& fault() const { return fault_; }

  // Whether a guess at what a layer's T tokens will ask for is worth computing.
  bool wants_guess(int layer, int T, int K) const;
  // Experts chosen[T, K] that this layer, the next one, may ask for: read while nothing else is.
  void guess(int layer, const int32_t* chosen, int T, int K);
  // So many tokens that a layer will ask for nearly every expert: no guess is needed to say so.
  bool sweeps(int T, int K) const { return (int64_t)T * K >= 4 * E_; }
  void guess_all(int layer);

  // out[experts[i]] = the Tier of a layer's expert as it is now; one on its way is still on disk.
  void tiers(int layer, const int32_t* experts, int count, uint8_t* out) const;

  // ---- from any thread ----

  // Takes effect with the next step. Throws FileError if it is too little for two slots.
  void set_budget(int64_t budget);
  StoreCounters counters() const;
  // out[layers, experts]: the share of tokens that chose each expert; of how many tokens, which fade slowly.
  double heat(float* out) const;

 private:
  enum class State : uint8_t { empty, queued, reading, ready, failed };
  struct Layer {
    std::unique_ptr<Mapping> file;  // mapped
    std::vector<DiskFile> copies;   // streamed
    int64_t offset, experts, row_bytes;
  };
  struct Slot {
    int32_t owner = -1;  // layer * E + expert
    int32_t before = -1, after = -1;
    int16_t layer = 0;
    int8_t drive = 0;  // that reads it, or read it last
    State state = State::empty;
    bool wanted = false;   // a layer waits for it; otherwise it is read ahead and gives way
    bool held = false;     // by the layer under way
    bool guessed = false;  // read ahead for the next layer, and not judged yet
    bool pinned = false;
    bool dropped = false;  // being read, but nobody wants it any more
    uint32_t tried = 0;    // drives that failed to give it
    const char* why = nullptr;
  };
  struct Queue {
    int32_t first = -1, last = -1;
  };
  struct Record {  // of the guesses at a layer's experts; fades
    float right = 0, all = 0;
  };

  // Places (store.cpp). place_, held and the lists of a layer's pass are the stepping thread's alone.
  int64_t slots_for(int64_t budget) const;
  void resize(int64_t slots);
  void move(int from, int to);
  void empty(int slot);
  void fill(int slot, int owner, bool wanted, Queue& queue);
  void drop(int slot);
  int victim(bool for_guess) const;
  void learn(int layer, const int32_t* experts, const int32_t* tokens, int count, int T);
  Tier ask(int index);
  void assign();
  void collect();
  void read_ahead(int owner);
  void judge_guesses();
  void judge_pins();
  void warm(const float* heat, double tokens);

  // Reading (store_reading.cpp). With the mutex held.
  void push(Queue& queue, int slot);
  void remove(Queue& queue, int slot);
  static constexpr int64_t AHEAD_PIECE = 1 << 20;  // what is read ahead soon gives way
  Queue& queue_of(const Slot& slot) { return slot.wanted ? wanted_ : slot.guessed ? guesses_ : warming_; }
  bool busy() const { return wanted_.first >= 0 || wanted_reading_ > 0; }
  int pick(int drive);
  void read_loop(int drive);
  const char* fetch(int slot, int drive, std::unique_lock<std::mutex>& lock);
  void finish(int slot, int drive, const char* why);

  const bool streamed_;
  int64_t budget_;  // that there are slots for now
  std::atomic<int64_t> next_budget_;
  const ReadCall call_;
  std::vector<Layer> layers_;
  int64_t E_ = 0, row_bytes_ = 0;
  int drives_ = 0;

  uint8_t* arena_ = nullptr;  // address space for all experts, of which the slots have memory
  int64_t arena_bytes_ = 0;
  std::atomic<int64_t> slot_count_{0};
  std::vector<Slot> slots_;
  std::vector<int32_t> place_;  // slot of each expert, or -1

  // Share of the tokens that chose an expert, of the last few and of the last many; their mixture; and over days.
  std::vector<float> recent_, lasting_, value_, heat_;
  double heat_tokens_ = 0;
  std::vector<float> nearness_;  // of each layer to the one under way: a little more for those that come soon

  int layer_ = 0;  // under way
  size_t window_ = 0, next_todo_ = 0, next_present_ = 0;
  std::vector<int32_t> asked_;                    // owners
  std::vector<int32_t> present_, todo_, coming_;  // indices into asked_: there, without a slot yet, being read
  std::vector<int32_t> wave_, failed_;            // experts
  std::string fault_;

  std::vector<int32_t> guessed_;    // slots with guesses that are not judged yet
  std::vector<int32_t> forecast_;   // owners that were guessed and not there, whether read or not
  std::vector<Record> records_;     // of each layer
  std::vector<uint32_t> asked_at_;  // of each expert of a layer: the last pass that asked for it
  uint32_t pass_ = 0;
  int64_t steps_ = 0, misses_before_ = 0;
  bool missing_ = true;  // the last step missed something
  int64_t pinned_ = 0, pin_asked_ = 0, pin_hits_ = 0, other_hits_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable work_, arrived_;
  Queue wanted_, guesses_, warming_;
  int wanted_reading_ = 0;
  std::vector<int> ahead_reading_;  // of each drive
  bool closing_ = false;
  StoreCounters counters_;
  std::vector<std::thread> readers_;
};

}  // namespace moonlet
