// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/batch_norm.hpp: normalisation of each feature over the rows, with running statistics for evaluation.
#pragma once
#include <cohort/core/error.hpp>
#include <cohort/core/params.hpp>
#include <cohort/core/saved.hpp>
#include <cohort/core/view.hpp>
#include <cohort/ops/batch_norm.hpp>
#include <ratio>

namespace cohort::nn {

/// PyTorch's nn.BatchNorm1d over [rows, C], epsilon 1e-5. Training normalises by the mean and the variance of
/// the rows of one forward: of a micro-batch on one rank, as under DDP. Evaluation takes the running ones,
/// and so does nn::Frozen<BatchNorm<C>>, which no data changes.
///
/// Shapes   x, y [rows, C]; weight, bias [C]; running_mean, running_var [C], averages (core/params.hpp) that
///          move by Rate, PyTorch's momentum, once a step. Keeps x, mean and variance of each feature.
/// Units    16-bit T: statistics are fp32, y and dx are rounded once.
/// Errors   run time: InvalidInput for a training forward of a single row, whose variance is unknown.
/// Laws     the normalisation depends on how rows are dealt out to ranks and micro-batches, so law 1
///          (Replicate on N ranks is one rank on the whole batch) does not hold for models with it; all others
///          do. Running statistics are averages over all ranks and micro-batches, the same bits under every
///          strategy (tests/nn/batch_norm_test.cpp).
/// Source   Ioffe and Szegedy 2015, arXiv:1502.03167.
template <int C, class Rate = std::ratio<1, 10>> struct BatchNorm {
  using Params = cohort::Params<Initialised<Param<"weight", C>, init::Ones>, Param<"bias", C>,
                                Averaged<Param<"running_mean", C>, Rate>,
                                Averaged<Initialised<Param<"running_var", C>, init::Ones>, Rate>>;
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr bool asks_what_is_wanted = true;

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x) {
    using A = accumulator_t<T>;
    const auto y = ctx.like(x);
    const T *weight = p["weight"_p].data(), *bias = p["bias"_p].data();
    const int rows = x.rows.count();
    if constexpr (Ctx::train && decltype(p["running_mean"_p])::averages) {
      if (rows < 2) throw_single_row();
      const auto mean = ctx.template make_per_feature<C, A>();
      const auto variance = ctx.template make_per_feature<C, A>();
      ops::batch_moments<C>(ctx.device(), rows, x.data, mean.data, variance.data);
      ops::normalise_columns<C>(ctx.device(), rows, x.data, mean.data, variance.data, weight, bias,
                                y.data);
      return Out{y, keep(ctx, "x"_p = x, "mean"_p = mean, "variance"_p = variance)};
    } else {
      ops::normalise_columns<C>(ctx.device(), rows, x.data, p["running_mean"_p].data(),
                                p["running_var"_p].data(), weight, bias, y.data);
      return Out{y, keep(ctx)};
    }
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P& p, const S& s, Tensor<const T, C, Where> dy, const G& g) {
    const auto dx = ctx.like(dy);
    const int rows = dy.rows.count();
    if constexpr (wants<G, "running_mean">) {
      const auto *mean = s["mean"_p].data, *variance = s["variance"_p].data;
      const auto dweight = g["weight"_p].contribute(), dbias = g["bias"_p].contribute();
      ops::batch_norm_backward<C>(ctx.device(), rows, s["x"_p].data, mean, variance,
                                  p["weight"_p].data(), dy.data, dx.data, dweight.data, dbias.data,
                                  dweight.first);
      ops::add_moments<C>(ctx.device(), rows, dy.rows.samples, mean, variance,
                          g["running_mean"_p].data(), g["running_var"_p].data());
    } else {
      ops::normalise_columns_backward<C>(ctx.device(), rows, p["running_var"_p].data(),
                                         p["weight"_p].data(), dy.data, dx.data);
    }
    return dx;
  }

 private:
  [[noreturn]] static void throw_single_row() {
    throw InvalidInput(-1, "BatchNorm",
                       "a training step needs at least two rows in every micro-batch of a rank: "
                       "one row has no variance. Give larger batches, or fewer micro-batches.");
  }
};

}  // namespace cohort::nn
