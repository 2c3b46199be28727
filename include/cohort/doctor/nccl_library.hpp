// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/nccl_library.hpp: the NCCL that this program was compiled for and the one that is loaded.
#pragma once
#include <nccl.h>

#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>
#include <string>
#include <vector>

namespace cohort::checkup {

namespace detail {
/// 22809 is 2.28.9; before 2.9 it was 2804 for 2.8.4.
inline std::string nccl_version(int code) {
  const int unit = code < 10000 ? 1000 : 10000;
  return phrase(code / unit, ".", code % unit / 100, ".", code % 100);
}
}  // namespace detail

inline std::vector<Finding> nccl_findings(int library, int header = NCCL_VERSION_CODE) {
  constexpr int least = 22700;  // ncclCommWindowRegister
  Findings out("NCCL");
  const std::string found =
      library == 0 ? "does not tell its version" : detail::nccl_version(library);
  const std::string both =
      phrase(found, ", but this program was compiled for ", detail::nccl_version(header));
  const char* fix =
      "Correct LD_LIBRARY_PATH (ldd shows which libnccl is loaded), or compile the program again.";
  if (library < least)
    out.problem("library", found + ": cohort needs 2.27 or newer", "Install a newer libnccl2.");
  else if (library / 10000 != header / 10000)
    out.problem("library", both, fix);
  else if (library < header)
    out.warning("library", both, fix);
  else
    out.ok("library", library == header ? found : both);
  return out.take();
}

/// For doctor(): asks the library, which needs no GPU for it.
inline std::vector<Finding> nccl(const System&) {
  int library = 0;
  if (ncclGetVersion(&library) != ncclSuccess) library = 0;
  return nccl_findings(library);
}

}  // namespace cohort::checkup
