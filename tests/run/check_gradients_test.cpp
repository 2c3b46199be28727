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

// ---------------------------------------------------------------- rules of memory

enum class Rule { kept, assigns, ignores_first, adds_to_dx, adds_to_y, reads_scratch };

/// y = x * weight, with one rule broken: numbers are right where memory begins with zeros and one micro-batch
/// is all.
template <Rule R> struct Scaled {
  using Params = cohort::Params<Param<"weight", 3>>;
  using Input = Features<3>;
  using Output = Features<3>;
  template <class T> static constexpr std::size_t scratch_bytes(Rows rows) {
    return Tensor<T, 3>::bytes(rows);
  }
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, 3> x) {
    const auto y = ctx.like(x);
    const auto scaled = x.map() * p["weight"_p].map().row(0).asDiagonal();
    if (R == Rule::adds_to_y)
      y.map() += scaled;
    else
      y.map() = scaled;
    const Tensor<T, 3> copy{ctx.template scratch<T>(x.size()), x.rows};
    copy.map() = x.map();
    return Out{y, keep(ctx, "x"_p = R == Rule::reads_scratch ? copy.view() : x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, 3> dy,
                       const auto& g) {
    const auto dw = (dy.map().cwiseProduct(s["x"_p].map())).colwise().sum();
    if constexpr (R == Rule::assigns) {
      g["weight"_p].map() = dw;
    } else if constexpr (R == Rule::ignores_first) {
      T* to = g["weight"_p].contribute().data;
      for (int c = 0; c < 3; ++c) to[c] += dw(c);
    } else {
      g["weight"_p].map() += dw;
    }
    const auto dx = ctx.like(dy);
    const auto slope = dy.map() * p["weight"_p].map().row(0).asDiagonal();
    if (R == Rule::adds_to_dx)
      dx.map() += slope;
    else
      dx.map() = slope;
    return dx;
  }
};

TEST_CASE("check_gradients: rules of memory that are broken are found and named") {
  CHECK(check_gradients<Scaled<Rule::kept>>().ok());
  const auto said = []<Rule R>(std::integral_constant<Rule, R>) {
    const GradientCheck check = check_gradients<Scaled<R>>();
    CHECK_FALSE(check.ok());
    CHECK_FALSE(check_gradients<nn::Sequential<nn::Linear<3, 3>, Scaled<R>>>().ok());
    return to_string(check);
  };
  CHECK(
      said(std::integral_constant<Rule, Rule::assigns>{})
          .starts_with(
              "weight: a second micro-batch did not add its gradient: write g[name].map() += ..."));
  CHECK(said(std::integral_constant<Rule, Rule::ignores_first>{})
            .starts_with("weight: a gradient is added to before it was written: where "
                         "contribute().first is true"));
  CHECK(said(std::integral_constant<Rule, Rule::adds_to_dx>{})
            .starts_with("input: a tensor of ctx.make or ctx.like is read before it was written"));
  CHECK(said(std::integral_constant<Rule, Rule::adds_to_y>{})
            .starts_with("output: a tensor of ctx.make or ctx.like is read before it was written"));
  CHECK(said(std::integral_constant<Rule, Rule::reads_scratch>{})
            .starts_with("weight: something kept lies in ctx.scratch"));
}

enum class Averages { kept, unbiased, assigned, mean_alone, rank_sum };

/// x less its running mean: its backward is right, what it adds to the average may not be.
template <Averages A> struct Centered {
  using Params = cohort::Params<Averaged<Param<"mean", 3>, std::ratio<1, 10>>>;
  using Input = Features<3>;
  using Output = Features<3>;
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, 3> x) {
    const auto y = ctx.like(x);
    y.map() = x.map().rowwise() - p["mean"_p].map().row(0);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto& s, Tensor<const T, 3> dy,
                       const auto& g) {
    const auto x = s["x"_p].map();
    auto sums = g["mean"_p].map();
    const T samples = T(dy.rows.samples), rows = T(dy.rows.count());
    if (A == Averages::kept) sums += samples * x.colwise().mean();
    if (A == Averages::unbiased)
      sums += samples / (rows - 1) *
              (x.rowwise() - x.colwise().mean()).array().square().matrix().colwise().sum();
    if (A == Averages::assigned) sums = samples * x.colwise().mean();
    if (A == Averages::mean_alone) sums += x.colwise().mean();
    if (A == Averages::rank_sum) sums += rows * samples * x.colwise().mean();
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide());
    return dx;
  }
};

TEST_CASE("check_gradients: what is added to averages counts by samples, and adds up") {
  const auto said = []<Averages A>(std::integral_constant<Averages, A>) {
    using Inside = nn::Sequential<nn::Linear<4, 3>, nn::Repeat<2, Centered<A>>>;
    const GradientCheck alone = check_gradients<Centered<A>>(), inside = check_gradients<Inside>();
    CHECK(alone.ok() == inside.ok());
    if (!alone.ok()) CHECK(inside.where == "1.0.mean");
    return alone.cause;
  };
  CHECK(said(std::integral_constant<Averages, Averages::kept>{}).empty());
  CHECK(said(std::integral_constant<Averages, Averages::unbiased>{}).empty());
  CHECK(said(std::integral_constant<Averages, Averages::assigned>{})
            .starts_with("a second micro-batch did not add to this average"));
  for (const auto& cause : {said(std::integral_constant<Averages, Averages::mean_alone>{}),
                            said(std::integral_constant<Averages, Averages::rank_sum>{})})
    CHECK(cause.starts_with("twice the samples do not add twice as much to this average"));
  for (const Rows rows : {Rows{1, 1}, Rows{2, 1}, Rows{3, 1}, Rows{1, 3}, Rows{5, 2}})
    CHECK(check_gradients<Centered<Averages::kept>>({.rows = rows}).ok());
  for (const Rows rows : {Rows{2, 1}, Rows{3, 1}, Rows{1, 3}, Rows{5, 2}})
    CHECK(check_gradients<Centered<Averages::unbiased>>({.rows = rows}).ok());
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
