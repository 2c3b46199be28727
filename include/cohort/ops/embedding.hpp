// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/embedding.hpp: rows of a table chosen by token, and the scatter-add that is its gradient.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/core/error.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace cohort::ops {

/// Throws InvalidInput unless every token is in [0, V); names the first that is not.
template <int V, class G> void check_tokens(const Cpu<G>&, int rows, const std::int32_t* tokens) {
  bool inside = true;
  for (int row = 0; row < rows; ++row) inside &= std::uint32_t(tokens[row]) < std::uint32_t(V);
  if (inside) return;
  int row = 0;
  while (std::uint32_t(tokens[row]) < std::uint32_t(V)) ++row;
  throw InvalidInput(-1, "embedding",
                     "token " + std::to_string(tokens[row]) + " at row " + std::to_string(row) +
                         " is outside the vocabulary [0, " + std::to_string(V) +
                         "). Check the tokenizer, or make the embedding larger.");
}

namespace detail {
template <std::size_t Bytes> void copy_bytes(const void* from, void* to) {
  constexpr std::size_t whole = Bytes / register_bytes * register_bytes;
  const auto* in = static_cast<const char*>(from);
  auto* out = static_cast<char*>(to);
  for (std::size_t i = 0; i < whole; i += register_bytes)
    std::memcpy(out + i, in + i, register_bytes);
  std::memcpy(out + whole, in + whole, Bytes - whole);
}
}  // namespace detail

/// y[row] = weight[tokens[row]].
///
/// Shapes   weight[V, C], tokens[rows], y[rows, C].
/// Errors   a token outside [0, V): InvalidInput before anything is written.
template <int V, int C, class G, class T>
void embedding_forward(const Cpu<G>& cpu, int rows, const std::int32_t* tokens, const T* weight,
                       T* y) {
  check_tokens<V>(cpu, rows, tokens);
  for (int row = 0; row < rows; ++row, y += C) {
    const T* from = weight + std::ptrdiff_t(tokens[row]) * C;
    if constexpr (Float16<T>)  // g++ 12 copies structures one by one
      detail::copy_bytes<C * sizeof(T)>(from, y);
    else
      for (int c = 0; c < C; ++c) y[c] = from[c];
  }
}

/// dweight[tokens[row]] += dy[row], rows in order, in fp32 for 16-bit dy. `first`: the whole of dweight is zeroed before.
/// Tokens were checked by the forward.
template <int V, int C, class G, class T, class D>
void embedding_backward(const Cpu<G>&, int rows, const std::int32_t* tokens, const T* dy,
                        D* dweight, bool first) {
  using A = accumulator_t<D>;
  if (first)
    for (std::ptrdiff_t i = 0; i < std::ptrdiff_t(V) * C; ++i) dweight[i] = D(0);
  for (int row = 0; row < rows; ++row, dy += C) {
    D* to = dweight + std::ptrdiff_t(tokens[row]) * C;
    for_vectors<C, A>([&](int c, auto count) {
      store(to + c, load(static_cast<const D*>(to) + c, count) + load(dy + c, count), count);
    });
  }
}

// The same on a GPU: ops/cuda/embedding.hpp. It cannot throw for a token: it writes device.fault.
template <int V, int C, class T>
void embedding_forward(const Cuda&, int rows, const std::int32_t* tokens, const T* weight, T* y);
template <int V, int C, class T, class D>
void embedding_backward(const Cuda&, int rows, const std::int32_t* tokens, const T* dy, D* dweight,
                        bool first);

}  // namespace cohort::ops
