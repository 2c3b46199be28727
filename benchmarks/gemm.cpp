// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gemm.cpp: matrix products of a small GPT's training step, all backends in one run.
//
// g++ -std=c++20 -O3 -march=native -DNDEBUG -Iinclude -isystem /usr/include/eigen3
//     benchmarks/gemm.cpp -ldnnl [-DCOHORT_BENCH_OPENBLAS -lopenblas] -o gemm
// OMP_NUM_THREADS=1 ./gemm
// One JSON object per line. Medians of interleaved rounds; each round walks through four copies of
// the operands, as a step walks through its layers. Without dnnl.h oneDNN is left out.
// "gemm_bf16": the same products of bf16 (dw in float, added to), and of larger matrices with a second
// argument: ./gemm ROUNDS large.
#include <algorithm>
#include <chrono>
#include <cohort/ops/gemm_eigen.hpp>
#include <cohort/ops/gemm_tiled.hpp>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>
#if __has_include(<dnnl.hpp>)
#include <cohort/ops/gemm_onednn.hpp>
#include <dnnl.hpp>
#endif
#if defined(COHORT_BENCH_OPENBLAS)
extern "C" void cblas_sgemm(int order, int transa, int transb, int m, int n, int k, float alpha,
                            const float* a, int lda, const float* b, int ldb, float beta, float* c,
                            int ldc);
#endif

