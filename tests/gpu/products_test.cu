// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/products_test.cu: matrix products and linear layers on the GPU against float64.
#include <cohort/ops/cuda/linear.hpp>
#include <cohort/ops/cuda/matmul.hpp>
#include <cohort/ops/cuda/tune.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using gpu_test::OnBoth;
using gpu_test::size;

constexpr int C = 768, V = 50304;

/// y = x w^T + b and its gradients. Rows are few: the float64 twin runs on the CPU.
template <int In, int Out, class T> void check_linear(int rows, bool first) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const auto r = static_cast<std::size_t>(rows), weights = static_cast<std::size_t>(In) * Out;
  auto x = t.random(r * In), w = t.random(weights, 0.1), b = t.random(Out), dy = t.random(r * Out);
  auto y = t.poisoned(r * Out), no_bias = t.poisoned(r * Out), dx = t.poisoned(r * In);
  auto onto_y = t.random(r * Out), onto_dx = t.random(r * In);
  auto y_sum = t.poisoned(r * Out), no_bias_sum = t.poisoned(r * Out), dx_sum = t.poisoned(r * In);
  auto dw = first ? t.template poisoned<A>(weights) : t.template random<A>(weights);
  auto db = first ? t.template poisoned<A>(Out) : t.template random<A>(Out);
  t.run([&](const auto& device) {
    auto* none = b.on(device);
    none = nullptr;
    ops::linear_forward<In, Out>(device, rows, x.on(device), w.on(device), b.on(device),
                                 y.on(device));
    ops::linear_forward<In, Out>(device, rows, x.on(device), w.on(device), none,
                                 no_bias.on(device));
    ops::linear_forward<In, Out>(device, rows, x.on(device), w.on(device), b.on(device),
                                 y_sum.on(device), onto_y.on(device));
    ops::linear_forward<In, Out>(device, rows, x.on(device), w.on(device), none,
                                 no_bias_sum.on(device), onto_y.on(device));
    ops::linear_backward<In, Out>(device, rows, x.on(device), w.on(device), dy.on(device),
                                  dw.on(device), db.on(device), first, dx.on(device));
    auto* no_gradient = db.on(device);
    no_gradient = nullptr;
    ops::linear_backward<In, Out>(device, rows, x.on(device), w.on(device), dy.on(device),
                                  no_gradient, no_gradient, first, dx_sum.on(device),
                                  onto_dx.on(device));
  });
  // Deviations of sums of products of N(0, 1) and N(0, 0.1), or two N(0, 1).
  const double of_y = 0.1 * std::sqrt(double(In)), of_dx = 0.1 * std::sqrt(double(Out));
  const double of_dw = std::sqrt(double(rows));
  t.check("y and a residual", y_sum, {.additions = In, .inner = 1, .typical = of_y});
  t.check("y and a residual without bias", no_bias_sum, {.additions = In, .typical = of_y});
  t.check("dx and a residual", dx_sum, {.additions = Out, .typical = of_dx});
  t.check("y", y, {.additions = In, .typical = of_y});
  t.check("y without bias", no_bias, {.additions = In, .typical = of_y});
  t.check("dx", dx, {.additions = Out, .typical = of_dx});
  t.check("dw", dw, {.additions = double(rows), .typical = of_dw});
  t.check("db", db, {.additions = double(rows), .typical = of_dw});
}

}  // namespace

TEST_CASE_TEMPLATE("linear: GPT-2's shapes", T, COHORT_GPU_TYPES) {
  check_linear<C, 3 * C, T>(size(256, 16), true);
  check_linear<4 * C, C, T>(size(256, 16), false);
}

TEST_CASE_TEMPLATE("linear: the head, 50304 classes", T, float, bf16) {
  check_linear<C, V, T>(size(32, 8), true);
}

TEST_CASE_TEMPLATE("linear: sizes that are no multiples of 16 bytes", T, COHORT_GPU_TYPES) {
  check_linear<35, 77, T>(size(129, 13), true);
  check_linear<77, 1, T>(1, false);
}

