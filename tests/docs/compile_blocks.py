#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/docs/compile_blocks.py: every cpp and cuda block of a Markdown file compiles.
"""compile_blocks.py FILE.md COMPILER FLAGS... [--cuda FLAGS...]: compiles each ```cpp block with -fsyntax-only.

```cuda blocks are compiled with the further flags after --cuda, which make a C++ compiler take them, and only where those are
given. A block whose first line is '// fragment' is shown, not compiled.
"""
import re
import subprocess
import sys

BLOCK = re.compile(r"^```(cpp|cuda)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main():
    path, *command = sys.argv[1:]
    cuda = None
    if "--cuda" in command:
        at = command.index("--cuda")
        command, cuda = command[:at], command[at + 1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    failed = compiled = 0
    for match in BLOCK.finditer(text):
        if match[2].startswith("// fragment") or (match[1] == "cuda" and cuda is None):
            continue
        line = text.count("\n", 0, match.start(2)) + 1
        source = f'#line {line} "{path}"\n{match[2]}'
        more = cuda if match[1] == "cuda" else []
        done = subprocess.run([command[0], *more, *command[1:], "-fsyntax-only", "-x", "c++", "-"], input=source,
                              text=True, capture_output=True)
        compiled += 1
        if done.returncode != 0:
            failed += 1
            print(f"{path}:{line}: this block does not compile:\n{done.stderr}")
    print(f"{path}: {compiled} block(s) compiled, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
