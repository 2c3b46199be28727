// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ptx/traffic_test.cu: what kernels ask of a GPU, counted, against the least that their shapes need.
//
// Each kernel runs once at GPT-2's widths, on few rows, and prints one line. Its bounds are written from
// shapes where it is called: bytes that must move once, and those asked for again, which caches answer.
#include <doctest/doctest.h>

#include <cohort/comm/shared_gpu_kernels.hpp>
#include <cohort/ops/cuda/activation.hpp>
#include <cohort/ops/cuda/adam.hpp>
#include <cohort/ops/cuda/adamw.hpp>
#include <cohort/ops/cuda/attention.hpp>
#include <cohort/ops/cuda/batch_norm.hpp>
#include <cohort/ops/cuda/column_sum.hpp>
#include <cohort/ops/cuda/convert.hpp>
#include <cohort/ops/cuda/cross_entropy.hpp>
#include <cohort/ops/cuda/dropout.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/embedding.hpp>
#include <cohort/ops/cuda/grad_norm.hpp>
#include <cohort/ops/cuda/layer_norm.hpp>
#include <cohort/ops/cuda/mean_squared_error.hpp>
#include <cohort/ops/cuda/pair_sums.hpp>
#include <cohort/ops/cuda/position.hpp>
#include <cohort/ops/cuda/rms_norm.hpp>
#include <cohort/ops/cuda/rope.hpp>
#include <cohort/ops/cuda/sgd.hpp>
#include <cohort/ops/cuda/swiglu.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/relu.hpp>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <random>
#include <support/ptx/runtime.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using ptx_test::Array;
using ptx_test::gpu;

// An H200: 90 % of 4.8 TB/s, over 132 processors of 1.8 GHz. While they move 16 bytes, each can issue 4 * 32
// instructions of lanes a cycle, or 16 exponentials, reciprocals and conversions from or to 64 bits, or one
// pass over its shared memory.
constexpr double bytes_a_cycle = 0.9 * 4.8e12 / 132 / 1.8e9, cycles = 16 / bytes_a_cycle;
constexpr double lane_instructions = 4 * 32 * cycles, slow_instructions = 16 * cycles;
static_assert(lane_instructions > 112 && lane_instructions < 113 && slow_instructions > 14);
constexpr double unlimited = std::numeric_limits<double>::infinity();
constexpr double sector = 32;  // bytes: the least that memory moves

struct Bound {
  double reads, writes;                      // bytes that every such kernel must move
  double reads_again = 0, writes_again = 0;  // bytes of sectors that L1 or L2 answer or collect
  double instructions = lane_instructions;   // of lanes for 16 bytes of reads and writes
  double conflicts = 1;                      // passes over shared memory for each that is needed
  double atomics = 0;
  double per_tensor = 0;  // other instructions for each of a tensor core: then no memory bounds it
};

/// What the kernels of one call did.
class Ran {
 public:
  template <class F> explicit Ran(F f) {
    ptx::take_totals();
    f();
    cudaStreamSynchronize(gpu().stream);
    CHECK(cuda_double::take_failure() == "");
    totals_ = ptx::take_totals();
  }
  /// The sum over the kernels that have these words in their names.
  const Ran& check(const std::string& what, std::initializer_list<std::string> names,
                   const Bound& b) const {
    CAPTURE(what);
    ptx::Counts c;
    const char* type = "";
    for (const std::string& name : names) {
      CAPTURE(name);
      int found = 0;
      for (const auto& [kernel, total] : totals_) {
        if (kernel.find(name) == kernel.npos) continue;
        ++found, c += total.counts;
        if (names.size() > 1) continue;
        if (kernel.find("float") != kernel.npos) type = ", fp32";
        if (kernel.find("bf16") != kernel.npos) type = ", bf16";
      }
      CHECK(found == 1);
    }
    say(what + type, c, b);
    const double reads = double(c.load_sectors) * sector, writes = double(c.store_sectors) * sector;
    CHECK(reads >= b.reads);
    CHECK(reads <= b.reads + b.reads_again);
    CHECK(writes >= b.writes);
    CHECK(writes <= b.writes + b.writes_again);
    CHECK(double(c.shared_passes) <= b.conflicts * double(c.shared_least));
    CHECK(c.local_bytes == 0);
    CHECK(double(c.atomics) <= b.atomics);
    const double all = double(c.all_instructions());
    if (b.per_tensor > 0) {
      const double tensor = double(of(c, ptx::Pipe::tensor));
      CHECK((all - tensor) <= b.per_tensor * tensor);
      return *this;
    }
    const double cycles_of_memory = (b.reads + b.writes) / bytes_a_cycle;
    CHECK(all * 32 * 16 <= b.instructions * (b.reads + b.writes));
    if (b.instructions == unlimited) return *this;
    CHECK(double(of(c, ptx::Pipe::special)) * 32 <= 16 * cycles_of_memory);
    CHECK(double(of(c, ptx::Pipe::fp64)) * 32 <= 16 * cycles_of_memory);
    CHECK(double(c.shared_passes) <= cycles_of_memory);
    return *this;
  }

