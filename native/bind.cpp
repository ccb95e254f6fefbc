// The module. Only this file and bind_*.cpp know Python; shapes, sizes and ids are checked before anything runs.
#include "bind.h"

#include <memory>

#include "mapping.h"
#include "model.h"
#include "pool.h"

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

  bind_pieces(m);
  bind_store(m);
  bind_model(m);
  bind_texts(m);
}
