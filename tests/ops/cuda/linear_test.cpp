// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/linear_test.cpp: a dense layer on a GPU against fp64, with everything fused and nothing.
#include <cohort/ops/cuda/linear.hpp>
#include <cohort/ops/default_gemm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// Numbers, and the sum of the sizes of the terms that each is a sum of.
struct Sums {
  std::vector<double> value, size;
  explicit Sums(std::size_t n) : value(n), size(n) {}
};
std::vector<double> sizes(std::vector<double> v) {
  for (double& x : v) x = std::fabs(x);
  return v;
}

/// A layer's inputs, here and there, and what fp64 on the CPU makes of them.
template <int In, int Out, class T> struct Case {
  using D = accumulator_t<T>;
  int rows;
  std::vector<T> x, w, bias, dy;
  GpuArray<T> x_there, w_there, bias_there, dy_there;
  Sums z, dx, dw, db;  // z: before gelu

  explicit Case(int rows)
      : rows(rows),
        x(normal<T>(std::size_t(rows) * In, 1)),
        w(normal<T>(Out * In, 2)),
        bias(normal<T>(Out, 3)),
        dy(normal<T>(std::size_t(rows) * Out, 4)),
        x_there(x),
        w_there(w),
        bias_there(bias),
        dy_there(dy),
        z(dy.size()),
        dx(x.size()),
        dw(w.size()),
        db(Out) {
    const auto x64 = as<double>(x), w64 = as<double>(w), b64 = as<double>(bias);
    ops::linear_forward<In, Out>(DefaultCpu{}, rows, x64.data(), w64.data(), b64.data(),
                                 z.value.data());
    ops::linear_forward<In, Out>(DefaultCpu{}, rows, sizes(x64).data(), sizes(w64).data(),
                                 sizes(b64).data(), z.size.data());
    backward(as<double>(dy));
  }
  void backward(const std::vector<double>& g) {
    const auto x64 = as<double>(x), w64 = as<double>(w);
    ops::linear_backward<In, Out>(DefaultCpu{}, rows, x64.data(), w64.data(), g.data(),
                                  dw.value.data(), db.value.data(), true, dx.value.data());
    ops::linear_backward<In, Out>(DefaultCpu{}, rows, sizes(x64).data(), sizes(w64).data(),
                                  sizes(g).data(), dw.size.data(), db.size.data(), true,
                                  dx.size.data());
  }
};

/// got == old + want: sums of `terms` in A, each term with a relative error of its own, rounded once.
template <class A, class O>
bool near(const std::vector<O>& got, const Sums& want, int terms, double relative = 0,
          const std::vector<O>* old = nullptr) {
  bool good = got.size() == want.value.size();
  for (std::size_t i = 0; good && i < got.size(); ++i) {
    const double before = old ? value((*old)[i]) : 0, all = want.value[i] + before;
    const double error = ((terms + 1) * unit<A> + relative) * (want.size[i] + std::fabs(before));
    good = std::fabs(value(got[i]) - all) <= error + half_ulp<O>(std::fabs(all) + error);
  }
  return good;
}

/// y and dx with a residual. Where products and sums take turns, they are rounded to T between.
template <int In, int Out, class T>
void check_residual(Case<In, Out, T>& c, Blas& blas, bool fused) {
  using D = accumulator_t<T>;
  const auto r = normal<T>(c.dy.size(), 8), s = normal<T>(c.x.size(), 9);
  GpuArray<T> r_there(r), s_there(s), y(r.size()), dx(s.size());
  GpuArray<D> dw(c.w.size()), db(Out);
  for (const T* bias : {c.bias_there.view(), static_cast<const T*>(nullptr)}) {
    Sums want = c.z;
    for (std::size_t i = 0; i < r.size(); ++i) {
      const double b = bias ? 0 : value(c.bias[i % Out]);
      want.value[i] += value(r[i]) - b, want.size[i] += std::fabs(value(r[i]));
    }
    ops::linear_forward<In, Out>(blas.device(), c.rows, c.x_there.view(), c.w_there.view(), bias,
                                 y.data(), r_there.view());
    CHECK(near<D>(y.get(), want, In + 2, fused || !bias ? 0 : unit<T>));
  }
  Sums want = c.dx;
  for (std::size_t i = 0; i < s.size(); ++i)
    want.value[i] += value(s[i]), want.size[i] += std::fabs(value(s[i]));
  ops::linear_backward<In, Out>(blas.device(), c.rows, c.x_there.view(), c.w_there.view(),
                                c.dy_there.view(), dw.data(), db.data(), true, dx.data(),
                                s_there.view());
  CHECK(near<D>(dx.get(), want, Out + 1));
  CHECK(near<D>(dw.get(), c.dw, c.rows));
}

