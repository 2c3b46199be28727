// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/saved.hpp: what forward keeps for backward: activations by name, and nothing else.
#pragma once
#include <cohort/core/fixed_string.hpp>
#include <cohort/core/random.hpp>
#include <cohort/core/view.hpp>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cohort {

namespace detail {
/// What is left of a view of parameters that forward wants to keep: a reason to refuse the layer.
struct KeptView {
  constexpr KeptView(const Borrowed&) {}
  static constexpr std::size_t bytes(Rows) { return 0; }
};
template <class V>
using kept_value = std::conditional_t<std::is_base_of_v<Borrowed, V>, KeptView, V>;

template <class N, class V> struct Item {
  using name = N;
  V value;
};

template <class S, class N> struct UnknownSaved {
  static void say() {
    static_assert(
        never<S, N>,
        "cohort: forward kept nothing of that name. Add it to keep(ctx, \"name\"_p = value) "
        "or mend the spelling. [cohort/core/saved.hpp]");
  }
};
}  // namespace detail

template <fixed_string S>
template <class V>
constexpr auto Name<S>::operator=(const V& value) const {
  return detail::Item<Name, detail::kept_value<V>>{value};
}

/// What evaluation keeps.
struct Nothing {
  static constexpr std::size_t bytes(Rows) { return 0; }
};

/// Activations by name: s["x"_p] gives back what keep("x"_p = x) took.
template <class... I> struct Saved : I... {
  template <class N> auto operator[](N) const {
    constexpr int at = detail::index_of_name<N, I...>();
    if constexpr (at >= 0) {
      using Found = std::tuple_element_t<at, std::tuple<I...>>;
      return static_cast<const Found&>(*this).value;
    } else {
      detail::said<detail::UnknownSaved<Saved, N>>();
      return detail::RefusedTensor{};
    }
  }
  static constexpr std::size_t bytes([[maybe_unused]] Rows rows) {
    return (decltype(I::value)::bytes(rows) + ... + 0);
  }
};

/// What cohort::forward returns as a child's saved value: the child's own, plus in its type the
/// bytes of the child's result, so that a model's activation bytes follow from one type.
template <class Y, class S> struct Returned {
  S saved;
  static constexpr std::size_t bytes(Rows rows) { return Y::bytes(rows) + S::bytes(rows); }
};
namespace detail {
template <class S> struct is_returned : std::false_type {};
template <class Y, class S> struct is_returned<Returned<Y, S>> : std::true_type {};
}  // namespace detail

/// Saved values of equal type, kept in the activation arena (nn::Repeat): N of them cost sizeof one
/// pointer here.
template <class S, int N> struct SavedArray {
  S* data = nullptr;
  const S& operator[](int i) const { return data[i]; }
  static constexpr std::size_t bytes(Rows rows) {
    return round_up(sizeof(S) * N, alignment) + N * S::bytes(rows);
  }
};
namespace detail {
/// Bytes of the arrays inside a saved value, as ctx.make_array takes them.
template <class S> struct array_bytes : std::integral_constant<std::size_t, 0> {};
template <class S> inline constexpr std::size_t array_bytes_of = array_bytes<S>::value;
template <class S, int N>
struct array_bytes<SavedArray<S, N>>
    : std::integral_constant<std::size_t,
                             round_up(sizeof(S) * N, alignment) + N * array_bytes_of<S>> {};
template <class Y, class S> struct array_bytes<Returned<Y, S>> : array_bytes<S> {};
template <class... I>
struct array_bytes<Saved<I...>>
    : std::integral_constant<std::size_t, (array_bytes_of<decltype(I::value)> + ... + 0)> {};
}  // namespace detail

/// Saved values of different types, in order (nn::Sequential): an aggregate, as a std::tuple that grows by a
/// value at a time is instantiated anew for each (docs/decisions/0022-compiled-once.md).
template <class... S> struct SavedTuple;
namespace detail {
template <int I, class S> struct SavedAt { [[no_unique_address]] S value; };
template <int I, class S> constexpr const S& saved_at(const SavedAt<I, S>& s) { return s.value; }

template <class Is, class... S> struct SavedInOrder;
template <int... I, class... S>
struct SavedInOrder<std::integer_sequence<int, I...>, S...> : SavedAt<I, S>... {
  template <class Last> constexpr SavedTuple<S..., Last> followed_by(const Last& last) const {
    return {{{static_cast<const SavedAt<I, S>&>(*this).value}..., {last}}};
  }
  template <class F> constexpr bool any(const F& f) const {
    return (f(static_cast<const SavedAt<I, S>&>(*this).value) || ...);
  }
};
}  // namespace detail
template <class... S>
struct SavedTuple : detail::SavedInOrder<std::make_integer_sequence<int, sizeof...(S)>, S...> {
  template <int I> constexpr const auto& at() const { return detail::saved_at<I>(*this); }
  static constexpr std::size_t bytes([[maybe_unused]] Rows rows) {
    return (S::bytes(rows) + ... + 0);
  }
};

