// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/view.hpp: borrowed views by name of a layer's parameters (p) and gradients (g).
#pragma once
#include <Eigen/Core>
#include <cohort/core/refused.hpp>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cohort {

/// Base of everything that layers get as p and g. Such a view is valid during one call of forward
/// or backward: under FullShard the memory is freed between the two. It cannot be copied or kept.
struct Borrowed {
  Borrowed() = default;
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
};

namespace detail {
template <class T, class P>
using ParamMatrix =
    Eigen::Matrix<T, P::rows, P::cols, P::cols == 1 ? Eigen::ColMajor : Eigen::RowMajor>;
}

/// One parameter, read-only: p["weight"_p]. [E...] elements, row-major, 64-byte aligned.
template <class T, class P, class Where = OnHost> class ParamView : public Borrowed {
 public:
  static constexpr auto extents = P::extents;
  static constexpr bool averages = P::averages;
  explicit ParamView(const T* at) : at_(at) {}
  ParamView(const ParamView&) = delete;  // cohort: a parameter view is borrowed: use p again
  const T* data() const { return at_; }
  /// The values themselves, for T with arithmetic: float and double.
  auto map() const {  // (rows, cols): all leading extents x the last one
    if constexpr (!on_host) {
      detail::said<detail::NotOnTheHost<Where>>();
      return Eigen::Map<const detail::ParamMatrix<accumulator_t<T>, P>>(nullptr);
    } else if constexpr (Float16<T>) {
      detail::said<detail::NoMapOf16Bits<T>>();
      return Eigen::Map<const detail::ParamMatrix<float, P>>(nullptr);
    } else {
      return elements();
    }
  }
  /// An Eigen expression of the values in accumulator_t<T>, exact.
  auto wide() const {
    if constexpr (Float16<T> && on_host)
      return elements().unaryExpr(detail::WidenedBits<T>{});
    else
      return map();
  }

 private:
  static constexpr bool on_host = std::is_same_v<Where, OnHost>;
  /// 16-bit values as unsigned integers.
  auto elements() const {
    using E = std::conditional_t<Float16<T>, std::uint16_t, T>;
    return Eigen::Map<const detail::ParamMatrix<E, P>, Eigen::Aligned64>(
        reinterpret_cast<const E*>(at_));
  }

  const T* at_;
};

/// Where one contribution to a gradient goes, and whether it is the first of the step.
template <class T> struct Contribution {
  T* data;
  bool first;  // true: overwrite every element; false: add
};

/// The gradient of one parameter, add-only: g["weight"_p]. The buffer is not zeroed before a step:
/// the first contribution overwrites, later ones add. `contribute()` says which; `map()` and
/// `data()` zero the buffer at the first contribution, so that plain `+=` is right everywhere.
template <class T, class P> class GradView : public Borrowed {
 public:
  static constexpr auto extents = P::extents;
  static constexpr bool wanted = true;
  GradView(T* at, std::uint8_t* touched) : at_(at), touched_(touched) {}

  Contribution<T> contribute() const {
    const bool first = *touched_ == 0;
    *touched_ = 1;
    return {at_, first};
  }
  T* data() const {
    if (contribute().first) std::memset(static_cast<void*>(at_), 0, P::numel * sizeof(T));
    return at_;
  }
  auto map() const { return Eigen::Map<detail::ParamMatrix<T, P>, Eigen::Aligned64>(data()); }

 private:
  T* at_;
  std::uint8_t* touched_;
};

namespace detail {
template <class T, class P> struct FrozenGradient {
  static void say() {
    static_assert(
        never<T, P>,
        "cohort: a backward writes the gradient of a frozen parameter, which has none. Ask first: "
        "if constexpr (cohort::wants<G, name>), with the type of g and the name. "
        "[cohort/nn/frozen.hpp]");
  }
};
}  // namespace detail

/// A frozen parameter has no gradient. A layer that does not ask for it gets a place to write to that
/// nobody reads (nn/frozen.hpp); one that says it asks, and parents of the layer, must not write.
template <class T, class P>
requires(!P::trains && !P::averages) class GradView<T, P> : public Borrowed {
 public:
  static constexpr auto extents = P::extents;
  static constexpr bool wanted = false;
  GradView(T*, std::uint8_t*) {}
  static Contribution<T> contribute() {
    detail::said<detail::FrozenGradient<T, P>>();
    return {nullptr, true};
  }
  static T* data() { return contribute().data; }
  static auto map() { return Eigen::Map<detail::ParamMatrix<T, P>, Eigen::Aligned64>(data()); }
};

