// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/instructions_test.cpp: what the CPU has beside what a program was compiled for.
#include <cohort/doctor/instructions.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using checkup::Build, checkup::Instructions;
using test::FakeSystem, test::contains, test::found;

namespace {

constexpr const char* avx2 = "fpu sse2 fma f16c avx avx2 ";
constexpr const char* avx512 = "avx512f avx512dq avx512bw avx512vl ";
constexpr const char* rest = "avx512_bf16 amx_bf16 amx_tile amx_int8";

std::vector<Finding> on(const std::string& flags, const Build& build) {
  FakeSystem fake;
  fake.file("/proc/cpuinfo",
            "processor\t: 0\nflags\t\t: " + flags + "\nbugs\t\t:\n\nprocessor\t: 1\n");
  const auto all = checkup::instructions(fake.system, build);
  CHECK(test::all_say_what_helps(all));
  return all;
}
const Build native{{true, true, true, true}};

}  // namespace

TEST_CASE("instructions: read from the flags, whole words only") {
  CHECK(checkup::instructions_in(std::string(avx2) + avx512 + rest) ==
        Instructions{true, true, true, true});
  CHECK(checkup::instructions_in(avx2) == Instructions{true, false, false, false});
  CHECK(checkup::instructions_in("avx2x fma f16c") == Instructions{});
  CHECK(checkup::instructions_in("avx2 fma") == Instructions{});
  CHECK(text(Instructions{}) == "none");
  CHECK(text(Instructions{true, true, true, true}) == "AVX2, AVX-512, AVX512-BF16, AMX");
}

TEST_CASE("instructions: a program for this CPU") {
  const auto all = on(std::string(avx2) + avx512 + rest, native);
  CHECK(worst(all) == Verdict::ok);
  CHECK(contains(found(all, "this program").found, "AVX-512"));
}

TEST_CASE("instructions: a program that leaves out what the CPU has is slow") {
  const Finding f =
      found(on(std::string(avx2) + avx512 + rest, {{true, false, false, false}}), "this program");
  CHECK(f.verdict == Verdict::warning);
  CHECK(f.found == "was compiled without AVX-512, AVX512-BF16, AMX");
  CHECK(contains(f.fix, "-march=native"));
}

TEST_CASE("instructions: a program for another CPU would be stopped") {
  const Finding f = found(on(avx2, native), "this program");
  CHECK(f.verdict == Verdict::problem);
  CHECK(f.found == "was compiled for AVX-512, AVX512-BF16, AMX, which the CPU lacks");
  CHECK(contains(f.fix, "Illegal instruction"));
}

TEST_CASE("instructions: an old CPU, no optimisation, -ffast-math") {
  CHECK(found(on("fpu sse2", {}), "CPU").verdict == Verdict::warning);
  CHECK(contains(found(on(avx2, {{true, false, false, false}, false, false}), "this program").fix,
                 "-O3"));
  CHECK(contains(found(on(avx2, {{true, false, false, false}, true, true}), "this program").found,
                 "NaN"));
}

TEST_CASE("instructions: ARM, and no /proc") {
  FakeSystem fake;
  CHECK(found(checkup::instructions(fake.system), "CPU").verdict == Verdict::note);
  fake.file("/proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd sve\n");
  CHECK(found(checkup::instructions(fake.system), "CPU").found == "ARM");
}

TEST_CASE("instructions: this test itself runs, so the CPU has what it was compiled for") {
  if (!std::filesystem::exists("/proc/cpuinfo")) return;
  const auto all = checkup::instructions(checkup::System{});
  CHECK(worst(all) < Verdict::problem);
}