template <int In, int Out, class T> void check_linear(int rows, bool fused) {
  CAPTURE(rows);
  using D = accumulator_t<T>;
  Case<In, Out, T> c(rows);
  Blas blas;
  GpuArray<T> y(c.dy.size());
  ops::linear_forward<In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                               c.bias_there.view(), y.data());
  CHECK(near<D>(y.get(), c.z, In + 1));
  check_residual(c, blas, fused);
  for (const bool first : {true, false}) {
    const auto dw_old = before<D>(c.w.size(), first), db_old = before<D>(Out, first, 78);
    GpuArray<D> dw(dw_old), db(db_old), db_alone(db_old);
    GpuArray<T> dx(c.x.size()), dx_alone(c.x.size());
    ops::linear_backward<In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                                  c.dy_there.view(), dw.data(), db.data(), first, dx.data());
    CHECK(near<D>(dx.get(), c.dx, Out));
    CHECK(near<D>(dw.get(), c.dw, rows, 0, first ? nullptr : &dw_old));
    CHECK(near<D>(db.get(), c.db, rows, 0, first ? nullptr : &db_old));
    D* const none = nullptr;
    ops::linear_backward<In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                                  c.dy_there.view(), none, db_alone.data(), first, dx_alone.data());
    CHECK(near<D>(db_alone.get(), c.db, rows, 0, first ? nullptr : &db_old));
    CHECK(same_bits(dx.get(), dx_alone.get()));
  }
}

/// dz of z -> gelu -> layer. The slope, like gelu in check_gelu, is that of a number that T holds: the
/// product alone may be rounded to T before.
template <class How, int In, int Out, class T> void check_slope(int rows) {
  using D = accumulator_t<T>;
  Case<In, Out, T> c(rows);
  Blas blas;
  const auto z = normal<T>(c.x.size(), 9);
  GpuArray<T> z_there(z), dz(z.size());
  GpuArray<D> dw(c.w.size()), db(Out);
  ops::linear_backward<In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                                c.dy_there.view(), dw.data(), db.data(), true, dz.data(),
                                ops::GeluSlope<How, T>{z_there.view()});
  Sums want = c.dx;
  const auto z64 = as<double>(z);
  ops::activation_backward<How>(DefaultCpu{}, z.size(), z64.data(), c.dx.value.data(),
                                want.value.data());
  const double relative = unit<T> + (sizeof(D) == 4 ? 3e-7 + 6 * unit<D> : 0);  // slopes: below 1.2
  for (double& size : want.size) size *= 1.2;
  CHECK(near<D>(dz.get(), want, Out, relative));
  CHECK(near<D>(dw.get(), c.dw, rows));
  CHECK(near<D>(db.get(), c.db, rows));
}

template <class How, int In, int Out, class T> void check_gelu(int rows) {
  CAPTURE(rows);
  using D = accumulator_t<T>;
  Case<In, Out, T> c(rows);
  Blas blas;
  const std::size_t n = c.dy.size();
  GpuArray<T> y(n), z(n), y_alone(n), scratch(ops::linear_gelu_scratch_on_cuda<Out>(rows));
  ops::linear_gelu_forward<How, In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                                         c.bias_there.view(), y.data(), z.data());
  T* const none = nullptr;
  ops::linear_gelu_forward<How, In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                                         c.bias_there.view(), y_alone.data(), none);
  // gelu of a number that may have been rounded to T before, changes by at most 1.2 as much; Phi in fp32
  // is good to 2e-7 (ops/gelu.hpp), three more roundings follow.
  Sums want = c.z;
  ops::activation_forward<How>(DefaultCpu{}, n, c.z.value.data(), want.value.data());
  const double relative = 1.2 * unit<T> + (sizeof(D) == 4 ? 3e-7 + 6 * unit<D> : 0);
  CHECK(near<D>(z.get(), c.z, In + 1));
  CHECK(near<D>(y.get(), want, 2 * In, relative));
  CHECK(near<D>(y_alone.get(), want, 2 * In, relative));
  // Backward: gelu's own gradient of what was kept, and linear_backward of that.
  GpuArray<D> dw(c.w.size()), db(Out);
  GpuArray<T> dx(c.x.size()), dz(n);
  ops::linear_gelu_backward<How, In, Out>(blas.device(), rows, c.x_there.view(), c.w_there.view(),
                                          z.view(), c.dy_there.view(), dw.data(), db.data(), true,
                                          dx.data(), scratch.data());
  ops::activation_backward<How>(blas.device(), n, z.view(), c.dy_there.view(), dz.data());
  CHECK(same_bits(scratch.get(), dz.get()));
  c.backward(as<double>(dz.get()));
  CHECK(near<D>(dx.get(), c.dx, Out));
  CHECK(near<D>(dw.get(), c.dw, rows));
  CHECK(near<D>(db.get(), c.db, rows));
}
}  // namespace

