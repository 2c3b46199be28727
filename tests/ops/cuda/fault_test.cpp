// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/fault_test.cpp: the first fault stays, and without a place for it nothing is written.
#include <cohort/ops/cuda/fault.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
struct Complain {
  static constexpr int threads = 64;
  struct Shared {};
  cuda::Fault* fault;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (block.thread() >= 40)
      ops::kernels::report(block, fault, cuda::Fault::target, block.thread(), -block.thread());
  }
};
}  // namespace

static_assert(ops::kernels::clamped(4, 5) == 4 && ops::kernels::clamped(5, 5) == 0);
static_assert(ops::kernels::clamped(-1, 5) == 0);

TEST_CASE("report: one fault is kept whole, and later ones do not replace it") {
  Gpu gpu;
  CHECK(gpu.fault().kind == cuda::Fault::none);
  cuda::launch(gpu, 1, Complain{nullptr});
  CHECK(gpu.fault().kind == cuda::Fault::none);
  cuda::launch(gpu, 3, Complain{gpu.device().fault});
  const cuda::Fault first = gpu.fault();
  CHECK(first.kind == cuda::Fault::target);
  CHECK(first.row >= 40);
  CHECK(first.value == -first.row);
  cuda::launch(gpu, 3, Complain{gpu.device().fault});
  CHECK(gpu.fault().row == first.row);
}
