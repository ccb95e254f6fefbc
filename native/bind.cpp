// The only file that knows Python. Shapes, sizes and ids are checked here, before anything runs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>

#include "cache.h"
#include "mapping.h"
#include "model.h"
#include "ops.h"
#include "pack.h"
#include "store.h"
#include "texts.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace moonlet {
namespace {

template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Fresh = nb::ndarray<nb::numpy, T, nb::ndim<N>>;

template <class T, int N>
Fresh<T, N> fresh(std::initializer_list<size_t> shape) {
  size_t count = 1;
  for (size_t n : shape) count *= n;
  T* data = new T[count ? count : 1]();
  nb::capsule owner(data, [](void* p) noexcept { delete[] (T*)p; });
  return Fresh<T, N>(data, shape, owner);
}

Format format_of(const std::string& name) {
  if (name == "f32") return Format::f32;
  if (name == "bf16") return Format::bf16;
  if (name == "int8") return Format::int8;
  if (name == "int4") return Format::int4;
  throw nb::value_error(("unknown number format: " + name).c_str());
}

const Ops& ops_of(const std::string& name) {
  const Ops* ops = name.empty() ? &best_ops() : find_ops(name.c_str());
  if (!ops) throw nb::value_error(("this processor or build has no instruction set " + name).c_str());
  return *ops;
}

void require(bool holds, const std::string& what) {
  if (!holds) throw nb::value_error(what.c_str());
}

// ---- packing --------------------------------------------------------------------------------------------------------

template <class T>
Fresh<uint8_t, 1> pack_array(const Array<const T, 2>& w, const std::string& format) {
  const Format to = format_of(format);
  auto out = fresh<uint8_t, 1>({(size_t)packed_bytes(to, w.shape(0), w.shape(1))});
  uint8_t* data = out.data();
  nb::gil_scoped_release free;
  pack(data, w.data(), to, w.shape(0), w.shape(1));
  return out;
}

Fresh<uint8_t, 1> pack_codes_array(const Array<const int8_t, 2>& codes, const Array<const uint16_t, 2>& scales,
                                   const std::string& format) {
  const Format to = format_of(format);
  const int64_t rows = codes.shape(0), cols = codes.shape(1);
  require(to == Format::int8 || to == Format::int4, "codes are packed as int8 or int4");
  require((int64_t)scales.shape(0) == rows && (int64_t)scales.shape(1) == (cols + GROUP - 1) / GROUP,
          "one scale for each row and group of 32 columns");
  const int low = to == Format::int8 ? -127 : -8, high = to == Format::int8 ? 127 : 7;
  bool fits = true;
  {
    nb::gil_scoped_release free;
    for (int64_t i = 0; i < rows * cols; i++) fits &= codes.data()[i] >= low && codes.data()[i] <= high;
  }
  require(fits, "a code is out of range");
  auto out = fresh<uint8_t, 1>({(size_t)packed_bytes(to, rows, cols)});
  uint8_t* data = out.data();
  nb::gil_scoped_release free;
  pack_codes(data, codes.data(), scales.data(), to, rows, cols);
  return out;
}

Fresh<float, 2> unpack_array(const Array<const uint8_t, 1>& packed, const std::string& format, int64_t rows,
                             int64_t cols) {
  const Format from = format_of(format);
  require(rows >= 0 && cols >= 0 && (int64_t)packed.shape(0) == packed_bytes(from, rows, cols),
          "packed bytes do not match the shape");
  auto out = fresh<float, 2>({(size_t)rows, (size_t)cols});
  float* data = out.data();
  nb::gil_scoped_release free;
  unpack(data, packed.data(), from, rows, cols);
  return out;
}

// ---- single operations, for tests -----------------------------------------------------------------------------------

struct Owned {  // activations copied from an array, rows padded
  std::vector<float> f, scale;
  std::vector<int8_t> q;
  std::vector<int32_t> sum;
  std::vector<uint16_t> half;
  Activations view;
  Owned(const float* x, int64_t rows, int64_t cols) {
    const int64_t stride = round_up(cols, GROUP);
    f.assign(rows * stride, 0), q.resize(rows * stride), half.resize(rows * stride);
    scale.resize(rows * stride / GROUP), sum.resize(rows * stride / GROUP);
    for (int64_t r = 0; x && r < rows; r++) std::copy(x + r * cols, x + (r + 1) * cols, f.begin() + r * stride);
    view = {f.data(), q.data(), scale.data(), sum.data(), half.data(), stride};
  }
};

nb::tuple quantise_array(const Array<const float, 2>& x, const std::string& isa) {
  const int64_t rows = x.shape(0), stride = round_up(x.shape(1), GROUP);
  Owned a(x.data(), rows, x.shape(1));
  ops_of(isa).quantise(a.view, 0, (int)rows, 0, (int)(stride / GROUP));
  auto codes = fresh<int8_t, 2>({(size_t)rows, (size_t)stride});
  auto scales = fresh<float, 2>({(size_t)rows, (size_t)(stride / GROUP)});
  std::copy(a.q.begin(), a.q.end(), codes.data());
  std::copy(a.scale.begin(), a.scale.end(), scales.data());
  return nb::make_tuple(codes, scales);
}

Matrix matrix_of(const Array<const uint8_t, 1>& packed, const std::string& format, int rows, int cols) {
  const Format from = format_of(format);
  require((int64_t)packed.shape(0) == packed_bytes(from, rows, cols), "packed bytes do not match the shape");
  return {packed.data(), from, rows, cols};
}

Fresh<float, 2> matmul_array(const Array<const uint8_t, 1>& packed, const std::string& format, int rows, int cols,
                             const Array<const float, 2>& x, bool exact, const std::string& isa) {
  const Ops& ops = ops_of(isa);
  const Matrix w = matrix_of(packed, format, rows, cols);
  require((int)x.shape(1) == cols, "x has another width than the matrix");
  const int M = (int)x.shape(0), padded = (int)round_up(rows, BLOCK);
  Owned a(x.data(), M, cols), y(nullptr, M, padded);
  ops.quantise(a.view, 0, M, 0, (int)(a.view.stride / GROUP));
  ops.matmul(w, a.view, {}, M, y.view.f, padded, 0, w.blocks(), exact);
  auto out = fresh<float, 2>({(size_t)M, (size_t)rows});
  for (int m = 0; m < M; m++) std::copy_n(y.f.begin() + (int64_t)m * padded, rows, out.data() + (int64_t)m * rows);
  return out;
}

Fresh<float, 2> swiglu_array(const Array<const uint8_t, 1>& gate, const Array<const uint8_t, 1>& up,
                             const std::string& format, int rows, int cols, const Array<const float, 2>& x, bool exact,
                             const std::string& isa) {
  const Ops& ops = ops_of(isa);
  const Matrix g = matrix_of(gate, format, rows, cols), u = matrix_of(up, format, rows, cols);
  require((int)x.shape(1) == cols, "x has another width than the matrices");
  const int M = (int)x.shape(0);
  Owned a(x.data(), M, cols), h(nullptr, M, rows);
  ops.quantise(a.view, 0, M, 0, (int)(a.view.stride / GROUP));
  ops.swiglu(g, u, a.view, {}, M, h.view, 0, g.blocks(), exact, !exact);
  auto out = fresh<float, 2>({(size_t)M, (size_t)rows});
  for (int m = 0; m < M; m++) std::copy_n(h.f.begin() + m * h.view.stride, rows, out.data() + (int64_t)m * rows);
  return out;
}

Fresh<float, 2> rmsnorm_array(const Array<const float, 2>& x, const Array<const float, 1>& w, float eps,
                              const std::string& isa) {
  require(x.shape(1) == w.shape(0), "x and the gains have different widths");
  const int D = (int)x.shape(1);
  auto out = fresh<float, 2>({x.shape(0), x.shape(1)});
  for (size_t t = 0; t < x.shape(0); t++)
    ops_of(isa).rmsnorm(out.data() + t * D, x.data() + t * D, w.data(), D, D, eps);
  return out;
}

nb::tuple route_array(const Array<const float, 2>& logits, const Array<const float, 1>& bias, bool softmax, int K,
                      int groups, int groups_kept, bool normalise, float scale, const std::string& isa) {
  const size_t T = logits.shape(0), E = logits.shape(1);
  require(bias.shape(0) == E && K >= 1 && K <= (int)E && groups >= 1 && groups <= 256 && E % groups == 0,
          "router shapes do not fit");
  const Routing routing{softmax ? Router::softmax : Router::sigmoid, (int)E, K, groups, groups_kept, normalise, scale};
  auto chosen = fresh<int32_t, 2>({T, (size_t)K});
  auto weights = fresh<float, 2>({T, (size_t)K});
  std::vector<float> scratch(2 * E);
  for (size_t t = 0; t < T; t++)
    ops_of(isa).route(routing, logits.data() + t * E, bias.data(), chosen.data() + t * K, weights.data() + t * K,
                      scratch.data());
  return nb::make_tuple(chosen, weights);
}

// q (H, W), rows (n, W) as a cache without paging; returns (H, L).
Fresh<float, 2> attend_array(const Array<const float, 2>& q, const Array<const float, 2>& rows, int L, float scale,
                             const std::string& cache, const std::string& isa) {
  const Format format = format_of(cache);
  require(format != Format::int4 && (format != Format::int8 || (L % 4 == 0 && q.shape(1) % 4 == 0)),
          "the cache is f32, bf16 or, by fours, int8");
  const int H = (int)q.shape(0), W = (int)q.shape(1), n = (int)rows.shape(0);
  require((int)rows.shape(1) == W && L >= 1 && L <= W && W <= 1024 && n >= 1, "attention shapes do not fit");
  const int pages = (n + PAGE - 1) / PAGE;
  const int64_t page_bytes = cache_page_bytes(format, L, W - L);
  std::vector<uint8_t> bytes(pages * page_bytes);
  std::vector<int32_t> table(pages);
  for (int p = 0; p < pages; p++) table[p] = pages - 1 - p;  // any order must do
  for (int j = 0; j < n; j++)
    keep_row(format, bytes.data() + table[j / PAGE] * page_bytes, j % PAGE, rows.data() + (size_t)j * W, L, W - L);
  Owned query(q.data(), H, W), out(nullptr, H, L);
  const CacheView view{bytes.data(), table.data(), format == Format::int8 ? W : pad(W), format};
  const Ops& ops = ops_of(isa);
  std::vector<Sums> sums(H), others(H);
  std::vector<float> other((size_t)H * out.view.stride);
  for (int h = 0; h < H; h += 32) {
    const int heads = h + 32 < H ? 32 : H - h;
    auto read = [&](int begin, float* o, Sums* to) {
      ops.attend(view, begin, begin + SPAN < n ? begin + SPAN : n, L, query.view.f + h * query.view.stride,
                 query.view.stride, o, out.view.stride, to, scale, heads);
    };
    read(0, out.view.f + h * out.view.stride, sums.data());
    for (int begin = SPAN; begin < n; begin += SPAN) {
      read(begin, other.data(), others.data());
      for (int i = 0; i < heads; i++)
        ops.join(sums[i], out.view.f + (h + i) * out.view.stride, others[i], other.data() + i * out.view.stride, L);
    }
    for (int i = 0; i < heads; i++) ops.settle(sums[i], out.view.f + (h + i) * out.view.stride, L, out.view.stride);
  }
  auto result = fresh<float, 2>({(size_t)H, (size_t)L});
  for (int h = 0; h < H; h++) std::copy_n(out.f.begin() + h * out.view.stride, L, result.data() + (size_t)h * L);
  return result;
}

// ---- the expert store -----------------------------------------------------------------------------------------------

// A store whose reading tests can disturb.
struct Faults {
  std::atomic<int> errors{0}, ends{0};  // so many of the next reads fail, or find the end of the file
  std::atomic<int> delay_us{0};         // of every read
};

struct Store {
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  std::shared_ptr<ExpertStore> store;
  explicit Store(int64_t budget) : store(std::make_shared<ExpertStore>(budget, reading(faults))) {}

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

nb::dict counters_of(const Store& self) {
  const StoreCounters c = self.store->counters();
  nb::dict told;
  told["hits"] = c.hits, told["misses"] = c.misses, told["pinned_hits"] = c.pinned_hits;
  told["read_bytes"] = c.read_bytes, told["wait_ns"] = c.wait_ns;
  told["guesses_right"] = c.guesses_right, told["guesses_wrong"] = c.guesses_wrong, told["faults"] = c.faults;
  return told;
}

// (layers, E): where every expert is now. For the thread that steps, or between steps.
Fresh<uint8_t, 2> tiers_of(const Store& self) {
  const ExpertStore& store = *self.store;
  const int layers = store.layers(), count = layers ? (int)store.experts(0) : 0;
  std::vector<int32_t> all(count);
  for (int i = 0; i < count; i++) all[i] = i;
  auto out = fresh<uint8_t, 2>({(size_t)layers, (size_t)count});
  for (int layer = 0; layer < layers; layer++)
    store.tiers(layer, all.data(), count, out.data() + (int64_t)layer * count);
  return out;
}

void open_store(Store& self, std::optional<Array<const float, 2>> heat, double tokens) {
  ExpertStore& store = *self.store;
  if (heat)
    require(store.layers() && (int)heat->shape(0) == store.layers() && (int64_t)heat->shape(1) == store.experts(0),
            "heat is of another shape");
  store.open(heat ? heat->data() : nullptr, tokens);
}

nb::tuple heat_of(const Store& self) {
  const ExpertStore& store = *self.store;
  const size_t layers = store.streamed() ? store.layers() : 0;
  auto out = fresh<float, 2>({layers, layers ? (size_t)store.experts(0) : 0});
  const double tokens = layers ? store.heat(out.data()) : 0;
  return nb::make_tuple(out, tokens);
}

// ---- the model ------------------------------------------------------------------------------------------------------

// Looks tensors of a model folder up by name and checks their sizes.
class Tensors {
 public:
  Tensors(nb::dict arrays, Format dense) : arrays_(std::move(arrays)), dense_(dense) {}

