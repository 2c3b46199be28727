// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/frozen_test.cpp: what is frozen stays, costs no gradient anywhere, and lets dx through.
#include <doctest/doctest.h>
#include <cohort/nn/frozen.hpp>
#include <cohort/plan/print.hpp>

#include <sstream>

#include "run/support.hpp"
#include "support.hpp"
#include "support/models.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using nn::Frozen;
using Dense = nn::Linear<5, 3>;
static_assert(Layer<Frozen<Dense>> && Layer<Frozen<zoo::Scale<3>>> && Layer<Frozen<nn::ReLU<3>>>);
static_assert(Layer<Frozen<zoo::TwoBranches<4>>> && Layer<Frozen<zoo::TiedGpt>>);

// Names, extents and initialisers are L's; every parameter inside is frozen, once.
static_assert(subtree<Frozen<Dense>>() == FlatCount{0, 64 + 64, 2});
static_assert(subtree<Frozen<zoo::TiedGpt>>() ==
              FlatCount{0, flat_size<zoo::TiedGpt>(), num_params<zoo::TiedGpt>()});
static_assert(subtree<Frozen<Frozen<Dense>>>() == subtree<Frozen<Dense>>());
using Inside = nn::Sequential<Frozen<Dense>, nn::Linear<3, 2>>;
static_assert(subtree<Inside>() == FlatCount{128, 128, 4});
static_assert(subtree<Frozen<Inside>>() == FlatCount{0, 256, 4});

/// Does not ask: writes its gradient as every layer may.
struct Plain : zoo::Scale<3> {};
/// Asks, and tells what it was answered by a number of calls.
struct Curious : zoo::Scale<3> {
  static constexpr bool asks_what_is_wanted = true;
  static int& computed() {
    static int count = 0;
    return count;
  }
  static auto backward(auto& ctx, const auto& p, const auto& saved, auto dy, const auto& g) {
    const auto dx = ctx.like(dy);
    dx.map().array() = dy.map().array().rowwise() * p["weight"_p].map().array().row(0);
    if constexpr (wants<decltype(g), "weight">) {
      ++computed();
      g["weight"_p].map().array() +=
          (dy.map().array() * saved["x"_p].map().array()).colwise().sum();
    }
    return dx;
  }
};
static_assert(Layer<Curious> && Layer<Frozen<Curious>>);

// Places to write to are planned only for a layer that does not ask.
static_assert(scratch_bytes<Frozen<Plain>, float>({1, 1}) == 64 * sizeof(float));
static_assert(scratch_bytes<Frozen<Curious>, float>({1, 1}) == 0);
static_assert(scratch_bytes<Frozen<Dense>, float>({1, 1}) == scratch_bytes<Dense, float>({1, 1}));

template <class L> void check_same_dx(Rows rows) {
  zoo::OneLayer<L> free(rows);
  zoo::OneLayer<Frozen<L>> frozen(rows);
  free.draw(3);
  frozen.draw(3);
  frozen.fill_gradients(7.0f);
  const auto count = static_cast<std::size_t>(rows.count());
  const auto x = zoo::normals(count * L::Input::extent, 1);
  const auto dy = zoo::normals(count * L::Output::extent, 2);
  free.run(x, dy);
  frozen.run(x, dy);
  CHECK(frozen.y == free.y);
  CHECK(frozen.dx == free.dx);
  for (const auto& name : parameter_names<L>()) {
    CHECK(frozen.parameter(name) == free.parameter(name));
    for (float v : frozen.gradient(name)) CHECK(v == 7.0f);  // no place of its own is written
  }
}
TEST_CASE("frozen: output and dx are those of the layer; no gradient is written") {
  check_same_dx<Dense>({2, 3});
  check_same_dx<Plain>({2, 3});
  check_same_dx<nn::LayerNorm<5>>({2, 3});
  check_same_dx<nn::LinearGelu<5, 3>>({2, 3});
  check_same_dx<zoo::TwoBranches<5>>({2, 3});
  check_same_dx<nn::Repeat<3, nn::Residual<nn::Linear<4, 4>>>>({1, 2});
  check_same_dx<zoo::Block<8, 2>>({2, 3});
  check_same_dx<nn::AddPosition<4, 5>>({2, 3});
}
TEST_CASE("frozen: a layer that asks computes no gradient") {
  Curious::computed() = 0;
  check_same_dx<Curious>({2, 3});
  CHECK(Curious::computed() == 1);  // the free one's
}
TEST_CASE("frozen: finite differences of what is left: dx, and what is trained beside it") {
  const auto input = check_gradients<Frozen<Dense>>();
  CHECK(input.ok());
  CHECK(input.checked == 6 * 5);
  const auto both = check_gradients<Inside>();
  CHECK(both.ok());
  CHECK(both.checked == 6 * 5 + 6 + 2);
  CHECK(check_gradients<Frozen<zoo::Block<4, 2>>>().ok());
  CHECK(check_gradients<Frozen<nn::LinearGelu<5, 3>>>().ok());
  CHECK(check_gradients<zoo::PartlyFrozen>({.rows = {2, 4}, .tokens_below = 11}).ok());
}

