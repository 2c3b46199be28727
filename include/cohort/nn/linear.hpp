// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/linear.hpp: y = x W^T + b.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/ops/linear.hpp>

namespace cohort::nn {

/// Whether a layer has an additive parameter.
struct WithBias {};
struct NoBias {};
/// One of the two.
template <class B>
concept BiasOrNot = std::is_same_v<B, WithBias> || std::is_same_v<B, NoBias>;

/// A dense layer, PyTorch's nn.Linear: Linear<In, Out>, Linear<In, Out, NoBias>, and an initialiser
/// of the weight as the fourth argument.
///
/// Shapes   x [rows, In], weight [Out, In], bias [Out], y [rows, Out].
/// Units    16-bit T: products are summed in fp32, y and dx rounded once; gradients stay fp32.
/// Cost     forward 2 rows In Out operations, backward twice that.
/// Laws     tests/nn/linear_test.cpp (finite differences in fp64, PyTorch values).
template <int In, int Out_, class Bias = WithBias, class Init = init::UniformFanIn,
          class BiasInit = init::Zeros>
struct Linear {
  static_assert(
      BiasOrNot<Bias>,
      "cohort: the third argument of Linear says WithBias or NoBias, the fourth how weights "
      "begin: Linear<In, Out, WithBias, init::Zeros>. [cohort/nn/linear.hpp]");
  static constexpr bool asks_what_is_wanted = true;
  static constexpr bool has_bias = std::is_same_v<Bias, WithBias>;
  using Weight = Initialised<Param<"weight", Out_, In>, Init>;
  using Params =
      std::conditional_t<has_bias,
                         cohort::Params<Weight, Initialised<Param<"bias", Out_>, BiasInit>>,
                         cohort::Params<Weight>>;
  using Input = Features<In>;
  using Output = Features<Out_>;
  static constexpr bool adds_forward = true, adds_backward = true, multiplies_backward = true,
                        skips_forward = true;

  /// `fused`: none, a residual that is added to y, or NoResult.
  template <class Ctx, class P, class T, class Where, class... Fused>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, In, Where> x, Fused... fused) {
    const auto y = ctx.template make<Out_>(x.rows);  // (rows, Out)
    const T* bias = nullptr;
    if constexpr (has_bias) bias = p["bias"_p].data();
    ops::linear_forward<In, Out_>(ctx.device(), x.rows.count(), x.data, p["weight"_p].data(), bias,
                                  y.data, fused.data...);
    return Out{y, keep(ctx, "x"_p = x)};
  }

  /// `fused`: none, a residual that is added to dx, or a slope that it is multiplied by.
  template <class Ctx, class P, class S, class T, class G, class Where, class... Fused>
  static auto backward(Ctx& ctx, const P& p, const S& saved, Tensor<const T, Out_, Where> dy,
                       const G& g, Fused... fused) {
    const int rows = dy.rows.count();
    decltype(g["weight"_p].contribute()) dw{}, db{};  // frozen together or not at all
    if constexpr (wants<G, "weight">) dw = g["weight"_p].contribute();
    if constexpr (has_bias && wants<G, "weight">) db = g["bias"_p].contribute();
    const auto dx = ctx.template make<In>(dy.rows);
    ops::linear_backward<In, Out_>(ctx.device(), rows, saved["x"_p].data, p["weight"_p].data(),
                                   dy.data, dw.data, db.data, dw.first, dx.data, fused.data...);
    return dx;
  }
};

namespace detail {
/// What LinearGelu hands to the layer behind it.
template <class How, class T> struct GeluSlope { ops::GeluSlope<How, T> data; };
}  // namespace detail

