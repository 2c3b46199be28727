// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/buckets_test.cpp: buckets are PyTorch's, on the same sizes in the same order.
#include <doctest/doctest.h>
#include <cohort/plan/buckets.hpp>

#include <random>
#include <vector>

#include "support/models.hpp"

using namespace cohort;

namespace {
/// torch.distributed's compute_bucket_assignment_by_size for one dtype and device, as its
/// documentation and its rebuilt state have it: append, add the bytes, close at the limit, advance
/// the limit and stay at the last; what is left makes the last bucket. Indices into `bytes`, which
/// is in order of arrival.
std::vector<std::vector<std::size_t>> torch_buckets(const std::vector<std::size_t>& bytes,
                                                    const std::vector<std::size_t>& limits) {
  std::vector<std::vector<std::size_t>> result;
  std::vector<std::size_t> open;
  std::size_t size = 0, limit = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    open.push_back(i);
    size += bytes[i];
    if (size >= limits[limit]) {
      result.push_back(open);
      open.clear();
      size = 0;
      if (limit + 1 < limits.size()) ++limit;
    }
  }
  if (!open.empty()) result.push_back(open);
  return result;
}

using Many = nn::Repeat<20, nn::Linear<8, 8>>;  // 40 parameters, 20 units, 2560 elements
using ManyLayout = Layout<Many, CutAtRepeat>;

/// A layout of the same number of parameters whose sizes are drawn anew, whole chunks each.
ManyLayout redrawn(unsigned seed) {
  std::mt19937 engine(seed);
  ManyLayout layout;
  std::vector<std::size_t> chunks(layout.params.size(), 0);
  std::size_t left = ManyLayout::size / chunk;  // 40 here: some parameters get none
  while (left > 0) {
    const std::size_t take = std::min<std::size_t>(left, 1 + engine() % 7);
    chunks[engine() % chunks.size()] += take;
    left -= take;
  }
  std::size_t at = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    layout.params[i].offset = at;
    layout.params[i].padded = layout.params[i].numel = chunks[i] * chunk;
    at += chunks[i] * chunk;
  }
  return layout;
}

/// Our buckets of a layout, as PyTorch's lists of indices in order of arrival.
template <class L> void check_against_torch(const L& layout, std::size_t first, std::size_t cap) {
  CAPTURE(first);
  CAPTURE(cap);
  std::vector<std::size_t> arriving;
  std::vector<const ParamInfo*> params;  // PyTorch too leaves out what requires no gradient
  for (std::size_t i = layout.params.size(); i-- > 0;) {
    if (!layout.params[i].trains) continue;
    params.push_back(&layout.params[i]);
    arriving.push_back(layout.params[i].padded * 4);
  }
  const auto theirs = torch_buckets(arriving, {first, cap});
  const auto ours = make_buckets(layout, first, cap, 4);
  REQUIRE(ours.count == static_cast<int>(theirs.size()));
  std::size_t end = L::size;
  for (std::size_t b = 0; b < theirs.size(); ++b) {
    const Bucket& bucket = ours[static_cast<int>(b)];
    const ParamInfo& last = *params[theirs[b].back()];
    CHECK(bucket.num_params == static_cast<int>(theirs[b].size()));
    CHECK(bucket.end == end);
    CHECK(bucket.begin == last.offset);
    CHECK(bucket.unit == last.unit);
    CHECK(bucket.count() == bucket.end - bucket.begin);
    end = bucket.begin;
  }
  CHECK(end == 0);
}
}  // namespace

// Sizes in bytes, in arrival order (backward): 100 | 300, 400 | 900 | 50 left over, by hand.
TEST_CASE("buckets: the reference itself closes after the append and advances its limit once") {
  const auto b = torch_buckets({100, 300, 400, 900, 50}, {100, 500});
  CHECK(b == std::vector<std::vector<std::size_t>>{{0}, {1, 2}, {3}, {4}});
}

// Model of layout_test.cpp's kind: 64 elements each but the last parameter, 384.
TEST_CASE("buckets: by hand, with overshoot and a rest") {
  using Model = nn::Sequential<nn::Linear<3, 5>, nn::Repeat<2, nn::LayerNorm<5>>,
                               nn::Linear<5, 70, nn::NoBias>>;
  constexpr Layout<Model, CutAtRepeat> layout;
  static_assert(layout.size == 768);
  constexpr auto table = make_buckets(layout, 256, 600, 4);
  // First limit 256 B: the 1536 B of the last parameter overshoot it. Then 600 B: three of 256 B.
  CHECK(table.count == 3);
  const auto is = [&](int b, std::size_t begin, std::size_t end, int unit, int params) {
    CHECK(table[b].begin == begin);
    CHECK(table[b].end == end);
    CHECK(table[b].unit == unit);
    CHECK(table[b].num_params == params);
  };
  is(0, 384, 768, 3, 1);
  is(1, 192, 384, 1, 3);  // 2.1.bias, 2.1.weight, 2.0.bias: complete once unit 1 has ended
  is(2, 0, 192, 0, 3);    // the rest
}

TEST_CASE("buckets: a bucket that reaches its limit exactly is closed") {
  constexpr ManyLayout layout;
  constexpr auto exact = make_buckets(layout, 256, 512, 4);
  static_assert(exact[0].num_params == 1 && exact[1].num_params == 2);
  constexpr auto above = make_buckets(layout, 257, 513, 4);
  static_assert(above[0].num_params == 2 && above[1].num_params == 3);
}

TEST_CASE("buckets: the bytes are those of the reduced type") {
  constexpr ManyLayout layout;
  CHECK(make_buckets(layout, 256, 512, 2)[0].num_params == 2);
  CHECK(make_buckets(layout, 256, 512, 8)[1].num_params == 1);
}

TEST_CASE("buckets: PyTorch's assignment for random sizes and limits") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    const ManyLayout layout = redrawn(seed);
    std::mt19937 engine(seed + 1000);
    for (int k = 0; k < 8; ++k)
      check_against_torch(layout, 1 + engine() % 4096, 1 + engine() % 8192);
  }
}

TEST_CASE("buckets: PyTorch's assignment for every model of the zoo and its own limits") {
  zoo::for_each_case([]<class Case>() {
    CAPTURE(Case::name());
    constexpr Layout<typename Case::Model, CutAtRepeat> layout;
    check_against_torch(layout, 1, 1);               // one parameter each
    check_against_torch(layout, 1 << 20, 25 << 20);  // PyTorch's defaults: all in one
    check_against_torch(layout, 300, 700);
    check_against_torch(layout, 4096, 16384);
  });
}
