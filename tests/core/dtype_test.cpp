// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/dtype_test.cpp: names and sizes of element types.
#include <doctest/doctest.h>
#include <cohort/core/dtype.hpp>

using namespace cohort;

namespace {
template <class T>
concept ElementType = requires {
  dtype_of<T>;
};
static_assert(ElementType<float> && ElementType<double> && ElementType<std::uint8_t>);
static_assert(ElementType<bf16> && ElementType<fp16>);
static_assert(ElementType<std::int32_t> && ElementType<std::int64_t>);
// Near misses have no DType: asking is an error of the compiler (tests/compile_fail/).
static_assert(std::is_same_v<accumulator_t<float>, float>);
static_assert(std::is_same_v<accumulator_t<double>, double>);
static_assert(std::is_same_v<accumulator_t<bf16>, float> &&
              std::is_same_v<accumulator_t<fp16>, float>);
static_assert(std::is_same_v<accumulator_t<std::int64_t>, std::int64_t>);
static_assert(std::is_same_v<accumulator_t<std::uint8_t>, float>);
}  // namespace

TEST_CASE_TEMPLATE("dtype: a plan's bytes are the kernel's bytes", T, float, double, bf16, fp16,
                   std::int64_t, std::int32_t, std::uint8_t) {
  CHECK(bytes(dtype_of<T>) == sizeof(T));
}

TEST_CASE("dtype: every type has its own name") {
  CHECK(name(DType::f64) == "f64");
  CHECK(name(DType::f32) == "f32");
  CHECK(name(DType::bf16) == "bf16");
  CHECK(name(DType::fp16) == "fp16");
  CHECK(name(DType::i64) == "i64");
  CHECK(name(DType::i32) == "i32");
  CHECK(name(DType::u8) == "u8");
}
