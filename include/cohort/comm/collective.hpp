// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/collective.hpp: collectives as values, for traces, checks between ranks and messages.
#pragma once
#include <cohort/core/dtype.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace cohort {

namespace detail {

/// A piece of a message: a text or a whole number.
struct Word {
  std::string_view text;
  std::int64_t number = 0;
  bool is_number = false;

  Word(const char* words) : text(words) {}
  Word(std::string_view words) : text(words) {}
  Word(const std::string& words) : text(words) {}
  template <std::integral I>
  Word(I count) : number(static_cast<std::int64_t>(count)), is_number(true) {}
};

inline std::string join(std::initializer_list<Word> words) {
  std::string out;
  for (const Word& word : words) {
    out += word.is_number ? std::to_string(word.number) : std::string(word.text);
  }
  return out;
}

/// Words and numbers as one string. (g++ 12 warns falsely about "a" + std::to_string(n).)
template <class... Words> std::string phrase(const Words&... words) {
  return join({Word(words)...});
}

}  // namespace detail

/// What ranks can call together.
enum class CollectiveKind : std::uint8_t {
  all_reduce,
  reduce_scatter,
  all_gather,
  broadcast,
  all_to_all,
  barrier,
  split,
  duplicate
};

/// As the function that a communicator has for it.
constexpr std::string_view name(CollectiveKind kind) {
  constexpr std::string_view names[] = {"all_reduce", "reduce_scatter", "all_gather", "broadcast",
                                        "all_to_all", "barrier",        "split",      "duplicate"};
  return names[static_cast<int>(kind)];
}

/// One collective as one rank asked for it. All ranks of a channel must ask for equal calls.
///
/// Units    count: elements of dtype as the function took them (per rank for reduce_scatter and
///          all_gather; of one rank to all others for all_to_all); 0 of u8 for barrier, split and duplicate.
///          root: 0 unless broadcast.
struct Collective {
  CollectiveKind kind = CollectiveKind::barrier;
  DType dtype = DType::u8;
  std::size_t count = 0;
  int root = 0;

  friend constexpr bool operator==(const Collective&, const Collective&) = default;
};

/// "all_reduce(1024 f32)", "broadcast(8 u8, root 2)", "barrier()".
inline std::string text(const Collective& call) {
  if (call.kind >= CollectiveKind::barrier) return detail::phrase(name(call.kind), "()");
  std::string out = detail::phrase(name(call.kind), "(", call.count, " ", name(call.dtype));
  if (call.kind == CollectiveKind::broadcast) out += detail::phrase(", root ", call.root);
  return out += ")";
}

}  // namespace cohort