namespace detail {
template <class... S>
struct array_bytes<SavedTuple<S...>>
    : std::integral_constant<std::size_t, (array_bytes_of<S> + ... + 0)> {};

template <class T> struct keepable : std::false_type {};
template <class T, int C, class Where> struct keepable<Tensor<T, C, Where>> : std::true_type {};
template <class T, int C, class Where> struct keepable<PerFeature<T, C, Where>> : std::true_type {};
template <class Where> struct keepable<TokensIn<Where>> : std::true_type {};
template <> struct keepable<Random> : std::true_type {};
template <> struct keepable<Nothing> : std::true_type {};
template <> struct keepable<Refused> : std::true_type {};  // said elsewhere
template <> struct keepable<RefusedTensor> : std::true_type {};
template <class... I>
struct keepable<Saved<I...>> : std::bool_constant<(keepable<decltype(I::value)>::value && ...)> {};
template <class Y, class S> struct keepable<Returned<Y, S>> : keepable<S> {};
template <class S, int N> struct keepable<SavedArray<S, N>> : keepable<S> {};
template <class... S>
struct keepable<SavedTuple<S...>> : std::bool_constant<(keepable<S>::value && ...)> {};

/// Holds a saved value a tensor of C features? It may lie where the layer's result of as many does.
template <class S, int C> struct holds_features : std::false_type {};
template <class T, int D, class Where, int C>
struct holds_features<Tensor<T, D, Where>, C> : std::bool_constant<C == D> {};
template <class... I, int C>
struct holds_features<Saved<I...>, C>
    : std::bool_constant<(holds_features<decltype(I::value), C>::value || ...)> {};
template <class Y, class S, int C>
struct holds_features<Returned<Y, S>, C> : holds_features<S, C> {};
template <class S, int N, int C>
struct holds_features<SavedArray<S, N>, C> : holds_features<S, C> {};
template <class... S, int C>
struct holds_features<SavedTuple<S...>, C>
    : std::bool_constant<(holds_features<S, C>::value || ...)> {};

/// Is the result of a forward a tensor of its own that nothing kept can lie in? Then backward does not
/// need it, and it may be overwritten. Of a chain the last one answers: what came before it cannot hold
/// what was not there. As long as that is not certain, the answer is no.
template <class R> struct lets_go : std::false_type {};
template <class T, int C, class Where, class S>
requires(!std::is_const_v<T>) struct lets_go<Returned<Tensor<T, C, Where>, S>>
    : std::bool_constant<!holds_features<S, C>::value> {
};
template <class T, int C, class Where, class First, class... Rest>
struct lets_go<Returned<Tensor<const T, C, Where>, SavedTuple<First, Rest...>>>
    : lets_go<std::tuple_element_t<sizeof...(Rest), std::tuple<First, Rest...>>> {};
template <class T, int C, class Where, class S, int N>
struct lets_go<Returned<Tensor<const T, C, Where>, SavedArray<S, N>>> : lets_go<S> {};

/// Does a kept tensor lie in [begin, end)? Types show the width of what is kept, not where it lies: a view
/// of the result in another shape, or somebody else's result passed on, is found here.
struct Within {
  const void *begin, *end;
  template <class T, int C, class Where> bool operator()(const Tensor<T, C, Where>& x) const {
    const std::less<const void*> before;
    return x.size() > 0 && before(x.data, end) && before(begin, x.data + x.size());
  }
  template <class... I> bool operator()(const Saved<I...>& s) const {
    return ((*this)(static_cast<const I&>(s).value) || ...);
  }
  template <class Y, class S> bool operator()(const Returned<Y, S>& r) const {
    return (*this)(r.saved);
  }
  template <class S, int N> bool operator()(const SavedArray<S, N>& a) const {
    for (int i = 0; i < N; ++i)
      if ((*this)(a[i])) return true;
    return false;
  }
  template <class... S> bool operator()(const SavedTuple<S...>& t) const { return t.any(*this); }
  template <class T> bool operator()(const T&) const { return false; }  // tokens, nothing
};

template <class T> struct keeps_view : std::is_same<T, KeptView> {};
template <class... I>
struct keeps_view<Saved<I...>>
    : std::bool_constant<(keeps_view<decltype(I::value)>::value || ...)> {};
}  // namespace detail

/// What keep(...) admits: tensors, values of features, tokens, random numbers, and the saved values of children.
template <class T>
concept Keepable = detail::keepable<T>::value;

namespace detail {
template <class I>
concept IsItem = requires(I item) {
  typename I::name;
  item.value;
};
/// What is left of something kept without a name: a reason to refuse the layer.
struct KeptWithoutName {
  static constexpr std::size_t bytes(Rows) { return 0; }
};
}  // namespace detail

/// The saved value of a forward: keep(ctx, "x"_p = x, "inner"_p = r.saved). In evaluation it keeps
/// nothing.
///
/// A Tensor<T, C> kept here is counted as memory of this layer; an alias (Tensor<const T, C>) is
/// not.
/// Errors   compile time: what is not an activation, parameter views above all, makes a type that
///          is no Layer (KeepsOnlyActivations).
template <class Ctx, class... I> constexpr auto keep(Ctx&, [[maybe_unused]] I... items) {
  if constexpr (!(detail::IsItem<I> && ...)) {
    return detail::KeptWithoutName{};
  } else if constexpr (Ctx::train || !(Keepable<decltype(items.value)> && ...))
    return Saved<I...>{items...};
  else
    return Nothing{};
}

/// What forward returns: the output, and what backward will need.
template <class Y, class S> struct Out {
  using output_type = Y;
  Y y;
  S saved;
};
template <class Y, class S> Out(const Y&, const S&) -> Out<Y, detail::kept_value<S>>;

}  // namespace cohort
