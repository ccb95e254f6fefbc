// Arrays from Python and to it, and what the binding's files put into the module.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <initializer_list>
#include <string>

#include "layout.h"
#include "ops.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace moonlet {

void bind_pieces(nb::module_& m);
void bind_store(nb::module_& m);
void bind_model(nb::module_& m);
void bind_texts(nb::module_& m);

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

inline Format format_of(const std::string& name) {
  if (name == "f32") return Format::f32;
  if (name == "bf16") return Format::bf16;
  if (name == "int8") return Format::int8;
  if (name == "int4") return Format::int4;
  throw nb::value_error(("unknown number format: " + name).c_str());
}

inline const Ops& ops_of(const std::string& name) {
  const Ops* ops = name.empty() ? &best_ops() : find_ops(name.c_str());
  if (!ops) throw nb::value_error(("this processor or build has no instruction set " + name).c_str());
  return *ops;
}

inline void require(bool holds, const char* what) {  // makes no string where all is well
  if (!holds) throw nb::value_error(what);
}
inline void require(bool holds, const std::string& what) {
  require(holds, what.c_str());
}

// Whether the first axes of `array` are as long as those.
template <class A>
bool shaped(const A& array, std::initializer_list<size_t> axes) {
  size_t i = 0;
  for (size_t n : axes)
    if (array.shape(i++) != n) return false;
  return true;
}

}  // namespace moonlet