  const float* floats(const std::string& name, int64_t count) const { return (const float*)bytes(name, count * 4); }

  Matrix matrix(const std::string& name, int rows, int cols) const {
    return {bytes(name, packed_bytes(dense_, rows, cols)), dense_, rows, cols};
  }
  Matrix optional(const std::string& name, int rows, int cols) const {
    return rows ? matrix(name, rows, cols) : Matrix{nullptr, dense_, 0, cols};
  }
  std::vector<Matrix> heads(const std::string& name, int count, int rows, int cols) const {
    const int64_t each = packed_bytes(dense_, rows, cols);
    const uint8_t* data = bytes(name, each * count);
    std::vector<Matrix> all;
    for (int h = 0; h < count; h++) all.push_back({data + h * each, dense_, rows, cols});
    return all;
  }
  Table table(const std::string& name, int64_t rows, int64_t cols) const {
    const bool bf16 = get(name).itemsize() == 2;
    return {bytes(name, rows * cols * (bf16 ? 2 : 4)), bf16};
  }

 private:
  using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
  Any get(const std::string& name) const {
    const nb::str key(name.c_str());
    require(arrays_.contains(key), "tensor " + name + " is missing");
    return nb::cast<Any>(arrays_[key]);
  }
  const uint8_t* bytes(const std::string& name, int64_t expected) const {
    const Any array = get(name);
    require((int64_t)array.nbytes() == expected, "tensor " + name + " has " + std::to_string(array.nbytes()) +
                                                     " bytes, expected " + std::to_string(expected));
    return (const uint8_t*)array.data();
  }
  nb::dict arrays_;
  Format dense_;
};

LayerWeights layer_weights(const Shape& s, const Tensors& t, int layer) {
  const std::string at = "layers." + std::to_string(layer) + ".";
  const int query = s.H * (s.N + s.R);
  LayerWeights w{};
  w.attention_norm = t.floats(at + "attention_norm", s.D);
  w.mlp_norm = t.floats(at + "mlp_norm", s.D);
  w.kv_a_norm = t.floats(at + "kv_a_norm", s.L);
  if (s.q_rank) {
    w.q_a = t.matrix(at + "q_a", s.q_rank, s.D);
    w.q_a_norm = t.floats(at + "q_a_norm", s.q_rank);
    w.q = t.matrix(at + "q_b", query, s.q_rank);
  } else {
    w.q = t.matrix(at + "q", query, s.D);
  }
  w.kv_a = t.matrix(at + "kv_a", s.L + s.R, s.D);
  w.k_up = t.heads(at + "k_up", s.H, s.L, s.N);
  w.v_up = t.heads(at + "v_up", s.H, s.value, s.L);
  w.o = t.matrix(at + "o", s.D, s.H * s.value);
  const bool dense = layer < s.dense_layers;
  const int width = dense ? s.dense_width : s.shared_width;
  const std::string prefix = at + (dense ? "" : "shared_");
  w.gate = t.optional(prefix + "gate", width, s.D);
  w.up = t.optional(prefix + "up", width, s.D);
  w.down = width ? t.matrix(prefix + "down", s.D, width) : Matrix{};
  if (!dense) {
    w.router = t.table(at + "router", s.E, s.D);
    w.router_bias = t.floats(at + "router_bias", s.E);
  }
  return w;
}

// A model with the Python arrays whose memory it uses.
struct Loaded {
  std::unique_ptr<Model> model;
  nb::dict arrays;
};

void check_shape(const Shape& s) {
  require(s.V > 0 && s.D > 0 && s.layers > 0 && s.H > 0 && s.L > 0 && s.N > 0 && s.R > 0 && s.value > 0,
          "every size must be positive");
  require(s.L + s.R <= 1024, "latent and rotated part must not be wider than 1024 together");
  require(s.R % 2 == 0 && (int)s.inverse_frequencies.size() == s.R / 2, "one frequency for each rotated pair");
  require(s.dense_layers >= 0 && s.dense_layers <= s.layers, "more dense layers than layers");
  if (s.dense_layers == s.layers) return;
  require(s.K >= 1 && s.K <= s.E && s.K <= 64, "experts per token must be within 1..64 and at most all");
  require(s.groups >= 1 && s.groups <= 256 && s.E % s.groups == 0 && s.groups_kept >= 1 && s.groups_kept <= s.groups,
          "expert groups do not fit");
}

Format cache_format(const Shape& shape, bool exact, bool expanded, const std::string& name) {
  const Format format = format_of(name);
  require(!exact || !expanded, "exact and expanded exclude each other");
  require((format == Format::f32) == exact, "the cache is f32 where activations stay f32, and nowhere else");
  require(format != Format::int4, "the cache has no such format");
  require(format != Format::int8 || !expanded, "the expanded form reads a cache of bf16");
  require(format != Format::int8 || (shape.L % 4 == 0 && shape.R % 4 == 0), "a cache of int8 goes by fours");
  return format;
}

Loaded* load(const Shape& shape, nb::dict arrays, const std::string& dense, const std::string& experts,
             const Store& from, int tokens, int rows, int pages, int threads, bool exact, bool expanded,
             const std::string& cache, const std::string& isa) {
  check_shape(shape);
  require(tokens >= 1 && rows >= 1 && pages >= 1 && threads >= 0, "limits must be positive");
  const Tensors tensors(arrays, format_of(dense));
  Weights w;
  w.embed = tensors.table("embed", shape.V, shape.D);
  w.norm = tensors.floats("norm", shape.D);
  w.head = tensors.matrix("head", shape.V, shape.D);
  w.experts = format_of(experts);
  for (int i = 0; i < shape.layers; i++) w.layers.push_back(layer_weights(shape, tensors, i));
  std::shared_ptr<ExpertStore> store = from.store;
  require(store->layers() == shape.layers - shape.dense_layers, "the expert store has another number of layers");
  const int64_t row = 2 * packed_bytes(w.experts, shape.F, shape.D) + packed_bytes(w.experts, shape.D, shape.F);
  for (int i = 0; i < store->layers(); i++)
    require(store->experts(i) == shape.E && store->row_bytes(i) >= row, "a row of the expert store is too short");
  const Format kept = cache_format(shape, exact, expanded, cache);
  auto model = std::make_unique<Model>(shape, std::move(w), std::move(store), ops_of(isa),
                                       Limits{tokens, rows, pages, threads, exact, expanded, kept});
  return new Loaded{std::move(model), std::move(arrays)};
}

// Bytes of a model's workspace and of its cache.
nb::tuple buffer_bytes(const Shape& shape, int tokens, int pages, bool exact, bool expanded, const std::string& cache) {
  check_shape(shape);
  const Format kept = cache_format(shape, exact, expanded, cache);
  require(tokens >= 1 && pages >= 1, "limits must be positive");
  // It takes address space for them, but no memory.
  const Model model(shape, Weights{}, nullptr, ops_plain, Limits{tokens, 1, pages, 1, exact, expanded, kept});
  return nb::make_tuple(model.workspace_bytes(), model.cache_bytes());
}

// logits (rows, round_up(V, 32)), chosen (sparse layers, T, K) and failed (T), written in place; see Batch. Returns why
// tokens have failed, or nothing; raises it where `failed` was not asked for. Who looks on gives weights (sparse
// layers, T, K), tiers (sparse layers, E) and ns (PARTS), which is added to; see Watch.
std::string step(Loaded& self, const Array<const int32_t, 1>& ids, const Array<const int32_t, 1>& positions,
                 const Array<const int32_t, 1>& sequences, const Array<const int32_t, 2>& pages,
                 const Array<const int32_t, 1>& want, const Array<float, 2>& logits,
                 std::optional<Array<int32_t, 3>> chosen, std::optional<Array<uint8_t, 1>> failed,
                 std::optional<Array<float, 3>> weights, std::optional<Array<uint8_t, 2>> tiers,
                 std::optional<Array<int64_t, 1>> ns) {
  Model& model = *self.model;
  const Shape& s = model.shape();
  const int T = (int)ids.shape(0), rows = (int)want.shape(0);
  require(T >= 1 && T <= model.limits().tokens,
          "a step takes 1 to " + std::to_string(model.limits().tokens) + " tokens");
  require((int)positions.shape(0) == T && (int)sequences.shape(0) == T, "one position and sequence for each token");
  require(rows <= model.limits().rows && (int)logits.shape(0) >= rows && (int64_t)logits.shape(1) == round_up(s.V, 32),
          "logits have another shape");
  for (int t = 0; t < T; t++) {
    const int32_t id = ids.data()[t], position = positions.data()[t], sequence = sequences.data()[t];
    require(id >= 0 && id < s.V, "token id " + std::to_string(id) + " is outside the vocabulary");
    require(sequence >= 0 && sequence < (int)pages.shape(0), "a token's sequence has no pages");
    require(position >= 0 && position / PAGE < (int)pages.shape(1), "a token's position has no page");
    const int32_t page = pages.data()[(int64_t)sequence * pages.shape(1) + position / PAGE];
    require(page >= 0 && page < model.limits().pages, "a page is outside the cache");
  }
  for (int i = 0; i < rows; i++) require(want.data()[i] >= 0 && want.data()[i] < T, "logits of no token are wanted");
  if (chosen)
    require((int)chosen->shape(0) == s.layers - s.dense_layers && (int)chosen->shape(1) == T &&
                (int)chosen->shape(2) == s.K,
            "chosen experts have another shape");
  const Batch batch{T,    ids.data(), positions.data(), sequences.data(), pages.data(), (int)pages.shape(1),
                    rows, want.data()};
  if (failed) require((int)failed->shape(0) >= T, "failed tokens have another shape");
  Watch watch{};
  if (weights) {
    const int sparse = s.layers - s.dense_layers;
    require((int)weights->shape(0) == sparse && (int)weights->shape(1) == T && (int)weights->shape(2) == s.K,
            "weights of experts have another shape");
    require(tiers && (int)tiers->shape(0) == sparse && (int)tiers->shape(1) == s.E, "tiers have another shape");
    require(ns && (int)ns->shape(0) == PARTS, "times have another shape");
    watch = {weights->data(), tiers->data(), ns->data(), 0};
  }
  int32_t* trace = chosen ? chosen->data() : nullptr;
  uint8_t* told = failed ? failed->data() : nullptr;
  nb::gil_scoped_release free;
  model.step(batch, logits.data(), trace, weights ? &watch : nullptr);
  if (told) std::copy_n(model.failed(), T, told);
  if (!told && !model.fault().empty()) throw FileError(model.fault());
  return model.fault();
}

// Pages of the cache out of it, or into it: bytes (pages, page_bytes).
void copy_pages(Loaded& self, const Array<const int32_t, 1>& pages, const Array<uint8_t, 2>& bytes, bool into) {
  Model& model = *self.model;
  require(bytes.shape(0) >= pages.shape(0) && (int64_t)bytes.shape(1) == model.page_bytes(), "pages have another size");
  for (size_t i = 0; i < pages.shape(0); i++)
    require(pages.data()[i] >= 0 && pages.data()[i] < model.limits().pages, "a page is outside the cache");
  nb::gil_scoped_release free;
  for (size_t i = 0; i < pages.shape(0); i++) {
    uint8_t* at = bytes.data() + (int64_t)i * model.page_bytes();
    into ? model.import_page(pages.data()[i], at) : model.export_page(pages.data()[i], at);
  }
}

// ---- training -------------------------------------------------------------------------------------------------------

// Whether the first axes of `array` are as long as those.
template <class A>
bool shaped(const A& array, std::initializer_list<size_t> axes) {
  size_t i = 0;
  for (size_t n : axes)
    if (array.shape(i++) != n) return false;
  return true;
}

using Bits = Array<const uint16_t, 4>;
using Texts = std::vector<std::vector<std::tuple<int, int, int>>>;  // of each row: begin, end, before

Attended attended(const Bits& q, const Bits& kv, const Array<const uint16_t, 3>& rope,
                  const Array<const float, 2>& cosine, const Array<const float, 2>& sine, float scale,
                  const Texts& texts) {
  const size_t B = q.shape(0), T = q.shape(1), H = q.shape(2), R = rope.shape(2);
  require(B && T && H && R && R % 2 == 0 && q.shape(3) > R, "q is (B, T, H, N + R), rope (B, T, R), R even");
  const size_t N = q.shape(3) - R;
  require(shaped(kv, {B, T, H}) && kv.shape(3) > N && shaped(rope, {B, T}),
          "kv is (B, T, H, N + value), rope (B, T, R)");
  require(shaped(cosine, {T, R / 2}) && shaped(sine, {T, R / 2}), "cosine and sine are (T, R / 2)");
  require(texts.size() == B, "texts of each row");
  Attended in{(int)B,   (int)T,    (int)H,      (int)N,        (int)R,     (int)(kv.shape(3) - N), scale, {},
              q.data(), kv.data(), rope.data(), cosine.data(), sine.data()};
  for (const auto& row : texts) {
    in.texts.emplace_back();
    int at = 0;
    for (const auto& [begin, end, before] : row) {
      require(begin == at && end > begin, "texts follow one another");
      require(before == 0 || before == std::get<1>(row[0]), "before a text is nothing, or the first one");
      require(before <= begin, "before a text is nothing, or the first one");
      in.texts.back().push_back({begin, end, before});
      at = end;
    }
    require(at == in.T, "texts end with the row");
  }
  return in;
}

void attend_texts_array(Bits q, Bits kv, Array<const uint16_t, 3> rope, Array<const float, 2> cosine,
                        Array<const float, 2> sine, float scale, const Texts& texts, Array<uint16_t, 4> out,
                        Array<float, 3> lse, Array<float, 1> highest, int threads, const std::string& isa) {
  const Attended in = attended(q, kv, rope, cosine, sine, scale, texts);
  const size_t B = in.B, T = in.T, H = in.H, value = in.value;
  require(shaped(out, {B, T, H, value}) && shaped(lse, {B, H, T}) && shaped(highest, {H}),
          "out is (B, T, H, value), lse (B, H, T), highest (H)");
  nb::gil_scoped_release free;
  attend_texts(in, ops_of(isa), threads, out.data(), lse.data(), highest.data());
}

void attend_texts_back_array(Bits q, Bits kv, Array<const uint16_t, 3> rope, Array<const float, 2> cosine,
                             Array<const float, 2> sine, float scale, const Texts& texts, Bits out,
                             Array<const float, 3> lse, Bits grad, Array<uint16_t, 4> dq, Array<uint16_t, 4> dkv,
                             Array<uint16_t, 3> drope, int threads, const std::string& isa) {
  const Attended in = attended(q, kv, rope, cosine, sine, scale, texts);
  const size_t B = in.B, T = in.T, H = in.H, N = in.N, R = in.R, value = in.value;
  require(shaped(out, {B, T, H, value}) && shaped(grad, {B, T, H, value}) && shaped(lse, {B, H, T}),
          "out and its gradient are (B, T, H, value), lse (B, H, T)");
  require(shaped(dq, {B, T, H, N + R}) && shaped(dkv, {B, T, H, N + value}) && shaped(drope, {B, T, R}),
          "gradients have the shapes of q, kv and rope");
  nb::gil_scoped_release free;
  attend_texts_back(in, ops_of(isa), threads, out.data(), lse.data(), grad.data(), dq.data(), dkv.data(), drope.data());
}

}  // namespace
}  // namespace moonlet