// LayerNorm does not ask: its gradients go to a place in the gradients' type, of planned size.
TEST_CASE_TEMPLATE("frozen: in 16 bits the place that nobody reads has fp32 elements", T, bf16,
                   fp16) {
  using L = nn::LayerNorm<70>;
  static_assert(scratch_bytes<Frozen<L>, T>({1, 1}) == 2 * 128 * sizeof(float));
  zoo::OneLayer<L, T> free({2, 3});
  zoo::OneLayer<Frozen<L>, T> frozen({2, 3});
  free.draw(3);
  frozen.draw(3);
  frozen.fill_gradients(7.0f);
  const auto x = zoo::normals<T>(6 * 70, 1), dy = zoo::normals<T>(6 * 70, 2);
  free.run(x, dy);
  frozen.run(x, dy);
  CHECK(distance(frozen.y, free.y) == 0);
  CHECK(distance(frozen.dx, free.dx) == 0);
  for (const auto& name : parameter_names<L>())
    for (float v : frozen.gradient(name)) CHECK(v == 7.0f);
}

// ---------------------------------------------------------------- in a model

template <class C> using RunOf = Trainer<typename C::Model, typename C::Loss, Buckets<256, 1024>>;
using Free = RunOf<zoo::ThawedCase>;
using Some = RunOf<zoo::PartlyFrozenCase>;
using FreePlan = Free::plan_type;
using SomePlan = Some::plan_type;

bool trains(
    const std::string& name) {  // children 0, 3, 4 and 6, and the first branch of each element
  if (name[0] == '2') return name[4] != '0';
  return name[0] != '0' && name[0] != '3' && name[0] != '4' && name[0] != '6';
}

TEST_CASE("frozen: the layout has the names of the thawed model, and both kinds in whole ranges") {
  CHECK(parameter_names<zoo::PartlyFrozen>() == parameter_names<zoo::Thawed>());
  const auto names = parameter_names<zoo::Thawed>();
  std::size_t trained = 0, frozen = SomePlan::layout.size;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ParamInfo& p = SomePlan::layout.params[i];
    CAPTURE(names[i]);
    CHECK(p.trains == trains(names[i]));
    CHECK(p.offset == (p.trains ? trained : frozen));
    (p.trains ? trained : frozen) += p.padded;
  }
  CHECK(trained == SomePlan::layout.size);
  CHECK(frozen == FreePlan::layout.size);
  CHECK(SomePlan::layout.frozen == frozen - trained);
}

TEST_CASE("frozen: gradients, moments and traffic are those of the rest alone") {
  const Sizes s{.ranks = 4, .batch = 6, .tokens = 4};
  const MemoryBytes some = Some::plan.memory(s), all = Free::plan.memory(s);
  constexpr std::size_t frozen = SomePlan::layout.frozen * sizeof(float);
  CHECK(some.parameters == all.parameters);
  CHECK(some.frozen == frozen);
  CHECK(some.gradients == all.gradients - frozen);
  CHECK(some.optimizer == all.optimizer - 2 * frozen);
  CHECK(Some::plan.wire_bytes(s) < Free::plan.wire_bytes(s));
  static_assert(Some::plan.hash() != Free::plan.hash());
}

