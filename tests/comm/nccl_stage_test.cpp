// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_stage_test.cpp: a stage has room for a message of every rank, and gives all back.
#include <cohort/comm/nccl_stage.hpp>

#include <doctest/doctest.h>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE(
    "NcclStage: a megabyte, or a message of each rank; pinned and device memory; nothing left") {
  const Machine machine;
  for (int ranks : {1, 8, 2048, 16384}) {
    const std::size_t bytes = detail::NcclStage::bytes(ranks);
    CHECK(bytes >= (1u << 20));
    CHECK(bytes >= detail::NcclStage::message * static_cast<std::size_t>(ranks));
    detail::NcclStage stage(ranks);
    CHECK(cuda_double::on_device(stage.device(), bytes));
    CHECK(cuda_double::pinned_memory().live_bytes == bytes);
    CHECK(stage.stream() != nullptr);
    std::int32_t* const first = stage.zero();
    CHECK(stage.zero() == first + 1);
    CHECK(cuda_double::on_device(first, 4 * 1024));
    for (int i = 2; i < 1024; ++i) stage.zero();
    CHECK(stage.zero() == first);
  }
}

}  // namespace
