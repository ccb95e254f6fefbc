// Packing, and the single operations of a step, which tests call.
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <vector>

#include "bind.h"
#include "cache.h"
#include "pack.h"

namespace moonlet {
namespace {

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
  std::vector<int32_t> less;
  std::vector<uint16_t> half;
  Activations view;
  Owned(const float* x, int64_t rows, int64_t cols) {
    const int64_t stride = round_up(cols, GROUP);
    f.assign(rows * stride, 0), q.resize(rows * stride), half.resize(rows * stride);
    scale.resize(rows * stride / GROUP), less.resize(rows * stride / GROUP);
    for (int64_t r = 0; x && r < rows; r++) std::copy(x + r * cols, x + (r + 1) * cols, f.begin() + r * stride);
    view = {f.data(), q.data(), scale.data(), less.data(), half.data(), stride};
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
  require(bias.shape(0) == E && K >= 1 && K <= (int)E && groups >= 1 && groups <= 256 && E % groups == 0 &&
              groups_kept <= groups,
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

}  // namespace

void bind_pieces(nb::module_& m) {
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
  m.def("attend", &attend_array, "q"_a, "rows"_a, "L"_a, "scale"_a, "cache"_a, "isa"_a = "");
}

}  // namespace moonlet