/// cuBLASLt may compute gelu's tanh form in 16 bits with tanh.approx.f32, whose result t errs by at most
/// 2^-11 |t| (PTX ISA, tanh). For y = x (1 + t) / 2 and its slope (1 + t) / 2 + x (1 - t^2) c (1 + 3 a x^2) / 2,
/// c = sqrt(2 / pi), a = 0.044715, that is at most:
template <class How, class T>
constexpr bool approximates = std::is_same_v<How, ops::GeluTanh> && sizeof(T) == 2;
double approximate_t(double x) { return std::tanh(0.79788456 * (x + 0.044715 * x * x * x)); }
double error_of_gelu(double x) { return 0x1p-12 * std::fabs(x * approximate_t(x)); }
double error_of_slope(double x) {
  const double t = approximate_t(x);
  return 0x1p-11 * (std::fabs(t) / 2 + std::fabs(x) * t * t * 0.79788456 * (1 + 0.134145 * x * x));
}

template <class How, class T> void check_linear_gelu() {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  constexpr int In = C, Out = 4 * C;
  const int rows = size(256, 16);
  const auto r = static_cast<std::size_t>(rows), weights = static_cast<std::size_t>(In) * Out;
  auto x = t.random(r * In), w = t.random(weights, 0.05), b = t.random(Out), dy = t.random(r * Out);
  auto y = t.poisoned(r * Out), slope = t.poisoned(r * Out), dx = t.poisoned(r * In),
       scratch = t.poisoned(r * Out), before = t.poisoned(r * Out);
  auto dw = t.template poisoned<A>(weights), db = t.template poisoned<A>(Out);
  t.run([&](const auto& device) {
    ops::linear_forward<In, Out>(device, rows, x.on(device), w.on(device), b.on(device),
                                 before.on(device));
    ops::linear_gelu_forward<How, In, Out>(device, rows, x.on(device), w.on(device), b.on(device),
                                           y.on(device), slope.on(device));
    ops::linear_gelu_backward<How, In, Out>(device, rows, x.on(device), w.on(device),
                                            slope.on(device), dy.on(device), dw.on(device),
                                            db.on(device), true, dx.on(device), scratch.on(device));
  });
  std::vector<double> each;
  if (approximates<How, T>)
    for (const double z : before.reference()) each.push_back(error_of_gelu(z));
  // What gelu's slope is computed from, the slope's product with dy: each is rounded to T once.
  t.check("y", y, {.additions = In, .inner = 1, .each = each});
  t.check("dx", dx, {.additions = Out, .inner = 3});
  t.check("dw", dw, {.additions = double(rows), .inner = 3});
  t.check("db", db, {.additions = double(rows), .inner = 3});
}

TEST_CASE_TEMPLATE("linear with gelu: forward and backward", T, COHORT_GPU_TYPES) {
  check_linear_gelu<ops::GeluErf, T>();
}

TEST_CASE("linear with gelu's tanh form, in 16 bits as part of the product") {
  check_linear_gelu<ops::GeluTanh, bf16>();
}

/// What linear_gelu_forward keeps of gelu's input: itself on a GPU, the slope there on the CPU.
template <class How, class T> void keep_slope(const Cuda&, std::size_t, T*) {}
template <class How, class G, class T> void keep_slope(const Cpu<G>& cpu, std::size_t n, T* z) {
  std::vector<T> y(n);
  ops::activation_forward<How>(cpu, n, static_cast<const T*>(z), y.data(), z);
}
template <class How, class T> ops::GeluSlope<How, T> slope_of(T* kept) { return {kept}; }

