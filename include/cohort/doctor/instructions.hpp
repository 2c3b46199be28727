// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/instructions.hpp: the vector and matrix instructions that kernels use: which the CPU has, which this program uses.
#pragma once
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// Sets of instructions for which cohort has kernels.
struct Instructions {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx = false;

  friend constexpr bool operator==(const Instructions&, const Instructions&) = default;
};

/// How a program was compiled.
struct Build {
  Instructions instructions;
  bool optimised = true, fast_math = false;
};

/// How this translation unit was compiled.
constexpr Build this_build() {
  Build build;
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
  build.instructions.avx2 = true;
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  build.instructions.avx512 = true;
#endif
#if defined(__AVX512BF16__)
  build.instructions.avx512_bf16 = true;
#endif
#if defined(__AMX_TILE__) && defined(__AMX_BF16__)
  build.instructions.amx = true;
#endif
#if !defined(__OPTIMIZE__)
  build.optimised = false;
#endif
#if defined(__FAST_MATH__)
  build.fast_math = true;
#endif
  return build;
}

/// What the "flags" of /proc/cpuinfo say.
inline Instructions instructions_in(std::string_view flags) {
  const auto words = split(flags, ' ');
  const auto all = [&](std::initializer_list<std::string_view> names) {
    return std::all_of(names.begin(), names.end(), [&](std::string_view name) {
      return std::find(words.begin(), words.end(), name) != words.end();
    });
  };
  return {all({"avx2", "fma", "f16c"}), all({"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
          all({"avx512_bf16"}), all({"amx_tile", "amx_bf16"})};
}

/// "AVX2, AVX-512", "none".
inline std::string text(const Instructions& set) {
  std::vector<std::string> names;
  if (set.avx2) names.push_back("AVX2");
  if (set.avx512) names.push_back("AVX-512");
  if (set.avx512_bf16) names.push_back("AVX512-BF16");
  if (set.amx) names.push_back("AMX");
  return names.empty() ? "none" : listed(names);
}
/// Those of a that are not in b.
constexpr Instructions but_not(const Instructions& a, const Instructions& b) {
  return {a.avx2 && !b.avx2, a.avx512 && !b.avx512, a.avx512_bf16 && !b.avx512_bf16,
          a.amx && !b.amx};
}

namespace detail {

inline void build(const Instructions& cpu, const Build& build, Findings& out) {
  const Instructions missing = but_not(cpu, build.instructions);
  const Instructions foreign = but_not(build.instructions, cpu);
  const char* name = "this program";
  if (foreign != Instructions{})
    out.problem(name, phrase("was compiled for ", text(foreign), ", which the CPU lacks"),
                "Compile it on this machine: elsewhere its kernels end with Illegal instruction.");
  else if (build.fast_math)
    out.warning(name, "was compiled with -ffast-math: a NaN may go unseen", "Compile it without.");
  else if (!build.optimised)
    out.warning(name, "was compiled without optimisation",
                "Compile it with -O3 -DNDEBUG -march=native.");
  else if (missing != Instructions{})
    out.warning(name, phrase("was compiled without ", text(missing)),
                "Compile it with -O3 -march=native, on a machine with the same CPU as this one.");
  else
    out.ok(name, phrase("was compiled for ", text(build.instructions)));
}

}  // namespace detail

/// The CPU's instructions and, beside them, those that this program was compiled for.
inline std::vector<Finding> instructions(const System& system, const Build& build = this_build()) {
  Findings out("instructions");
  const auto cpuinfo = read(system, "/proc/cpuinfo");
  const std::string flags = field(cpuinfo.value_or(""), "flags");
  if (flags.empty()) {
    const bool arm = !field(cpuinfo.value_or(""), "Features").empty();
    out.note(
        "CPU", arm ? "ARM" : "unknown: /proc/cpuinfo does not say",
        "Kernels are what the compiler makes of plain loops here: compile with -O3 -mcpu=native "
        "and measure.");
    return out.take();
  }
  const Instructions cpu = instructions_in(flags);
  if (!cpu.avx2)
    out.warning("CPU", "no AVX2: products are several times slower",
                "Use a CPU of the last ten years, or let the virtual machine show its instructions "
                "(qemu: -cpu host).");
  else
    out.ok("CPU", text(cpu) + (cpu.amx || cpu.avx512_bf16 ? "" : "; bf16 is widened to fp32"));
  detail::build(cpu, build, out);
  return out.take();
}

}  // namespace cohort::checkup
