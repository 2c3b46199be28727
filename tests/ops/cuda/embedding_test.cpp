// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/embedding_test.cpp: the CPU's bits, long runs of one token, passes over columns, faults.
#include <cohort/ops/cuda/embedding.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// What the law says: rows of a token in order, in chunks of 64 from its first row on.
template <int V, int C, class A, class T>
std::vector<A> in_chunks(const std::vector<std::int32_t>& tokens, const std::vector<T>& dy,
                         std::vector<A> table, bool first) {
  for (std::size_t t = 0; t < V; ++t)
    for (std::size_t c = 0; c < C; ++c) {
      A total = 0, chunk = 0;
      std::size_t count = 0;
      for (std::size_t row = 0; row < tokens.size(); ++row) {
        if (tokens[row] != static_cast<std::int32_t>(t)) continue;
        chunk += A(dy[row * C + c]);
        if (++count % 64 == 0) total = count == 64 ? chunk : total + chunk, chunk = 0;
      }
      if (count > 64)  // the rows of the last chunk are added one by one
        for (std::size_t row = 0, seen = 0; row < tokens.size(); ++row) {
          if (tokens[row] != static_cast<std::int32_t>(t)) continue;
          if (++seen > count / 64 * 64) total += A(dy[row * C + c]);
        }
      else if (count < 64)
        total = chunk;
      A& to = table[t * C + c];
      to = first ? total : count == 0 ? to : to + total;
    }
  return table;
}

template <int V, int C, class T> void check(const std::vector<std::int32_t>& tokens) {
  CAPTURE(C);
  CAPTURE(tokens.size());
  using A = accumulator_t<T>;
  const auto rows = static_cast<int>(tokens.size());
  Gpu gpu;
  const auto vw = normal<T>(V * C, 1), vdy = normal<T>(tokens.size() * C, 2);
  GpuArray<std::int32_t> ids(tokens);
  GpuArray<T> w(vw), dy(vdy), y(tokens.size() * C);
  std::vector<T> want_y(tokens.size() * C);
  ops::embedding_forward<V, C>(cpu, rows, tokens.data(), vw.data(), want_y.data());
  ops::embedding_forward<V, C>(gpu, rows, ids.view(), w.view(), y.data());
  CHECK(same_bits(y.get(), want_y));
  for (const bool first : {true, false}) {
    const auto start = before<A>(V * C, first);
    GpuArray<A> dw(start);
    ops::embedding_backward<V, C>(gpu, rows, ids.view(), dy.view(), dw.data(), first);
    CHECK(same_bits(dw.get(), in_chunks<V, C>(tokens, vdy, start, first)));
  }
  CHECK(gpu.fault().kind == cuda::Fault::none);
}
/// 7 in `run` rows among others, beginning at a row that is no multiple of anything.
std::vector<std::int32_t> with_run(std::size_t run) {
  auto tokens = integers(40, 7, 1);
  tokens.insert(tokens.begin() + 5, run, 7);
  tokens.insert(tokens.end(), 70, 11);
  return tokens;
}
template <int C, class T> void check_runs() {
  for (const std::size_t run : {1, 3, 64, 65, 127, 128, 129, 200, 321})
    check<12, C, T>(with_run(run));
}

template <int C, class T> using Strips = ops::kernels::TokenRows<C, T, accumulator_t<T>>;