 private:
  static std::uint64_t of(const ptx::Counts& c, ptx::Pipe pipe) {
    return c.instructions[static_cast<std::size_t>(pipe)];
  }
  static void say(const std::string& what, const ptx::Counts& c, const Bound& b) {
    static bool first = true;
    if (std::exchange(first, false))
      std::printf("%-36s %9s %12s %12s %6s %12s %s\n", "kernel (instructions: PTX's)", "bytes",
                  "sectors/them", "passes/least", "local", "instr/16 B", "others/tensor");
    const double bytes = b.reads + b.writes, all = double(c.all_instructions());
    const double moved = double(c.load_sectors + c.store_sectors) * sector;
    const auto tensor = of(c, ptx::Pipe::tensor);
    std::printf("%-36s %9.0f %12.3f %12.2f %6llu %12.1f", what.c_str(), bytes, moved / bytes,
                c.shared_least == 0 ? 1 : double(c.shared_passes) / double(c.shared_least),
                static_cast<unsigned long long>(c.local_bytes), all * 32 * 16 / bytes);
    if (tensor > 0) std::printf(" %8.1f", (all - double(tensor)) / double(tensor));
    std::printf("\n");
  }
  std::map<std::string, ptx::Totals> totals_;
};

template <class T> Array<T> random(std::size_t n) {
  std::mt19937 bits(7);
  std::normal_distribution<float> normal;
  std::vector<T> values(n);
  for (T& x : values) x = T(normal(bits));
  return Array<T>(values);
}
template <class T> Array<T> zeros(std::size_t n) { return Array<T>(std::vector<T>(n)); }

template <class T> constexpr bool is_short = sizeof(T) == 2;

/// Rows as hidden states have them.
template <class T> struct Rows {
  static constexpr int C = 768, rows = 64;
  static constexpr std::size_t n = std::size_t{rows} * C;
  static constexpr double bytes = n * sizeof(T), floats = n * 4, row = C * sizeof(T);
  Array<T> x = random<T>(n), dy = random<T>(n), y = zeros<T>(n), z = zeros<T>(n);
  Array<T> weight = random<T>(C), bias = random<T>(C);
  Array<float> mean = zeros<float>(rows), rstd = zeros<float>(rows), dw = zeros<float>(C),
               db = zeros<float>(C);
};