/// Trains the thawed model and puts what is frozen in the other back after each step.
std::vector<test::Trace> train_and_put_back(const test::Setup& setup) {
  using C = zoo::ThawedCase;
  std::vector<test::Trace> traces(static_cast<std::size_t>(setup.ranks));
  test::on_ranks<Free>(setup.ranks, test::options_of<Free, C>(setup), [&](auto& run, auto& world) {
    test::Trace& trace = traces[static_cast<std::size_t>(world.rank())];
    trace.start = run.gather_parameters();
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = test::batch_of<C>(setup, step);
      const int first = world.rank() * setup.each;
      run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
      for (const NamedTensor& t : trace.start)
        if (!trains(t.name)) run.set_parameter(t.name, t.values);
    }
    trace.parameters = run.gather_parameters();
    for (NamedTensor& g : run.gather_gradients())
      if (trains(g.name)) trace.gradients.push_back(std::move(g));
  });
  return traces;
}
TEST_CASE("frozen: the bits of the thawed model whose frozen parameters are put back every step") {
  for (int ranks : {1, 3}) {
    const test::Setup setup{.ranks = ranks, .steps = 8};
    const auto expected = train_and_put_back(setup);
    for (const auto& trace : test::train<Some, zoo::PartlyFrozenCase>(setup)) {
      CHECK(test::same_bits(trace.start, expected[0].start));
      CHECK(test::same_bits(trace.parameters, expected[0].parameters));
      CHECK(test::same_bits(trace.gradients, expected[0].gradients));
      for (std::size_t i = 0; i < trace.start.size(); ++i) {
        CAPTURE(trace.start[i].name);
        const bool moved = trace.start[i].values != trace.parameters[i].values;
        CHECK(moved == trains(trace.start[i].name));
      }
    }
  }
}

TEST_CASE("frozen: the norm is that of what is trained") {
  using Clipped = Trainer<zoo::PartlyFrozen, nn::CrossEntropy, ClipGradNorm>;
  for (const auto& trace : test::train<Clipped, zoo::PartlyFrozenCase>({.ranks = 2})) {
    long double squares = 0;
    for (const NamedTensor& g : trace.gradients)
      for (float v : g.values) squares += static_cast<long double>(v) * v;
    const StepReport& r = trace.reports[0];
    const double exact = static_cast<double>(std::sqrt(squares)) / r.weight;
    // 64 squares a chunk are summed in fp64, all positive, then exactly; a root and a division.
    CHECK(std::abs(r.grad_norm - exact) <=
          (64 + 2) * std::numeric_limits<double>::epsilon() * exact);
  }
}

TEST_CASE("frozen: set_parameter writes it, and the next step computes with it") {
  const auto loss_with = [](float value) {
    double loss = 0;
    test::on_ranks<Some>(1, test::options_of<Some, zoo::PartlyFrozenCase>({}),
                         [&](auto& run, auto&) {
                           const std::vector<float> values(6, value);
                           run.set_parameter("3.weight", values);
                           const zoo::Batch<zoo::PartlyFrozenCase> batch(6);
                           loss = run.step(batch.x(), batch.y()).loss;
                         });
    return loss;
  };
  CHECK(loss_with(1.0f) != loss_with(0.0f));
}

TEST_CASE("frozen: the printed plan says how much is frozen, and where") {
  std::ostringstream out;
  print(Some::plan, {.ranks = 2, .batch = 4, .tokens = 4}, out);
  const std::string text = out.str();
  const std::string count = std::to_string(SomePlan::layout.num_frozen_elements());
  CHECK(text.find("frozen: " + count + " of the parameters have no gradient") != std::string::npos);
  CHECK(text.find("  partly frozen\n") != std::string::npos);
  CHECK(text.find("  frozen\n") != std::string::npos);
  const std::string bytes = std::to_string(SomePlan::layout.frozen * sizeof(float));
  CHECK(text.find("frozen part" + std::string(17 - bytes.size(), ' ') + bytes) !=
        std::string::npos);
}

}  // namespace
