// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/params.hpp: how a layer declares its parameters and its children.
#pragma once
#include <array>
#include <cohort/core/fixed_string.hpp>
#include <cohort/core/init.hpp>
#include <cohort/core/said.hpp>
#include <cohort/core/tensor.hpp>
#include <cstddef>
#include <ratio>
#include <tuple>
#include <type_traits>

namespace cohort {

/// Every parameter starts on a boundary of this many elements in every buffer; buckets, groups and
/// shards are whole chunks. Bits depend on alignment otherwise, and one flag a chunk is enough for
/// the optimizer.
inline constexpr std::size_t chunk = 64;

/// How far something is into a subtree, or how large it is: elements that are trained, elements that are
/// frozen, elements that are averages, padding included, and parameters. The three kinds lie in ranges of
/// their own, so that gradients and optimizer state have a place for trained ones only.
struct FlatCount {
  std::size_t trained = 0, frozen = 0;
  int params = 0;
  std::size_t averaged = 0;
  constexpr std::size_t elements() const { return trained + frozen + averaged; }
  constexpr FlatCount& operator+=(const FlatCount& o) {
    trained += o.trained;
    frozen += o.frozen;
    params += o.params;
    averaged += o.averaged;
    return *this;
  }
  friend constexpr FlatCount operator+(FlatCount a, const FlatCount& b) { return a += b; }
  friend constexpr FlatCount operator*(int n, const FlatCount& p) {
    const auto times = static_cast<std::size_t>(n);
    return {times * p.trained, times * p.frozen, n * p.params, times * p.averaged};
  }
  friend constexpr bool operator==(const FlatCount&, const FlatCount&) = default;
};

namespace detail {
/// How a parameter changes from step to step: by the optimizer, with weight decay or without; not at all;
/// towards an average.
template <bool Decays> struct ByOptimizer {
  static constexpr bool decays = Decays, trains = true;
  static constexpr double rate = 0;
};
struct Unchanged {
  static constexpr bool decays = false, trains = false;
  static constexpr double rate = 0;
};
template <class Rate> struct RateAboveOne {
  static void say() {
    static_assert(Rate::num > 0 && Rate::num <= Rate::den,
                  "cohort: the rate of an Averaged parameter is above 0 and at most 1, e.g. "
                  "std::ratio<1, 10>. [cohort/core/params.hpp]");
  }
};
template <class Rate> struct ByAverage {
  static_assert(said<RateAboveOne<Rate>>());
  static constexpr bool decays = false, trains = false;
  static constexpr double rate = static_cast<double>(Rate::num) / Rate::den;
};
}  // namespace detail

/// One parameter: a name, static extents (row-major, last one contiguous), an initialiser, and how it
/// changes: by the optimizer, where weight decay applies by default to parameters of two and more
/// dimensions (as nanoGPT does); not at all (nn::Frozen); or towards an average (Averaged).
///
///   Param<"weight", Out, In>
///   Initialised<Param<"scale", C>, init::Ones>
///   NoDecay<Param<"table", V, C>>
///   Averaged<Param<"running_mean", C>>
template <class N, class Init, class Change, int... E> struct BasicParam {
  static_assert(
      sizeof...(E) >= 1 && sizeof...(E) <= 4 && ((E > 0) && ...),
      "cohort: a Param needs one to four extents above zero, e.g. Param<\"weight\", Out, In>. "
      "[cohort/core/params.hpp]");
  using name = N;
  using initialiser = Init;
  template <class I> using initialised_by = BasicParam<N, I, Change, E...>;
  using without_decay =
      BasicParam<N, Init, std::conditional_t<Change::decays, detail::ByOptimizer<false>, Change>,
                 E...>;
  using without_gradient = BasicParam<N, Init, detail::Unchanged, E...>;
  template <class Rate>
  using averaged_by =
      BasicParam<N, std::conditional_t<std::is_same_v<Init, init::Default>, init::Zeros, Init>,
                 detail::ByAverage<Rate>, E...>;

  static constexpr int rank = sizeof...(E);
  static constexpr std::array<int, sizeof...(E)> extents{E...};
  static constexpr std::size_t numel = (std::size_t{1} * ... * static_cast<std::size_t>(E));
  static constexpr std::size_t padded = round_up(numel, chunk);
  static constexpr bool decays = Change::decays, trains = Change::trains;
  static constexpr double rate = Change::rate;  // at which it follows an average; 0: it is none
  static constexpr bool averages = rate > 0;
  static constexpr FlatCount size{trains ? padded : 0, trains || averages ? 0 : padded, 1,
                                  averages ? padded : 0};
  static constexpr int cols = extents[rank - 1];
  static constexpr int rows = static_cast<int>(numel / static_cast<std::size_t>(cols));
};
template <fixed_string S, int... E>
struct Param : BasicParam<Name<S>, init::Default, detail::ByOptimizer<(sizeof...(E) >= 2)>, E...> {
};

/// P with initial values by I (core/init.hpp), and P without weight decay. Types of their own, as Param:
/// through an alias nvcc loses the string.
template <class P, class I> struct Initialised : P::template initialised_by<I> {};
template <class P> struct NoDecay : P::without_decay {};

/// P as a running average over the data, such as the statistics of nn::BatchNorm: what other libraries keep in
/// buffers. Forward reads it by name as any parameter. Backward adds to g["name"_p] the sum over its samples
/// of what is averaged: the mean over its rows times x.rows.samples. After a step that updates, P has moved
/// by Rate of the way to the average over all samples of all ranks.
///
///   Averaged<Param<"running_mean", C>, std::ratio<1, 10>>
///
/// Units    Rate: a std::ratio in (0, 1], PyTorch's momentum. Values and sums are fp32 where layers compute
///          in 16 bits. The first values are zeros, unless Initialised.
/// Comm     one all-reduce a step for all of them, beside the loss's. Every rank holds all values.
/// Cost     two numbers an element; no gradient, no moments, no part in the norm or in clipping.
/// Laws     one update a step: neither the cut into micro-batches nor computing a layer again changes it; the
///          same bits under every strategy (tests/run/averaged_storage_test.cpp).
template <class P, class Rate = std::ratio<1, 10>>
struct Averaged : P::template averaged_by<Rate> {};

namespace detail {
template <int> struct none {};  // the I-th of an empty list

template <class N, class... Named> consteval int index_of_name() {
  int at = 0, found = -1;
  ((found = found < 0 && same_name<typename Named::name, N> ? at : found, ++at), ...);
  return found;
}
template <class P>
concept HasName = requires {
  typename P::name;
};
template <class N, class L> struct NamedChild;
template <class C> inline constexpr bool is_numbered = false;
template <class N, class L> inline constexpr bool is_numbered<NamedChild<N, L>> = true;
/// Every name is found where it stands. What has none was refused; numbered children are cohort's.
template <class... Named> consteval bool names_differ() {
  int at = 0;
  if constexpr (sizeof...(Named) > 1 && (HasName<Named> && ...) && !(is_numbered<Named> || ...))
    return ((index_of_name<typename Named::name, Named...>() == at++) && ...);
  else
    return true;
}
template <class... Named> struct NamedAlike {
  static void say() {
    static_assert(names_differ<Named...>(),
                  "cohort: two parameters, or two children, of a layer have the same name: p[name] "
                  "would be the first, and files could not hold both. Rename one. "
                  "[cohort/core/params.hpp]");
  }
};
}  // namespace detail

/// The parameters of a layer itself, in storage order: `using Params = cohort::Params<Param<...>,
/// ...>;`
template <class... P> struct Params {
  static_assert(detail::said<detail::NamedAlike<P...>>());
  static constexpr int count = sizeof...(P);
  static constexpr FlatCount size = (FlatCount{} + ... + P::size);
  template <int I> using at = std::tuple_element_t<I, std::tuple<P...>>;
  template <class N> static constexpr int find = detail::index_of_name<N, P...>();
  /// Where parameter I begins.
  template <int I> static consteval FlatCount before() {
    FlatCount sum;
    int k = 0;
    ((k++ < I ? void(sum += P::size) : void()), ...);
    return sum;
  }
};
template <> struct Params<> {
  static constexpr int count = 0;
  static constexpr FlatCount size{};
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
  static_assert(detail::said<detail::NamedAlike<C...>>());
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

/// The layer's own Params, none where it declares none.
template <class L> using params_of = typename detail::own_params<L>::type;
/// The layer's Children, none where it declares none.
template <class L> using children_of = typename detail::own_children<L>::type;
/// The type of its child I.
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

namespace detail {
/// No child has the name of a parameter beside it.
template <class L> consteval bool children_have_own_names() {
  bool all = true;
  if constexpr (params_of<L>::count > 0)
    for_each_index<children_of<L>::count>([&](auto i) {
      all = all && params_of<L>::template find<typename children_of<L>::template name_at<i>> < 0;
    });
  return all;
}
template <class L> struct ChildNamedAsParameter {
  static void say() {
    static_assert(children_have_own_names<L>(),
                  "cohort: a child and a parameter of a layer have the same name: p[name] would be "
                  "the parameter. Rename one. [cohort/core/params.hpp]");
  }
};
}  // namespace detail

/// Size of a layer's whole subtree: own parameters first, then children in order.
template <class L> consteval FlatCount subtree() {
  static_assert(detail::said<detail::ChildNamedAsParameter<L>>());
  if constexpr (Repeated<L>) {
    return L::repeat * subtree<typename L::Element>();
  } else {
    FlatCount sum = params_of<L>::size;
    for_each_index<children_of<L>::count>([&](auto i) { sum += subtree<child_of<L, i>>(); });
    return sum;
  }
}
/// Its elements, and its number of parameters.
template <class L> consteval std::size_t flat_size() { return subtree<L>().elements(); }
/// The number of parameters in the whole of a layer.
template <class L> consteval int num_params() { return subtree<L>().params; }

/// Where child I begins inside the subtree of L.
template <class L, int I> consteval FlatCount before_child() {
  FlatCount sum = params_of<L>::size;
  for_each_index<I>([&](auto i) { sum += subtree<child_of<L, i>>(); });
  return sum;
}

}  // namespace cohort
