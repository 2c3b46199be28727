// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/models.hpp: the zoo: small models that every law must hold for, and data for them.
#pragma once
#include <cohort/core/rng.hpp>
#include <cohort/nn/activations.hpp>
#include <cohort/nn/attention.hpp>
#include <cohort/nn/batch_norm.hpp>
#include <cohort/nn/checkpointed.hpp>
#include <cohort/nn/dropout.hpp>
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/layer_norm.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/rms_norm.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/nn/swiglu.hpp>
#include <cstdint>
#include <type_traits>
#include <vector>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic \
    push  // g++ 12: false alarms inside its own AVX-512 header, inlined into Eigen
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace cohort::zoo {

/// GPT-2's block: two residual branches, each behind a LayerNorm.
template <int C, int Heads>
using Block = nn::Sequential<
    nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Attention<C, Heads>>>,
    nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Linear<C, 4 * C>,
                                nn::Gelu<4 * C, ops::GeluTanh>, nn::Linear<4 * C, C>>>>;

/// nanoGPT's model: learned positions, N blocks, a last LayerNorm, head tied to the token table.
template <int V, int T, int N, int C, int Heads>
using TiedGptOf = nn::TiedEmbedding<
    V, C, nn::Sequential<nn::AddPosition<T, C>, nn::Repeat<N, Block<C, Heads>>, nn::LayerNorm<C>>>;

/// y = x * weight, element by element: one parameter, a layer as users write them.
template <int C> struct Scale {
  using Params = cohort::Params<Initialised<Param<"weight", C>, init::Ones>>;
  using Input = Features<C>;
  using Output = Features<C>;

  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.assign(x.wide().array().rowwise() * p["weight"_p].wide().array().row(0));
    return Out{y, keep(ctx, "x"_p = x)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& saved, auto dy, const auto& g) {
    const auto x = saved["x"_p];
    g["weight"_p].map().array() += (dy.wide().array() * x.wide().array()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide().array().rowwise() * p["weight"_p].wide().array().row(0));
    return dx;
  }
};

/// y = gain * left(x) + right(x): a user's composite with two branches over one input and a
/// parameter of its own beside its children.
template <int C> struct TwoBranches {
  using Params = cohort::Params<Initialised<Param<"gain", 1>, init::Ones>>;
  using Children =
      cohort::Children<Child<"left", nn::Linear<C, C>>,
                       Child<"right", nn::Sequential<nn::Linear<C, C, nn::NoBias>, nn::Gelu<C>>>>;
  using Input = Features<C>;
  using Output = Features<C>;

  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto left = cohort::forward(ctx, p["left"_p], x);
    const auto right = cohort::forward(ctx, p["right"_p], x);
    const auto y = ctx.like(x);
    y.assign(p["gain"_p].wide()(0) * left.y.wide() + right.y.wide());
    return Out{y, keep(ctx, "ly"_p = left.y, "left"_p = left.saved, "right"_p = right.saved)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    const auto dx = cohort::backward(ctx, p["right"_p], s["right"_p], dy, g["right"_p]);
    g["gain"_p].data()[0] += (dy.wide().array() * s["ly"_p].wide().array()).sum();
    const auto dleft = ctx.like(dy);
    dleft.assign(p["gain"_p].wide()(0) * dy.wide());
    const auto more = cohort::backward(ctx, p["left"_p], s["left"_p], dleft.view(), g["left"_p]);
    dx.assign(dx.wide() + more.wide());
    return dx;
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    const std::size_t own = Tensor<T, C>::bytes(rows);  // dx of right, dleft, dx of left
    const auto right = cohort::backward_bytes<child_of<TwoBranches, 1>, T>(rows);
    return {std::max(right.peak, right.result + 2 * own), right.result + 2 * own};
  }
};

/// y = (x - mean) / sqrt(variance + 1/2) by running averages, which do not change within a step: how samples
/// are dealt out cannot change it.
template <int C> struct Standardize {
  using Rate = std::ratio<1, 4>;
  using Params = cohort::Params<Averaged<Param<"mean", C>, Rate>,
                                Initialised<Averaged<Param<"variance", C>, Rate>, init::Ones>>;
  using Input = Features<C>;
  using Output = Features<C>;

  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.assign((x.wide().array().rowwise() - p["mean"_p].wide().array().row(0)).rowwise() /
             (p["variance"_p].wide().array().row(0) + half(p)).sqrt());
    return Out{y, keep(ctx, "x"_p = x)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    const auto x = s["x"_p];
    const auto each = static_cast<typename decltype(x)::wide_type>(dy.rows.samples);
    g["mean"_p].map().array() += each * x.wide().array().colwise().mean();
    g["variance"_p].map().array() +=
        each *
        (x.wide().array().rowwise() - p["mean"_p].wide().array().row(0)).square().colwise().mean();
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide().array().rowwise() /
              (p["variance"_p].wide().array().row(0) + half(p)).sqrt());
    return dx;
  }

 private:
  static auto half(const auto& p) { return std::decay_t<decltype(p["mean"_p].data()[0])>(0.5); }
};

