// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/safetensors_hostile_test.cpp: headers that are made to cost time or memory do not.
#include <doctest/doctest.h>
#include <time.h>

#include <algorithm>
#include <cohort/core/rng.hpp>
#include <cohort/io/safetensors.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "files.hpp"
#include "support/allocations.hpp"

using cohort::io::MalformedFile;
using cohort::io::Safetensors;

namespace {

/// The length and the header.
std::string with_length(std::string_view header) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(header.size() >> 8 * i & 0xff);
  return out.append(header);
}

// Bytes of the longest header; a tenth where sanitizers take the time, which is then not measured.
constexpr std::size_t limit = cohort::test::Allocations::available ? 100'000'000 : 10'000'000;

/// The n-th of 64^4 names of four letters.
std::string short_name(std::size_t n) {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  std::string out;
  for (int i = 0; i < 4; ++i, n /= 64) out += letters[n % 64];
  return out;
}

/// Members until the header is full: next(i) makes them.
std::string full_header(std::string begin, const std::function<std::string(std::size_t)>& next,
                        std::string_view end) {
  begin.reserve(limit);
  for (std::size_t i = 0;; ++i) {
    const std::string member = next(i);
    if (begin.size() + member.size() + 1 + end.size() > limit) break;
    if (i > 0) begin += ',';
    begin += member;
  }
  begin += end;
  begin.resize(limit, ' ');
  return begin;
}

std::string in_one_tensor(std::string_view before, std::string_view repeated,
                          std::string_view after) {
  std::string out(before);
  while (out.size() + repeated.size() + after.size() <= limit) out += repeated;
  out += after;
  out.resize(limit, ' ');
  return out;
}

struct Hostile {
  std::string name;
  std::function<std::string()> header;
  bool accepted;
};

// The first five take the most time or memory; the rest is looked at in the full tier.
constexpr std::size_t num_worst = 5;
const Hostile hostile[] = {
    {"10 million keys of metadata",
     [] {
       return full_header(
           R"({"__metadata__":{)",
           [](std::size_t i) { return "\"" + short_name(i * 7919 % (1 << 24)) + "\":\"\""; }, "}}");
     },
     true},
    {"1.8 million tensors",
     [] {
       return full_header(
           "{",
           [](std::size_t i) {
             return "\"" + short_name(i) + R"(":{"dtype":"I8","shape":[0],"data_offsets":[0,0]})";
           },
           "}");
     },
     true},
    {"millions of escaped keys",
     [] {
       return full_header(
           R"({"__metadata__":{)",
           [](std::size_t i) { return "\"\\u0001\\u00e9" + short_name(i) + "\":\"\""; }, "}}");
     },
     true},
    {"a name of 16 million escapes",
     [] {
       return in_one_tensor("{\"", "\\u00e9",
                            R"(":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}})");
     },
     true},
    {"lists 100 million deep", [] { return in_one_tensor(R"({"a":)", "[", ""); }, false},
    {"names of one beginning, in an order that helps nobody",
     [] {
       return full_header(
           "{",
           [](std::size_t i) {
             return "\"model.layers.weight." + short_name(i * 7919 % (1 << 24)) +
                    R"(":{"dtype":"I8","shape":[0],"data_offsets":[0,0]})";
           },
           "}");
     },
     true},
    {"a shape of 50 million extents",
     [] {
       return in_one_tensor(R"({"a":{"dtype":"I8","shape":[0)", ",1",
                            R"(],"data_offsets":[0,0]}})");
     },
     true},
    {"50 million offsets",
     [] {
       return in_one_tensor(R"({"a":{"dtype":"I8","shape":[0],"data_offsets":[0)", ",0", "]}}");
     },
     false},
    {"a name of 100 MB",
     [] {
       return in_one_tensor("{\"", "a", R"(":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}})");
     },
     true},
    {"a name of 33 million characters of three bytes",
     [] {
       return in_one_tensor("{\"", "\xe2\x82\xac",
                            R"(":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}})");
     },
     true},
    {"a type of 16 million escapes",
     [] {
       return in_one_tensor(R"({"a":{"dtype":")", "\\u0046",
                            R"(","shape":[0],"data_offsets":[0,0]}})");
     },
     false},
    {"a field of 16 million escapes",
     [] { return in_one_tensor(R"({"a":{")", "\\u0046", R"(":1}})"); }, false},
    {"objects 20 million deep", [] { return in_one_tensor("", R"({"a":)", ""); }, false},
    {"one name a million times",
     [] {
       return full_header(
           "{",
           [](std::size_t) {
             return std::string(R"("a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]})");
           },
           "}");
     },
     false},
    {"spaces", [] { return in_one_tensor("{", " ", "}"); }, true},
};

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// 2 s, or on a slower machine eight times what sorting four million numbers takes: what is worse than linear
/// takes minutes.
double allowed_seconds() {
  static const double once = [] {
    std::vector<std::uint64_t> numbers(std::size_t{1} << 22);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = cohort::random_bits(1, 2, i);
    const double start = cpu_seconds();
    std::sort(numbers.begin(), numbers.end());
    return std::max(2.0, 8 * (cpu_seconds() - start));
  }();
  return once;
}

/// Reads the file of this header: at most 2 s of the processor, 3 times its size of memory.
void costs_little(const Hostile& one) {
  using cohort::test::Allocations;
  CAPTURE(one.name);
  const cohort::test::TemporaryDirectory folder;
  {
    const std::string header = one.header();
    REQUIRE(header.size() == limit);
    cohort::test::put_bytes(folder / "f", with_length(header));
  }
  double seconds = 1e9;
  const double allowed = allowed_seconds();
  std::int64_t bytes = 0;
  for (int attempt = 0; attempt < 3 && seconds > allowed;
       ++attempt) {  // others only make it slower
    const double start = cpu_seconds();
    Allocations allocations;
    bool accepted = true;
    try {
      const Safetensors file(folder / "f");
    } catch (const MalformedFile& error) {
      accepted = false;
      CHECK(std::string_view(error.what()).size() < 1000);
    }
    allocations.stop();
    seconds = std::min(seconds, cpu_seconds() - start);
    bytes = allocations.all_threads().peak_bytes - std::int64_t{limit + 8};  // without the mapping
    CHECK(accepted == one.accepted);
  }
  if (!Allocations::available) return;  // the sanitizers' time and memory are their own
  CHECK(seconds <= allowed);
  CHECK(bytes <= std::int64_t{3 * limit});
}

}  // namespace

TEST_CASE(
    "Safetensors: a hostile header of 100 MB costs at most 2 s and 3 times its size [alone]") {
  for (std::size_t i = 0; i < num_worst; ++i) costs_little(hostile[i]);
}

TEST_CASE("Safetensors: nor do other hostile headers [alone][full]") {
  for (std::size_t i = num_worst; i < std::size(hostile); ++i) costs_little(hostile[i]);
}
