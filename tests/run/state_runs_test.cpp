// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/state_runs_test.cpp: stored numbers are the numbers that were stored, rounded once where they must be.
#include <cohort/run/state_runs.hpp>

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <cmath>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/trainer.hpp>
#include <limits>
#include <mutex>

#include "../support/models.hpp"

using namespace cohort;
using io::StoredType;

namespace {

// ---------------------------------------------------------------- which types hold which

struct Holds {
  StoredType stored;
  bool in_double, in_float, in_bf16, in_fp16, real;
};
constexpr Holds table[] = {
    {StoredType::F64, true, false, false, false, true},
    {StoredType::F32, true, true, false, false, true},
    {StoredType::BF16, true, true, true, false, true},
    {StoredType::F16, true, true, false, true, true},
    {StoredType::I32, false, false, false, false, false},
    {StoredType::U64, false, false, false, false, false},
    {StoredType::F8_E4M3, false, false, false, false, false},
    {StoredType::BOOL, false, false, false, false, false},
    {StoredType::C64, false, false, false, false, false},
};
constexpr bool table_holds() {
  for (const Holds& row : table)
    if (detail::holds_exactly(StoredType::F64, row.stored) != row.in_double ||
        detail::holds_exactly(StoredType::F32, row.stored) != row.in_float ||
        detail::holds_exactly(StoredType::BF16, row.stored) != row.in_bf16 ||
        detail::holds_exactly(StoredType::F16, row.stored) != row.in_fp16 ||
        detail::is_real(row.stored) != row.real)
      return false;
  return true;
}
static_assert(table_holds());

// ---------------------------------------------------------------- conversions

template <class To, class From> std::vector<To> converted(const std::vector<From>& from) {
  std::vector<To> to(from.size());
  detail::convert_stored(io::stored_type_of<From>, std::as_bytes(std::span(from)), to.data(),
                         to.size());
  return to;
}
template <class To, class From> std::vector<To> stored(const std::vector<From>& from) {
  std::vector<To> to(from.size());
  detail::store_as(io::stored_type_of<To>, from.data(), 1, from.size(),
                   reinterpret_cast<std::byte*>(to.data()));
  return to;
}
template <class T> std::vector<T> all_values() {
  std::vector<T> all;
  for (unsigned bits = 0; bits < 65536; ++bits)
    all.push_back(T::from_bits(static_cast<std::uint16_t>(bits)));
  return all;
}
/// The value of 16 bits by Eigen.
template <class T> double by_eigen(T x) {
  using Theirs = std::conditional_t<std::is_same_v<T, bf16>, Eigen::bfloat16, Eigen::half>;
  return static_cast<double>(
      static_cast<float>(Eigen::numext::bit_cast<Theirs>(static_cast<std::uint16_t>(x.bits))));
}
template <class T> bool is_nan(T x) { return std::isnan(static_cast<float>(x)); }

TEST_CASE_TEMPLATE("conversions: every value of 16 bits is exact in wider types, and comes back", T,
                   bf16, fp16) {
  const auto all = all_values<T>();
  const auto floats = converted<float>(all), written = stored<float>(all);
  const auto doubles = converted<double>(all), written_doubles = stored<double>(all);
  int wrong = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double expected = by_eigen(all[i]);
    if (std::isnan(expected)) {
      wrong += !std::isnan(floats[i]) + !std::isnan(doubles[i]) + !std::isnan(written[i]) +
               !std::isnan(written_doubles[i]);
    } else {
      wrong += floats[i] != expected || written[i] != expected || doubles[i] != expected ||
               written_doubles[i] != expected || std::signbit(floats[i]) != std::signbit(expected);
    }
  }
  CHECK(wrong == 0);
  const auto same = converted<T>(all), back = stored<T>(floats), again = converted<T>(doubles),
             from_doubles = stored<T>(doubles);
  for (std::size_t i = 0; i < all.size(); ++i) {
    wrong += same[i].bits != all[i].bits;  // the same type: NaNs keep their bits too
    if (is_nan(all[i]))
      wrong += !is_nan(back[i]) + !is_nan(again[i]) + !is_nan(from_doubles[i]);
    else
      wrong += back[i].bits != all[i].bits || again[i].bits != all[i].bits ||
               from_doubles[i].bits != all[i].bits;
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("conversions: between two neighbours the nearer is taken, ties to even", T, bf16,
                   fp16) {
  int wrong = 0;
  const auto all = all_values<T>();
  for (std::size_t i = 0; i + 1 < 32768; ++i) {  // positive numbers, neighbours follow each other
    const double low = by_eigen(all[i]), high = by_eigen(all[i + 1]);
    if (!std::isfinite(high)) break;
    const double middle = low + (high - low) / 2, even = i % 2 == 0 ? low : high;
    // A float can hold neither of the last two, and in fact rounds them to the middle.
    const std::vector<double> asked{low + (high - low) / 4, high - (high - low) / 4, middle,
                                    std::nextafter(middle, low), std::nextafter(middle, high)};
    const double expected[] = {low, high, even, low, high};
    for (const double sign : {1.0, -1.0}) {
      std::vector<double> signed_values;
      for (const double x : asked) signed_values.push_back(sign * x);
      const auto rounded = converted<T>(signed_values), written = stored<T>(signed_values);
      for (std::size_t k = 0; k < asked.size(); ++k)
        wrong += by_eigen(rounded[k]) != sign * expected[k] ||
                 by_eigen(written[k]) != sign * expected[k];
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("conversions: doubles become the nearest floats, and what is too large an infinity") {
  const std::vector<double> values{0.1,    1e300,      -1e300,
                                   1e-300, 16777217.0, std::numeric_limits<double>::infinity()};
  const auto floats = converted<float>(values);
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(floats[i] == static_cast<float>(values[i]));
  CHECK(converted<double>(values) == values);
  CHECK(stored<double>(values) == values);
  for (const bf16 x : converted<bf16>(std::vector<double>{1e300, 3.4e38}))
    CHECK(static_cast<float>(x) == std::numeric_limits<float>::infinity());
  CHECK(static_cast<float>(converted<fp16>(std::vector<double>{-65520})[0]) ==
        -std::numeric_limits<float>::infinity());
  CHECK(is_nan(converted<bf16>(std::vector<double>{std::nan("")})[0]));
}

TEST_CASE("store_as: every third element, of columns") {
  const std::vector<float> from{0, 1, 2, 3, 4, 5, 6, 7, 8};
  float to[3];
  detail::store_as(StoredType::F32, from.data() + 1, 3, 3, reinterpret_cast<std::byte*>(to));
  CHECK(to[0] == 1);
  CHECK(to[1] == 4);
  CHECK(to[2] == 7);
}

TEST_CASE("convert_stored: bytes at odd addresses") {
  const float value = 1.5f;
  std::byte bytes[5];
  std::memcpy(bytes + 1, &value, 4);
  double to = 0;
  detail::convert_stored(StoredType::F32, std::span<const std::byte>(bytes + 1, 4), &to, 1);
  CHECK(to == 1.5);
}

// ---------------------------------------------------------------- names and shapes

using Model = zoo::PartlyFrozen;
template <class Optimizer, class Mixed = MixedPrecision<float, float>>
using Listed = typename Trainer<Model, nn::CrossEntropy, Optimizer, Mixed>::plan_type;

struct Nameless {
  static constexpr int moments = 2;
};

TEST_CASE("moment_names: PyTorch's, numbers where there are none") {
  using Names = std::vector<std::string>;
  CHECK(detail::moment_names<optim::AdamW>() == Names{"exp_avg", "exp_avg_sq"});
  CHECK(detail::moment_names<optim::Sgd>() == Names{"momentum_buffer"});
  CHECK(detail::moment_names<Nameless>() == Names{"moment0", "moment1"});
}

TEST_CASE("StateList: names, shapes and types of values and moments, frozen ones without moments") {
  const detail::StateList list =
      detail::state_list<Listed<optim::AdamW, MixedPrecision<bf16, float>>>();
  CHECK(list.names == parameter_names<Model>());
  constexpr Layout<Model, CutAtRepeat> layout;
  bool frozen = false;
  for (std::size_t i = 0; i < list.names.size(); ++i) {
    const bool trains = layout.params[i].trains;
    std::uint64_t numel = 1;
    for (const std::uint64_t extent : list.shape(i)) numel *= extent;
    CHECK(numel == layout.params[i].numel);
    CHECK(list.kinds(i) == (trains ? 2 : 0));
    CHECK(list.type(detail::state_value, i) == (trains ? StoredType::F32 : StoredType::BF16));
    CHECK(list.type(0, i) == StoredType::F32);
    frozen = frozen || !trains;
  }
  CHECK(frozen);
  CHECK(list.shape(0) == std::vector<std::uint64_t>{11, 6});
  CHECK(list.name(detail::state_value, 0) == "parameters/" + list.names[0]);
  CHECK(list.name(0, 0) == "optimizer/exp_avg/" + list.names[0]);
  CHECK(list.name(1, 0) == "optimizer/exp_avg_sq/" + list.names[0]);
  CHECK(detail::state_list<Listed<optim::Sgd>>().name(0, 0) ==
        "optimizer/momentum_buffer/" + list.names[0]);
}

// ---------------------------------------------------------------- a rank's state

template <class How> void check_state(int ranks) {
  using Plan =
      typename Trainer<Model, nn::CrossEntropy, DataParallel<How>, optim::AdamW>::plan_type;
  constexpr std::size_t params = Plan::layout.num_params;
  std::vector<std::vector<std::vector<int>>> seen(3);  // value, moments: by parameter and element
  for (auto& kind : seen)
    for (const ParamInfo& p : Plan::layout.params) kind.emplace_back(p.numel, 0);
  std::mutex mutex;
  int wrong = 0;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    typename How::template Storage<Plan, Threads> storage(world, {});
    const std::lock_guard lock(mutex);
    std::size_t all = 0, owned = 0;
    detail::for_each_state<Plan>(storage, false,
                                 [&](int, const HeldRun& run, auto*) { all += run.count; });
    detail::for_each_state<Plan>(storage, true, [&](int kind, const HeldRun& run, auto* at) {
      owned += run.count;
      wrong += run.count == 0 || at == nullptr;
      auto& of = seen[static_cast<std::size_t>(kind + 1)][static_cast<std::size_t>(run.param)];
      for (std::size_t k = 0; k < run.count; ++k) ++of[run.first + k];
    });
    wrong += owned > all;
  });
  for (int kind = 0; kind < 3; ++kind)
    for (std::size_t i = 0; i < params; ++i)
      for (const int n : seen[static_cast<std::size_t>(kind)][i])
        wrong += n != (kind == 0 || Plan::layout.params[i].trains ? 1 : 0);
  CHECK(wrong == 0);
}

TEST_CASE(
    "for_each_state: all ranks own every value and every moment once, of frozen ones values only") {
  for (int ranks : {1, 2, 3}) {
    CAPTURE(ranks);
    check_state<Replicate>(ranks);
    check_state<ShardOptimizer>(ranks);
    check_state<FullShard>(ranks);
  }
}

}  // namespace
