// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/checkpointed.hpp: a layer whose activations are computed again in backward.
#pragma once
#include <cohort/concepts/fused.hpp>
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/elementwise.hpp>

namespace cohort::nn {

/// L is a layer that can be computed again in one piece: no Repeat is inside.
template <class L>
concept OnePiece = DeclaresExtents<L> && !CutAtRepeat::divides<L>();

namespace detail {
template <class L> struct NotCheckpointable {
  static void say() {
    if constexpr (!DeclaresExtents<L>)
      static_assert(DeclaresExtents<L>,
                    "cohort: Checkpointed<L> needs a layer L, e.g. Checkpointed<nn::Linear<64, "
                    "64>>. [cohort/nn/checkpointed.hpp]");
    else
      static_assert(OnePiece<L>,
                    "cohort: Checkpointed<L> computes L again in one piece, so L must not hold a "
                    "Repeat. Write Repeat<N, Checkpointed<Block>> instead. "
                    "[cohort/nn/checkpointed.hpp]");
  }
};
template <class L, class P> struct CrossesUnits {
  static void say() {
    static_assert(cohort::detail::never<L, P>,
                  "cohort: Groups cuts inside a Checkpointed<L>: computing L again would gather "
                  "its groups once more. Name L itself in Groups<Each<L>>, or take Checkpointed "
                  "off. [cohort/nn/checkpointed.hpp]");
  }
};

/// L's declarations, so that parameters have the names and the places that they have in L.
template <class L> struct SameShape {
  using Params = params_of<L>;
  using Children = children_of<L>;
};
}  // namespace detail

/// Chosen only when L is no layer, or one of many pieces: says so in one sentence, then stops.
template <class L> struct Checkpointed : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::NotCheckpointable<L>>());
};

/// L with less memory and more work: forward keeps L's input alone, and backward computes L again to get
/// what L keeps. Parameters have L's names, so files fit both ways.
///
///   nn::Repeat<12, nn::Checkpointed<Block<768>>>
///
/// Shapes   those of L.
/// Comm     none of its own: L is computed again while what its backward needs is there.
/// Cost     activations: L's result alone, counted once a Checkpointed. Scratch: what L keeps, once for all
///          of them. Work: L's forward again, without the last product where L skips_forward, and a
///          copy of y.
/// Errors   compile time: L is no layer, or holds a Repeat; a cut into groups inside L.
/// Laws     the bits of L under every strategy; the collectives of L (tests/nn/checkpointed_test.cpp).
/// Source   Chen et al. 2016, arXiv:1604.06174; PyTorch's checkpoint_wrapper.
template <OnePiece L> struct Checkpointed<L> : detail::SameShape<L> {
  using Recomputed = L;
  using Input = typename L::Input;
  using Output = typename L::Output;
  static constexpr bool asks_what_is_wanted = requires { requires L::asks_what_is_wanted; };
  static constexpr bool adds_forward = AddsForward<L>, adds_backward = AddsBackward<L>,
                        multiplies_backward = MultipliesBackward<L>;

  template <class Ctx, class P, class X, class... Fused>
  static auto forward(Ctx& ctx, const P& p, X x, Fused... fused) requires requires {
    L::forward(ctx, p, x, fused...);
  }
  {
    check_one_unit<P>();
    const auto y = ctx.template make<Output::extent>(x.rows);
    const Random random = ctx.upcoming() == nullptr ? Random{} : *ctx.upcoming();
    aside<Ctx::phase>(ctx, ctx.upcoming(), [&](auto& there) {
      const auto r = cohort::detail::run_forward<L>(there, p, x, fused...);
      const auto* from = r.y.data;
      ops::copy(ctx.device(), y.size(), from, y.data);
      return Nothing{};
    });
    return Out{y, keep(ctx, "x"_p = x, "random"_p = random)};
  }
  template <class Ctx, class P, class S, class Dy, class G, class... Fused>
  static auto backward(Ctx& ctx, const P& p, const S& saved, Dy dy, const G& g, Fused... fused) {
    Random random = saved["random"_p];
    return aside<Phase::train>(ctx, &random, [&](auto& there) {
      const auto r = [&] {
        if constexpr (SkipsForward<L>)
          return cohort::detail::run_forward<L>(there, p, saved["x"_p], NoResult{});
        else
          return cohort::detail::run_forward<L>(there, p, saved["x"_p]);
      }();
      return L::backward(ctx, p, r.saved.saved, dy, g, fused...);
    });
  }
  template <class T, class Device> static constexpr std::size_t scratch_bytes(Rows rows) {
    return round_up(cohort::detail::own_scratch<L, T, Device>(rows), alignment) +
           Kept<T, std::conditional_t<std::is_void_v<Device>, DefaultCpu, Device>>::bytes(rows);
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    return cohort::backward_bytes<L, T>(rows);
  }

 private:
  /// What a forward of L takes for its result and for what it keeps.
  template <class T, class Device>
  using Kept =
      decltype(cohort::detail::run_forward<L>(
                   std::declval<Context<Device, T, Phase::train>&>(),
                   std::declval<const FlatView<Checkpointed, param_cursor_on<T, Device>>&>(),
                   std::declval<value_of<Input, T, place_of<Device>>>())
                   .saved);

  /// f(a context whose results lie at the far end of the scratch arena), which ends with f.
  template <Phase As, class Ctx, class F> static auto aside(Ctx& ctx, Random* upcoming, F f) {
    Arena& scratch = ctx.scratch_arena();
    const Arena::Mark mark = scratch.mark();
    Context<typename Ctx::device_type, typename Ctx::scalar, As> there(
        ctx.device(), scratch, scratch, Arena::End::high, nullptr, upcoming);
    const auto result = f(there);
    scratch.release(mark, Arena::End::high);
    return result;
  }
  template <class P> static void check_one_unit() {
    if constexpr (requires { typename P::cut; }) cohort::detail::said<detail::CrossesUnits<L, P>>();
  }
};

}  // namespace cohort::nn