/// dz of a layer behind gelu: cuBLASLt's own slope where it fuses it, else a pass of ours.
template <class How, class T> void check_slope() {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  constexpr int In = 4 * C, Out = C;
  const int rows = size(256, 16);
  const auto r = static_cast<std::size_t>(rows), weights = static_cast<std::size_t>(In) * Out;
  auto z = t.random(r * In, 2.0), x = t.random(r * In), w = t.random(weights, 0.05);
  auto dy = t.random(r * Out), dz = t.poisoned(r * In), plain = t.poisoned(r * In);
  const std::vector<double> before = z.reference();
  auto dw = t.template poisoned<A>(weights), db = t.template poisoned<A>(Out);
  t.run([&](const auto& device) {
    keep_slope<How>(device, r * In, z.on(device));
    ops::linear_backward<In, Out>(device, rows, x.on(device), w.on(device), dy.on(device),
                                  dw.on(device), db.on(device), true, plain.on(device));
    ops::linear_backward<In, Out>(device, rows, x.on(device), w.on(device), dy.on(device),
                                  dw.on(device), db.on(device), true, dz.on(device),
                                  slope_of<How>(z.on(device)));
  });
  std::vector<double> each;
  if (approximates<How, T>)
    for (std::size_t i = 0; i < before.size(); ++i)
      each.push_back(std::fabs(plain.reference()[i]) * error_of_slope(before[i]));
  t.check("dz", dz, {.additions = Out, .inner = 1, .each = each});
  t.check("dw behind gelu", dw, {.additions = double(rows)});
}

TEST_CASE_TEMPLATE("linear behind gelu: backward multiplies by its slope", T, COHORT_GPU_TYPES) {
  check_slope<ops::GeluTanh, T>();
  check_slope<ops::GeluErf, T>();
}