TEST_CASE_TEMPLATE("traffic: norms, and sums over rows", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  constexpr int C = R::C, rows = R::rows;
  // Every row reads weight and bias (L1), and writes its mean and rstd into sectors of their own (L2 merges).
  const double vectors = R::row * rows, numbers = sector * rows;
  Ran([&] {
    ops::layer_norm_forward<C>(gpu(), rows, r.x.data(), r.weight.data(), r.bias.data(), r.y.data(),
                               r.mean.data(), r.rstd.data(), 1e-5f);
  }).check("layer_norm_forward", {"NormForward<"}, {R::bytes, R::bytes, 2 * vectors, 2 * numbers});
  Ran([&] {
    ops::rms_norm_forward<C>(gpu(), rows, r.x.data(), r.weight.data(), r.y.data(), r.rstd.data(),
                             1e-5f);
  }).check("rms_norm_forward", {"NormForward<"}, {R::bytes, R::bytes, vectors, numbers});
  // The weight twice. 32 rows a part, of which the sums are written. Eight floats a lane go to shared memory
  // as two packs, of which the neighbours' lie 32 bytes apart: two lanes of eight in the same banks.
  constexpr double parts = rows / 32, sums = parts * 4 * C, twice = is_short<T> ? 2 : 1;
  const double fixed = unlimited;  // few partials here: the cost of a start
  Ran([&] {
    ops::layer_norm_backward<C>(gpu(), rows, r.x.data(), r.weight.data(), r.mean.data(),
                                r.rstd.data(), r.dy.data(), r.y.data(), r.dw.data(), r.db.data(),
                                true);
  })
      .check("layer_norm_backward", {"NormBackward<"},
             {2 * R::bytes, R::bytes + 2 * sums, 2 * vectors + 2 * numbers, 0, lane_instructions,
              twice})
      .check("  its partials", {"SumPartials<"}, {2 * sums, 8. * C, 0, 0, fixed});
  Ran([&] {
    ops::layer_norm_backward<C>(gpu(), rows, r.x.data(), r.weight.data(), r.mean.data(),
                                r.rstd.data(), r.dy.data(), r.y.data(), r.dw.data(), r.db.data(),
                                true, static_cast<const T*>(r.z.data()));
  })
      .check("layer_norm_backward, residual", {"NormBackward<"},
             {3 * R::bytes, R::bytes + 2 * sums, 2 * vectors + 2 * numbers, 0, lane_instructions,
              twice});
  Ran([&] {
    ops::rms_norm_backward<C>(gpu(), rows, r.x.data(), r.weight.data(), r.rstd.data(), r.dy.data(),
                              r.y.data(), r.dw.data(), true);
  })
      .check("rms_norm_backward", {"NormBackward<"},
             {2 * R::bytes, R::bytes + sums, 2 * vectors + numbers, 0, lane_instructions, twice});
  Ran([&] { ops::column_sum<C>(gpu(), rows, r.dy.data(), r.dw.data(), true); })
      .check("column_sum", {"ColumnPartials<"},  // one part of 64 rows
             {R::bytes, 4. * C, 0, 0, lane_instructions, is_short<T> ? 1.5 : 1.})
      .check("  its partials", {"SumPartials<"}, {4. * C, 4. * C, 0, 0, fixed});
}

TEST_CASE_TEMPLATE("traffic: batch norm", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  constexpr int C = R::C, rows = R::rows;
  const Array<float> of_mean = zeros<float>(C), of_variance = zeros<float>(C);
  float *mean = of_mean.data(), *variance = of_variance.data();
  // One part of 64 rows, eight warps a strip: each reads the columns' numbers, the first from memory; with
  // eight columns a lane in two halves, each of which touches every sector.
  constexpr double number = 4. * C, bank = is_short<T> ? 1.5 : 1.;
  constexpr double others = 7, numbers_again = is_short<T> ? 15 : 7;
  const double vector = R::row, fixed = unlimited;
  Ran([&] { ops::batch_moments<C>(gpu(), rows, r.x.data(), mean, variance); })
      .check(
          "batch_moments", {"MomentPartials<"},
          {R::bytes, 2 * number, R::bytes, 0, 2 * lane_instructions,
           is_short<T> ? 1.6 : 1.})  // the mean is read from shared memory as its sums are written
      .check("  its partials", {"CombineMoments<"}, {2 * number, 2 * number, number, 0, fixed});
  const auto normalised = 2 * number + 2 * vector;
  Ran([&] {
    ops::normalise_columns<C>(gpu(), rows, r.x.data(), mean, variance, r.weight.data(),
                              r.bias.data(), r.y.data(), 1e-5f);
  })
      .check(
          "normalise_columns", {"NormaliseColumns<"},
          {R::bytes + normalised, R::bytes, numbers_again * 2 * number + others * 2 * vector, 0});
  Ran([&] {
    ops::batch_norm_backward<C>(gpu(), rows, r.x.data(), mean, variance, r.weight.data(),
                                r.dy.data(), r.y.data(), r.dw.data(), r.db.data(), true, 1e-5f);
  })
      .check("batch_norm_backward, sums", {"BatchNormPartials<"},
             {2 * (R::bytes + number), 2 * number, numbers_again * 2 * number, 0, lane_instructions,
              bank})
      .check("  its partials", {"SumPartials<"}, {2 * number, 2 * number, 0, 0, fixed})
      .check("batch_norm_backward, dx", {"BatchNormBackward<"},
             {2 * R::bytes + 4 * number + vector, R::bytes + 2 * number,
              numbers_again * 4 * number + others * vector, is_short<T> ? 2 * number : 0});
}