/// The workspace that embedding_backward needs for the partial sums of so many strips at once.
template <int V, int C, class T> std::size_t room_for(int rows, int strips) {
  using S = Strips<C, T>;
  const std::size_t integers = ops::kernels::sort_rows_integers(rows) + V;
  const std::size_t chunks = (static_cast<std::size_t>(rows) + 63) / 64;
  return round_up(4 * integers, 64) +
         chunks * std::size_t(std::min(C, strips * S::strip)) * sizeof(typename S::A);
}
/// Passes that `backward` makes over strips of columns, and the blocks of all of them.
template <class F> std::pair<int, int> passes_and_blocks(F backward) {
  cuda_double::record(true);
  cuda_double::take_log();
  backward();
  std::pair<int, int> sums{}, adds{};
  for (const auto& r : cuda_double::take_log())
    for (const auto& [name, to] : {std::pair{"SumChunks", &sums}, std::pair{"AddChunks", &adds}})
      if (r.name.find(name) != std::string::npos) ++to->first, to->second += r.blocks;
  cuda_double::record(false);
  CHECK(adds.first == sums.first);
  return sums;
}

template <int C, class T> void check_passes() {
  CAPTURE(C);
  using S = Strips<C, T>;
  using A = typename S::A;
  constexpr int V = 12;
  static_assert(S::strips > 1);
  const auto tokens = with_run(200);
  const auto rows = static_cast<int>(tokens.size());
  const auto vdy = normal<T>(tokens.size() * C, 2);
  GpuArray<std::int32_t> ids(tokens);
  GpuArray<T> dy(vdy);
  Gpu gpu;
  const auto backward = [&](std::size_t workspace_bytes, GpuArray<A>& dw, bool first) {
    GpuArray<std::byte> workspace(workspace_bytes);
    gpu.device().workspace = workspace.data();
    gpu.device().workspace_bytes = workspace_bytes;
    const auto counted = passes_and_blocks(
        [&] { ops::embedding_backward<V, C>(gpu, rows, ids.view(), dy.view(), dw.data(), first); });
    workspace.get();  // nothing is written beyond it
    return counted;
  };
  for (int strips = 1; strips <= S::strips; ++strips)
    for (const bool first : {true, false}) {
      CAPTURE(strips);
      const auto start = before<A>(V * C, first);
      GpuArray<A> dw(start);
      CHECK(backward(room_for<V, C, T>(rows, strips), dw, first) ==
            std::pair{(S::strips + strips - 1) / strips, (rows + 7) / 8 * S::strips});
      CHECK(same_bits(dw.get(), in_chunks<V, C>(tokens, vdy, start, first)));
    }
  GpuArray<A> dw(V * C);
  CHECK_THROWS_AS(backward(room_for<V, C, T>(rows, 1) - 1, dw, false), ContractBroken);
  cuda_double::reset();
}

/// Passes for a batch as large as real ones, which the double only logs.
template <int C, class T, class D> int passes_for(int rows) {
  constexpr int V = 50304;
  Gpu gpu(workspace_bytes<Cuda>);
  GpuArray<T> dy(C);
  GpuArray<D> dw(C);
  cuda_double::set_execute(false);
  const auto [passes, blocks] = passes_and_blocks(
      [&] { ops::embedding_backward<V, C>(gpu, rows, nullptr, dy.view(), dw.data(), false); });
  CHECK(blocks == (rows + 7) / 8 * ops::kernels::TokenRows<C, T, D>::strips);
  cuda_double::reset();
  return passes;
}
static_assert(4 * (ops::kernels::sort_rows_integers(1'960'000) + 50304) < workspace_bytes<Cuda>);
}  // namespace

TEST_CASE_TEMPLATE("embedding on a GPU: the stated bits for short and long runs of a token", T,
                   double, float, bf16, fp16) {
  for (const std::size_t rows : {0, 1, 9, 300}) {
    check<50, 7, T>(integers(rows, 50, 3));
    check<300, 12, T>(integers(rows, 300, 4));
  }
  for (const auto order : {cuda_double::Order::forward, cuda_double::Order::backward}) {
    cuda_double::set_order(order);
    check_runs<8, T>();
  }
  cuda_double::reset();
  check<9, 1288, T>(integers(150, 9, 5));  // several strips of columns
}

TEST_CASE(
    "embedding on a GPU: as many passes over columns as the workspace asks for, the same bits") {
  check_passes<1288, float>();  // a last strip of half the width
  check_passes<1288, bf16>();
  check_passes<387, float>();  // packs of one element
  check_passes<1024, bf16>();  // whole strips
}

