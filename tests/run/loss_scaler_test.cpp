// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/loss_scaler_test.cpp: powers of two on the way there and on the way back.
#include <cohort/run/loss_scaler.hpp>

#include <doctest/doctest.h>

using namespace cohort;

namespace {

template <class S> struct FakePlan {
  struct slots {
    using scaling = S;
  };
  static constexpr bool scales_loss = S::scales;
};
template <class S> using ScalerOf = detail::LossScaler<FakePlan<S>>;

TEST_CASE("LossScaler: without scaling every factor is 1") {
  ScalerOf<NoScale> scaler(768, 4);
  CHECK(scaler.seed() == 1);
  CHECK(scaler.unscale() == 1);
  scaler.after_step(true);
  CHECK(scaler.state() == LossScale{});
  CHECK(scaler.exhausted());
}

TEST_CASE(
    "LossScaler: the loss carries scale / 2^e, 2^e nearest to the rows; unscaling undoes all") {
  const std::pair<double, double> nearest[] = {{1, 1},        {2, 2},      {3, 4},     {5, 4},
                                               {6, 8},        {768, 1024}, {720, 512}, {725, 1024},
                                               {1e6, 1048576}};  // sqrt(2) 512 = 724.08
  for (const auto& [rows, power] : nearest) {
    CAPTURE(rows);
    ScalerOf<DynamicLossScale<>> scaler(rows, 4);
    CHECK(scaler.seed() == 65536 / power);
    CHECK(scaler.unscale() * scaler.seed() == 4);  // what the reduction divided by
    scaler.after_step(true);
    CHECK(scaler.seed() == 32768 / power);
    CHECK(scaler.unscale() * scaler.seed() == 4);
  }
}

TEST_CASE("LossScaler: exhausted at 2^-24, not before") {
  ScalerOf<DynamicLossScale<>> scaler(1, 1);
  for (int i = 0; i < 40; ++i) {
    CHECK(scaler.exhausted() == (i == 40));
    scaler.after_step(true);
  }
  CHECK(scaler.state().scale == 0x1p-24);
  CHECK(scaler.exhausted());
  scaler.set({2, 7});
  CHECK(scaler.state() == LossScale{2, 7});
}

}  // namespace