/// y = gelu(x W^T + b): a Linear and the Gelu behind it as one layer. It keeps the slope instead of
/// gelu's input, so backward evaluates no exponential and both passes stay in cache.
///
/// Shapes   as Linear. Keeps the slope [rows, Out]: the bytes of Linear and Gelu together.
/// Units    16-bit T: sums, gelu and gradients are fp32; what is rounded twice, Laws say.
/// Laws     the bits of Sequential<Linear, Gelu>, but for the bias's gradient (tests/nn/
///          linear_test.cpp). In 16 bits x W^T + b is rounded before gelu and y after it, as in the two
///          layers; dweight, dbias and dx, unlike theirs, see the slope rounded, then dy slope rounded.
///          Before a Linear in a Sequential, whose product multiplies by the slope: the same bits, but for
///          dbias of more than 256 rows, which is one sum then and not one of each 256.
template <int In, int Out_, class Bias = WithBias, class How = ops::GeluErf,
          class Init = init::UniformFanIn, class BiasInit = init::Zeros>
struct LinearGelu {
  static_assert(BiasOrNot<Bias>,
                "cohort: the third argument of LinearGelu says WithBias or NoBias. "
                "[cohort/nn/linear.hpp]");
  static constexpr bool asks_what_is_wanted = true;
  static constexpr bool has_bias = std::is_same_v<Bias, WithBias>;
  using Params = typename Linear<In, Out_, Bias, Init, BiasInit>::Params;
  using Input = Features<In>;
  using Output = Features<Out_>;

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, In, Where> x) {
    const auto y = ctx.template make<Out_>(x.rows);
    const T *w = p["weight"_p].data(), *bias = nullptr;
    if constexpr (has_bias) bias = p["bias"_p].data();
    Tensor<T, Out_, Where> slope{};
    if constexpr (Ctx::train) slope = ctx.template make<Out_>(x.rows);
    ops::linear_gelu_forward<How, In, Out_>(ctx.device(), x.rows.count(), x.data, w, bias, y.data,
                                            slope.data);
    return Out{y, keep(ctx, "x"_p = x, "slope"_p = slope)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P& p, const S& saved, Tensor<const T, Out_, Where> dy,
                       const G& g) {
    const int rows = dy.rows.count();
    decltype(g["weight"_p].contribute()) dw{}, db{};
    if constexpr (wants<G, "weight">) dw = g["weight"_p].contribute();
    if constexpr (has_bias && wants<G, "weight">) db = g["bias"_p].contribute();
    const auto dx = ctx.template make<In>(dy.rows);
    ops::linear_gelu_backward<How, In, Out_>(
        ctx.device(), rows, saved["x"_p].data, p["weight"_p].data(), saved["slope"_p].data, dy.data,
        dw.data, db.data, dw.first, dx.data,
        ctx.template scratch<T>(scratch_elements<typename Ctx::device_type>(dy.rows)));
    return dx;
  }
  template <class T, class Device> static constexpr std::size_t scratch_bytes(Rows rows) {
    return scratch_elements<Device>(rows) * sizeof(T);
  }

  /// This layer where the next one's backward multiplies by the slope: it gets d(x W^T + b), and takes no
  /// scratch.
  struct BeforeProduct {
    static constexpr bool asks_what_is_wanted = true, adds_backward = true, takes_dz = true;
    using Params = typename LinearGelu::Params;
    using Input = Features<In>;
    using Output = Features<Out_>;

    template <class Ctx, class P, class X> static auto forward(Ctx& ctx, const P& p, X x) {
      return LinearGelu::forward(ctx, p, x);
    }
    template <class S> static auto slope(const S& saved) {
      using T = std::remove_cvref_t<decltype(*saved["slope"_p].data)>;
      return detail::GeluSlope<How, T>{{saved["slope"_p].data}};
    }
    template <class Ctx, class P, class S, class Dz, class G, class... Residual>
    static auto backward(Ctx& ctx, const P& p, const S& saved, Dz dz, const G& g,
                         Residual... residual) {
      return Linear<In, Out_, Bias>::backward(ctx, p, saved, dz, g, residual...);
    }
  };

 private:
  template <class Device> static constexpr std::size_t scratch_elements(Rows rows) {
    if constexpr (std::is_same_v<Device, Cuda>)
      return ops::linear_gelu_scratch_on_cuda<Out_>(rows.count());
    else
      return ops::linear_gelu_scratch<Out_>(rows.count());
  }
};

}  // namespace cohort::nn
