// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/updates_test.cu: optimizer steps on the GPU against float64.
#include <cohort/ops/cuda/adam.hpp>
#include <cohort/ops/cuda/adamw.hpp>
#include <cohort/ops/cuda/sgd.hpp>

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
