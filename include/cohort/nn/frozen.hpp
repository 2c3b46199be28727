// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/frozen.hpp: a layer whose parameters are not trained.
#pragma once
#include <cohort/concepts/fused.hpp>
#include <cohort/concepts/layer.hpp>

namespace cohort::nn {

namespace detail {
template <class L> struct NotFreezable {
  static void say() {
    static_assert(DeclaresExtents<L>,
                  "cohort: Frozen<L> needs a layer L, e.g. Frozen<nn::Linear<64, 64>>. "
                  "[cohort/nn/frozen.hpp]");
  }
};
}  // namespace detail

/// Chosen only when L is no layer: says so in one sentence, then stops.
template <class L> struct Frozen : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::NotFreezable<L>>());
};

template <class L>
requires DeclaresExtents<L>
struct Frozen<L>;

namespace detail {
template <class L> using frozen_layer = std::conditional_t < requires { typename L::Thawed; }
, L, Frozen < L >> ;

/// L's declarations with every parameter untrained and every child frozen.
template <class P> struct untrained;
template <class... P> struct untrained<cohort::Params<P...>> {
  using type = cohort::Params<typename P::without_gradient...>;
};
template <class Of, class I> struct frozen_children;
template <class Of, int... I> struct frozen_children<Of, std::integer_sequence<int, I...>> {
  using type =
      cohort::Children<cohort::detail::NamedChild<typename Of::template name_at<I>,
                                                  frozen_layer<typename Of::template at<I>>>...>;
};
template <class L> struct FrozenShape {
  using Params = typename untrained<params_of<L>>::type;
  using Children =
      typename frozen_children<children_of<L>,
                               std::make_integer_sequence<int, children_of<L>::count>>::type;
};
template <Repeated L> struct FrozenShape<L> {
  using Element = frozen_layer<typename L::Element>;
  static constexpr int repeat = L::repeat;
};

/// A frozen parameter's gradient: a place to write to that nobody reads, in the device's memory.
template <class T, class P, class Device> class Unread : public Borrowed {
 public:
  static constexpr auto extents = P::extents;
  static constexpr bool wanted = false;
  Unread(T* at, const Device& device) : at_(at), device_(&device) {}
  Contribution<T> contribute() const { return {at_, true}; }
  T* data() const {
    device_->zero(at_, P::numel * sizeof(T));
    return at_;
  }
  auto map() const {
    if constexpr (!on_host<Device>)
      cohort::detail::said<cohort::detail::NotOnTheHost<place_of<Device>>>();
    return Eigen::Map<cohort::detail::ParamMatrix<T, P>, Eigen::Aligned64>(data());
  }

 private:
  T* at_;
  const Device* device_;
};

/// Does L's backward leave out what nobody wants? Then it needs no place to write it to.
template <class L>
concept AsksWhatIsWanted = requires {
  requires L::asks_what_is_wanted;
};

/// Where the place of L's own parameter i begins, in elements. Each has one: a kernel may write several
/// gradients at a time.
template <class L> consteval std::size_t sink_offset(int parameter) {
  std::size_t sum = 0;
  for_each_index<params_of<L>::count>([&](auto i) {
    if (i < parameter) sum += params_of<L>::template at<i>::padded;
  });
  return sum;
}
/// Elements of these places.
template <class L> consteval std::size_t sink_size() {
  return AsksWhatIsWanted<L> ? 0 : sink_offset<L>(params_of<L>::count);
}

/// The gradients that a frozen layer's backward sees: its own are not kept, its children's are the
/// children's matter.
template <class T, class G, class Device> class UnreadGradients : public Borrowed {
 public:
  using layer = typename G::layer;
  UnreadGradients(const G& g, T* sink, const Device& device)
      : g_(&g), sink_(sink), device_(&device) {}
  template <class N> auto operator[](N name) const {
    constexpr int i = params_of<layer>::template find<N>;
    if constexpr (i >= 0)
      return Unread<T, typename params_of<layer>::template at<i>, Device>(
          sink_ + sink_offset<layer>(i), *device_);
    else
      return (*g_)[name];
  }
  template <int I> auto child() const { return g_->template child<I>(); }
  auto element(int i) const { return g_->element(i); }

 private:
  const G* g_;
  T* sink_;
  const Device* device_;
};
}  // namespace detail

/// L with parameters that stay as they are: no gradient, no gradient traffic, no optimizer state, no
/// decay, and no part in the gradient's norm. They are initialised, broadcast and gathered by name as
/// L's are, under the same names; strategies that shard parameters shard them too. dx flows through.
///
///   nn::Sequential<nn::Frozen<nn::Embedding<256, 128>>, nn::Repeat<4, Block<128>>, ...>
///
/// Shapes   those of L; every layer inside is frozen with it.
/// Comm     FullShard and HybridShard gather them for forward and for backward, apart from what is
///          trained in the same group; no strategy reduces them.
/// Cost     L's forward and dx. A backward that asks wants<G, name> computes no gradient of them; one
///          that does not ask writes it to scratch of the size of the layer's own parameters, fp32
///          when T has 16 bits.
/// Errors   compile time: L is no layer; a model of frozen layers only (Trainer says so).
/// Laws     what is trained has the bits of the thawed model whose frozen parameters are put back after
///          every step (tests/nn/frozen_test.cpp); PyTorch's values (tests/run/golden_parity_test.cpp).
/// Source   PyTorch's requires_grad_(False); in FSDP2: fully_shard of such parameters.
template <class L>
requires DeclaresExtents<L>
struct Frozen<L> : detail::FrozenShape<L> {
  using Thawed = L;
  using Input = typename L::Input;
  using Output = typename L::Output;
  static constexpr bool adds_forward = AddsForward<L>, adds_backward = AddsBackward<L>,
                        multiplies_backward = MultipliesBackward<L>,
                        skips_forward = SkipsForward<L>;

  template <class Ctx, class P, class X, class... Fused>
  static auto forward(Ctx& ctx, const P& p, X x, Fused... fused) requires requires {
    L::forward(ctx, p, x, fused...);
  }
  { return L::forward(ctx, p, x, fused...); }
  template <class Ctx, class P, class S, class Dy, class G, class... Fused>
  static auto backward(Ctx& ctx, const P& p, const S& saved, Dy dy, const G& g, Fused... fused) {
    using D = accumulator_t<typename Ctx::scalar>;
    constexpr std::size_t size = detail::sink_size<L>();
    if constexpr (size == 0) {
      return L::backward(ctx, p, saved, dy, g, fused...);
    } else {
      D* sink = ctx.template scratch<D>(size);
      return L::backward(ctx, p, saved, dy, detail::UnreadGradients(g, sink, ctx.device()),
                         fused...);
    }
  }
  template <class T, class Device> static constexpr std::size_t scratch_bytes(Rows rows) {
    return round_up(cohort::detail::own_scratch<L, T, Device>(rows), alignment) +
           detail::sink_size<L>() * sizeof(accumulator_t<T>);
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    return cohort::backward_bytes<L, T>(rows);
  }
};

}  // namespace cohort::nn
