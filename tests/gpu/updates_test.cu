// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/updates_test.cu: optimizer steps on the GPU against float64.
#include <cohort/ops/cuda/adam.hpp>
#include <cohort/ops/cuda/adamw.hpp>
#include <cohort/ops/cuda/average.hpp>
#include <cohort/ops/cuda/sgd.hpp>

#include <bit>

#include "support.hpp"

namespace {

using namespace cohort;
using gpu_test::OnBoth;
using gpu_test::size;

/// A step's constants in the GPU's memory.
template <class Step> cuda::Memory upload(const Step& step, std::int32_t skip = 0) {
  const ops::DeviceStep<Step> on_device{step, 1, skip};
  cuda::Memory memory(sizeof on_device);
  gpu_test::gpu().device.upload(memory.as<std::byte>(), &on_device, sizeof on_device);
  return memory;
}

/// What an update works on; every third chunk does not decay.
template <class T> struct Arrays {
  OnBoth<T> t;
  std::size_t n = std::size_t(size(10'000'000, 5000)) + 3;
  gpu_test::Array<T> p = t.random(n), g = t.random(n), m = t.random(n, 0.1), v = t.random(n);
  gpu_test::Array<std::uint8_t> decay{flags()};
  Arrays() {  // second moments are squares
    std::vector<T> squares = v.download();
    for (T& s : squares) s = s * s;
    v = gpu_test::Array<T>(squares);
  }
  std::vector<std::uint8_t> flags() const {
    std::vector<std::uint8_t> out((n + ops::decay_chunk - 1) / ops::decay_chunk);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = i % 3 != 0;
    return out;
  }
  void check() {
    t.check("p", p);
    t.check("m", m);
    t.check("v", v);
  }
};

}  // namespace

TEST_CASE_TEMPLATE("adamw and adam: one step of ten million parameters", T, double, float) {
  const ops::AdamOptions options{.learning_rate = 1e-2, .weight_decay = 0.1};
  const auto step = ops::AdamStep<T>::make(options, 10, 0.5);
  const auto reference = ops::AdamStep<double>::make(options, 10, 0.5);
  const cuda::Memory memory = upload(step);
  const auto* on_gpu = memory.template as<ops::DeviceStep<ops::AdamStep<T>>>();
  for (const bool decoupled : {true, false}) {
    Arrays<T> a;
    a.t.run([&](const auto& device) {
      const auto update = [&](const auto& constants) {
        if (decoupled)
          ops::adamw(device, a.n, a.p.on(device), a.g.on(device), a.m.on(device), a.v.on(device),
                     a.decay.on(device), constants);
        else
          ops::adam(device, a.n, a.p.on(device), a.g.on(device), a.m.on(device), a.v.on(device),
                    a.decay.on(device), constants);
      };
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(device)>, Cuda>)
        update(on_gpu);
      else
        update(reference);
    });
    a.check();
  }
}

TEST_CASE_TEMPLATE("adamw: 16-bit copies are the masters, rounded once", C, bf16, fp16) {
  Arrays<float> a;
  const auto copies = a.t.template poisoned<C>(a.n);
  const cuda::Memory memory = upload(ops::AdamStep<float>::make({.learning_rate = 1e-2}, 3));
  const Cuda& device = gpu_test::gpu().device;
  ops::adamw(device, a.n, a.p.on(device), static_cast<const float*>(a.g.on(device)), a.m.on(device),
             a.v.on(device), static_cast<const std::uint8_t*>(a.decay.on(device)),
             static_cast<const ops::DeviceStep<ops::AdamStep<float>>*>(
                 memory.as<ops::DeviceStep<ops::AdamStep<float>>>()),
             copies.on(device));
  gpu_test::gpu().stream.synchronize();
  const auto p = a.p.download();
  const auto got = copies.download();
  std::size_t wrong = 0, unchanged = 0;
  for (std::size_t i = 0; i < a.n; ++i) {
    wrong += float(got[i]) != float(C(p[i]));
    unchanged += double(p[i]) == a.p.reference()[i];
  }
  CHECK(wrong == 0);
  CHECK(unchanged < a.n / 100);
}