template <class How, class T> void gelu(const Rows<T>& r, const char* (&names)[3], double forward) {
  using R = Rows<T>;
  Ran([&] {
    ops::activation_forward<How>(gpu(), R::n, r.x.data(), r.y.data());
  }).check(names[0], {"Map<"}, {R::bytes, R::bytes, 0, 0, forward});
  Ran([&] {
    ops::activation_forward<How>(gpu(), R::n, r.x.data(), r.y.data(), r.z.data());
  }).check(names[1], {"ActivationWithSlope<"}, {R::bytes, 2 * R::bytes});
  Ran([&] { ops::activation_backward<How>(gpu(), R::n, r.x.data(), r.dy.data(), r.y.data()); })
      .check(names[2], {"Map<"},
             {2 * R::bytes, R::bytes, 0, 0, is_short<T> ? 121 : lane_instructions});
}

TEST_CASE_TEMPLATE("traffic: activations", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  const char* tanh[] = {"gelu tanh forward", "gelu tanh forward with slope", "gelu tanh backward"};
  const char* erf[] = {"gelu erf forward", "gelu erf forward with slope", "gelu erf backward"};
  gelu<ops::GeluTanh>(r, tanh, lane_instructions);
  // A polynomial for each of many elements in 16 bytes. ptxas leaves about 109 and 88 instructions of the 152 and
  // 121: it needs neither moves nor conversions of halves of a register.
  gelu<ops::GeluErf>(r, erf, is_short<T> ? 152 : lane_instructions);
  Ran([&] {
    ops::activation_forward<ops::Relu>(gpu(), R::n, r.x.data(), r.y.data());
  }).check("relu forward", {"Map<"}, {R::bytes, R::bytes});
  Ran([&] {
    ops::activation_backward<ops::Relu>(gpu(), R::n, r.x.data(), r.dy.data(), r.y.data());
  }).check("relu backward", {"Map<"}, {2 * R::bytes, R::bytes});
  Ran([&] {
    ops::activation_forward<ops::Silu>(gpu(), R::n, r.x.data(), r.y.data());
  }).check("silu forward", {"Map<"}, {R::bytes, R::bytes});
  Ran([&] {
    ops::activation_backward<ops::Silu>(gpu(), R::n, r.x.data(), r.dy.data(), r.y.data());
  }).check("silu backward", {"Map<"}, {2 * R::bytes, R::bytes});
  // Half of the columns are gates, the others what they open.
  Ran([&] {
    ops::swiglu_forward<R::C / 2>(gpu(), R::rows, r.x.data(), r.y.data());
  }).check("swiglu forward", {"SwiGluForward<"}, {R::bytes, R::bytes / 2});
  Ran([&] {
    ops::swiglu_backward<R::C / 2>(gpu(), R::rows, r.x.data(), r.dy.data(), r.y.data());
  }).check("swiglu backward", {"SwiGluBackward<"}, {1.5 * R::bytes, R::bytes});
}

using Angles = ops::RotaryAngles<>;

TEST_CASE_TEMPLATE("traffic: rotary positions", T, bf16, float) {
  using R = Rows<T>;
  using H = ops::AttentionHeads<8, 2, 64>;  // 10 of 12 heads turn
  static_assert(H::row == R::C);
  const R r;
  Ran([&] {
    ops::rope_forward<H, Angles>(gpu(), 2, R::rows / 2, r.x.data());
  }).check("rope", {"Rope<"}, {R::bytes * 10 / 12, R::bytes * 10 / 12});
}

