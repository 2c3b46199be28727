// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/units_test.cpp: the cut of a model into units, and which hook fires when.
#include <doctest/doctest.h>
#include <cohort/core/call.hpp>
#include <cohort/core/units.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/plan/layout.hpp>

#include <string>
#include <vector>

#include "support/models.hpp"

using namespace cohort;

namespace {
using Two = nn::Linear<4, 4>;
using Element = nn::Sequential<nn::LayerNorm<4>, nn::Repeat<3, nn::Residual<Two>>>;
template <class L, class Cut = CutAtRepeat> inline constexpr int units = num_units<L, Cut>();

// A subtree without a Repeat is one unit; without parameters it is none.
static_assert(units<Two> == 1 && units<zoo::OddMlp> == 1 && units<zoo::Branching> == 1);
static_assert(units<nn::Gelu<4>> == 0 && units<nn::Repeat<5, nn::Gelu<4>>> == 0);
// Elements of an outermost Repeat only: the inner Repeat is inside its element.
static_assert(units<nn::Repeat<5, Two>> == 5 && units<nn::Repeat<2, Element>> == 2);
static_assert(units<zoo::NestedRepeat> == 1 + 2 + 1);
static_assert(units<zoo::Gpt> == 1 + 1 + 2 + 1 + 1);
// TiedEmbedding's own table, AddPosition, two blocks, LayerNorm.
static_assert(units<zoo::TiedGpt> == 1 + 1 + 2 + 1);

// CutAt cuts at named types wherever they stand, also inside a Repeat.
static_assert(units<zoo::NestedRepeat, CutAt<Two>> == 1 + 2 * (1 + 3) + 1);
static_assert(units<zoo::Gpt, CutAt<nn::Attention<8, 2>>> ==
              1 + 1 + 2 * (1 + 1 + 1) + 1 + 1);      // block: LayerNorm, attention, second branch
static_assert(units<zoo::OddMlp, CutAt<Two>> == 1);  // no such layer: the model is whole
static_assert(units<Two, CutAt<Two>> == 1);

static_assert(child_first_unit<zoo::Gpt, 2, CutAtRepeat>() == 2);
static_assert(child_first_unit<zoo::Gpt, 3, CutAtRepeat>() == 4);
static_assert(child_first_unit<zoo::TiedGpt, 0, CutAtRepeat>() == 1);  // after the own table

/// Memory of a whole model, and a list of the hooks that views fire.
template <class Model, class Cursor, class Cut> struct Recording {
  using cursor = Cursor;
  using cut = Cut;
  Cursor begin;
  std::vector<std::string>* log = nullptr;
  std::vector<std::size_t> offsets;  // of each unit
  std::vector<int> first_params;
  Cursor at(int unit) const {
    const auto u = static_cast<std::size_t>(unit);
    return begin.advanced({offsets[u], 0, first_params[u]});
  }
  void before_forward(int unit) const { log->push_back("F" + std::to_string(unit)); }
  void before_backward(int unit) const { log->push_back("B" + std::to_string(unit)); }
  void after_backward(int unit) const { log->push_back("E" + std::to_string(unit)); }
};

/// Runs Model over a recording store and over a flat view of the same memory: hooks and results.
template <class Model, class Cut> class TwoRuns {
 public:
  static constexpr int rows = 4;
  TwoRuns() : layout(), flat(run(false)), hooked(run(true)) {}
  struct Result {
    std::vector<float> y, gradient;
    std::vector<std::string> log;
  };
  Layout<Model, Cut> layout;
  Result flat, hooked;

 private:
  Result run(bool with_hooks) {
    DefaultCpu device;
    Arena activations("activation", 1 << 16), back("backward", 1 << 16),
        scratch("scratch", 1 << 14);
    const HostMemory params(flat_size<Model>() * 4), grads(flat_size<Model>() * 4);
    for (std::size_t i = 0; i < flat_size<Model>(); ++i)
      params.as<float>()[i] = 0.3f * normal(1, 2, i);
    std::vector<std::uint8_t> touched(layout.num_params);
    const Context<DefaultCpu, float, Phase::train> ctx(device, activations, scratch);
    const Context<DefaultCpu, float, Phase::backward> b(device, back, scratch);
    const zoo::Values<typename Model::Input> x({2, 2}, 2, 5, 6);
    const zoo::Values<typename Model::Output> dy({2, 2}, 0, 5, 7);
    const ParamCursor<float> pc{params.as<float>()};
    const GradCursor<float> gc{grads.as<float>(), touched.data()};
    Result result;
    const auto step = [&](const auto& p, const auto& g) {
      const auto r = cohort::forward(ctx, p, x.view());
      result.y.assign(r.y.data, r.y.data + r.y.size());
      cohort::backward(b, p, r.saved, dy.view(), g);
    };
    if (with_hooks) {
      Recording<Model, ParamCursor<float>, Cut> ps{pc, &result.log, {}, {}};
      Recording<Model, GradCursor<float>, Cut> gs{gc, nullptr, {}, {}};
      for (const UnitInfo& u : layout.units) {
        ps.offsets.push_back(u.offset), ps.first_params.push_back(u.first_param);
        gs.offsets.push_back(u.offset), gs.first_params.push_back(u.first_param);
      }
      using PS = decltype(ps);
      using GS = decltype(gs);
      step(DividedView<Model, PS>::template view_of<Model, false>(ps, 0),
           DividedView<Model, GS>::template view_of<Model, false>(gs, 0));
    } else {
      step(FlatView<Model, ParamCursor<float>>(pc), FlatView<Model, GradCursor<float>>(gc));
    }
    result.gradient.assign(grads.as<float>(), grads.as<float>() + flat_size<Model>());
    return result;
  }
};

template <class Model, class Cut> void check_hooks() {
  const TwoRuns<Model, Cut> runs;
  std::vector<std::string> expected;
  const int n = units<Model, Cut>;
  for (int u = 0; u < n; ++u) expected.push_back("F" + std::to_string(u));
  for (int u = n; u-- > 0;) {
    expected.push_back("B" + std::to_string(u));
    expected.push_back("E" + std::to_string(u));
  }
  CHECK(runs.hooked.log == expected);
  CHECK(runs.flat.log.empty());
  CHECK(runs.hooked.y == runs.flat.y);
  CHECK(runs.hooked.gradient == runs.flat.gradient);
}

struct Store {
  using cursor = ParamCursor<float>;
  using cut = CutAtRepeat;
  cursor at(int) const { return {}; }
};
template <class V>
inline constexpr bool borrowed = !std::is_copy_constructible_v<V> && !Keepable<V>;
static_assert(borrowed<UnitView<Two, Store>> && borrowed<DividedView<zoo::Gpt, Store>>);
static_assert(UnitView<Two, Store>::is_unit && UnitView<Two, Store>::owns_unit);
static_assert(!DividedView<zoo::Gpt, Store>::owns_unit);     // Sequential has no parameters
static_assert(DividedView<zoo::TiedGpt, Store>::owns_unit);  // the table
}  // namespace