/// What the update gives in fp32, and one of its two neighbours in bf16: the upper one as often as it is near.
TEST_CASE(
    "adamw: parameters in bf16 are rounded at random, without a bias and by their number alone") {
  Arrays<float> a;
  const auto start = a.p.download();
  std::vector<bf16> narrow(a.n);
  std::vector<float> wide(a.n);
  for (std::size_t i = 0; i < a.n; ++i) wide[i] = float(narrow[i] = bf16(start[i]));
  std::vector<std::uint32_t> in_order((a.n + ops::decay_chunk - 1) / ops::decay_chunk);
  for (std::size_t i = 0; i < in_order.size(); ++i) in_order[i] = static_cast<std::uint32_t>(i);
  const gpu_test::Array<std::uint32_t> numbers(in_order);
  const cuda::Memory memory = upload(ops::AdamStep<float>::make({.learning_rate = 1e-2}, 3));
  const Cuda& device = gpu_test::gpu().device;
  const auto updated = [&](auto p, auto rounding) {
    const gpu_test::Array<float> m(a.m.download()), v(a.v.download());
    ops::adamw(device, a.n, p.on(device), static_cast<const float*>(a.g.on(device)), m.on(device),
               v.on(device), static_cast<const std::uint8_t*>(a.decay.on(device)),
               static_cast<const ops::DeviceStep<ops::AdamStep<float>>*>(
                   memory.as<ops::DeviceStep<ops::AdamStep<float>>>()),
               static_cast<bf16*>(nullptr), rounding);
    gpu_test::gpu().stream.synchronize();
    return p.download();
  };
  const ops::RandomRounding rounding{7, numbers.on(device), 0};
  const auto exact = updated(gpu_test::Array<float>(wide), ops::NearestRounding{});
  const auto got = updated(gpu_test::Array<bf16>(narrow), rounding);
  const auto again = updated(gpu_test::Array<bf16>(narrow), rounding);
  std::size_t no_neighbour = 0, other = 0;
  double bias = 0, variance = 0;
  for (std::size_t i = 0; i < a.n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(exact[i]);
    const float below = std::bit_cast<float>(bits & 0xffff0000u);
    const float above = std::bit_cast<float>((bits & 0xffff0000u) + 0x10000u);
    const double part = double(bits & 0xffffu) / 0x10000;  // on the way from `below` to `above`
    const bool up = float(got[i]) == above;
    no_neighbour += !(up || float(got[i]) == below);
    other += float(got[i]) != float(again[i]);
    bias += (up ? 1.0 : 0.0) - part;
    variance += part * (1 - part);
  }
  CHECK(no_neighbour == 0);
  CHECK(other == 0);
  CHECK(std::abs(bias) <= 6 * std::sqrt(variance));
}

TEST_CASE_TEMPLATE("average: moves by its rate towards the mean, unless the step is skipped", T,
                   float, double) {
  OnBoth<T> t;
  const std::size_t n = std::size_t(size(100'000, 5000)), chunks = (n + 63) / 64;
  auto p = t.random(n), sums = t.random(n + 1), rates = t.random(chunks, 0.1);
  std::vector<T> values = sums.download();
  values[n] = T(48);  // samples
  sums = gpu_test::Array<T>(values);
  const std::vector<T> before = p.download();
  const Cuda& device = gpu_test::gpu().device;
  const gpu_test::Array<std::int32_t> go(std::vector<std::int32_t>{0}),
      skip(std::vector<std::int32_t>{1});
  const auto on_gpu = [&](const gpu_test::Array<std::int32_t>& flag) {
    ops::average(device, n, p.on(device), static_cast<const T*>(sums.on(device)),
                 static_cast<const T*>(rates.on(device)),
                 static_cast<const std::int32_t*>(flag.on(device)));
    gpu_test::gpu().stream.synchronize();
  };
  on_gpu(skip);
  CHECK(p.download() == before);
  on_gpu(go);
  ops::average(gpu_test::cpu, n, p.on(gpu_test::cpu),
               static_cast<const double*>(sums.on(gpu_test::cpu)),
               static_cast<const double*>(rates.on(gpu_test::cpu)));
  t.check("p", p);
}

TEST_CASE_TEMPLATE("sgd: with momentum, plain and of Nesterov", T, double, float) {
  for (const bool nesterov : {false, true}) {
    const ops::SgdStep<T> step{T(0.5), T(0.0625), T(0.875), T(0.125), nesterov};
    const ops::SgdStep<double> reference{0.5, 0.0625, 0.875, 0.125, nesterov};
    const cuda::Memory memory = upload(step);
    Arrays<T> a;
    a.t.run([&](const auto& device) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(device)>, Cuda>)
        ops::sgd(device, a.n, a.p.on(device), a.g.on(device), a.m.on(device), a.decay.on(device),
                 memory.template as<ops::DeviceStep<ops::SgdStep<T>>>());
      else
        ops::sgd(device, a.n, a.p.on(device), a.g.on(device), a.m.on(device), a.decay.on(device),
                 reference);
    });
    a.check();
  }
}

TEST_CASE("adamw: a step that is to be skipped changes nothing") {
  Arrays<float> a;
  const cuda::Memory memory = upload(ops::AdamStep<float>::make({}, 1), 1);
  const Cuda& device = gpu_test::gpu().device;
  ops::adamw(device, a.n, a.p.on(device), a.g.on(device), a.m.on(device), a.v.on(device),
             a.decay.on(device), memory.as<ops::DeviceStep<ops::AdamStep<float>>>());
  gpu_test::gpu().stream.synchronize();
  const auto p = a.p.download();
  std::size_t changed = 0;
  for (std::size_t i = 0; i < a.n; ++i) changed += double(p[i]) != a.p.reference()[i];
  CHECK(changed == 0);
}