namespace {

struct Shape {
  bool trans_a, trans_b;
  int m, n, k;
  int per_step;  // how often a step of the 4-layer, 128-wide, 65-letter GPT computes it
};

/// rows = batch x tokens. Forward y = x w^T, then dx = dy w, then dw += dy^T x.
std::vector<Shape> shapes(int rows) {
  std::vector<Shape> out;
  const int linear[][3] = {
      {384, 128, 4}, {128, 128, 4}, {512, 128, 4}, {128, 512, 4}, {65, 128, 1}};
  for (const auto& [outs, ins, count] : linear)
    out.push_back({false, true, rows, outs, ins, count});
  for (const auto& [outs, ins, count] : linear)
    out.push_back({false, false, rows, ins, outs, count});
  for (const auto& [outs, ins, count] : linear)
    out.push_back({true, false, outs, ins, rows, count});
  return out;
}

using Product = void (*)(const Shape&, const float* a, const float* b, float* c);

template <class Gemm> void product(const Shape& s, const float* a, const float* b, float* c) {
  if (s.trans_a) {
    Gemm::template multiply<true, false, float>(s.m, s.n, s.k, a, s.m, b, s.n, 1.0f, c, s.n);
  } else if (s.trans_b) {
    Gemm::template multiply<false, true, float>(s.m, s.n, s.k, a, s.k, b, s.k, 0.0f, c, s.n);
  } else {
    Gemm::template multiply<false, false, float>(s.m, s.n, s.k, a, s.k, b, s.n, 0.0f, c, s.n);
  }
}

#if defined(COHORT_BENCH_OPENBLAS)
void open_blas(const Shape& s, const float* a, const float* b, float* c) {
  constexpr int row_major = 101, plain = 111, transposed = 112;
  cblas_sgemm(row_major, s.trans_a ? transposed : plain, s.trans_b ? transposed : plain, s.m, s.n,
              s.k, 1.0f, a, s.trans_a ? s.m : s.k, b, s.trans_b ? s.k : s.n,
              s.trans_a ? 1.0f : 0.0f, c, s.n);
}
#endif

struct Backend {
  const char* name;
  Product run;
};

const Backend backends[] = {
    {"cohort", product<cohort::TiledGemm>},
    {"Eigen", product<cohort::EigenGemm>},
#if __has_include(<dnnl.hpp>)
    {"oneDNN", product<cohort::OneDnnGemm>},
#endif
#if defined(COHORT_BENCH_OPENBLAS)
    {"OpenBLAS", open_blas},
#endif
};
constexpr int num_backends = std::size(backends);

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Median seconds of one product, by backend.
std::vector<double> measure(const Shape& s, int rounds) {
  constexpr int copies = 4, calls = 8;
  const auto round_up = [](int elements) {
    return static_cast<std::size_t>((elements + 63) / 64 * 64);
  };
  const std::size_t size_a = round_up(s.m * s.k), size_b = round_up(s.k * s.n);
  const std::size_t size = size_a + size_b + round_up(s.m * s.n);
  std::vector<float> memory(size * copies + 16);
  std::mt19937 random(1);
  for (float& x : memory) x = static_cast<float>(random() % 1000) * 1e-3f - 0.5f;
  float* base = memory.data() + (64 - reinterpret_cast<std::size_t>(memory.data()) % 64) / 4 % 16;
  std::vector<double> times[num_backends];
  for (int r = 0; r < rounds; ++r) {
    for (int which = 0; which < num_backends; ++which) {
      const double start = seconds();
      for (int i = 0; i < calls; ++i) {
        float* a = base + static_cast<std::size_t>(i % copies) * size;
        backends[which].run(s, a, a + size_a, a + size_a + size_b);
      }
      times[which].push_back((seconds() - start) / calls);
    }
  }
  std::vector<double> medians;
  for (auto& t : times) {
    std::nth_element(t.begin(), t.begin() + rounds / 2, t.end());
    medians.push_back(t[static_cast<std::size_t>(rounds / 2)]);
  }
  return medians;
}

void print(const std::string& bench, const std::string& metric, const char* unit, double value,
           const char* peer, double peer_value) {
  std::printf(
      "{\"bench\":\"%s\",\"metric\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"peer\":\"%s\","
      "\"peer_value\":%.4g,\"ratio\":%.3f}\n",
      bench.c_str(), metric.c_str(), value, unit, peer, peer_value, value / peer_value);
}

void run(int rows, int rounds) {
  std::vector<double> total(num_backends);
  double best_total = 0;
  for (const Shape& s : shapes(rows)) {
    const std::vector<double> t = measure(s, rounds);
    const double giga = 2e-9 * s.m * s.n * s.k;
    const std::string metric = std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                               std::to_string(s.k) +
                               (s.trans_a   ? " TN"
                                : s.trans_b ? " NT"
                                            : " NN");
    for (int i = 0; i < num_backends; ++i) {
      total[static_cast<std::size_t>(i)] += t[static_cast<std::size_t>(i)] * s.per_step;
      if (i > 0)
        print("gemm", metric, "GFLOP/s", giga / t[0], backends[i].name,
              giga / t[static_cast<std::size_t>(i)]);
    }
    best_total += *std::min_element(t.begin(), t.end()) * s.per_step;
  }
  const std::string step = "step of " + std::to_string(rows) + " rows";
  for (int i = 1; i < num_backends; ++i) {
    print("gemm_step", step, "ms", total[0] * 1e3, backends[i].name,
          total[static_cast<std::size_t>(i)] * 1e3);
  }
  print("gemm_roofline", step, "ms", total[0] * 1e3, "best of all per shape", best_total * 1e3);
}

/// A product of bf16: sums of weight gradients (TN) go on in float, all else is stored as bf16.
template <class Gemm>
void narrow_product(const Shape& s, const cohort::bf16* a, const cohort::bf16* b, void* c) {
  using cohort::bf16;
  if (s.trans_a)
    Gemm::template multiply<true, false, bf16>(s.m, s.n, s.k, a, s.m, b, s.n, 1.0f,
                                               static_cast<float*>(c), s.n);
  else if (s.trans_b)
    Gemm::template multiply<false, true, bf16>(s.m, s.n, s.k, a, s.k, b, s.k, 0.0f,
                                               static_cast<bf16*>(c), s.n);
  else
    Gemm::template multiply<false, false, bf16>(s.m, s.n, s.k, a, s.k, b, s.n, 0.0f,
                                                static_cast<bf16*>(c), s.n);
}

#if __has_include(<dnnl.hpp>)
/// oneDNN's matmul primitive for one shape, made once.
class OneDnnBf16 {
 public:
  explicit OneDnnBf16(const Shape& s) {
    using dnnl::memory;
    const auto bf16 = memory::data_type::bf16;
    const memory::dim m = s.m, n = s.n, k = s.k;
    const memory::desc a({m, k}, bf16, s.trans_a ? memory::dims{1, m} : memory::dims{k, 1});
    const memory::desc b({k, n}, bf16, s.trans_b ? memory::dims{1, k} : memory::dims{n, 1});
    const memory::desc c({m, n}, s.trans_a ? memory::data_type::f32 : bf16, memory::dims{n, 1});
    dnnl::primitive_attr attributes;
    if (s.trans_a) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
    product_ = dnnl::matmul({dnnl::matmul::desc(a, b, c), attributes, engine_});
    a_ = memory(a, engine_, nullptr), b_ = memory(b, engine_, nullptr);
    c_ = memory(c, engine_, nullptr);
  }
  void run(const void* a, const void* b, void* c) {
    a_.set_data_handle(const_cast<void*>(a));
    b_.set_data_handle(const_cast<void*>(b));
    c_.set_data_handle(c);
    product_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}});
    stream_.wait();
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul product_;
  dnnl::memory a_, b_, c_;
};
#endif