// Models. Extents are odd where they may be: most parameters fill no whole chunk.
using TiedGpt = TiedGptOf<11, 5, 2, 8, 2>;
template <template <class> class Around>
using GptWith =
    nn::Sequential<Around<nn::Embedding<11, 8>>, nn::AddPosition<5, 8>,
                   nn::Repeat<2, Around<Block<8, 2>>>, Around<nn::LayerNorm<8>>, nn::Linear<8, 11>>;
template <class L> using AsItIs = L;
using Gpt = GptWith<AsItIs>;
using CheckpointedGpt = GptWith<nn::Checkpointed>;
/// A GPT of Llama's blocks, whose query heads share keys, with dropout behind the embedding and at the end of
/// both branches.
template <int C>
using DroppingBlock = nn::Sequential<
    nn::Residual<
        nn::Sequential<nn::RmsNorm<C>, nn::GroupedQueryAttention<C, 4, 2, 4>, nn::Dropout<C>>>,
    nn::Residual<
        nn::Sequential<nn::RmsNorm<C>, nn::Linear<C, 6 * C, nn::NoBias>, nn::SwiGlu<3 * C>,
                       nn::Linear<3 * C, C, nn::NoBias>, nn::Dropout<C, std::ratio<1, 4>>>>>;
template <template <class> class Around>
using DroppingGptWith =
    nn::Sequential<nn::Embedding<11, 6>, nn::Dropout<6>, nn::Repeat<2, Around<DroppingBlock<6>>>,
                   nn::RmsNorm<6>, nn::Linear<6, 11>>;
using DroppingGpt = DroppingGptWith<AsItIs>;
using OddMlp = nn::Sequential<nn::Linear<7, 13>, nn::ReLU<13>, nn::Linear<13, 5, nn::NoBias>,
                              nn::Gelu<5>, nn::Linear<5, 3>>;
using Branching = nn::Sequential<nn::Linear<6, 5>, TwoBranches<5>, nn::Linear<5, 4>>;
using NestedRepeat = nn::Sequential<
    nn::Linear<6, 4>,
    nn::Repeat<2, nn::Sequential<nn::LayerNorm<4>, nn::Repeat<3, nn::Residual<nn::Linear<4, 4>>>>>,
    nn::Linear<4, 3>>;
using Averaging =
    nn::Sequential<Standardize<6>, nn::Linear<6, 5>, nn::Gelu<5>,
                   nn::Repeat<2, nn::Residual<nn::Sequential<Standardize<5>, nn::Linear<5, 5>>>>,
                   nn::Linear<5, 4>>;
using Normed =
    nn::Sequential<nn::Linear<6, 5>, nn::BatchNorm<5>, nn::Gelu<5>,
                   nn::Repeat<2, nn::Residual<nn::Sequential<nn::BatchNorm<5>, nn::Linear<5, 5>>>>,
                   nn::Linear<5, 4>>;
using DroppingNormed =  // what is dropped belongs to a sample, what is averaged to the global batch
    nn::Sequential<nn::Linear<7, 5>,
                   nn::Repeat<2, nn::Residual<nn::Sequential<nn::BatchNorm<5>, nn::Linear<5, 5>,
                                                             nn::Dropout<5, std::ratio<1, 4>>>>>,
                   nn::Linear<5, 4>>;
using SingleParameter = Scale<3>;
using HugeAndTiny =  // one parameter of 9000 elements, then 14 that fill less than one chunk
    nn::Sequential<nn::Linear<90, 100, nn::NoBias>, nn::ReLU<100>, nn::Linear<100, 3>,
                   nn::Repeat<12, Scale<3>>>;
using Regression = nn::Sequential<nn::Linear<5, 16>, nn::Gelu<16>, nn::Linear<16, 4>>;

/// Frozen: a table beside trained positions in the root, one branch of each element, a layer that does
/// not ask what is wanted, a composite with a parameter of its own, two whole elements.
template <template <class> class F>
using PartlyFrozenWith = nn::Sequential<
    F<nn::Embedding<11, 6>>, nn::AddPosition<5, 6>,
    nn::Repeat<2, nn::Sequential<F<nn::Residual<nn::Linear<6, 6>>>,
                                 nn::Residual<nn::Sequential<nn::LayerNorm<6>, nn::Linear<6, 6>>>>>,
    F<Scale<6>>, F<nn::Repeat<2, Block<6, 2>>>, nn::LayerNorm<6>, F<TwoBranches<6>>,
    nn::Linear<6, 11>>;
using PartlyFrozen = PartlyFrozenWith<nn::Frozen>;
using Thawed = PartlyFrozenWith<AsItIs>;  // the same model, all of it trained

