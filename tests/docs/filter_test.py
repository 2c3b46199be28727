#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
"""tests/docs/filter_test.py SOURCE_DIR: what docs/api/filter.py makes of a header and of a page, line by line."""
import pathlib
import subprocess
import sys
import tempfile

HEADER = """\
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/thing.hpp: y = a < b of
// two lines.
#pragma once
namespace cohort::nn {

/// A Thing<Out>: 50 % of `a<b>`.
///
///   Thing<2> x;  // <kept>
///
/// Shapes   x [rows, In],
///          1. no list.
struct Thing {
  int count = 0;  // of <what>
                  // and more
  int plain = 1;
  int f() const { return 1; }  // no field
};

/// Chosen only when N is odd:
/// says so.
template <int N, int M = 1 << 2> struct Own : Own<1> {
  using own = int;
};

/// Meant.
template <int N, int M>
requires Even<N>
struct Own<N, M> : Base<N> {
};
}  // namespace cohort::nn
"""
HEADER_WANTED = r"""/// \file
/// \in_group{nn} y = a \< b of two lines.


#pragma once
namespace cohort::nn {

/// \in_group{nn} A Thing\<%Out\>: 50 \% of `a<b>`.
/// \code{.cpp}
///   Thing<2> x;  // <kept>
/// \endcode
/// \section_of{Shapes} x [rows, In],
/// 1\. no list.
struct Thing {
  int count = 0; ///< of \<what\>
                  ///< and more
  int plain = 1;
  int f() const { return 1; }  // no field
};

/// \cond
/// says so.
template <int N, int M = 1 << 2> struct Own : Own<1> {
  using own = int;
};  /// \endcond

/// \in_group{nn} Meant.
template <int N, int M = 1 << 2>
requires Even<N>
struct Own : Base<N> {
};
}  // namespace cohort::nn
"""
PAGE = """\
# The `page`
## When (it) is wrong
[a](#when-it-is-wrong) [b](../README.md#measured) [c](x/other.md) [d](../src/d.hpp) [e](https://e.org) ![f](f.svg)
```cpp
# [a](b.md)
```
"""
PAGE_WANTED = """\
# The page {#page_name}
## When (it) is wrong {#page_name_when-it-is-wrong}
[a](@ref page_name_when-it-is-wrong) [b](@ref page_README_measured) [c](@ref page_other) `d` [e](https://e.org) ![f](f.svg)
```cpp
# [a](b.md)
```
"""


def main():
    program = pathlib.Path(sys.argv[1]) / "docs/api/filter.py"
    with tempfile.TemporaryDirectory() as folder:
        for name, text, wanted in (("include/cohort/nn/thing.hpp", HEADER, HEADER_WANTED),
                                   ("docs/name.md", PAGE, PAGE_WANTED)):
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            got = subprocess.run([sys.executable, program, path], check=True, capture_output=True, text=True).stdout
            for number, (a, b) in enumerate(zip(got.split("\n"), wanted.split("\n")), 1):
                if a != b:
                    sys.exit(f"{name}:{number}:\n  got    {a}\n  wanted {b}")
            if got.count("\n") != wanted.count("\n"):
                sys.exit(f"{name}: {got.count(chr(10))} lines instead of {wanted.count(chr(10))}")


if __name__ == "__main__":
    main()
