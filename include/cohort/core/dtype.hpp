// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/dtype.hpp: names and sizes of the element types that plans and collectives speak of.
#pragma once
#include <cohort/core/float16.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cohort {

/// The name of float beside bf16 and fp16: MixedPrecision<bf16, fp32>.
using fp32 = float;

/// fp32 whose matrix products round their inputs to TF32 (11 bits of precision, the range of fp32), a mode
/// of GPUs from sm_80 on: MixedPrecision<tf32>. No element has this type.
struct tf32 {};

/// Element types as values, for plans, traces and messages. Kernels use the C++ types.
enum class DType : std::uint8_t { f64, f32, bf16, fp16, i64, i32, u8 };

/// Its name in prints and messages.
constexpr std::string_view name(DType t) {
  constexpr std::string_view names[] = {"f64", "f32", "bf16", "fp16", "i64", "i32", "u8"};
  return names[static_cast<int>(t)];
}

/// Bytes of an element.
constexpr std::size_t bytes(DType t) {
  constexpr std::size_t sizes[] = {8, 4, 2, 2, 8, 4, 1};
  return sizes[static_cast<int>(t)];
}

namespace detail {
template <class T> struct element_type;  // primary says no: T is not an element type of cohort
template <> struct element_type<double> { static constexpr DType value = DType::f64; };
template <> struct element_type<float> { static constexpr DType value = DType::f32; };
template <> struct element_type<bf16> { static constexpr DType value = DType::bf16; };
template <> struct element_type<fp16> { static constexpr DType value = DType::fp16; };
template <> struct element_type<std::int64_t> { static constexpr DType value = DType::i64; };
template <> struct element_type<std::int32_t> { static constexpr DType value = DType::i32; };
template <> struct element_type<std::uint8_t> { static constexpr DType value = DType::u8; };
}  // namespace detail

/// The value for the C++ type T.
template <class T> inline constexpr DType dtype_of = detail::element_type<T>::value;

/// The type that sums of T are accumulated in: integers in themselves, floating point in T but at least
/// float.
template <class T> struct accumulator { using type = float; };
template <> struct accumulator<double> { using type = double; };
template <> struct accumulator<std::int64_t> { using type = std::int64_t; };
template <> struct accumulator<std::int32_t> { using type = std::int32_t; };
/// The type that accumulator names.
template <class T> using accumulator_t = typename accumulator<T>::type;

static_assert(bytes(dtype_of<float>) == sizeof(float) && name(dtype_of<double>) == "f64");

}  // namespace cohort
