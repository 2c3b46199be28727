// expect-error: cohort: this layer declares no parameter and no child of that name.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/unknown_child.cpp: a misspelled child.
#include <cohort/nn/linear.hpp>

using namespace cohort;

#ifdef VALID
#define NAME "inner"_p
#else
#define NAME "iner"_p
#endif

struct Twice {
  using Children = cohort::Children<Child<"inner", nn::Linear<3, 3>>>;
  using Input = Features<3>;
  using Output = Features<3>;
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, 3> x) {
    const auto r = cohort::forward(ctx, p[NAME], x);
    return Out{r.y, keep(ctx, "inner"_p = r.saved)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, 3> dy,
                       const auto& g) {
    return cohort::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p]);
  }
};
static_assert(Layer<Twice>);