TEST_CASE_TEMPLATE("traffic: dropout", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  const Array<std::int64_t> step(std::vector<std::int64_t>{3});
  const Random random({.seed = 1, .steps = step.data()}, 2);
  const cohort::Rows shape{4, R::rows / 4};
  const auto rate = ops::DropRate::of(1, 10);
  const double of_step = sector * R::bytes / 16 / 32;  // a warp reads the step's number
  // Philox is a third. ptxas leaves about 95 instructions of the 128: halves of 64-bit numbers need no moves.
  const double instructions = is_short<T> ? 128 : lane_instructions;
  Ran([&] {
    ops::dropout(gpu(), shape, R::C, rate, random, r.x.data(), r.y.data());
  }).check("dropout", {"Dropout<"}, {R::bytes, R::bytes, of_step, 0, instructions});
  Ran([&] {
    ops::dropout_add(gpu(), shape, R::C, rate, random, r.dy.data(), r.x.data(), r.y.data());
  }).check("dropout and a residual", {"Dropout<"}, {2 * R::bytes, R::bytes, of_step});
}

TEST_CASE_TEMPLATE("traffic: single elements", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  const auto wide = random<float>(R::n);
  Ran([&] {
    ops::add(gpu(), R::n, r.x.data(), r.dy.data(), r.y.data());
  }).check("add", {"Map<"}, {2 * R::bytes, R::bytes});
  Ran([&] {
    ops::add_to(gpu(), R::n, wide.data(), r.x.data());
  }).check("add_to fp32", {"Map<"}, {R::bytes + R::floats, R::floats});
  Ran([&] {
    ops::multiply(gpu(), R::n, r.x.data(), r.dy.data(), r.y.data());
  }).check("multiply", {"Map<"}, {2 * R::bytes, R::bytes});
  Ran([&] {
    ops::scale(gpu(), R::n, r.y.data(), 0.5f);
  }).check("scale", {"Map<"}, {R::bytes, R::bytes});
  Ran([&] { ops::fill(gpu(), R::n, r.y.data(), T(1)); }).check("fill", {"Fill<"}, {0, R::bytes});
  Ran([&] {
    ops::convert(gpu(), R::n, wide.data(), r.y.data());
  }).check("convert from fp32", {"Map<"}, {R::floats, R::bytes});
  Ran([&] {
    ops::convert(gpu(), R::n, r.y.data(), wide.data());
  }).check("convert to fp32", {"Map<"}, {R::bytes, R::floats});
  if constexpr (is_short<T>)  // eight floats a thread are two packs: each asks for the same sectors
    Ran([&] {
      ops::convert_at_random(gpu(), R::n, wide.data(), r.y.data(), 1, 2, 0);
    }).check("convert_at_random", {"ConvertAtRandom"}, {R::floats, R::bytes, R::floats});
  if constexpr (!is_short<T>) {
    const auto waiting = random<float>(3 * R::n);
    Ran([&] {
      ops::add_pairs(gpu(), R::n, waiting.data(), R::n, 3, r.x.data(), r.y.data());
    }).check("add_pairs of four", {"PairSums<"}, {4 * R::bytes, R::bytes});
  }
}

