// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/params.hpp: how a layer declares its parameters and its children.
#pragma once
#include <array>
#include <cohort/core/fixed_string.hpp>
#include <cohort/core/init.hpp>
#include <cohort/core/tensor.hpp>
#include <cstddef>
#include <tuple>
#include <type_traits>

namespace cohort {

/// Every parameter starts on a boundary of this many elements in every buffer; buckets, groups and
/// shards are whole chunks. Bits depend on alignment otherwise, and one flag a chunk is enough for
/// the optimizer.
inline constexpr std::size_t chunk = 64;

/// One parameter: a name, static extents (row-major, last one contiguous), an initialiser, and
/// whether weight decay applies (by default to parameters of two and more dimensions, as nanoGPT
/// does).
///
///   Param<"weight", Out, In>
///   Initialised<Param<"scale", C>, init::Ones>
///   NoDecay<Param<"table", V, C>>
template <fixed_string S, class Init, bool Decays, int... E> struct BasicParam {
  static_assert(
      sizeof...(E) >= 1 && sizeof...(E) <= 4 && ((E > 0) && ...),
      "cohort: a Param needs one to four extents above zero, e.g. Param<\"weight\", Out, In>. "
      "[cohort/core/params.hpp]");
  using name = Name<S>;
  using initialiser = Init;
  template <class I> using initialised_by = BasicParam<S, I, Decays, E...>;
  using without_decay = BasicParam<S, Init, false, E...>;

  static constexpr int rank = sizeof...(E);
  static constexpr std::array<int, sizeof...(E)> extents{E...};
  static constexpr std::size_t numel = (std::size_t{1} * ... * static_cast<std::size_t>(E));
  static constexpr std::size_t padded = round_up(numel, chunk);
  static constexpr bool decays = Decays;
  static constexpr int cols = extents[rank - 1];
  static constexpr int rows = static_cast<int>(numel / static_cast<std::size_t>(cols));
};
template <fixed_string S, int... E>
using Param = BasicParam<S, init::Default, (sizeof...(E) >= 2), E...>;

/// P with initial values by I (core/init.hpp), and P without weight decay.
template <class P, class I> using Initialised = typename P::template initialised_by<I>;
template <class P> using NoDecay = typename P::without_decay;

namespace detail {
template <int> struct none {};  // the I-th of an empty list

template <class N, class... Named> consteval int index_of_name() {
  int at = 0, found = -1;
  ((same_name<typename Named::name, N>&& found < 0 ? found = at : 0, ++at), ...);
  return found;
}
}  // namespace detail

/// The parameters of a layer itself, in storage order: `using Params = cohort::Params<Param<...>,
/// ...>;`
template <class... P> struct Params {
  static constexpr int count = sizeof...(P);
  static constexpr std::size_t size =
      (P::padded + ... + std::size_t{0});  // elements, padding included
  template <int I> using at = std::tuple_element_t<I, std::tuple<P...>>;
  template <class N> static constexpr int find = detail::index_of_name<N, P...>();
  template <int I> static consteval std::size_t offset() {
    std::size_t sum = 0;
    int k = 0;
    ((k++ < I ? sum += P::padded : 0), ...);
    return sum;
  }
};
template <> struct Params<> {
  static constexpr int count = 0;
  static constexpr std::size_t size = 0;
  template <int I> using at = typename detail::none<I>::type;
  template <class> static constexpr int find = -1;
};

/// A named child layer.
template <fixed_string S, class L> struct Child {
  using name = Name<S>;
  using layer = L;
};
namespace detail {
template <class N, class L> struct NamedChild {
  using name = N;
  using layer = L;
};
}  // namespace detail

/// The layers inside a layer, in the order in which forward calls them.
template <class... C> struct Children {
  static constexpr int count = sizeof...(C);
  template <int I> using at = typename std::tuple_element_t<I, std::tuple<C...>>::layer;
  template <int I> using name_at = typename std::tuple_element_t<I, std::tuple<C...>>::name;
  template <class N> static constexpr int find = detail::index_of_name<N, C...>();
};
template <> struct Children<> {
  static constexpr int count = 0;
  template <int I> using at = typename detail::none<I>::type;
  template <int I> using name_at = typename detail::none<I>::type;
  template <class> static constexpr int find = -1;
};

namespace detail {
template <class L> struct own_params { using type = Params<>; };
template <class L>
requires requires { typename L::Params; }
struct own_params<L> {
  using type = typename L::Params;
};
template <class L> struct own_children { using type = Children<>; };
template <class L>
requires requires { typename L::Children; }
struct own_children<L> {
  using type = typename L::Children;
};
}  // namespace detail

template <class L> using params_of = typename detail::own_params<L>::type;
template <class L> using children_of = typename detail::own_children<L>::type;
template <class L, int I> using child_of = typename children_of<L>::template at<I>;

/// A layer that holds `repeat` copies of `Element`, called one after the other (nn::Repeat).
template <class L>
concept Repeated = requires {
  typename L::Element;
  { L::repeat } -> std::convertible_to<int>;
};

/// Calls f with std::integral_constant 0 .. N-1.
template <int N, class F> constexpr void for_each_index(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) { (f(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

/// Elements of a layer's whole subtree, padding included: own parameters first, then children in
/// order.
template <class L> consteval std::size_t flat_size() {
  if constexpr (Repeated<L>) {
    return static_cast<std::size_t>(L::repeat) * flat_size<typename L::Element>();
  } else {
    std::size_t sum = params_of<L>::size;
    for_each_index<children_of<L>::count>([&](auto i) { sum += flat_size<child_of<L, i>>(); });
    return sum;
  }
}

/// Number of parameters in a layer's whole subtree.
template <class L> consteval int num_params() {
  if constexpr (Repeated<L>) {
    return L::repeat * num_params<typename L::Element>();
  } else {
    int sum = params_of<L>::count;
    for_each_index<children_of<L>::count>([&](auto i) { sum += num_params<child_of<L, i>>(); });
    return sum;
  }
}

/// Where child I begins inside the subtree of L: elements, and parameters before it.
template <class L, int I> consteval std::size_t child_offset() {
  std::size_t sum = params_of<L>::size;
  for_each_index<I>([&](auto i) { sum += flat_size<child_of<L, i>>(); });
  return sum;
}
template <class L, int I> consteval int child_first_param() {
  int sum = params_of<L>::count;
  for_each_index<I>([&](auto i) { sum += num_params<child_of<L, i>>(); });
  return sum;
}

}  // namespace cohort