NB_MODULE(_native, m) {
  using namespace moonlet;
  nb::set_leak_warnings(false);  // a program may end while its engine still holds a model
  nb::exception<FileError>(m, "FileError", PyExc_OSError);

  m.attr("PAGE") = PAGE;
  m.attr("PARTS") = nb::make_tuple("attention", "router", "experts", "disk", "dense", "head");  // as in enum Part
  m.attr("TIERS") = nb::make_tuple("memory", "pinned", "cached", "disk");                       // as in enum Tier
  m.def("isa", [] { return best_ops().name; });
  m.def("isas", [] {
    nb::list all;
    for (const char* name : {"avx512bf16", "avx512", "avx2", "plain"})
      if (find_ops(name)) all.append(name);
    return all;
  });
  m.def("cores", [] { return (int)Pool::cores().size(); });
  m.def("packed_bytes", [](const std::string& format, int64_t rows, int64_t cols) {
    require(rows >= 0 && cols >= 0, "a matrix has no negative size");
    return packed_bytes(format_of(format), rows, cols);
  });
  m.def("pack", &pack_array<float>, "weight"_a.noconvert(), "format"_a);
  m.def("pack", &pack_array<uint16_t>, "weight"_a.noconvert(), "format"_a);
  m.def("pack_codes", &pack_codes_array, "codes"_a, "scales"_a, "format"_a);
  m.def("unpack", &unpack_array, "packed"_a, "format"_a, "rows"_a, "cols"_a);

  m.def("quantise", &quantise_array, "x"_a, "isa"_a = "");
  m.def("matmul", &matmul_array, "packed"_a, "format"_a, "rows"_a, "cols"_a, "x"_a, "exact"_a, "isa"_a = "");
  m.def("swiglu", &swiglu_array, "gate"_a, "up"_a, "format"_a, "rows"_a, "cols"_a, "x"_a, "exact"_a, "isa"_a = "");
  m.def("rmsnorm", &rmsnorm_array, "x"_a, "w"_a, "eps"_a, "isa"_a = "");
  m.def("route", &route_array, "logits"_a, "bias"_a, "softmax"_a, "K"_a, "groups"_a, "groups_kept"_a, "normalise"_a,
        "scale"_a, "isa"_a = "");
  m.def("attend_texts", &attend_texts_array, "q"_a, "kv"_a, "rope"_a, "cosine"_a, "sine"_a, "scale"_a, "texts"_a,
        "out"_a, "lse"_a, "highest"_a, "threads"_a, "isa"_a = "");
  m.def("attend_texts_back", &attend_texts_back_array, "q"_a, "kv"_a, "rope"_a, "cosine"_a, "sine"_a, "scale"_a,
        "texts"_a, "out"_a, "lse"_a, "grad"_a, "dq"_a, "dkv"_a, "drope"_a, "threads"_a, "isa"_a = "");
  m.def("attend", &attend_array, "q"_a, "rows"_a, "L"_a, "scale"_a, "cache"_a, "isa"_a = "");

  m.def(
      "map_file",
      [](const std::string& path) {
        auto file = std::make_unique<Mapping>(path, -1);
        const uint8_t* data = file->data();
        const size_t size = (size_t)file->size();
        nb::capsule owner(file.release(), [](void* p) noexcept { delete (Mapping*)p; });
        return nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>>(data, {size}, owner);
      },
      "path"_a);

  nb::class_<Store>(m, "ExpertStore")
      .def(nb::init<int64_t>(), "budget"_a = -1)
      .def(
          "add_layer",
          [](Store& self, const std::vector<std::string>& paths, int64_t offset, int64_t experts, int64_t row_bytes) {
            require(!paths.empty() && paths.size() <= 16, "an expert file has 1 to 16 copies");
            require(offset % DISK_BLOCK == 0 && row_bytes % DISK_BLOCK == 0, "experts are not aligned to 4096 bytes");
            self.store->add_layer(paths, offset, experts, row_bytes);
          },
          "paths"_a, "offset"_a, "experts"_a, "row_bytes"_a)
      .def("open", &open_store, "heat"_a = nb::none(), "tokens"_a = 0.0)
      .def(
          "set_budget", [](Store& self, int64_t budget) { self.store->set_budget(budget); }, "budget"_a)
      .def(
          "adopt_budget", [](Store& self) { self.store->adopt_budget(); }, nb::call_guard<nb::gil_scoped_release>())
      .def("counters", &counters_of)
      .def("heat", &heat_of)
      .def("tiers", &tiers_of)
      .def_prop_ro("streamed", [](const Store& self) { return self.store->streamed(); })
      .def_prop_ro("slots", [](const Store& self) { return self.store->slots(); })
      .def_prop_ro("used_bytes", [](const Store& self) { return self.store->used_bytes(); })
      .def(
          "disturb",
          [](Store& self, int errors, int ends, int delay_us) {
            self.faults->errors = errors, self.faults->ends = ends, self.faults->delay_us = delay_us;
          },
          "errors"_a = 0, "ends"_a = 0, "delay_us"_a = 0);

  nb::class_<Shape>(m, "Shape")
      .def(nb::init<>())
      .def_rw("V", &Shape::V)
      .def_rw("D", &Shape::D)
      .def_rw("layers", &Shape::layers)
      .def_rw("H", &Shape::H)
      .def_rw("q_rank", &Shape::q_rank)
      .def_rw("L", &Shape::L)
      .def_rw("N", &Shape::N)
      .def_rw("R", &Shape::R)
      .def_rw("value", &Shape::value)
      .def_rw("dense_width", &Shape::dense_width)
      .def_rw("dense_layers", &Shape::dense_layers)
      .def_rw("E", &Shape::E)
      .def_rw("K", &Shape::K)
      .def_rw("shared_width", &Shape::shared_width)
      .def_rw("F", &Shape::F)
      .def_rw("router", &Shape::router)
      .def_rw("groups", &Shape::groups)
      .def_rw("groups_kept", &Shape::groups_kept)
      .def_rw("normalise", &Shape::normalise)
      .def_rw("routed_scale", &Shape::routed_scale)
      .def_rw("eps", &Shape::eps)
      .def_rw("score_scale", &Shape::score_scale)
      .def_rw("rotation_scale", &Shape::rotation_scale)
      .def_rw("inverse_frequencies", &Shape::inverse_frequencies);

  nb::class_<Loaded>(m, "Model")
      .def("step", &step, "ids"_a, "positions"_a, "sequences"_a, "pages"_a, "want"_a, "logits"_a,
           "chosen"_a = nb::none(), "failed"_a = nb::none(), "weights"_a = nb::none(), "tiers"_a = nb::none(),
           "ns"_a = nb::none())
      .def("copy_pages", &copy_pages, "pages"_a, "bytes"_a, "into"_a)
      .def_prop_ro("page_bytes", [](const Loaded& self) { return self.model->page_bytes(); })
      .def_prop_ro("threads", [](const Loaded& self) { return self.model->threads(); })
      .def_prop_ro("cache_bytes", [](const Loaded& self) { return self.model->cache_bytes(); })
      .def_prop_ro("workspace_bytes", [](const Loaded& self) { return self.model->workspace_bytes(); });
  m.def("buffer_bytes", &buffer_bytes, "shape"_a, "tokens"_a, "pages"_a, "exact"_a, "expanded"_a = false,
        "cache"_a = "bf16");
  m.def("load", &load, "shape"_a, "arrays"_a, "dense"_a, "experts"_a, "store"_a, "tokens"_a, "rows"_a, "pages"_a,
        "threads"_a, "exact"_a, "expanded"_a, "cache"_a, "isa"_a, nb::rv_policy::take_ownership);
}