TEST_CASE_TEMPLATE("traffic: embedding and positions", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  constexpr int C = R::C, rows = R::rows;
  constexpr int V = 50304, samples = 4, tokens = rows / samples;
  std::vector<std::int32_t> ids(rows);
  for (int i = 0; i < rows; ++i) ids[std::size_t(i)] = i * 7919 % V;  // all different
  const Array<std::int32_t> on_gpu(ids);
  const auto table = zeros<T>(std::size_t{V} * C);
  const auto dtable = zeros<float>(std::size_t{V} * C);
  Ran([&] {  // a warp moves packs of one row or two: it asks for their tokens
    ops::embedding_forward<V, C>(gpu(), rows, on_gpu.data(), table.data(), r.y.data());
  })
      .check("embedding_forward", {"EmbeddingForward<"},
             {R::bytes + 4. * rows, R::bytes, R::bytes / 16});
  // A warp for a row and strip reads 64 following tokens (10 sectors), and its own and the next ones'.
  constexpr int strips = ops::kernels::TokenRows<C, T, float>::strips;
  for (const bool first : {true, false}) {
    const Ran backward([&] {
      ops::embedding_backward<V, C>(gpu(), rows, on_gpu.data(), r.dy.data(), dtable.data(), first);
    });
    backward.check(first ? "embedding_backward, first" : "embedding_backward", {"SumChunks<"},
                   {R::bytes + (first ? 0 : R::floats), R::floats, 14 * sector * strips * rows});
    if (!first || !is_short<T>) continue;
    // Two passes of 20 bytes a row; what is placed lies in sectors of its own, as a tile's counts do.
    // Which bins a warp counts in, and so which banks meet, the tokens say.
    const double counts = 2 * 256 * sector;
    backward.check("  its sort", {"CountBins", "ScanCounts", "PlaceRows", "TokenStarts"},
                   {28. * rows, 20. * rows, 3 * counts + 12. * rows, 2 * counts + 140. * rows,
                    unlimited, 1.02, 2. * rows});
  }
  const auto w = random<T>(std::size_t{tokens} * C);
  const auto dw = zeros<float>(std::size_t{tokens} * C);
  Ran([&] {
    ops::position_forward<C>(gpu(), samples, tokens, r.x.data(), w.data(), r.y.data());
  }).check("position_forward", {"PositionForward<"}, {R::bytes * 5 / 4, R::bytes});
  Ran([&] {
    ops::position_backward<tokens, C>(gpu(), samples, tokens, r.dy.data(), dw.data(), false);
  }).check("position_backward", {"PositionBackward<"}, {R::bytes + R::floats / 4, R::floats / 4});
}

TEST_CASE_TEMPLATE("traffic: losses", T, bf16, float) {
  constexpr int V = 50304, K = 50257, rows = 4, warps = 512 / 32;
  constexpr int pack = 16 / int(sizeof(T)), read = (K + pack - 1) / pack * pack;
  const auto logits = random<T>(std::size_t{rows} * V), dlogits = zeros<T>(std::size_t{rows} * V);
  const Array<std::int32_t> targets({1, 50000, 777, 3});
  const double once = double(rows) * read * sizeof(T), written = double(rows) * V * sizeof(T);
  // Each warp reads the target and its logit; and a row's classes end within a sector.
  const double targets_again = 2 * sector * warps * rows, ends = sector * rows;
  Ran([&] {  // L2 answers the second pass
    ops::cross_entropy_gradient<V, K>(gpu(), rows, logits.data(), targets.data(), dlogits.data());
  })
      .check("cross_entropy_gradient", {"CrossEntropyRows<"},
             {once, written, once + targets_again + 2 * ends, 2 * ends});
  Ran([&] {
    ops::cross_entropy<V, K>(gpu(), rows, logits.data(), targets.data());
  }).check("cross_entropy", {"CrossEntropyRows<"}, {once, 8. * rows, targets_again + ends, ends});

  using R = Rows<T>;
  const R r;
  const auto target = random<float>(R::n);
  Ran([&] {
    ops::mean_squared_error_gradient<R::C>(gpu(), R::rows, r.x.data(), target.data(), r.y.data());
  })
      .check("mean_squared_error_gradient", {"SquaredErrorRows<"},
             {R::bytes + R::floats, R::bytes + 8. * R::rows, 0, 24. * R::rows});
}

TEST_CASE("traffic: sums of losses and of squares") {
  constexpr int rows = 8192;
  const auto of_row = zeros<double>(rows);
  const auto targets = zeros<std::int32_t>(rows);
  Ran([&] {  // one block; the loss itself is two sectors of loads and stores
    cuda::launch(gpu(), 1,
                 ops::kernels::SumLosses{rows, of_row.data(), targets.data(), -1, 1, gpu().loss});
  })
      .check("sum of losses", {"SumLosses"}, {12. * rows, 16, 2 * sector, 2 * sector, unlimited});
  constexpr std::size_t n = 1 << 20, blocks = n / 64 / 256;
  const auto g = random<float>(n);
  const auto limbs = zeros<std::int64_t>(ops::ExactSum::num_limbs);
  Ran([&] { ops::add_square_sum(gpu(), n, g.data(), limbs.data()); })
      .check("squared norm", {"SquareSum<"},  // a window of 4 limbs a warp, then the block's limbs
             {4. * n, 0, 0, 0, lane_instructions, 1, blocks * (8 * 4 + 4. * 2)});
}

