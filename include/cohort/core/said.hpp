// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/said.hpp: one mistake, one sentence: how it is said.
#pragma once

namespace cohort::detail {

/// False as soon as a type is known: the condition of a static_assert that is the whole message.
template <class...> inline constexpr bool never = false;

/// A type that only seems to depend on others, so that it is asked about late.
template <class T, class...> struct first_type { using type = T; };

/// The header that defines what others only declare was included; asked with types that depend on a
/// template's arguments.
template <class T>
concept IsComplete = requires {
  sizeof(T);
};

/// Says M::say(), a static_assert, at the end of the translation unit: the function is used and its
/// return type is declared, so that compilers instantiate it last and alone. Said in place, the
/// sentence would carry the whole stack of constraints under which the mistake was met.
template <class M> constexpr bool said(bool now = false) {
  if (now) M::say();
  return true;
}

}  // namespace cohort::detail
