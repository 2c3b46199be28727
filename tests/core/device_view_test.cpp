// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/device_view_test.cpp: gradients on a device: add-only, zeroed in the device's order.
#include <cohort/core/device_view.hpp>

#include <doctest/doctest.h>

#include <cohort/core/params.hpp>
#include <cstring>
#include <vector>

using namespace cohort;

namespace {

/// Memory of the host that counts what it is asked to zero.
struct Counting {
  mutable int zeroed = 0;
  mutable std::size_t bytes = 0;
  void zero(void* at, std::size_t n) const {
    std::memset(at, 0, n);
    ++zeroed;
    bytes += n;
  }
};
struct Layer {
  using Params = cohort::Params<Param<"weight", 3, 5>, Param<"bias", 3>>;
  using Input = Features<5>;
  using Output = Features<3>;
};
using Cursor = DeviceGradCursor<float, Counting>;
TEST_CASE("DeviceGradView: the first data() zeroes exactly the parameter, later ones add") {
  Counting device;
  std::vector<float> memory(128, 9.0f);
  std::uint8_t touched[2] = {0, 0};
  const FlatView<Layer, Cursor> g(Cursor{memory.data(), touched, &device});
  float* weight = g["weight"_p].data();
  CHECK(weight == memory.data());
  CHECK((device.zeroed == 1 && device.bytes == 15 * sizeof(float)));
  CHECK((memory[14] == 0 && memory[15] == 9.0f));
  CHECK((touched[0] == 1 && touched[1] == 0));
  weight[3] = 2;
  CHECK(g["weight"_p].data()[3] == 2);
  CHECK(device.zeroed == 1);
  const auto bias = g["bias"_p].contribute();
  CHECK((bias.first && bias.data == memory.data() + 64));  // the next chunk; nothing was zeroed
  CHECK_FALSE(g["bias"_p].contribute().first);
  CHECK(device.zeroed == 1);
}

struct Averaging {
  using Params = cohort::Params<Averaged<Param<"mean", 3>>, Param<"bias", 3>>;
};
TEST_CASE("DeviceGradView: the sums of averages are another buffer, which nobody zeroes") {
  Counting device;
  float memory[64], sums[64];
  std::uint8_t touched[2] = {0, 0};
  const FlatView<Averaging, Cursor> g(Cursor{memory, touched, &device, sums});
  static_assert(wants<FlatView<Averaging, Cursor>, "mean">);
  CHECK((g["mean"_p].data() == sums && g["mean"_p].contribute().data == sums));
  CHECK((!g["mean"_p].contribute().first && device.zeroed == 0 && touched[0] == 0));
  CHECK(g["bias"_p].contribute().data == memory);
}

// map() is a sentence: tests/compile_fail/core/gradient_map_on_a_gpu.cpp.
TEST_CASE("DeviceGradView: extents, and what is wanted, as on the host") {
  using View = decltype(std::declval<const FlatView<Layer, Cursor>&>()["weight"_p]);
  static_assert(wants<FlatView<Layer, Cursor>, "weight">);
  CHECK(View::extents[0] == 3);
}

}  // namespace