TEST_CASE_TEMPLATE("traffic: sums of ranks on one GPU", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  for (const int ranks : {2, 8}) {
    std::vector<Array<T>> inputs;
    cuda::SumRanks<T, 4> kernel{};
    for (int i = 0; i < ranks; ++i) {
      inputs.push_back(random<T>(R::n));
      kernel.in[i] = inputs.back().data();
    }
    kernel.out[0] = r.y.data(), kernel.out[1] = r.z.data();
    kernel.ranks = ranks, kernel.num_outs = 2, kernel.count = R::n, kernel.packed = true;
    Ran([&] { cuda::launch(gpu(), kernel.blocks(), kernel); })
        .check(ranks == 2 ? "sum of 2 ranks" : "sum of 8 ranks", {"SumRanks<"},
               {ranks * R::bytes, 2 * R::bytes});
  }
}

TEST_CASE_TEMPLATE("traffic: this rank's slice of ranks with a GPU each", T, bf16, float) {
  using R = Rows<T>;
  const R r;
  for (const int ranks : {2, 8}) {
    const auto others = random<T>(static_cast<std::size_t>(ranks) * R::n);
    const cuda::SumSlices<T, 4> kernel{r.x.data(), others.data(), r.y.data(), R::n, R::n,
                                       1,          ranks,         true};
    Ran([&] { cuda::launch(gpu(), kernel.blocks(), kernel); })
        .check(ranks == 2 ? "slices of 2 ranks" : "slices of 8 ranks", {"SumSlices<"},
               {ranks * R::bytes, R::bytes});
  }
}

/// p of T, gradient and moments of fp32; copies of bf16 where p is wide.
template <class T, class Rounding> void updates(const char* (&names)[3], Rounding rounding) {
  constexpr std::size_t n = 1 << 15;
  const auto p = random<T>(n);
  const auto g = random<float>(n), m = zeros<float>(n), v = zeros<float>(n);
  const auto copies = zeros<bf16>(n);
  bf16* const copy = is_short<T> ? nullptr : copies.data();
  const auto decay = zeros<std::uint8_t>(n / 64);
  using Adam = ops::DeviceStep<ops::AdamStep<float>>;
  using Sgd = ops::DeviceStep<ops::SgdStep<float>>;
  const Array<Adam> adam({{ops::AdamStep<float>::make({}, 3), 3, 0}});
  const Array<Sgd> sgd({{ops::SgdStep<float>{1, 0.1f, 0.9f, 0.1f, false}, 3, 0}});
  // A warp's two packs of 128 elements ask for flags and chunk numbers, and all for the step's members.
  constexpr double warps = n / 256.;
  const double chunks =
      warps * 2 * sector * (std::is_same_v<Rounding, ops::RandomRounding> ? 2 : 1);
  const double reads = n * (sizeof(T) + 12.) + n / 64,
               writes = n * (sizeof(T) + 8. + 2 * !is_short<T>);
  const auto bound = [&](std::size_t step_bytes, int moments_less) {
    return Bound{reads - moments_less * 4. * n, writes - moments_less * 4. * n,
                 chunks + warps * sector * double(step_bytes / 4), 0};
  };
  Ran([&] {
    ops::adamw(gpu(), n, p.data(), g.data(), m.data(), v.data(), decay.data(), adam.data(), copy,
               rounding);
  }).check(names[0], {"Update<"}, bound(sizeof(Adam), 0));
  Ran([&] {
    ops::adam(gpu(), n, p.data(), g.data(), m.data(), v.data(), decay.data(), adam.data(), copy,
              rounding);
  }).check(names[1], {"Update<"}, bound(sizeof(Adam), 0));
  Ran([&] {
    ops::sgd(gpu(), n, p.data(), g.data(), m.data(), decay.data(), sgd.data(), copy, rounding);
  }).check(names[2], {"Update<"}, bound(sizeof(Sgd), 1));
}