/// The same call some times, with another product between: its bits do not depend on which of its parts is done
/// first. A weight's gradient is what cuBLASLt cuts along k.
template <int In, int Out, class T> void check_repeats(int rows) {
  using A = accumulator_t<T>;
  OnBoth<T> t;
  const auto r = static_cast<std::size_t>(rows), weights = static_cast<std::size_t>(In) * Out;
  const auto x = t.random(r * In), w = t.random(weights, 0.1), dy = t.random(r * Out);
  const auto b = t.random(Out), y = t.poisoned(r * Out), dx = t.poisoned(r * In);
  const auto dw = t.template poisoned<A>(weights), db = t.template poisoned<A>(Out);
  const Cuda& device = gpu_test::gpu().device;
  const auto bits = [&](const auto& array) {
    const auto values = array.download();
    const auto bytes = std::as_bytes(std::span(values));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  std::vector<std::vector<std::byte>> first;
  for (int i = 0; i < 5; ++i) {
    A* const sums = i % 2 == 0 ? db.on(device) : nullptr;
    ops::linear_forward<In, Out, T>(device, rows, x.on(device), w.on(device), b.on(device),
                                    y.on(device));
    ops::linear_backward<In, Out, T>(device, rows, x.on(device), w.on(device), dy.on(device),
                                     dw.on(device), sums, true, dx.on(device));
    gpu_test::gpu().stream.synchronize();
    const std::vector<std::vector<std::byte>> now{bits(y), bits(dx), bits(dw), bits(db)};
    if (i < 2) {  // with sums over rows and without: two products
      first.insert(first.end(), now.begin(), now.end());
      continue;
    }
    for (std::size_t k = 0; k < now.size(); ++k)
      CHECK(now[k] == first[(static_cast<std::size_t>(i) % 2) * now.size() + k]);
  }
}

TEST_CASE_TEMPLATE("products: the same call has the same bits", T, float, bf16, fp16) {
  check_repeats<C, C, T>(size(16384, 64));
  check_repeats<C, 3 * C, T>(size(16384, 64));
  check_repeats<4 * C, C, T>(size(8192, 64));
}

namespace {

/// Every element of dw and db is the number of rows, exactly: a sum of ones below 2^24. Products that cut the sum over
/// rows into parts have been seen to lose the last rows where their number is no multiple of a part's.
template <int In, int Out, class T> void check_ones(int rows) {
  CAPTURE(In);
  CAPTURE(Out);
  CAPTURE(rows);
  const auto r = static_cast<std::size_t>(rows), weights = static_cast<std::size_t>(In) * Out;
  using A = accumulator_t<T>;
  using gpu_test::Array;
  const Array<T> x(std::vector<T>(r * In, T(1.0f))), dy(std::vector<T>(r * Out, T(1.0f)));
  const Array<A> dw(std::vector<A>(weights, A(-1))), db(std::vector<A>(Out, A(-1)));
  const Cuda& device = gpu_test::gpu().device;
  ops::kernels::linear_gradients<In, Out>(device, rows, static_cast<const T*>(x.on(device)),
                                          static_cast<const T*>(dy.on(device)), dw.on(device),
                                          db.on(device), true);
  gpu_test::gpu().stream.synchronize();
  const auto other = [&](A v) { return v != static_cast<A>(rows); };
  const auto got_w = dw.download(), got_b = db.download();
  CHECK(std::count_if(got_w.begin(), got_w.end(), other) == 0);
  CHECK(std::count_if(got_b.begin(), got_b.end(), other) == 0);
}
template <class T> void check_ones() {
  const int many = size(16384, 128);
  for (const int more : {0, 1, 8, 40, 63}) check_ones<C, C, T>(many + more);
  for (const int rows : {size(65529, 65), size(100003, 67)}) check_ones<64, 64, T>(rows);
  check_ones<128, C, T>(size(32777, 69));
}

}  // namespace

TEST_CASE_TEMPLATE("linear: gradients count every row, whatever their number", T, float, bf16,
                   fp16) {
  check_ones<T>();
}

TEST_CASE("tune: products by the algorithms that were the quickest here") {
  struct Fresh {  // its own memory of products, so that only these are measured
    cuda::Context context{0};
    cuda::Context* before = std::exchange(gpu_test::gpu().device.context, &context);
    ~Fresh() { gpu_test::gpu().device.context = before; }
  } fresh;
  const auto products = [] {
    check_linear<C, 3 * C, bf16>(size(256, 16), true);
    check_slope<ops::GeluTanh, bf16>();
    check_repeats<C, C, bf16>(size(4096, 64));
    check_ones<C, C, bf16>(size(16424, 72));
  };
  products();
  cuda::Memory lent(std::size_t{64} << 20);
  const auto measured =
      cuda::tune_products(gpu_test::gpu().device, lent.as<std::byte>(), lent.bytes());
  CHECK(measured.size() > 4);
  for (const auto& p : measured) {
    std::printf("  %s\n", to_string(p).c_str());
    CHECK(p.candidates > 0);
    CHECK(p.best_us <= p.first_us);
  }
  products();
}

TEST_CASE_TEMPLATE("matmul: all four transpositions, beta 0 and 1", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  const int m = size(200, 19), n = size(136, 24), k = size(520, 40);
  const auto at = [](int a, int b) { return static_cast<std::size_t>(a) * b; };
  auto a = t.random(at(m, k)), b = t.random(at(k, n));
  auto nn = t.poisoned(at(m, n)), nt = t.poisoned(at(m, n)), tn = t.poisoned(at(m, n));
  auto tt = t.random(at(m, n));
  t.run([&](const auto& device) {
    auto *pa = a.on(device), *pb = b.on(device);
    ops::matmul<false, false>(device, m, n, k, pa, k, pb, n, 0, nn.on(device), n);
    ops::matmul<false, true>(device, m, n, k, pa, k, pb, k, 0, nt.on(device), n);
    ops::matmul<true, false>(device, m, n, k, pa, m, pb, n, 0, tn.on(device), n);
    ops::matmul<true, true>(device, m, n, k, pa, m, pb, k, 1, tt.on(device), n);
  });
  t.check("NN", nn, {.additions = double(k)});
  t.check("NT", nt, {.additions = double(k)});
  t.check("TN", tn, {.additions = double(k)});
  t.check("TT, added", tt, {.additions = double(k)});
}
