#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/docs/compile_blocks.py: every cpp block of a Markdown file compiles.
"""compile_blocks.py FILE.md COMPILER FLAGS...: compiles each ```cpp block with -fsyntax-only.

A block whose first line is '// fragment' is shown, not compiled.
"""
import re
import subprocess
import sys

BLOCK = re.compile(r"^```cpp[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main():
    path, *command = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    failed = compiled = 0
    for match in BLOCK.finditer(text):
        if match[1].startswith("// fragment"):
            continue
        line = text.count("\n", 0, match.start(1)) + 1
        source = f'#line {line} "{path}"\n{match[1]}'
        done = subprocess.run([*command, "-fsyntax-only", "-x", "c++", "-"], input=source, text=True,
                              capture_output=True)
        compiled += 1
        if done.returncode != 0:
            failed += 1
            print(f"{path}:{line}: this block does not compile:\n{done.stderr}")
    print(f"{path}: {compiled} block(s) compiled, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