TEST_CASE("traffic: updates") {
  const char* masters[] = {"adamw, masters and copies", "adam, masters and copies",
                           "sgd, masters and copies"};
  updates<float>(masters, ops::NearestRounding{});
  std::vector<std::uint32_t> numbers(1 << 9);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint32_t>(i);
  const Array<std::uint32_t> chunk_numbers(numbers);
  const char* at_random[] = {"adamw, rounded at random", "adam, rounded at random",
                             "sgd, rounded at random"};
  updates<bf16>(at_random, ops::RandomRounding{1, chunk_numbers.data(), 0});
}

/// Causal. How many rows of k and v (or q and dy) all tiles of `rows` meet, one half of the square and more.
double met(int tokens, int rows) {
  double sum = 0;
  for (int end = rows; end <= tokens; end += rows) sum += end;
  return sum;
}

/// others: instructions beside each of a tensor core, in PTX. ptxas needs no moves: its loops have 5.1 and 3.5
/// (forward), 3.2 and 2.6 (keys), 3.0 and 2.0 (queries) for heads of 64 and 128.
template <class H>
void attention(const char* (&names)[4], int rows_of_keys, const double (&others)[3]) {
  constexpr int tokens = 256;
  constexpr std::size_t n = std::size_t{tokens} * H::width, all = std::size_t{tokens} * H::row;
  const auto qkv = random<bf16>(all), y = random<bf16>(n), dy = random<bf16>(n);
  const auto dqkv = zeros<bf16>(all);
  const auto lse = zeros<float>(tokens * H::heads), scratch = zeros<float>(tokens * H::heads);
  // Of queries (as of y and dy), of keys (as of values), of a row of either; lse and delta.
  const double queries = 2. * n, keys = queries / H::group, row = 2. * H::width;
  const double numbers = 4. * tokens * H::heads;
  // Query heads that share keys meet them one after the other.
  const double keys_again = 2 * (row * met(tokens, 128) - keys);
  const double queries_again = (2 * row + 8. * H::heads) * (met(tokens, rows_of_keys) - tokens);
  const auto bound = [&](double reads, double writes, double again, double per_tensor) {
    return Bound{reads, writes, again, 0, unlimited, 1, 0, per_tensor};
  };
  Ran([&] {
    ops::attention_forward<H, true>(gpu(), 1, tokens, qkv.data(), y.data(), lse.data(),
                                    scratch.data());
  })
      .check(names[0], {"TiledAttentionForward<"},
             bound(queries + 2 * keys, queries + numbers, keys_again, others[0]));
  Ran([&] {
    ops::attention_backward<H, true>(gpu(), 1, tokens, qkv.data(), y.data(), dy.data(), lse.data(),
                                     dqkv.data(), scratch.data());
  })
      .check(names[1], {"AttentionDelta<"},
             {2 * queries, numbers, 0, 7 * numbers})  // sectors of their own
      .check(names[2], {"TiledAttentionKeyGradients<"},
             bound(2 * (queries + keys + numbers), 2 * keys, queries_again, others[1]))
      .check(names[3], {"TiledAttentionQueryGradients<"},
             bound(2 * (queries + keys + numbers), queries, keys_again, others[2]));
}

TEST_CASE("traffic: attention on tensor cores") {
  const char* of_64[] = {"attention 64 forward", "attention 64 delta", "attention 64 dk, dv",
                         "attention 64 dq"};
  const char* of_128[] = {"attention 128 forward", "attention 128 delta", "attention 128 dk, dv",
                          "attention 128 dq"};
  const char* shared[] = {"attention 64 x 4 on 2 forward", "attention 64 x 4 on 2 delta",
                          "attention 64 x 4 on 2 dk, dv", "attention 64 x 4 on 2 dq"};
  attention<ops::EqualHeads<2, 64>>(of_64, 128, {8.3, 5.6, 5.4});
  attention<ops::EqualHeads<1, 128>>(of_128, 64, {5.7, 4.9, 4.2});
  attention<ops::AttentionHeads<4, 2, 64>>(shared, 128, {8.5, 5.6, 5.4});
}

}  // namespace
