// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/tensor.hpp: views of activations: rows known at run time, features in the type.
#pragma once
#include <Eigen/Core>
#include <cohort/core/dtype.hpp>
#include <cohort/core/place.hpp>
#include <cohort/core/said.hpp>
#include <cstddef>
#include <type_traits>

namespace cohort {

/// Every buffer and every parameter starts on a boundary of this many bytes.
inline constexpr std::size_t alignment = 64;

/// The next multiple at or above n.
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

namespace detail {
/// What Eigen calls for each element of a 16-bit array, which it sees as unsigned integers.
template <Float16 T> struct WidenedBits {
  float operator()(std::uint16_t bits) const { return float(T::from_bits(bits)); }
};
template <Float16 T> struct RoundedBits {
  std::uint16_t operator()(float value) const { return T(value).bits; }
};
template <class T> struct NoMapOf16Bits {
  static void say() {
    static_assert(!Float16<T>,
                  "cohort: 16-bit elements have no arithmetic and so no map(). Read them with "
                  "wide(), which gives fp32 values, and write a tensor with assign(expression), "
                  "which rounds each value once. [cohort/core/tensor.hpp]");
  }
};
struct Unwanted;  // a conversion to itself would be declared, of which nvcc warns
}  // namespace detail

/// A borrowed view of [rows, C] elements, row-major, contiguous.
///
/// Tensor<T, C> is a fresh result and owns its place in an arena (its bytes are counted);
/// Tensor<const T, C> is an alias of somebody's result and counts nothing. On a GPU both are
/// Tensor<..., OnGpu>, another type: a forward of Tensor<const T, C> is a body for the CPU, one of
/// Tensor<const T, C, OnGpu> for GPUs, one of Tensor<const T, C, Where> for both.
///
/// Units    wide() and assign() speak accumulator_t<T>: T itself, or fp32 when T has 16 bits.
template <class T, int C, class Where = OnHost> struct Tensor {
  using value_type = std::remove_const_t<T>;
  using wide_type = accumulator_t<value_type>;
  static constexpr int extent = C;
  static constexpr bool on_host = std::is_same_v<Where, OnHost>;
  template <class U>
  using MatrixOf = Eigen::Matrix<U, Eigen::Dynamic, C, C == 1 ? Eigen::ColMajor : Eigen::RowMajor>;
  using Matrix = MatrixOf<value_type>;

  T* data = nullptr;
  Rows rows{};

  constexpr std::size_t size() const { return static_cast<std::size_t>(rows.count()) * C; }
  constexpr Tensor<const value_type, C, Where> view() const { return {data, rows}; }
  constexpr operator std::conditional_t<std::is_const_v<T>, detail::Unwanted,
                                        Tensor<const T, C, Where>>() const
      requires(!std::is_const_v<T>) {
    return view();
  }
  /// The elements themselves, for T with arithmetic: float and double.
  auto map() const {  // (rows, C)
    using M = std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>;
    if constexpr (!on_host) {
      detail::said<detail::NotOnTheHost<Where>>();
      return Eigen::Map<M>(nullptr, rows.count(), C);
    } else if constexpr (Float16<value_type>) {
      detail::said<detail::NoMapOf16Bits<value_type>>();
      return Eigen::Map<MatrixOf<float>>(nullptr, rows.count(), C);
    } else {
      return Eigen::Map<M>(data, rows.count(), C);
    }
  }
  /// An Eigen expression of the values, read-only and exact.
  auto wide() const {  // (rows, C)
    if constexpr (Float16<value_type> && on_host)
      return bits().unaryExpr(detail::WidenedBits<value_type>{});
    else
      return view().map();
  }
  /// Writes an Eigen expression of such values and rounds each once. As in Eigen, an element's value
  /// may depend on this tensor's element at the same place; on others only after .eval().
  template <class E>
  void assign(const Eigen::DenseBase<E>& values) const
      requires(!std::is_const_v<T> && std::is_same_v<typename E::Scalar, wide_type>) {
    if constexpr (Float16<value_type> && on_host)
      bits() = values.derived().unaryExpr(detail::RoundedBits<value_type>{});
    else
      map() = values.derived();
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

 private:
  /// The same memory as unsigned integers.
  auto bits() const {
    using U = std::conditional_t<std::is_const_v<T>, const std::uint16_t, std::uint16_t>;
    using M = MatrixOf<std::uint16_t>;
    return Eigen::Map<std::conditional_t<std::is_const_v<T>, const M, M>>(
        reinterpret_cast<U*>(data), rows.count(), C);
  }
};

/// A borrowed view of one value a feature, however many rows there are: statistics over rows, as
/// ctx.make_per_feature<C>() gives them and keep(...) takes them.
template <class T, int C, class Where = OnHost> struct PerFeature {
  static constexpr int extent = C;
  T* data = nullptr;
  /// Bytes in an arena.
  static constexpr std::size_t bytes(Rows) { return round_up(sizeof(T) * C, alignment); }
};

namespace detail {
/// The same tensor, to be overwritten, by one who knows that nobody reads it any more.
template <class T, int C, class Where>
constexpr Tensor<T, C, Where> overwritten(Tensor<const T, C, Where> x) {
  return {const_cast<T*>(x.data), x.rows};
}
}  // namespace detail

/// A borrowed view of token or class ids, one for each row. As with tensors, TokensIn<OnGpu> is what a
/// layer gets on a GPU.
template <class Where> struct TokensIn {
  const int* data = nullptr;
  Rows rows{};
  constexpr std::size_t size() const { return static_cast<std::size_t>(rows.count()); }
  constexpr TokensIn samples(int first, int count) const {
    return {data + static_cast<std::size_t>(first) * rows.tokens, {count, rows.tokens}};
  }
  static constexpr std::size_t bytes(Rows) { return 0; }
};
/// Ids in the host's memory, and what a layer or a loss over ids declares: `using Input = Tokens;`.
using Tokens = TokensIn<OnHost>;

/// What backward of a layer over Tokens returns: ids have no gradient.
struct NoGradient {
  static constexpr std::size_t bytes(Rows) { return 0; }
};

/// Says in a layer's `using Input = Features<C>` or `using Output = Features<C>`: [rows, C] values.
template <int C> struct Features {
  static constexpr int extent = C;
  template <class T> static constexpr std::size_t bytes(Rows rows) {
    return Tensor<T, C>::bytes(rows);
  }
};

namespace detail {
template <class E, class T, class Where = OnHost>
struct borrowed_value;  // primary says no: Input is Features<C> or Tokens
template <class T, class Where> struct borrowed_value<Tokens, T, Where> {
  using type = TokensIn<Where>;
};
template <int C, class T, class Where> struct borrowed_value<Features<C>, T, Where> {
  using type = Tensor<const T, C, Where>;
};

template <class E, class T> constexpr std::size_t gradient_bytes(Rows rows) {
  if constexpr (requires { E::template bytes<T>(rows); })
    return E::template bytes<T>(rows);
  else
    return 0;
}
}  // namespace detail

/// The value that a declared extent stands for: Features<C> -> Tensor<const T, C, Where>, Tokens ->
/// TokensIn<Where>.
template <class Extent, class T, class Where = OnHost>
using value_of = typename detail::borrowed_value<Extent, T, Where>::type;

}  // namespace cohort
