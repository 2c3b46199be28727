// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/shared_gpu_kernels_test.cpp: the kernel's tree is the one of comm/sum.hpp, bit for bit.
#include <cohort/comm/shared_gpu_kernels.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

template <class T, int Levels> void check(int ranks, std::size_t count, int outs, bool packed) {
  cuda::Stream stream;
  std::vector<std::vector<T>> inputs;
  std::vector<GpuArray<T>> arrays, results;
  for (int r = 0; r < ranks; ++r) inputs.push_back(values<T>(r, count));
  for (int r = 0; r < ranks; ++r)
    arrays.emplace_back(inputs[static_cast<std::size_t>(r)], stream.native());
  const std::vector<T> poison(count + 1,
                              std::numeric_limits<T>::is_specialized
                                  ? std::numeric_limits<T>::max()
                                  : std::bit_cast<T>(std::array<unsigned char, sizeof(T)>{}));
  for (int r = 0; r < outs; ++r) results.emplace_back(poison, stream.native());
  cuda::SumRanks<T, Levels> kernel{};
  for (std::size_t r = 0; r < arrays.size(); ++r) kernel.in[r] = arrays[r].data();
  for (std::size_t r = 0; r < results.size(); ++r) kernel.out[r] = results[r].data();
  kernel.ranks = ranks;
  kernel.num_outs = outs;
  kernel.count = count;
  kernel.packed = packed;
  cuda::launch(Cuda{.stream = stream.native()}, kernel.blocks(), kernel);
  std::vector<T> expected(count);
  cohort::detail::sum_into(
      [&](int r) { return static_cast<const T*>(inputs[static_cast<std::size_t>(r)].data()); },
      ranks, count, expected.data());
  for (const auto& result : results) {
    std::vector<T> got(count + 1);
    cuda::check(cudaMemcpyAsync(got.data(), result.data(), got.size() * sizeof(T),
                                cudaMemcpyDeviceToHost, stream.native()));
    stream.synchronize();
    CHECK((count == 0 || std::memcmp(got.data(), expected.data(), count * sizeof(T)) == 0));
    CHECK(std::memcmp(&got[count], &poison[count], sizeof(T)) == 0);  // nothing beyond the end
  }
}

TEST_CASE_TEMPLATE(
    "SumRanks: the bits of sum_into for any number of ranks, packed or not, with tails", T, float,
    double, bf16, fp16, std::int32_t, std::int64_t) {
  const Machine machine;
  for (int ranks = few_kernels ? 7 : 1; ranks <= 8; ++ranks) {
    for (std::size_t count : {0, 1, 7, 2048, 2049, 5003}) {
      for (bool packed : {true, false}) check<T, 4>(ranks, count, 2, packed);
    }
  }
  for (int ranks : {1, 8, 9, 21, 37, 63, 64}) check<T, 7>(ranks, 333, 1, true);
}

TEST_CASE("SumRanks: integers wrap, infinities stay, arguments fit a launch") {
  const Machine machine;
  static_assert(sizeof(cuda::SumRanks<float, 7>) <= 4096);
  static_assert(cuda::SumRanks<bf16, 4>::max_ranks == 8 &&
                cuda::SumRanks<bf16, 7>::max_ranks == 64);
  cuda::Stream stream;
  const std::vector<std::int32_t> high{std::numeric_limits<std::int32_t>::max()}, one{1};
  const std::vector<float> infinite{std::numeric_limits<float>::infinity()}, finite{-3.0f};
  GpuArray<std::int32_t> a(high, stream.native()), b(one, stream.native());
  GpuArray<float> c(infinite, stream.native()), d(finite, stream.native());
  cuda::launch(Cuda{.stream = stream.native()}, 1,
               cuda::SumRanks<std::int32_t, 4>{{a.data(), b.data()}, {a.data()}, 2, 1, 1, true});
  cuda::launch(Cuda{.stream = stream.native()}, 1,
               cuda::SumRanks<float, 4>{{c.data(), d.data()}, {c.data()}, 2, 1, 1, true});
  std::int32_t wrapped = 0;
  float sum = 0;
  cuda::check(cudaMemcpyAsync(&wrapped, a.data(), 4, cudaMemcpyDeviceToHost, stream.native()));
  cuda::check(cudaMemcpyAsync(&sum, c.data(), 4, cudaMemcpyDeviceToHost, stream.native()));
  stream.synchronize();
  CHECK(wrapped == std::numeric_limits<std::int32_t>::min());
  CHECK(sum == std::numeric_limits<float>::infinity());
}

TEST_CASE("blocks: enough for one pass over short arrays, bounded for long ones") {
  cuda::SumRanks<float, 4> kernel{};
  kernel.packed = true;
  CHECK(kernel.blocks() == 0);
  kernel.count = 1;
  CHECK(kernel.blocks() == 1);
  kernel.count = 1025;
  CHECK(kernel.blocks() == 2);
  kernel.count = std::size_t{1} << 40;
  CHECK(kernel.blocks() == 2048);
}

}  // namespace
