// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/view_test.cpp: p and g: found by name, never kept, first contributions overwrite.
#include <doctest/doctest.h>
#include <cohort/core/saved.hpp>
#include <cohort/core/view.hpp>

#include <vector>

using namespace cohort;

namespace {
using Weight = Param<"weight", 5, 13>;
using Bias = Param<"bias", 5>;
struct Leaf {
  using Params = cohort::Params<Weight, Bias>;
};
struct Tower {
  using Element = Leaf;
  static constexpr int repeat = 3;
};
struct Tree {
  using Params = cohort::Params<Bias>;
  using Children = cohort::Children<Child<"a", Leaf>, Child<"b", Tower>>;
};
using P = FlatView<Tree, ParamCursor<float>>;
using G = FlatView<Tree, GradCursor<float>>;

template <class V>
inline constexpr bool borrowed =
    std::is_base_of_v<Borrowed, V> && !std::is_copy_constructible_v<V> &&
    !std::is_move_constructible_v<V> && !std::is_copy_assignable_v<V> && !Keepable<V>;
static_assert(borrowed<P> && borrowed<G>);
static_assert(borrowed<ParamView<float, Weight>> && borrowed<GradView<float, Weight>>);
static_assert(!P::is_unit && !P::owns_unit);

// p is read-only: pointer and map are const.
static_assert(
    std::is_same_v<decltype(std::declval<ParamView<float, Weight>&>().data()), const float*>);

/// Memory of a Tree: 64 + (128 + 64) + 3 (128 + 64) elements, 1 + 2 + 6 parameters.
struct Memory {
  alignas(64) float values[832] = {};
  std::uint8_t touched[9] = {};
  P p{{values}};
  G g{{values, touched}};
};
}  // namespace

TEST_CASE("view: every name leads to the offset that the layout counts by hand") {
  const Memory m;
  CHECK(m.p["bias"_p].data() == m.values);
  CHECK(m.p["a"_p]["weight"_p].data() == m.values + 64);
  CHECK(m.p["a"_p]["bias"_p].data() == m.values + 192);
  CHECK(m.p["b"_p].element(0)["weight"_p].data() == m.values + 256);
  CHECK(m.p["b"_p].element(2)["bias"_p].data() == m.values + 256 + 2 * 192 + 128);
  CHECK(m.p.child<1>().element(1)["weight"_p].data() == m.values + 256 + 192);
}

TEST_CASE("view: gradients lie where parameters lie, flags by the parameter's number") {
  const Memory m;
  CHECK(m.g["a"_p]["bias"_p].contribute().data == m.values + 192);
  CHECK(m.touched[2] == 1);
  m.g["b"_p].element(2)["weight"_p].contribute();
  CHECK(m.touched[7] == 1);
  m.g["bias"_p].contribute();
  CHECK(m.touched[0] == 1);
  int sum = 0;
  for (auto t : m.touched) sum += t;
  CHECK(sum == 3);
}

TEST_CASE("view: map has the declared extents, row-major; a vector is one row") {
  Memory m;
  m.values[64 + 13 + 2] = 7;
  const auto w = m.p["a"_p]["weight"_p].map();
  CHECK(w.rows() == 5);
  CHECK(w.cols() == 13);
  CHECK(w(1, 2) == 7);
  const auto b = m.p["bias"_p].map();
  CHECK(b.rows() == 1);
  CHECK(b.cols() == 5);
  static_assert(decltype(m.p["a"_p]["weight"_p])::extents == std::array{5, 13});
}

TEST_CASE("grad view: the first contribution of a step is told to overwrite, later ones to add") {
  Memory m;
  m.values[0] = 99;
  CHECK(m.g["bias"_p].contribute().first);
  CHECK(m.values[0] == 99);  // contribute() leaves the writing to the caller
  CHECK(!m.g["bias"_p].contribute().first);
}

TEST_CASE("grad view: map() and data() zero the parameter at the first contribution only") {
  for (const bool by_map : {false, true}) {
    CAPTURE(by_map);
    Memory m;
    for (float& v : m.values) v = 99;
    const auto add = [&] {
      if (by_map)
        m.g["bias"_p].map().array() += 1;
      else
        for (int i = 0; i < 5; ++i) m.g["bias"_p].data()[i] += 1;
    };
    add();
    for (int i = 0; i < 5; ++i) CHECK(m.values[i] == 1);
    CHECK(m.values[5] == 99);  // padding and neighbours are not its business
    CHECK(m.values[64] == 99);
    add();
    for (int i = 0; i < 5; ++i) CHECK(m.values[i] == 2);
  }
}

TEST_CASE("grad view: contribute() first, then += through map(), adds") {
  Memory m;
  const auto c = m.g["bias"_p].contribute();
  for (int i = 0; i < 5; ++i) c.data[i] = 3;
  m.g["bias"_p].map().array() += 1;
  CHECK(m.values[4] == 4);
}

struct Averaging {
  using Params = cohort::Params<Param<"weight", 3>, Averaged<Param<"mean", 3>>, Param<"bias", 3>,
                                Averaged<Param<"more", 2>>>;
};
TEST_CASE_TEMPLATE("view: averages lie apart, in fp32 for 16 bits; their sums are only added to", T,
                   float, bf16) {
  alignas(64) T values[128] = {};
  alignas(64) float averages[128] = {1, 2, 3}, grads[128], sums[128] = {};
  averages[64] = 7;
  std::uint8_t touched[4] = {};
  const FlatView<Averaging, ParamCursor<T>> p({values, nullptr, averages});
  static_assert(std::is_same_v<decltype(p["mean"_p].data()), const float*>);
  static_assert(decltype(p["mean"_p])::averages && !decltype(p["bias"_p])::averages);
  CHECK((p["mean"_p].data() == averages && p["more"_p].map()(0, 0) == 7));
  CHECK(p["bias"_p].data() == values + 64);
  const FlatView<Averaging, GradCursor<float>> g({grads, touched, sums});
  static_assert(wants<FlatView<Averaging, GradCursor<float>>, "mean">);
  CHECK(g["bias"_p].contribute().data == grads + 64);
  CHECK_FALSE(g["mean"_p].contribute().first);
  g["more"_p].map().array() += 2;
  g["more"_p].data()[1] += 3;
  CHECK((sums[64] == 2 && sums[65] == 5 && sums[0] == 0));
  CHECK((touched[1] == 0 && touched[2] == 1 && touched[3] == 0));
}

TEST_CASE_TEMPLATE("view: wide gives parameters of 16 bits exactly, by name and in their shape", T,
                   bf16, fp16) {
  alignas(64) T values[832] = {};
  for (int i = 0; i < 832; ++i) values[i] = T(0.37f * static_cast<float>(i) - 100);
  const FlatView<Tree, ParamCursor<T>> p{{values}};
  const auto w = p["a"_p]["weight"_p].wide();  // (5, 13)
  static_assert(std::is_same_v<typename std::remove_cvref_t<decltype(w)>::Scalar, float>);
  CHECK(w.rows() == 5);
  CHECK(w.cols() == 13);
  for (int r = 0; r < 5; ++r)
    for (int c = 0; c < 13; ++c) CHECK(w(r, c) == float(values[64 + r * 13 + c]));
  const Memory m;
  CHECK(m.p["bias"_p].wide().data() == m.values);  // float: the map itself
}
