// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/bodies_test.cpp: a user's layer has a body for the CPU, for GPUs, or for both.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace cohort;

namespace {

template <class T> struct Times {
  static constexpr int threads = 32;
  struct Shared {};
  int n;
  const T *a, *b;
  T* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int i = block.index() * threads + block.thread();
    if (i < n) y[i] = T(a[i] * b[i]);
  }
};

/// y = x x, for GPUs only.
template <int C> struct SquareOnGpu {
  using Input = Features<C>;
  using Output = Features<C>;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, C, OnGpu> x) {
    const auto y = ctx.like(x);
    times(ctx.device(), x.size(), x.data, x.data, y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto& s, Tensor<const T, C, OnGpu> dy,
                       const auto&) {
    const auto dx = ctx.like(dy);
    times(ctx.device(), dy.size(), dy.data, s["x"_p].data, dx.data);
    ops::add(ctx.device(), dy.size(), dx.data, dx.data, dx.data);  // 2 x dy
    return dx;
  }

 private:
  template <class T>
  static void times(const Cuda& device, std::size_t n, const T* a, const T* b, T* y) {
    cuda::launch(device, int(n + 31) / 32, Times<T>{int(n), a, b, y});
  }
};

/// The same with Eigen beside it.
template <int C> struct Square : SquareOnGpu<C> {
  using SquareOnGpu<C>::forward;
  using SquareOnGpu<C>::backward;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, C> x) {
    const auto y = ctx.like(x);
    y.map() = x.map().cwiseProduct(x.map());
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto& s, Tensor<const T, C> dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.map() = 2 * dy.map().cwiseProduct(s["x"_p].map());
    return dx;
  }
};

/// y = x x, for the CPU only.
template <int C> struct SquareOnHost : Square<C> {
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, C> x) {
    return Square<C>::forward(ctx, p, x);
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, C> dy,
                       const auto& g) {
    return Square<C>::backward(ctx, p, s, dy, g);
  }
};

static_assert(Layer<SquareOnHost<4>> && !Layer<SquareOnHost<4>, Cuda>);
static_assert(!Layer<SquareOnGpu<4>> && Layer<SquareOnGpu<4>, Cuda>);
static_assert(Layer<Square<4>> && Layer<Square<4>, Cuda>);

template <class L>
using Model = nn::Sequential<nn::Linear<3, 4>, nn::Residual<L>, nn::Linear<4, 2>>;
template <class L> using Run = Trainer<Model<L>, nn::MeanSquaredError<2>, optim::Sgd>;

// The plan is the CPU's, or a GPU's where a layer leaves no choice; both count the same activations.
static_assert(std::is_same_v<Run<Square<4>>::plan_type::device, DefaultCpu>);
static_assert(std::is_same_v<Run<SquareOnHost<4>>::plan_type::device, DefaultCpu>);
static_assert(std::is_same_v<Run<SquareOnGpu<4>>::plan_type::device, Cuda>);
constexpr Sizes sizes{.ranks = 2, .batch = 4, .tokens = 1};
static_assert(Run<SquareOnGpu<4>>::plan.memory(sizes).activations ==
              Run<Square<4>>::plan_on<Cuda>::memory(sizes).activations);

/// Parameters of rank 0 after three steps of two ranks.
template <class R, class Device> std::vector<NamedTensor> trained() {
  std::vector<NamedTensor> found;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = R::template on<Device>(world, {.seed = 3, .batch = 4, .learning_rate = 0.05});
    std::vector<float> x(12), y(8);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.25f * float(i % 5) - 0.5f;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = 0.5f * float(i % 3) - float(world.rank());
    for (int step = 0; step < 3; ++step)
      run.step(Tensor<const float, 3>{x.data(), {4}}, Tensor<const float, 2>{y.data(), {4}});
    auto parameters = run.gather_parameters();
    if (world.rank() == 0) found = std::move(parameters);
  });
  return found;
}

TEST_CASE("bodies: each device runs its own, and both train alike") {
  const auto host = trained<Run<Square<4>>, DefaultCpu>();
  const auto eigen = trained<Run<SquareOnHost<4>>, DefaultCpu>();
  const auto both = trained<Run<Square<4>>, Cuda>();
  const auto gpu = trained<Run<SquareOnGpu<4>>, Cuda>();
  REQUIRE(host.size() == 4);
  for (std::size_t i = 0; i < host.size(); ++i) {
    CAPTURE(host[i].name);
    CHECK(eigen[i].values == host[i].values);
    CHECK(gpu[i].values == both[i].values);
    for (std::size_t k = 0; k < host[i].values.size(); ++k)
      CHECK(gpu[i].values[k] == doctest::Approx(host[i].values[k]).epsilon(1e-5));
  }
}

}  // namespace
