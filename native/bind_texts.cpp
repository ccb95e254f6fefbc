// Attention over the texts of training rows, there and back.
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "bind.h"
#include "texts.h"

namespace moonlet {
namespace {

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

void bind_texts(nb::module_& m) {
  m.def("attend_texts", &attend_texts_array, "q"_a, "kv"_a, "rope"_a, "cosine"_a, "sine"_a, "scale"_a, "texts"_a,
        "out"_a, "lse"_a, "highest"_a, "threads"_a, "isa"_a = "");
  m.def("attend_texts_back", &attend_texts_back_array, "q"_a, "kv"_a, "rope"_a, "cosine"_a, "sine"_a, "scale"_a,
        "texts"_a, "out"_a, "lse"_a, "grad"_a, "dq"_a, "dkv"_a, "drope"_a, "threads"_a, "isa"_a = "");
}

}  // namespace moonlet
