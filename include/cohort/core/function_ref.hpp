// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/function_ref.hpp: a reference to anything callable, so that what takes it is compiled once.
#pragma once
#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace cohort::detail {

/// Refers to something callable that outlives it, as C++26's std::function_ref does; two words, no copy of it. For what runs
/// before the first step or between steps, such as the start of threads: a step calls nothing through a pointer.
///
///   void for_ranks(int n, FunctionRef<void(int)> f);   // one function, whatever lambda it is given
template <class Signature> class FunctionRef;
template <class R, class... A> class FunctionRef<R(A...)> {
 public:
  /// (What cannot be called is found in the call below: a requirement would add to each error inside f.)
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FunctionRef> &&
           std::is_object_v<std::remove_reference_t<F>>) FunctionRef(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, A... a) -> R {
          auto& called = *static_cast<std::remove_reference_t<F>*>(object);
          if constexpr (std::is_void_v<R>)
            called(std::forward<A>(a)...);
          else
            return called(std::forward<A>(a)...);
        }) {}

  R operator()(A... a) const { return call_(object_, std::forward<A>(a)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

}  // namespace cohort::detail
