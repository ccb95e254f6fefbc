// The expert store: its files, its budget, its counters and heat.
#include "bind_store.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "bind.h"

namespace moonlet {
namespace {

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

}  // namespace

void bind_store(nb::module_& m) {
  nb::class_<Store>(m, "ExpertStore")
      .def(nb::init<int64_t>(), "budget"_a = -1)
      .def(
          "add_layer",
          [](Store& self, const std::vector<std::string>& paths, int64_t offset, int64_t experts, int64_t row_bytes) {
            require(!paths.empty() && paths.size() <= 16, "an expert file has 1 to 16 copies");
            require(offset % DISK_BLOCK == 0 && row_bytes % DISK_BLOCK == 0, "experts are not aligned to 4096 bytes");
            self.store->add_layer(paths, offset, experts, row_bytes);
          },
          "paths"_a, "offset"_a, "experts"_a, "row_bytes"_a, nb::call_guard<nb::gil_scoped_release>())
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
}

}  // namespace moonlet