TEST_CASE("units: forward enters units in order, backward in reverse, under every cut") {
  check_hooks<zoo::Gpt, CutAtRepeat>();
  check_hooks<zoo::Gpt, CutAt<nn::Attention<8, 2>>>();
  check_hooks<zoo::NestedRepeat, CutAtRepeat>();
  check_hooks<zoo::NestedRepeat, CutAt<Two>>();
  check_hooks<zoo::Branching, CutAtRepeat>();
}

// The table's unit opens first and closes last: its two uses are inside one unit.
TEST_CASE("units: own parameters of a divided layer are one unit around its children's") {
  check_hooks<zoo::TiedGpt, CutAtRepeat>();
  const TwoRuns<zoo::TiedGpt, CutAtRepeat> runs;
  CHECK(runs.hooked.log.front() == "F0");
  CHECK(runs.hooked.log[runs.hooked.log.size() - 2] == "B0");
  CHECK(runs.hooked.log.back() == "E0");
}

TEST_CASE("units: layers without parameters fire nothing") {
  using Model = nn::Sequential<nn::Linear<6, 4>, nn::Gelu<4>, nn::Repeat<2, Two>, nn::ReLU<4>>;
  static_assert(units<Model> == 3);
  check_hooks<Model, CutAtRepeat>();
}