/// A model with the loss it is trained under and the rows of a sample: what a law is tested over.
///   zoo::for_each_case([]<class Case>() { CAPTURE(Case::name()); ... });
template <class M, class L, int TokensOfSample = 1> struct Case {
  using Model = M;
  using Loss = L;
  static constexpr int tokens = TokensOfSample;
};
struct TiedGptCase : Case<TiedGpt, nn::CrossEntropy, 5> {
  static constexpr const char* name() { return "TiedGpt"; }
};
struct GptCase : Case<Gpt, nn::CrossEntropy, 4> {
  static constexpr const char* name() { return "Gpt"; }
};
struct CheckpointedGptCase : Case<CheckpointedGpt, nn::CrossEntropy, 4> {
  static constexpr const char* name() { return "CheckpointedGpt"; }
};
struct DroppingGptCase : Case<DroppingGpt, nn::CrossEntropy, 5> {
  static constexpr const char* name() { return "DroppingGpt"; }
};
struct CheckpointedDroppingGptCase : Case<DroppingGptWith<nn::Checkpointed>, nn::CrossEntropy, 5> {
  static constexpr const char* name() { return "CheckpointedDroppingGpt"; }
};
struct OddMlpCase : Case<OddMlp, nn::CrossEntropy> {
  static constexpr const char* name() { return "OddMlp"; }
};
struct BranchingCase : Case<Branching, nn::CrossEntropy> {
  static constexpr const char* name() { return "Branching"; }
};
struct NestedRepeatCase : Case<NestedRepeat, nn::CrossEntropy, 2> {
  static constexpr const char* name() { return "NestedRepeat"; }
};
struct AveragingCase : Case<Averaging, nn::CrossEntropy, 3> {
  static constexpr const char* name() { return "Averaging"; }
};
struct NormedCase : Case<Normed, nn::CrossEntropy, 3> {
  static constexpr const char* name() { return "Normed"; }
};
struct DroppingNormedCase : Case<DroppingNormed, nn::CrossEntropy, 2> {
  static constexpr const char* name() { return "DroppingNormed"; }
};
struct SingleParameterCase : Case<SingleParameter, nn::MeanSquaredError<3>> {
  static constexpr const char* name() { return "SingleParameter"; }
};
struct HugeAndTinyCase : Case<HugeAndTiny, nn::CrossEntropy> {
  static constexpr const char* name() { return "HugeAndTiny"; }
};
struct PartlyFrozenCase : Case<PartlyFrozen, nn::CrossEntropy, 4> {
  static constexpr const char* name() { return "PartlyFrozen"; }
};
struct ThawedCase : Case<Thawed, nn::CrossEntropy, 4> {
  static constexpr const char* name() { return "Thawed"; }
};
struct RegressionCase : Case<Regression, nn::MeanSquaredError<4>> {
  static constexpr const char* name() { return "Regression"; }
};

/// Calls f.operator()<Case>() for every case of the list.
template <class... Cases, class F> void for_cases(F&& f) { (f.template operator()<Cases>(), ...); }
template <class F> void for_each_case(F&& f) {
  for_cases<TiedGptCase, GptCase, OddMlpCase, BranchingCase, NestedRepeatCase, SingleParameterCase,
            HugeAndTinyCase, PartlyFrozenCase, RegressionCase>(f);
}

/// Owns one side of a batch: standard normal features, or ids in [0, below).
template <class Extent> struct Values {
  Rows rows;
  std::vector<float> numbers;
  std::vector<int> ids;

  Values(Rows r, int below, std::uint64_t seed, std::uint64_t stream) : rows(r) {
    const auto n = static_cast<std::uint64_t>(r.count());
    if constexpr (std::is_same_v<Extent, Tokens>) {
      for (std::uint64_t i = 0; i < n; ++i)
        ids.push_back(static_cast<int>(uniform01(seed, stream, i) * static_cast<float>(below)));
    } else {
      for (std::uint64_t i = 0; i < n * Extent::extent; ++i)
        numbers.push_back(static_cast<float>(normal(seed, stream, i)));
    }
  }
  value_of<Extent, float> view() const {
    if constexpr (std::is_same_v<Extent, Tokens>)
      return {ids.data(), rows};
    else
      return {numbers.data(), rows};
  }
};

/// Owns a batch of a case: the same values for the same seed, whatever is cut out of it.
///   const zoo::Batch<zoo::GptCase> batch(12); run.step(batch.x(), batch.y());
///   batch.x().samples(first, count) is one rank's part.
template <class Case> class Batch {
 public:
  explicit Batch(int samples, std::uint64_t seed = 1)
      : x_({samples, Case::tokens}, 11, seed, 100),
        y_({samples, Case::tokens}, Case::Model::Output::extent, seed, 101) {}
  auto x() const { return x_.view(); }
  auto y() const { return y_.view(); }
  Rows rows() const { return x_.rows; }
  /// Labels may be overwritten, e.g. with -100 to ignore a row.
  std::vector<int>& labels() { return y_.ids; }

 private:
  Values<typename Case::Model::Input> x_;
  Values<typename Case::Loss::Target> y_;
};

}  // namespace cohort::zoo

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
