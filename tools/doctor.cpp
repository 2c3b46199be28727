// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tools/doctor.cpp: cohort-doctor: a check-up of this machine before a run. tools/doctor compiles and runs it.
//
// WITH_MPI, WITH_CUDA and WITH_NCCL come from whoever compiles it, for what was found and is linked.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cohort/doctor.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#if defined(WITH_MPI)
#include <cohort/doctor/mpi_library.hpp>
#endif
#if defined(WITH_CUDA)
#include <cohort/doctor/cuda/devices.hpp>
#endif
#if defined(WITH_NCCL)
#include <cohort/doctor/nccl_library.hpp>
#endif

namespace {

using namespace cohort;

constexpr const char* usage =
    "usage: cohort-doctor [--json] [--directory DIR]\n"
    "Looks at what a training run depends on here, and says what is wrong and what helps.\n"
    "  --json           one JSON object instead of a table\n"
    "  --directory DIR  where checkpoints would go (the current directory)\n"
    "The exit status is 0, 1 if there is a problem, 2 for a wrong command line.\n";

/// With the checks of what this program was compiled with.
std::vector<Finding> findings_of(const checkup::System& system) {
  return doctor(system
#if defined(WITH_MPI)
                ,
                checkup::mpi
#endif
#if defined(WITH_CUDA)
                ,
                checkup::cuda
#endif
#if defined(WITH_NCCL)
                ,
                checkup::nccl
#endif
  );
}

struct Arguments {
  bool json = false, help = false, wrong = false;
  std::string directory = ".";
  std::vector<Finding>
      more;  // --add AREA NAME VERDICT FOUND FIX: what tools/doctor found by itself
};

Arguments read_arguments(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      a.json = true;
    } else if (argument == "--help" || argument == "-h") {
      a.help = true;
    } else if (argument == "--directory" && i + 1 < argc) {
      a.directory = argv[++i];
    } else if (argument == "--add" && i + 5 < argc) {
      Verdict verdict = Verdict::note;
      for (const Verdict each : {Verdict::ok, Verdict::warning, Verdict::problem})
        if (name(each) == argv[i + 3]) verdict = each;
      a.more.push_back({argv[i + 1], argv[i + 2], argv[i + 4], verdict, argv[i + 5]});
      i += 5;
    } else {
      a.wrong = true;
    }
  }
  return a;
}

/// For a terminal its width and colours, unless NO_COLOR is set or it is dumb.
ReportOptions terminal() {
  if (!::isatty(1)) return {};
  winsize size{};
  ReportOptions options;
  options.width = ::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  options.colour = (no_colour == nullptr || *no_colour == '\0') && kind != nullptr &&
                   std::string_view(kind) != "dumb";
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = read_arguments(argc, argv);
  if (arguments.wrong || arguments.help) {
    std::fputs(usage, arguments.wrong ? stderr : stdout);
    return arguments.wrong ? 2 : 0;
  }
  checkup::System system;
  system.directory = arguments.directory;
  std::vector<Finding> findings = findings_of(system);
  findings.insert(findings.end(), arguments.more.begin(), arguments.more.end());
  std::fputs((arguments.json ? report_json(findings) : report(findings, terminal())).c_str(),
             stdout);
  std::fflush(stdout);
  std::_Exit(worst(findings) == Verdict::problem ? 1 : 0);  // what hangs is not waited for
}
