// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/cuda/tree_sum_test.cpp: the kernel adds slices up in the tree of comm/sum.hpp, bit for bit.
#include <cohort/comm/cuda/tree_sum.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// Rank `rank`'s sum of its slice of `count` elements, the others' `gap` elements further apart than that.
template <class T, int Levels>
void check(int ranks, int rank, std::size_t count, std::size_t gap, bool packed, bool in_place) {
  cuda::Stream stream;
  const std::size_t stride = count + gap;
  std::vector<std::vector<T>> inputs;
  std::vector<T> all(stride * static_cast<std::size_t>(ranks),
                     T{});  // this rank's place stays empty
  for (int r = 0; r < ranks; ++r) {
    inputs.push_back(values<T>(r, count));
    if (r != rank)
      std::copy(inputs.back().begin(), inputs.back().end(),
                all.begin() + static_cast<std::ptrdiff_t>(stride) * r);
  }
  const auto& mine = inputs[static_cast<std::size_t>(rank)];
  std::vector<T> poison(count + 1, value<T>(99, 99));
  std::copy(mine.begin(), mine.end(), poison.begin());
  const GpuArray<T> own(poison, stream.native()), others(all, stream.native());
  const std::vector<T> before(count + 1, value<T>(99, 99));
  const GpuArray<T> apart(before, stream.native());
  T* const out = in_place ? own.data() : apart.data();
  const cuda::SumSlices<T, Levels> kernel{own.data(), others.data(), out,   stride,
                                          count,      rank,          ranks, packed};
  cuda::launch(Cuda{.stream = stream.native()}, kernel.blocks(), kernel);
  std::vector<T> expected(count), got(count + 1);
  cohort::detail::sum_into(
      [&](int r) { return static_cast<const T*>(inputs[static_cast<std::size_t>(r)].data()); },
      ranks, count, expected.data());
  cuda::check(cudaMemcpyAsync(got.data(), out, got.size() * sizeof(T), cudaMemcpyDeviceToHost,
                              stream.native()));
  stream.synchronize();
  CAPTURE(ranks);
  CAPTURE(rank);
  CHECK((count == 0 || std::memcmp(got.data(), expected.data(), count * sizeof(T)) == 0));
  CHECK(std::memcmp(&got[count], &before[count], sizeof(T)) == 0);  // nothing beyond the end
}

TEST_CASE_TEMPLATE("SumSlices: the bits of sum_into for every rank of 2 to 8, also in place", T,
                   float, double, bf16, fp16) {
  const Machine machine;
  for (int ranks = few_kernels ? 7 : 2; ranks <= (few_kernels ? 7 : 8); ++ranks)
    for (int rank = 0; rank < ranks; rank += few_kernels ? 6 : 1)
      check<T, 4>(ranks, rank, 333, 3, false, rank % 2 == 0);
  constexpr std::size_t pack = 16 / sizeof(T);
  for (std::size_t packs :
       few_kernels ? std::vector<std::size_t>{1} : std::vector<std::size_t>{0, 1, 257})
    for (std::size_t tail : {std::size_t{0}, std::size_t{1}, pack - 1})
      check<T, 4>(5, 3, packs * pack + tail, pack - tail, true, tail != 1);
}

TEST_CASE_TEMPLATE("SumSlices: as many ranks as levels allow", T, float, bf16) {
  const Machine machine;
  static_assert(cuda::SumSlices<T, 4>::max_ranks == 15 && cuda::SumSlices<T, 7>::max_ranks == 127);
  if (few_kernels) return;
  for (int ranks : {9, 15}) check<T, 4>(ranks, ranks / 2, 40, 0, true, false);
  for (int ranks : {16, 37, 64, 127}) check<T, 7>(ranks, ranks - 1, 24, 8, true, true);
  for (int ranks : {128, 512, 1000}) check<T, 13>(ranks, 0, 16, 0, true, false);
}

TEST_CASE("blocks: enough for one pass over short arrays, bounded for long ones") {
  cuda::SumSlices<bf16, 4> kernel{};
  CHECK(kernel.blocks() == 0);
  kernel.count = 257;
  CHECK(kernel.blocks() == 2);
  kernel.packed = true;
  CHECK(kernel.blocks() == 1);
  kernel.count = std::size_t{1} << 40;
  CHECK(kernel.blocks() == 256);
}

}  // namespace
