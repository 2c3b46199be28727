// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/call_test.cpp: what cohort::forward and cohort::backward check around a layer's own.
#include <doctest/doctest.h>
#include <cohort/comm/threads.hpp>
#include <cohort/core/call.hpp>
#include <cohort/launch.hpp>
#include <cohort/trainer.hpp>

#include <string>
#include <vector>

#include "support/models.hpp"
#include "support/one_layer.hpp"

using namespace cohort;

namespace {
/// y = x + 1, with everything that can be right or wrong about its memory as a choice.
enum class Habit { good, makes_more, keeps_y_twice, keeps_alias_of_y, loses_child, returns_x };
template <Habit H> struct Plus {
  using Children = cohort::Children<Child<"inner", nn::ReLU<3>>>;
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto inner = cohort::forward(ctx, p["inner"_p], x);
    if constexpr (H == Habit::returns_x) {
      return Out{x, keep(ctx, "inner"_p = inner.saved)};
    } else {
      const auto y = ctx.like(x);
      y.map().array() = inner.y.map().array() + 1;
      if constexpr (H == Habit::makes_more) ctx.like(x);
      if constexpr (H == Habit::keeps_y_twice)
        return Out{y, keep(ctx, "y"_p = y, "inner"_p = inner.saved)};
      else if constexpr (H == Habit::keeps_alias_of_y)
        return Out{y, keep(ctx, "y"_p = y.view(), "inner"_p = inner.saved)};
      else if constexpr (H == Habit::loses_child)
        return Out{y, keep(ctx, "x"_p = x)};
      else
        return Out{y, keep(ctx, "inner"_p = inner.saved)};
    }
  }
  static auto backward(auto& ctx, const auto&, const auto&, auto dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.map() = dy.map();
    return dx;
  }
};

template <Habit H> std::string complaint() {
  using One = zoo::OneLayer<Plus<H>>;
  One one({2, 1}, {4096, 4096, 4096});
  try {
    one.run(zoo::normals(6, 1), zoo::normals(6, 2));
  } catch (const ContractBroken& e) {
    return e.what();
  }
  return "";
}
const std::string advice =
    ". Return or keep each tensor from ctx.make exactly once (keep y.view() when y is also "
    "returned), keep every child's saved, and take temporaries from ctx.scratch.";

/// Takes scratch in forward and backward, and leaves a transient at the other end in backward.
struct Messy {
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto&, auto x) {
    ctx.template scratch<float>(16);
    const auto y = ctx.like(x);
    y.map() = x.map();
    return Out{y, keep(ctx)};
  }
  static auto backward(auto& ctx, const auto&, const auto&, auto dy, const auto&) {
    ctx.template scratch<float>(16);
    ctx.opposite().like(dy);
    const auto dx = ctx.like(dy);
    dx.map() = dy.map();
    return dx;
  }
};

/// Two children in declared order "a", "b"; forward and backward call them as told.
template <bool ForwardInOrder, bool BackwardInOrder> struct Pair {
  using Children =
      cohort::Children<Child<"a", nn::Repeat<2, nn::Linear<3, 3>>>, Child<"b", nn::Linear<3, 3>>>;
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    if constexpr (ForwardInOrder) {
      const auto a = cohort::forward(ctx, p["a"_p], x);
      const auto b = cohort::forward(ctx, p["b"_p], x);
      return finish(ctx, x, a, b);
    } else {
      const auto b = cohort::forward(ctx, p["b"_p], x);
      const auto a = cohort::forward(ctx, p["a"_p], x);
      return finish(ctx, x, a, b);
    }
  }
  static auto finish(auto& ctx, auto x, const auto& a, const auto& b) {
    const auto y = ctx.like(x);
    y.map() = a.y.map() + b.y.map();
    return Out{y, keep(ctx, "a"_p = a.saved, "b"_p = b.saved)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    if constexpr (!BackwardInOrder) cohort::backward(ctx, p["a"_p], s["a"_p], dy, g["a"_p]);
    const auto db = cohort::backward(ctx, p["b"_p], s["b"_p], dy, g["b"_p]);
    if constexpr (BackwardInOrder) {
      const auto da = cohort::backward(ctx, p["a"_p], s["a"_p], dy, g["a"_p]);
      db.map() += da.map();
    }
    return db;
  }
};
/// What a step of a model whose children are called in this order ends with.
template <class Model> std::string step_error() {
  using Run = Trainer<Model, nn::MeanSquaredError<3>>;
  try {
    launch<Threads>({.ranks = 1}, [](auto& world) {
      auto run = Run::on(world, {.batch = 2});
      const auto x = zoo::normals(6, 1);
      const Tensor<const float, 3> batch{x.data(), {2, 1}};
      run.step(batch, batch);
    });
  } catch (const ContractBroken& e) {
    return e.what();
  }
  return "";
}
}  // namespace