TEST_CASE("embedding on a GPU: 32 MiB of workspace do for 680,000 rows of any C") {
  CHECK(passes_for<4096, bf16, float>(65536) == 1);
  CHECK(passes_for<4096, bf16, float>(400000) == 4);
  CHECK(passes_for<4096, bf16, float>(680000) == 8);
  CHECK_THROWS_AS((passes_for<4096, bf16, float>(682000)), ContractBroken);
  CHECK(passes_for<12288, bf16, bf16>(65536) == 2);
  CHECK(passes_for<12288, bf16, bf16>(410000) == 12);
  CHECK_THROWS_AS((passes_for<12288, bf16, bf16>(412000)), ContractBroken);
  cuda_double::reset();
}

TEST_CASE("embedding on a GPU: up to 64 rows of a token give the CPU's bits") {
  constexpr int V = 40, C = 24;
  Gpu gpu;
  const auto tokens = integers(400, V, 1);
  const auto vdy = normal<bf16>(tokens.size() * C, 2);
  std::vector<float> want(V * C);
  GpuArray<std::int32_t> ids(tokens);
  GpuArray<bf16> dy(vdy);
  GpuArray<float> dw(V * C);
  ops::embedding_backward<V, C>(cpu, 400, tokens.data(), vdy.data(), want.data(), true);
  ops::embedding_backward<V, C>(gpu, 400, ids.view(), dy.view(), dw.data(), true);
  CHECK(same_bits(dw.get(), want));
}

TEST_CASE("embedding on a GPU: the other tokens change no bit of a token's gradient") {
  constexpr int V = 30, C = 8, rows = 500;
  Gpu gpu;
  auto tokens = integers(rows, V, 1);
  for (std::size_t i = 0; i < rows; i += 3) tokens[i] = 17;
  GpuArray<float> dy(normal<float>(rows * C, 2)), a(V * C), b(V * C);
  GpuArray<std::int32_t> one(tokens);
  for (std::size_t i = 0; i < rows; ++i)
    if (tokens[i] != 17) tokens[i] = (tokens[i] + 5) % 16;
  GpuArray<std::int32_t> two(tokens);
  ops::embedding_backward<V, C>(gpu, rows, one.view(), dy.view(), a.data(), true);
  ops::embedding_backward<V, C>(gpu, rows, two.view(), dy.view(), b.data(), true);
  const auto left = a.get(), right = b.get();
  CHECK(same_bits(left.data() + 17 * C, right.data() + 17 * C, C));
  CHECK(!same_bits(left, right));
}

TEST_CASE(
    "embedding on a GPU: a token outside the vocabulary is reported, memory outside untouched") {
  constexpr int V = 5, C = 8;
  for (const std::int32_t bad : {-1, 5, 2147483647}) {
    Gpu gpu;
    std::vector<std::int32_t> tokens = {3, 1, bad, 2};
    const auto vw = normal<float>(V * C, 1);
    GpuArray<std::int32_t> ids(tokens);
    GpuArray<float> w(vw), y(4 * C), dw(V * C);
    ops::embedding_forward<V, C>(gpu, 4, ids.view(), w.view(), y.data());
    ops::embedding_backward<V, C>(gpu, 4, ids.view(), y.view(), dw.data(), true);
    const cuda::Fault fault = gpu.fault();
    CHECK(fault.kind == cuda::Fault::token);
    CHECK(fault.row == 2);
    CHECK(fault.value == bad);
    CHECK(same_bits(y.get().data() + 2 * C, vw.data(), C));
    CHECK(!std::isnan(dw.get()[0]));
    gpu.device().fault = nullptr;
    ops::embedding_forward<V, C>(gpu, 4, ids.view(), w.view(), y.data());
    y.get();
  }
}
