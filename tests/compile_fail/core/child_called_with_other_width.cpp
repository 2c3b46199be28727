// expect-error: cohort: a layer was called with something that is not its Input.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/child_called_with_other_width.cpp: a child is called with two features, and takes three.
#include <cohort/nn/linear.hpp>

using namespace cohort;

struct Narrow {
#ifdef VALID
  using Children = cohort::Children<Child<"inner", nn::Linear<2, 2>>>;
#else
  using Children = cohort::Children<Child<"inner", nn::Linear<3, 2>>>;
#endif
  using Input = Features<2>;
  using Output = Features<2>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto r = cohort::forward(ctx, p["inner"_p], x);
    return Out{r.y, keep(ctx, "inner"_p = r.saved)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    return cohort::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p]);
  }
};
static_assert(Layer<Narrow>);