TEST_CASE_TEMPLATE("linear on a GPU: forward and gradients agree with fp64, fused or not", T, float,
                   double, bf16, fp16) {
  for (const bool fused : {true, false}) {
    cuda_double::support_epilogues(fused);
    for (int rows : {1, 17, 64}) {
      check_linear<8, 24, T>(rows, fused);
      check_linear<5, 7, T>(rows, fused);
    }
  }
  cuda_double::reset();
}

TEST_CASE_TEMPLATE(
    "linear on a GPU: with gelu, fused or not, forward and gradients agree with fp64", T, float,
    double, bf16, fp16) {
  for (const int major : {8, 9})
    for (const bool fused : {true, false}) {
      cuda_double::set_properties(132, major, 0);
      cuda_double::support_epilogues(fused);
      for (int rows : {1, 17}) {
        check_gelu<ops::GeluTanh, 8, 24, T>(rows);
        check_gelu<ops::GeluErf, 8, 24, T>(rows);
        check_gelu<ops::GeluTanh, 5, 7, T>(rows);
        check_slope<ops::GeluTanh, 24, 8, T>(rows);
        check_slope<ops::GeluErf, 24, 8, T>(rows);
        check_slope<ops::GeluTanh, 5, 7, T>(rows);
      }
    }
  cuda_double::reset();
}

TEST_CASE("linear on a GPU: what is fused takes no kernel of its own") {
  cuda_double::reset();
  Case<8, 24, bf16> c(32);
  Blas blas;
  GpuArray<bf16> y(c.dy.size()), z(c.dy.size()), dx(c.x.size());
  GpuArray<float> dw(c.w.size()), db(24);
  const auto work = [&](auto f) {
    cuda_double::record(true);
    f();
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    std::string kinds;
    for (const auto& r : cuda_double::take_log())
      kinds += r.kind == cuda_double::Record::product ? 'p' : 'k';
    cuda_double::record(false);
    return kinds;
  };
  const auto forward = [&] {
    ops::linear_forward<8, 24>(blas.device(), 32, c.x_there.view(), c.w_there.view(),
                               c.bias_there.view(), y.data());
  };
  const auto backward = [&](bool first) {
    ops::linear_backward<8, 24>(blas.device(), 32, c.x_there.view(), c.w_there.view(),
                                c.dy_there.view(), dw.data(), db.data(), first, dx.data());
  };
  const auto gelu = [&]<class How>(How) {
    ops::linear_gelu_forward<How, 8, 24>(blas.device(), 32, c.x_there.view(), c.w_there.view(),
                                         c.bias_there.view(), y.data(), z.data());
  };
  CHECK(work(forward) == "p");
  CHECK(work([&] {
          ops::linear_forward<8, 24>(blas.device(), 32, c.x_there.view(), c.w_there.view(),
                                     c.bias_there.view(), y.data(), c.dy_there.view());
          ops::linear_backward<8, 24>(blas.device(), 32, c.x_there.view(), c.w_there.view(),
                                      c.dy_there.view(), dw.data(), db.data(), true, dx.data(),
                                      c.x_there.view());
        }) == "ppp");
  CHECK(work([&] { backward(true); }) == "pp");
  CHECK(work([&] { backward(false); }) == "pkp");  // the sums of this contribution are added
  CHECK(work([&] { gelu(ops::GeluErf{}); }) == "pk");
  cuda_double::set_properties(132, 9, 0);
  Blas hopper;
  CHECK(work([&] {
          ops::linear_gelu_forward<ops::GeluTanh, 8, 24>(hopper.device(), 32, c.x_there.view(),
                                                         c.w_there.view(), c.bias_there.view(),
                                                         y.data(), z.data());
        }) == "p");
  CHECK(work([&] {
          ops::linear_backward<8, 24>(hopper.device(), 32, c.x_there.view(), c.w_there.view(),
                                      c.dy_there.view(), dw.data(), db.data(), true, dx.data(),
                                      ops::GeluSlope<ops::GeluTanh, bf16>{c.x_there.view()});
        }) == "pp");
  cuda_double::reset();
}

TEST_CASE("linear on a GPU: no rows give gradients of zero, or leave them") {
  Blas blas;
  GpuArray<float> dw(std::vector<float>(6, 9.0f)), db(std::vector<float>(3, 9.0f)), one(6);
  const auto go = [&](bool first) {
    ops::linear_backward<2, 3>(blas.device(), 0, one.view(), one.view(), one.view(), dw.data(),
                               db.data(), first, one.data());
  };
  go(false);
  CHECK(dw.get() == std::vector<float>(6, 9.0f));
  CHECK(db.get() == std::vector<float>(3, 9.0f));
  go(true);
  CHECK(dw.get() == std::vector<float>(6));
  CHECK(db.get() == std::vector<float>(3));
}
