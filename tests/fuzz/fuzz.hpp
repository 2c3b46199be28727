// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/fuzz/fuzz.hpp: what the fuzz targets share: bytes as numbers, and a check that stops the fuzzer.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string>

/// Input as a sequence of choices; 0 when it has run out.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  int below(int n) { return byte() % n; }
  std::string text(std::size_t most) {
    const std::size_t n = std::min(most, left_);
    std::string out(reinterpret_cast<const char*>(at_), n);
    at_ += n;
    left_ -= n;
    return out;
  }
  std::string rest() { return text(left_); }
  bool empty() const { return left_ == 0; }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

inline void must(bool holds, std::source_location where = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: a law does not hold\n", where.file_name(), where.line());
  std::abort();
}

/// f returns, or throws an E with a sentence. Anything else ends the fuzzer with the input that did it.
template <class E, class F> bool refuses_only_with(F f) {
  try {
    f();
    return false;
  } catch (const E& e) {
    must(std::string(e.what()).size() > 10);
    return true;
  }
}