/// Median seconds of one product of float (ours), of bf16 (ours, and through float blocks), and of
/// bf16 by oneDNN (or 0).
std::vector<double> measure_bf16(const Shape& s, int rounds) {
  using cohort::bf16;
  constexpr int copies = 4;
  const auto round_up = [](int n) { return static_cast<std::size_t>((n + 63) / 64 * 64); };
  const std::size_t size_a = round_up(s.m * s.k), size_b = round_up(s.k * s.n);
  const std::size_t size = size_a + size_b + 2 * round_up(s.m * s.n);
  std::vector<bf16> memory(size * copies + 32);
  std::mt19937 random(1);
  for (bf16& x : memory) x = bf16(static_cast<float>(random() % 1000) * 1e-3f - 0.5f);
  bf16* base = memory.data() + (64 - reinterpret_cast<std::size_t>(memory.data()) % 64) / 2 % 32;
  using Widened =
      cohort::TiledGemmOf<cohort::detail::widest_register, cohort::detail::Dot::widened>;
#if __has_include(<dnnl.hpp>)
  OneDnnBf16 peer(s);
#endif
  std::vector<double> times[3];
  for (int r = 0; r < rounds; ++r) {
    for (int which = 0; which < 3; ++which) {
      const double start = seconds();
      for (int i = 0; i < 2 * copies; ++i) {
        bf16* a = base + static_cast<std::size_t>(i % copies) * size;
        bf16 *b = a + size_a, *c = b + size_b;
        if (which == 0) narrow_product<cohort::TiledGemm>(s, a, b, c);
        if (which == 1) narrow_product<Widened>(s, a, b, c);
#if __has_include(<dnnl.hpp>)
        if (which == 2) peer.run(a, b, c);
#endif
      }
      times[which].push_back((seconds() - start) / (2 * copies));
    }
  }
  std::vector<double> medians;
  for (auto& t : times) {
    std::nth_element(t.begin(), t.begin() + rounds / 2, t.end());
    medians.push_back(t[static_cast<std::size_t>(rounds / 2)]);
  }
  return medians;
}

void run_bf16(const std::vector<Shape>& all, int rounds, const std::string& step) {
  const char* const peers[] = {"", "cohort, float blocks", "oneDNN bf16", "cohort float"};
  double total[4] = {};
  for (const Shape& s : all) {
    std::vector<double> t = measure_bf16(s, rounds);
    t.push_back(measure(s, rounds)[0]);
    const double giga = 2e-9 * s.m * s.n * s.k;
    const std::string metric = std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                               std::to_string(s.k) +
                               (s.trans_a   ? " TN"
                                : s.trans_b ? " NT"
                                            : " NN");
    for (std::size_t i = 0; i < 4; ++i) {
      total[i] += t[i] * s.per_step;
#if !__has_include(<dnnl.hpp>)
      if (i == 2) continue;
#endif
      if (i > 0) print("gemm_bf16", metric, "GFLOP/s", giga / t[0], peers[i], giga / t[i]);
    }
  }
  for (int i : {1, 2, 3}) {
#if !__has_include(<dnnl.hpp>)
    if (i == 2) continue;
#endif
    print("gemm_bf16_step", step, "ms", total[0] * 1e3, peers[i], total[i] * 1e3);
  }
}

/// Forward, dx and dw of larger layers.
std::vector<Shape> large_shapes() {
  std::vector<Shape> out;
  const int linear[][3] = {{1024, 768, 3072}, {1024, 3072, 768}, {1024, 2304, 768}};
  for (const auto& [rows, outs, ins] : linear) {
    out.push_back({false, true, rows, outs, ins, 1});
    out.push_back({false, false, rows, ins, outs, 1});
    out.push_back({true, false, outs, ins, rows, 1});
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 31;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: gemm [rounds >= 1] [large]\n");
    return 2;
  }
  if (argc > 2 && std::string(argv[2]) == "large") {
    run_bf16(large_shapes(), rounds, "three large layers");
    return 0;
  }
  for (int rows : {768, 384}) {
    run(rows, rounds);
    run_bf16(shapes(rows), rounds, "step of " + std::to_string(rows) + " rows");
  }
}
