// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/linear_test.cpp: a dense layer by blocks of rows, and fused with gelu, bit for bit.
#include <doctest/doctest.h>

#include <cohort/ops/default_gemm.hpp>
#include <cohort/ops/linear.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
constexpr DefaultCpu device;
constexpr int In = 37, Out = 70;
constexpr std::nullptr_t none = nullptr;

template <class T> struct Case {
  explicit Case(int rows)
      : rows(rows),
        x(normal<T>(size(In), 1)),
        dy(normal<T>(size(Out), 2)),
        w(normal<T>(Out * In, 3)),
        bias(normal<T>(Out, 4)) {}
  std::size_t size(int width) const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  }
  int rows;
  std::vector<T> x, dy, w, bias;
};
}  // namespace

TEST_CASE_TEMPLATE("linear: blocks of 256 rows, one after the other, give the bits of all rows", T,
                   float, double) {
  for (int rows : {1, 255, 256, 257, 600}) {
    const Case<T> c(rows);
    for (bool first : {true, false}) {
      std::vector<T> dw = normal<T>(Out * In, 5), whole = dw, dx(c.size(In)), dx_whole(dx);
      ops::linear_backward<In, Out>(device, rows, c.x.data(), c.w.data(), c.dy.data(), whole.data(),
                                    none, first, dx_whole.data());
      for (int row = 0; row < rows; row += ops::row_block)
        ops::linear_backward<In, Out>(device, std::min(ops::row_block, rows - row),
                                      c.x.data() + row * In, c.w.data(), c.dy.data() + row * Out,
                                      dw.data(), none, first && row == 0, dx.data() + row * In);
      CHECK(same_bits(dw, whole));
      CHECK(same_bits(dx, dx_whole));
    }
  }
}

TEST_CASE_TEMPLATE("linear: with a residual or a slope, the bits of the layer and a pass after it",
                   T, float, double, bf16, fp16) {
  for (int rows : {0, 1, 13, 300}) {
    const Case<T> c(rows);
    const auto r = normal<T>(c.size(Out), 5), s = normal<T>(c.size(In), 6);
    std::vector<T> y(r.size()), want(y), dx(s.size()), dx_want(dx);
    using D = accumulator_t<T>;
    std::vector<D> dw(Out * In), dw_want(dw), db(Out), db_want(db);
    for (const T* bias : {c.bias.data(), static_cast<const T*>(nullptr)}) {
      ops::linear_forward<In, Out>(device, rows, c.x.data(), c.w.data(), bias, y.data(), r.data());
      ops::linear_forward<In, Out>(device, rows, c.x.data(), c.w.data(), bias, want.data());
      ops::add_to(device, want.size(), want.data(), r.data());
      CHECK(same_bits(y, want));
    }
    ops::linear_backward<In, Out>(device, rows, c.x.data(), c.w.data(), c.dy.data(), dw.data(),
                                  db.data(), true, dx.data(), s.data());
    ops::linear_backward<In, Out>(device, rows, c.x.data(), c.w.data(), c.dy.data(), dw_want.data(),
                                  db_want.data(), true, dx_want.data());
    ops::add_to(device, dx_want.size(), dx_want.data(), s.data());
    CHECK(same_bits(dx, dx_want));
    CHECK(same_bits(dw, dw_want));
    CHECK(same_bits(db, db_want));
    ops::linear_backward<In, Out>(device, rows, c.x.data(), c.w.data(), c.dy.data(), dw.data(),
                                  db.data(), true, dx_want.data());
    ops::multiply(device, dx.size(), dx_want.data(), s.data(), dx_want.data());
    ops::linear_backward<In, Out>(device, rows, c.x.data(), c.w.data(), c.dy.data(), dw.data(),
                                  db.data(), true, dx.data(),
                                  ops::GeluSlope<ops::GeluErf, T>{s.data()});
    CHECK(same_bits(dx, dx_want));
    CHECK(same_bits(dw, dw_want));
  }
}