// Two rows of three floats are one line: 64 bytes. ReLU's result is a line, Plus' own another.
TEST_CASE("call: results that no type counts are refused with the sentence") {
  const std::string text = complaint<Habit::makes_more>();
  CHECK(text.starts_with("cohort: forward: layer "));
  CHECK(text.find("Plus<") < text.find(" made 192 bytes"));  // which layer it is
  CHECK(text.ends_with(" made 192 bytes of results but its types account for 128" + advice));
}

TEST_CASE("call: a fresh y that is returned and kept would be counted twice and is refused") {
  CHECK(complaint<Habit::keeps_y_twice>().ends_with(
      " made 128 bytes of results but its types account for 192" + advice));
  CHECK(complaint<Habit::keeps_alias_of_y>() == "");
}

TEST_CASE("call: a child whose saved value is dropped is refused") {
  CHECK(complaint<Habit::loses_child>().ends_with(
      " made 128 bytes of results but its types account for 64" + advice));
}

TEST_CASE("call: layers that account for everything pass, also when they return an alias") {
  CHECK(complaint<Habit::good>() == "");
  CHECK(complaint<Habit::returns_x>() == "");
}

TEST_CASE("call: evaluation asks for no account") {
  zoo::OneLayer<Plus<Habit::makes_more>> one({2, 1}, {4096, 4096, 4096});
  const std::vector<float> y = one.evaluate({-1, 0, 1, 2, 3, 4});
  CHECK(y == std::vector<float>{1, 1, 2, 3, 4, 5});
}

TEST_CASE("call: scratch and transients of backward are gone when a layer returns") {
  const auto check = [](auto& one) {
    CHECK_NOTHROW(one.run(zoo::normals(6, 1), zoo::normals(6, 2)));
    CHECK(one.scratch().used() == 0);
    CHECK(one.backward().used() == 64);  // dx of the first
  };
  zoo::OneLayer<Messy> alone({2, 1}, {64, 128, 64});
  check(alone);
  zoo::OneLayer<nn::Sequential<Messy, Messy, Messy>> three({2, 1}, {192, 192, 64});
  check(three);
}

TEST_CASE("call: a result is an alias for its caller") {
  zoo::OneLayer<nn::ReLU<3>>::Train* ctx = nullptr;
  using R =
      decltype(cohort::forward(*ctx, std::declval<FlatView<nn::ReLU<3>, ParamCursor<float>>&>(),
                               std::declval<Tensor<const float, 3>>()));
  static_assert(std::is_same_v<decltype(R::y), Tensor<const float, 3>>);
  static_assert(decltype(R::saved)::bytes({2, 1}) == 64);  // but its type remembers the bytes
}

TEST_CASE("call: children in declared order, and in reverse in backward, make a step") {
  CHECK(step_error<Pair<true, true>>() == "");
}

TEST_CASE("call: children called out of order are refused") {
  const std::string order =
      ". Call each child once through cohort::forward, in the order of Children, and in reverse "
      "through cohort::backward. A layer that calls a child several times is a unit as a whole: "
      "where the child holds a Repeat, say Groups<Each<TheLayer>> in Trainer's list.";
  // Markers: begin 0, units 0 .. 2 at 1 .. 3, end of forward 4, backward of unit 2 at 5.
  CHECK(
      step_error<Pair<false, true>>() ==
      "cohort: rank 0: step: the model called its units out of their declared order (at marker 1, "
      "unit 2)" +
          order);
  CHECK(
      step_error<Pair<true, false>>() ==
      "cohort: rank 0: step: the model called its units out of their declared order (at marker 5, "
      "unit 1)" +
          order);
}
