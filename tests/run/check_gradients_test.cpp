// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/check_gradients_test.cpp: a right backward passes, every kind of wrong one is named.
#include <cohort/run/check_gradients.hpp>

#include <doctest/doctest.h>

#include "checked.hpp"

using namespace cohort;
using test::check_case;

namespace {

enum class Fault { none, twice, sign, no_weight, no_input, lost_sample, not_finite };

/// y = x * weight + bias, with one fault in backward.
template <Fault F> struct Affine {
  using Params = cohort::Params<Param<"weight", 3>, Param<"bias", 3>>;
  using Input = Features<3>;
  using Output = Features<3>;

  template <class Ctx, class P, class T>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, 3> x) {
    const auto y = ctx.like(x);
    for (int r = 0; r < x.rows.count(); ++r)
      for (int c = 0; c < 3; ++c)
        y.data[3 * r + c] = x.data[3 * r + c] * p["weight"_p].data()[c] + p["bias"_p].data()[c];
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G>
  static auto backward(Ctx& ctx, const P& p, const S& s, Tensor<const T, 3> dy, const G& g) {
    const auto dx = ctx.like(dy);
    const T factor = F == Fault::twice ? T(2) : F == Fault::sign ? T(-1) : T(1);
    const int first = F == Fault::lost_sample ? dy.rows.tokens : 0;
    T* db = g["bias"_p].data();
    for (int r = 0; r < dy.rows.count(); ++r) {
      for (int c = 0; c < 3; ++c) {
        const int i = 3 * r + c;
        if (r >= first) db[c] += dy.data[i];
        dx.data[i] = F == Fault::no_input ? T(0) : dy.data[i] * p["weight"_p].data()[c];
        if (F == Fault::not_finite) dx.data[i] = std::numeric_limits<T>::quiet_NaN();
      }
    }
    if constexpr (F != Fault::no_weight) {
      T* dw = g["weight"_p].data();
      for (int r = 0; r < dy.rows.count(); ++r)
        for (int c = 0; c < 3; ++c) dw[c] += factor * dy.data[3 * r + c] * s["x"_p].data[3 * r + c];
    }
    return dx;
  }
};
static_assert(Layer<Affine<Fault::none>, DefaultCpu, double>);

TEST_CASE("check_gradients: a right backward passes, and all its derivatives were compared") {
  const GradientCheck check = check_gradients<Affine<Fault::none>>();
  CHECK(check.ok());
  CHECK(check.checked == 3 + 3 + 2 * 3 * 3);  // weight, bias, input of 2 x 3 rows
  CHECK(check.worst < 1e-9);
}

template <Fault F> std::string place_of_fault() {
  const GradientCheck check = check_gradients<Affine<F>>();
  CHECK_FALSE(check.ok());
  CHECK(check.worst > 1e-3);
  return check.where;
}

TEST_CASE("check_gradients: a wrong backward fails at the parameter, or at the input") {
  CHECK(place_of_fault<Fault::twice>() == "weight");
  CHECK(place_of_fault<Fault::sign>() == "weight");
  CHECK(place_of_fault<Fault::no_weight>() == "weight");  // no contribution counts as zero
  CHECK(place_of_fault<Fault::no_input>() == "input");
  CHECK(place_of_fault<Fault::lost_sample>() == "bias");
  CHECK(place_of_fault<Fault::not_finite>() == "input");
}

TEST_CASE("check_gradients: parameters of children are named by path") {
  using Nested = nn::Sequential<nn::Linear<3, 3>, nn::Repeat<2, Affine<Fault::twice>>>;
  CHECK(check_gradients<Nested>().where.ends_with(".weight"));
  CHECK(check_gradients<Nested>().where.starts_with("1."));
}

TEST_CASE("check_gradients: models of the zoo pass, for other seeds and rows too") {
  zoo::for_cases<zoo::TiedGptCase, zoo::BranchingCase, zoo::NestedRepeatCase>(
      []<class Case>() { check_case<Case>(); });
}

TEST_CASE("check_gradients: most_each bounds the derivatives of a parameter") {
  const GradientCheck check = check_gradients<nn::Linear<50, 40>>({.most_each = 10});
  CHECK(check.ok());
  CHECK(check.checked >= 3 * 10);
  CHECK(check.checked <= 3 * 2 * 10);
}

}  // namespace
