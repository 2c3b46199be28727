#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/codegen/check_step_test.py: the checker catches each kind of run-time decision, and nothing else.
"""check_step_test.py COMPILER BUILD_FOLDER: compiles small programs and checks what is said of them."""
import os
import subprocess
import sys

import check_step

GOOD = """
#include <stdexcept>
#include <thread>
namespace cohort {
struct Error : std::runtime_error { using std::runtime_error::runtime_error; };
[[gnu::noinline]] int leaf(int x) { if (x < 0) throw Error("negative"); return x * 3; }
template <class F> [[gnu::noinline]] int apply(F f, int x) { return f(x) + leaf(x); }
[[gnu::noinline]] int choose(int x) {
  switch (x) { case 0: return leaf(7); case 1: return leaf(x + 9); case 2: return leaf(x - 3);
    case 3: return leaf(4); case 4: return 5 * leaf(x); case 5: return leaf(1); default: return 0; }
}
[[gnu::noinline]] int step(int x) { return choose(x) + apply([](int y) { return leaf(y) + 1; }, x); }
}
int main(int argc, char**) {
  int out = 0;
  std::thread worker([&] { out = cohort::step(argc); });
  worker.join();
  return out;
}
"""

# name: (source, options, what the complaint must say; empty: none)
CASES = {
    "good": (GOOD, {"roots": r"cohort::step\("}, ""),
    "virtual_call": ("""
namespace cohort {
struct Base { virtual int f(int) = 0; };
struct Low : Base { int f(int x) override { return x; } };
struct High : Base { int f(int x) override { return 2 * x; } };
[[gnu::noinline]] int step(Base& base, int x) { return base.f(x) + 1; }
}
int main(int argc, char**) {
  cohort::Low low; cohort::High high;
  return cohort::step(argc > 1 ? static_cast<cohort::Base&>(low) : high, argc);
}
""", {}, "indirect call in cohort::step"),
    "virtual_table": ("""
namespace cohort {
struct Plain { virtual ~Plain(); int x = 0; };
Plain::~Plain() {}
[[gnu::noinline]] int step(int x) { return x + 1; }
}
int main(int argc, char**) { cohort::Plain p; return cohort::step(argc) + p.x; }
""", {}, "virtual table of vtable for cohort::Plain"),
    "function_pointer": ("""
namespace cohort {
int one(int x) { return x; }
int two(int x) { return 2 * x; }
int (*volatile chosen)(int) = one;
[[gnu::noinline]] int step(int x) { return chosen(x) + 1; }
}
int main(int argc, char**) { if (argc > 1) cohort::chosen = cohort::two; return cohort::step(argc); }
""", {}, "indirect call in cohort::step"),
    "tail_jump": ("""
namespace cohort { [[gnu::noinline]] int step(int (*f)(int), int x) { return f(x); } }
static int one(int x) { return x; }
static int two(int x) { return 2 * x; }
int main(int argc, char**) { return cohort::step(argc > 1 ? one : two, argc); }
""", {}, "indirect call in cohort::step"),
    "in_a_lambda": ("""
namespace cohort {
int (*volatile chosen)(int) = nullptr;
template <class F> [[gnu::noinline]] int apply(F f, int x) { return f(x); }
[[gnu::noinline]] int step(int x) {
  auto f = [](int y) __attribute__((noinline)) { return chosen(y) + 1; };
  return apply(f, x) + 1;
}
}
int main(int argc, char**) { return cohort::step(argc); }
""", {}, "::operator()(int) const"),
    "std_function": ("""
#include <functional>
namespace cohort { [[gnu::noinline]] int step(const std::function<int(int)>& f, int x) { return f(x); } }
int main(int argc, char**) { return cohort::step([argc](int x) { return x + argc; }, argc); }
""", {}, "type-erased callable"),
    "behind_another_namespace": ("""
namespace other {
int (*volatile chosen)(int) = nullptr;
[[gnu::noinline]] int hidden(int x) { return chosen(x) + 1; }
}
namespace cohort { [[gnu::noinline]] int step(int x) { return other::hidden(x) + 1; } }
int main(int argc, char**) { return cohort::step(argc); }
""", {"roots": r"cohort::step\("}, "indirect call in other::hidden"),
    "outside_the_step": ("""
namespace cohort {
int (*volatile chosen)(int) = nullptr;
[[gnu::noinline]] int launch(int x) { return chosen(x) + 1; }
[[gnu::noinline]] int step(int x) { return x + 1; }
}
int main(int argc, char**) { return cohort::launch(argc) + cohort::step(argc); }
""", {"allow": r"^cohort::launch\("}, ""),
    "nothing_to_check": ("int main() { return 0; }", {}, "holds no function of cohort"),
    "root_is_gone": (GOOD, {"roots": r"cohort::no_such_function"}, "no function matches --root"),
}


def main():
    compiler, folder = sys.argv[1:3]
    os.makedirs(folder, exist_ok=True)
    failures = 0
    for name, (source, options, expected) in CASES.items():
        path = os.path.join(folder, name)
        with open(path + ".cpp", "w", encoding="utf-8") as file:
            file.write(source)
        flags = ["-std=c++20", "-O2", "-fno-jump-tables", "-pthread"]
        subprocess.run([compiler, *flags, path + ".cpp", "-o", path], check=True)
        said = list(check_step.complaints(path, options.get("roots"), options.get("allow")))
        good = not said if not expected else any(expected in line for line in said)
        failures += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {said}")
    return 1 if failures else 0


sys.exit(main())
