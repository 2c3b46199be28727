// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/stores_test.cpp: gradients hold this step's contributions and nothing older.
#include <cohort/run/stores.hpp>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// Which backward calls of the thread add to their weight; the next call takes the next flag.
std::vector<bool>& contributes() {
  static thread_local std::vector<bool> flags;
  return flags;
}

/// y = x; its weight takes the sum of dy where contributes() says so, and nothing else.
struct Sometimes {
  using Params = cohort::Params<Param<"weight", 3>>;
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto&, auto x) { return Out{x, keep(ctx)}; }
  static auto backward(auto&, const auto&, const auto&, auto dy, const auto& g) {
    const bool now = contributes().front();
    contributes().erase(contributes().begin());
    if (now) g["weight"_p].map() += dy.map().colwise().sum().transpose();
    return dy;
  }
};
static_assert(Layer<Sometimes>);

/// Alone in its unit, and as an element of a Repeat beside others.
using Alone = nn::Sequential<Sometimes>;
using Repeated = nn::Sequential<nn::Linear<3, 3>, nn::Repeat<2, Sometimes>, nn::Linear<3, 3>>;
template <class Model, int N>
using RunOf = Trainer<Model, nn::MeanSquaredError<3>, GradAccum<N>, optim::Sgd>;

/// The gradients of `name` after each step, on rank 0 of 2. flags: by step, micro-batch, layer in
/// order of backward.
template <class Model, int N>
std::vector<std::vector<float>> gradients_of(const std::string& name,
                                             const std::vector<std::vector<bool>>& flags) {
  std::vector<std::vector<float>> out;
  typename RunOf<Model, N>::options options{};
  options.batch = 2;
  options.learning_rate = 0;  // the same forward in every step
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = RunOf<Model, N>::on(world, options);
    const zoo::Values<Features<3>> x({2, 1}, 0, 1, 1), y({2, 1}, 0, 1, 2);
    for (const auto& step : flags) {
      contributes() = step;
      run.step(x.view(), y.view());
      if (world.rank() != 0) continue;
      for (const NamedTensor& g : run.gather_gradients())
        if (g.name == name) out.push_back(g.values);
    }
  });
  return out;
}
const std::vector<float> zero(3, 0.0f);

TEST_CASE("gradients: a parameter without contribution has zero, not the last step's") {
  const auto g = gradients_of<Alone, 1>("0.weight", {{true}, {false}, {true}, {false}});
  CHECK(g[0] != zero);
  CHECK(g[1] == zero);
  CHECK(g[2] == g[0]);
  CHECK(g[3] == zero);
}

TEST_CASE("gradients: the same for one element of a Repeat, whatever the others do") {
  const auto g =
      gradients_of<Repeated, 1>("1.1.weight", {{true, true}, {false, true}, {true, false}});
  CHECK(g[0] != zero);
  CHECK(g[1] == zero);
  CHECK(g[2] == g[0]);
}

TEST_CASE(
    "gradients: micro-batches add up, also when only the first or only the last contributes") {
  const auto g = gradients_of<Alone, 2>(
      "0.weight", {{true, true}, {true, false}, {false, true}, {false, false}, {true, true}});
  CHECK(g[3] == zero);
  CHECK(g[4] == g[0]);
  const double eps = std::numeric_limits<float>::epsilon();
  for (std::size_t k = 0; k < 3; ++k) {  // two roundings apart: sums of ranks and of micro-batches
    const double first = g[1][k], last = g[2][k];
    CHECK(first != 0);
    CHECK(last != 0);
    CHECK(std::abs(g[0][k] - (first + last)) <= 2 * eps * (std::abs(first) + std::abs(last)));
  }
}

// ---------------------------------------------------------------- two uses of one parameter

using Body = nn::Sequential<nn::Repeat<2, nn::Residual<nn::Linear<4, 4>>>>;
using Tied = nn::TiedEmbedding<7, 4, Body>;
using Untied = nn::Sequential<nn::Embedding<7, 4>, Body, nn::Linear<4, 7, nn::NoBias>>;

/// The gradients of one step from given parameters.
template <class Model>
std::vector<NamedTensor> gradients_at(const std::vector<NamedTensor>& start) {
  using TokenRun = Trainer<Model, nn::CrossEntropy, optim::Sgd>;
  std::vector<NamedTensor> out;
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    auto run = TokenRun::on(world, {.batch = 4, .tokens = 2});
    for (const NamedTensor& p : start) run.set_parameter(p.name, p.values);
    const zoo::Values<Tokens> x({4, 2}, 7, 1, 1), y({4, 2}, 7, 1, 2);
    run.step(x.view(), y.view());
    out = run.gather_gradients();
  });
  return out;
}

TEST_CASE("gradients: a tied parameter has the sum of what its two uses contribute") {
  std::vector<NamedTensor> tied{{"weight", {7, 4}, std::vector<float>(28)}};
  for (std::size_t k = 0; k < 28; ++k) tied[0].values[k] = 0.1f * static_cast<float>(k % 9) - 0.4f;
  auto untied = tied;
  untied[0].name = "0.weight";
  untied.push_back({"2.weight", {7, 4}, tied[0].values});
  for (int i = 0; i < 2;
       ++i) {  // the bodies draw different numbers: their parameters have other indices
    const std::vector<float> weight(16, 0.05f * static_cast<float>(1 + i));
    const std::string name = "0." + std::to_string(i) + ".inner.weight";
    tied.push_back({"body." + name, {4, 4}, weight});
    untied.push_back({"1." + name, {4, 4}, weight});
  }
  const auto both = gradients_at<Tied>(tied), apart = gradients_at<Untied>(untied);
  const auto &table = apart.front().values, &head = apart.back().values;
  REQUIRE(apart.back().name == "2.weight");
  const double eps = std::numeric_limits<float>::epsilon();
  double largest = 0;
  for (std::size_t k = 0; k < 28; ++k)
    largest = std::max(largest, std::abs(double(table[k])) + std::abs(double(head[k])));
  for (std::size_t k = 0; k < 28;
       ++k) {  // the table's rows are added to the head's sum, one by one
    CHECK(std::abs(both[0].values[k] - (double(table[k]) + head[k])) <= 8 * eps * largest);
  }
  for (std::size_t k = 0; k < 16; ++k) CHECK(both[1].values[k] == apart[1].values[k]);
}

}  // namespace