TEST_CASE_TEMPLATE("linear: with gelu, the bits of a product and gelu after it", How, ops::GeluErf,
                   ops::GeluTanh) {
  for (int rows : {1, 13, 300, 600}) {
    const Case<float> c(rows);
    const std::size_t n = c.size(Out);
    std::vector<float> y(n), slope(n), pre(n), want(n), d(n), dx(c.size(In)), dx_want(dx);
    std::vector<float> dw(Out * In), dw_want(dw), db(Out), db_want(Out);
    std::vector<float> scratch(ops::linear_gelu_scratch<Out>(rows));
    for (const float* bias : {c.bias.data(), static_cast<const float*>(nullptr)}) {
      ops::linear_gelu_forward<How, In, Out>(device, rows, c.x.data(), c.w.data(), bias, y.data(),
                                             slope.data());
      ops::linear_forward<In, Out>(device, rows, c.x.data(), c.w.data(), bias, pre.data());
      ops::activation_forward<How>(device, n, pre.data(), want.data());
      CHECK(same_bits(y, want));
      ops::linear_gelu_backward<How, In, Out>(device, rows, c.x.data(), c.w.data(), slope.data(),
                                              c.dy.data(), dw.data(), db.data(), true, dx.data(),
                                              scratch.data());
      ops::activation_backward<How>(device, n, pre.data(), c.dy.data(), d.data());
      ops::linear_backward<In, Out>(device, rows, c.x.data(), c.w.data(), d.data(), dw_want.data(),
                                    none, true, dx_want.data());
      ops::column_sum<Out>(device, rows, d.data(), db_want.data(), true);
      CHECK(same_bits(dw, dw_want));
      CHECK(same_bits(dx, dx_want));
      // The same terms, |d| <= 1.2 * 6, in another order: one rounding a term in each of the sums.
      CHECK(max_error(db, db_want) <= 2 * unit<float> * rows * rows * 7.2);
      ops::linear_gelu_forward<How, In, Out>(device, rows, c.x.data(), c.w.data(), bias, y.data(),
                                             static_cast<float*>(nullptr));
      CHECK(same_bits(y, want));
    }
  }
}

TEST_CASE("linear: sums over no rows are zero, or stay") {
  const Case<float> c(0);
  std::vector<float> dw(Out * In, 9.0f), db(Out, 9.0f);
  ops::linear_gelu_backward<ops::GeluErf, In, Out, DefaultGemm, float>(
      device, 0, nullptr, c.w.data(), nullptr, nullptr, dw.data(), db.data(), false, nullptr,
      nullptr);
  CHECK(dw == std::vector<float>(Out * In, 9.0f));
  CHECK(db == std::vector<float>(Out, 9.0f));
  ops::linear_gelu_backward<ops::GeluErf, In, Out, DefaultGemm, float>(
      device, 0, nullptr, c.w.data(), nullptr, nullptr, dw.data(), db.data(), true, nullptr,
      nullptr);
  CHECK(dw == std::vector<float>(Out * In));
  CHECK(db == std::vector<float>(Out));
}

TEST_CASE_TEMPLATE("linear: 16-bit rows give float gradients, with the bits of all rows", T, bf16,
                   fp16) {
  for (int rows : {1, 256, 600}) {
    const Case<float> c(rows);
    const auto narrow = [](const std::vector<float>& v) {
      std::vector<T> out;
      for (float x : v) out.push_back(T(x));
      return out;
    };
    const std::vector<T> x = narrow(c.x), w = narrow(c.w), dy = narrow(c.dy), bias = narrow(c.bias);
    std::vector<float> dw(Out * In), blocks(dw);
    std::vector<T> dx(c.size(In)), y(c.size(Out)), gelu(y), slope(y), scratch(y);
    ops::linear_backward<In, Out>(device, rows, x.data(), w.data(), dy.data(), dw.data(), none,
                                  true, dx.data());
    bool good = true;
    for (int o = 0; o < Out; ++o)
      for (int i = 0; i < In; ++i) {
        double sum = 0, size = 0;
        for (int r = 0; r < rows; ++r) {
          const double term = double(float(dy[r * Out + o])) * double(float(x[r * In + i]));
          sum += term, size += std::fabs(term);
        }
        // Sums of `rows` products in float, one rounding each: nothing is rounded to 16 bits.
        good = good && std::fabs(dw[o * In + i] - sum) <= (rows + 3) * unit<float> * size + 1e-35;
      }
    CHECK(good);
    for (int row = 0; row < rows; row += ops::row_block)
      ops::linear_backward<In, Out>(device, std::min(ops::row_block, rows - row),
                                    x.data() + row * In, w.data(), dy.data() + row * Out,
                                    blocks.data(), none, row == 0, dx.data() + row * In);
    CHECK(same_bits(blocks, dw));
    ops::linear_forward<In, Out>(device, rows, x.data(), w.data(), bias.data(), y.data());
    ops::activation_forward<ops::GeluErf>(device, c.size(Out), y.data(), y.data());
    ops::linear_gelu_forward<ops::GeluErf, In, Out>(device, rows, x.data(), w.data(), bias.data(),
                                                    gelu.data(), slope.data());
    CHECK(same_bits(gelu, y));
    std::vector<float> db(Out), dw_gelu(Out * In);
    std::vector<T> d(c.size(Out));
    ops::linear_gelu_backward<ops::GeluErf, In, Out>(device, rows, x.data(), w.data(), slope.data(),
                                                     dy.data(), dw_gelu.data(), db.data(), true,
                                                     dx.data(), scratch.data());
    ops::multiply(device, c.size(Out), dy.data(), slope.data(), d.data());
    ops::linear_backward<In, Out>(device, rows, x.data(), w.data(), d.data(), dw.data(), none, true,
                                  dx.data());
    CHECK(same_bits(dw_gelu, dw));
  }
}