/// What an averaged parameter has instead of a gradient: sums over the samples of a step, add-only. They
/// are zero when a step begins.
template <class T, class P>
requires(P::averages) class GradView<T, P> : public Borrowed {
 public:
  static constexpr auto extents = P::extents;
  static constexpr bool wanted = true;
  GradView(T* at, std::uint8_t*) : at_(at) {}
  Contribution<T> contribute() const { return {at_, false}; }
  T* data() const { return at_; }
  auto map() const { return Eigen::Map<detail::ParamMatrix<T, P>, Eigen::Aligned64>(at_); }

 private:
  T* at_;
};

/// Is the gradient of a layer's own parameter of that name wanted? A backward that asks need not
/// compute what nobody keeps: `if constexpr (wants<G, "weight">) { ... }`, G the type of g. A layer
/// that asks for all of its parameters says `static constexpr bool asks_what_is_wanted = true;`.
template <class G, fixed_string S>
inline constexpr bool wants =
    decltype(std::declval<const std::remove_cvref_t<G>&>()[Name<S>{}])::wanted;

/// Where a subtree's parameters begin: trained, frozen, and averaged ones, which have no 16 bits.
template <class T, class Where = OnHost> struct ParamCursor {
  using scalar = T;
  template <class P>
  using view = ParamView<std::conditional_t<P::averages, accumulator_t<T>, T>, P, Where>;
  const T* at = nullptr;
  const T* frozen = nullptr;
  const accumulator_t<T>* averaged = nullptr;
  ParamCursor advanced(const FlatCount& by) const {
    return {at + by.trained, frozen + by.frozen, averaged + by.averaged};
  }
  template <class P> view<P> open() const {
    if constexpr (P::averages)
      return view<P>(averaged);
    else
      return view<P>(P::trains ? at : frozen);
  }
};
/// The cursor of a layer's whole subtree in one flat buffer: what is trained, then what is frozen. Averages
/// lie elsewhere.
template <class L, class T>
ParamCursor<T> flat_cursor(const T* flat, const accumulator_t<T>* averaged = nullptr) {
  return {flat, flat + subtree<L>().trained, averaged};
}
/// The same for gradients, with one flag a parameter: has it had a contribution yet? And for the sums of
/// averages.
template <class T> struct GradCursor {
  using scalar = T;
  template <class P> using view = GradView<T, P>;
  T* at = nullptr;
  std::uint8_t* touched = nullptr;
  T* sums = nullptr;
  GradCursor advanced(const FlatCount& by) const {
    return {at + by.trained, touched + by.params, sums + by.averaged};
  }
  template <class P> view<P> open() const { return view<P>(P::averages ? sums : at, touched); }
};

namespace detail {
template <class L, class N>
inline constexpr bool knows_name = [] {
  if constexpr (requires { N::view(); })
    return params_of<L>::template find<N> >= 0 || children_of<L>::template find<N> >= 0;
  else
    return false;
}();

template <class N>
concept IsName = requires {
  N::view();
};
template <class L, class N> struct UnknownName {
  static void say() {
    static_assert(IsName<N>,
                  "cohort: a name in brackets is no string: write p[\"weight\"_p], with _p behind "
                  "it. [cohort/core/fixed_string.hpp]");
    static_assert(
        !IsName<N>,
        "cohort: this layer declares no parameter and no child of that name. Add it to "
        "Params<Param<\"name\", ...>> or Children<Child<\"name\", L>>, or mend the spelling. "
        "[cohort/core/params.hpp]");
  }
};
}  // namespace detail

/// A layer's parameters and children, all in one contiguous range.
template <class L, class Cursor> class FlatView : public Borrowed {
 public:
  using layer = L;
  static constexpr bool is_unit = false, owns_unit = false;
  explicit FlatView(Cursor begin) : begin_(begin) {}

  template <class N> auto operator[](N) const {
    if constexpr (!detail::knows_name<L, N>) {
      detail::said<detail::UnknownName<L, N>>();
      return detail::RefusedView<typename Cursor::scalar>{};
    } else {
      constexpr int i = params_of<L>::template find<N>, c = children_of<L>::template find<N>;
      if constexpr (i >= 0) {
        using P = typename params_of<L>::template at<i>;
        return begin_.advanced(params_of<L>::template before<i>()).template open<P>();
      } else {
        return child<c>();
      }
    }
  }
  template <int I> auto child() const {
    return FlatView<child_of<L, I>, Cursor>(begin_.advanced(before_child<L, I>()));
  }
  auto element(int i) const requires Repeated<L> {
    using E = typename L::Element;
    return FlatView<E, Cursor>(begin_.advanced(i * subtree<E>()));
  }

 private:
  Cursor begin_;
};

}  // namespace cohort
