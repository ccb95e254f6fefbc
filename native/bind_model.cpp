// A model from the tensors of its folder, and its step.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "bind.h"
#include "bind_store.h"
#include "cache.h"
#include "model.h"

namespace moonlet {
namespace {

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
  ~Loaded() {  // as of a Store, which it may hold last; memory of many gigabytes takes seconds, too
    nb::gil_scoped_release free;
    model.reset();
  }
};

void check_shape(const Shape& s) {
  require(s.V > 0 && s.D > 0 && s.layers > 0 && s.H > 0 && s.L > 0 && s.N > 0 && s.R > 0 && s.value > 0,
          "every size must be positive");
  require((int64_t)s.L + s.R <= 1024, "latent and rotated part must not be wider than 1024 together");
  constexpr int64_t MOST = 1 << 30;  // of numbers in a row; padded, that still is an int
  const int64_t H = s.H;
  for (const int64_t width :
       {H * std::max(((int64_t)s.N + s.R), (int64_t)s.value), H * 1024, (int64_t)s.V, (int64_t)s.D, (int64_t)s.q_rank,
        (int64_t)s.dense_width, (int64_t)s.shared_width, (int64_t)s.F})
    require(width >= 0 && width <= MOST, "its sizes are out of range");
  require(s.R % 2 == 0 && (int)s.inverse_frequencies.size() == s.R / 2, "one frequency for each rotated pair");
  require(s.dense_layers >= 0 && s.dense_layers <= s.layers, "more dense layers than layers");
  if (s.dense_layers == s.layers) return;
  require(s.K >= 1 && s.K <= s.E && s.K <= 64, "experts per token must be within 1..64 and at most all");
  require(s.E <= 1 << 16, "there must be at most 65536 experts");
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
  std::unique_ptr<Model> model;
  {
    nb::gil_scoped_release free;  // the expanded form reads weights
    model = std::make_unique<Model>(shape, std::move(w), std::move(store), ops_of(isa),
                                    Limits{tokens, rows, pages, threads, exact, expanded, kept});
  }
  return new Loaded{std::move(model), std::move(arrays)};
}

// Bytes of a model's workspace and of its cache. In the expanded form every thread has buffers of its own.
nb::tuple buffer_bytes(const Shape& shape, int tokens, int pages, bool exact, bool expanded, const std::string& cache,
                       int threads) {
  check_shape(shape);
  const Format kept = cache_format(shape, exact, expanded, cache);
  require(tokens >= 1 && pages >= 1 && threads >= 1, "limits must be positive");
  // It takes address space for them, but no memory.
  const Model model(shape, Weights{}, nullptr, ops_plain, Limits{tokens, 1, pages, threads, exact, expanded, kept});
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
  for (int t = 0, before = -1, known = 0; t < T; t++) {
    const int32_t id = ids.data()[t], position = positions.data()[t], sequence = sequences.data()[t];
    require(id >= 0 && id < s.V, "token id " + std::to_string(id) + " is outside the vocabulary");
    require(sequence >= 0 && sequence < (int)pages.shape(0), "a token's sequence has no pages");
    require(position >= 0 && position / PAGE < (int)pages.shape(1), "a token's position has no page");
    if (sequence != before) before = sequence, known = 0;  // of the pages that it reads, so many were looked at
    const int32_t* row = pages.data() + (int64_t)sequence * pages.shape(1);
    bool inside = true;
    for (; known <= position / PAGE; known++) inside &= (uint32_t)row[known] < (uint32_t)model.limits().pages;
    require(inside, "a page is outside the cache");
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

}  // namespace

void bind_model(nb::module_& m) {
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
        "cache"_a = "bf16", "threads"_a = 1);
  m.def("load", &load, "shape"_a, "arrays"_a, "dense"_a, "experts"_a, "store"_a, "tokens"_a, "rows"_a, "pages"_a,
        "threads"_a, "exact"_a, "expanded"_a, "cache"_a, "isa"_a, nb::rv_policy::take_ownership);
}

}  // namespace moonlet
