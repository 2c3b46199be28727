// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/tensor.hpp: views of activations: rows known at run time, features in the type.
#pragma once
#include <Eigen/Core>
#include <cohort/core/dtype.hpp>
#include <cstddef>
#include <type_traits>

namespace cohort {

/// Every buffer and every parameter starts on a boundary of this many bytes.
inline constexpr std::size_t alignment = 64;

constexpr std::size_t round_up(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// How many rows a tensor has: samples x tokens. Models without a token axis use tokens = 1.
/// Accumulation cuts a batch by samples, attention mixes rows of one sample only.
struct Rows {
  int samples = 0;
  int tokens = 1;
  constexpr int count() const { return samples * tokens; }
  friend constexpr bool operator==(const Rows&, const Rows&) = default;
};

/// A borrowed view of [rows, C] elements, row-major, contiguous.
///
/// Tensor<T, C> is a fresh result and owns its place in an arena (its bytes are counted);
/// Tensor<const T, C> is an alias of somebody's result and counts nothing.
template <class T, int C> struct Tensor {
  using value_type = std::remove_const_t<T>;
  static constexpr int extent = C;
  using Matrix =
      Eigen::Matrix<value_type, Eigen::Dynamic, C, C == 1 ? Eigen::ColMajor : Eigen::RowMajor>;

  T* data = nullptr;
  Rows rows{};

  constexpr std::size_t size() const { return static_cast<std::size_t>(rows.count()) * C; }
  constexpr Tensor<const value_type, C> view() const { return {data, rows}; }
  constexpr operator Tensor<const T, C>() const requires(!std::is_const_v<T>) { return view(); }
  auto map() const {  // (rows, C)
    using M = std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>;
    return Eigen::Map<M>(data, rows.count(), C);
  }
  /// Samples [first, first + count): what one micro-batch sees.
  constexpr Tensor samples(int first, int count) const {
    return {data + static_cast<std::size_t>(first) * rows.tokens * C, {count, rows.tokens}};
  }
  /// Bytes that a value of this type occupies in an arena; an alias occupies none.
  static constexpr std::size_t bytes(Rows rows) {
    if (std::is_const_v<T>) return 0;
    return round_up(sizeof(T) * C * static_cast<std::size_t>(rows.count()), alignment);
  }
};

/// A borrowed view of token or class ids, one for each row.
struct Tokens {
  const int* data = nullptr;
  Rows rows{};
  constexpr std::size_t size() const { return static_cast<std::size_t>(rows.count()); }
  constexpr Tokens samples(int first, int count) const {
    return {data + static_cast<std::size_t>(first) * rows.tokens, {count, rows.tokens}};
  }
  static constexpr std::size_t bytes(Rows) { return 0; }
};

/// What backward of a layer over Tokens returns: ids have no gradient.
struct NoGradient {
  static constexpr std::size_t bytes(Rows) { return 0; }
};

/// Says in a layer's `using Input = Features<C>` or `using Output = Features<C>`: [rows, C] values.
template <int C> struct Features {
  static constexpr int extent = C;
  template <class T> using tensor = Tensor<const T, C>;
  template <class T> static constexpr std::size_t bytes(Rows rows) {
    return Tensor<T, C>::bytes(rows);
  }
};

namespace detail {
template <class E, class T>
struct borrowed_value;  // primary says no: Input is Features<C> or Tokens
template <class T> struct borrowed_value<Tokens, T> { using type = Tokens; };
template <int C, class T> struct borrowed_value<Features<C>, T> {
  using type = Tensor<const T, C>;
};

template <class E, class T> constexpr std::size_t gradient_bytes(Rows rows) {
  if constexpr (requires { E::template bytes<T>(rows); })
    return E::template bytes<T>(rows);
  else
    return 0;
}
}  // namespace detail

/// The value that a declared extent stands for: Features<C> -> Tensor<const T, C>, Tokens ->
/// Tokens.
template <class Extent, class T> using value_of = typename detail::borrowed_value<Extent, T>::type;

}  // namespace cohort
