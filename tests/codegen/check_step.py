#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/codegen/check_step.py: no call in a step is decided at run time; read from the object code.
"""Reads a linked program and fails if cohort decides at run time what to call.

  * every function of namespace cohort (lambdas inside them too), and with --root REGEX every function
    that those whose demangled name matches reach by direct calls: no call or jump through a register
    or memory. Build with -fno-jump-tables, so that a switch needs no exemption. Calls into shared
    libraries go through the linker's table by name and are not followed.
  * no virtual table and no type information of a type of cohort, exceptions apart.
  * no std::function and no std::any anywhere.

Left out are functions whose demangled name matches --allow REGEX (thread start-up).
"""
import argparse
import re
import subprocess
import sys

# Mangled: entities of cohort itself, or local to one of its functions.
COHORT = re.compile(r"^_Z(?:TW|GV|Z)*N[KVRO]*6cohort")
EXCEPTIONS = {"Error", "InvalidInput", "Mismatch", "PeerFailed", "Timeout", "ContractBroken",
              "NonFinite"}
TYPE_ERASED = re.compile(r"^_ZNK?(?:St8functionI|St17_Function_handlerI|St14_Function_base|St3any)")

FUNCTION = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
CALL = re.compile(r"\t(?:(?:bnd|notrack) )?(callq?|jmpq?)\s+(.*)$")
TARGET = re.compile(r"^[0-9a-f]+ <(\S+?)(?:\+0x[0-9a-f]+)?>")


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def demangled(names):
    names = list(names)
    return dict(zip(names, run("c++filt", text="\n".join(names) + "\n").splitlines()))


def read_functions(path):
    """For each function: the names it calls directly, and its indirect calls and jumps as text."""
    functions, direct, indirect = {}, None, None
    for line in run("objdump", "-d", "--no-show-raw-insn", "-w", path).splitlines():
        if match := FUNCTION.match(line):
            direct, indirect = functions.setdefault(match[1], (set(), []))
        elif direct is not None and (match := CALL.search(line)):
            operand = match[2].strip()
            if operand.startswith("*"):
                indirect.append(line.strip())
            elif target := TARGET.match(operand):
                direct.add(target[1])
    return functions


def reachable(functions, roots):
    found, todo = set(), list(roots)
    while todo:
        name = todo.pop()
        if name not in found and name in functions and not name.endswith("@plt"):
            found.add(name)
            todo.extend(functions[name][0])
    return found


def symbols(path):
    return [line.split()[-1] for line in run("nm", path).splitlines()]


def type_of(symbol, prefix):
    """'Name' of cohort::Name for a table symbol such as _ZTVN6cohort4NameE, else the whole symbol."""
    match = re.match(rf"^{prefix}N6cohort(\d+)", symbol)
    return symbol[match.end():match.end() + int(match[1])] if match else symbol


def complaints(path, roots, allow):
    functions = read_functions(path)
    names = demangled(functions)
    allowed = {name for name in functions if allow and re.search(allow, names[name])}
    checked = {name for name in functions if COHORT.match(name)}
    if not checked:
        yield f"{path} holds no function of cohort: nothing was checked"
    if roots:
        starts = {name for name in functions if re.search(roots, names[name])} - allowed
        if not starts:
            yield f"no function matches --root {roots}: everything may have been inlined"
        pruned = {name: calls for name, calls in functions.items() if name not in allowed}
        checked |= reachable(pruned, starts)
    for name in sorted(checked - allowed):
        for line in functions[name][1]:
            yield f"indirect call in {names[name]}\n    {line}"
    for symbol in symbols(path):
        for prefix, what in (("_ZTV", "virtual table"), ("_ZTI", "type information")):
            if symbol.startswith(prefix + "N6cohort") and type_of(symbol, prefix) not in EXCEPTIONS:
                yield f"{what} of {demangled([symbol])[symbol]}"
        if TYPE_ERASED.match(symbol):
            yield f"type-erased callable: {demangled([symbol])[symbol]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--root", metavar="REGEX", help="also check what these functions reach")
    parser.add_argument("--allow", metavar="REGEX", help="functions outside the step")
    options = parser.parse_args()
    found = list(complaints(options.program, options.root, options.allow))
    for complaint in found:
        print(complaint)
    print(f"{options.program}: {len(found)} complaint(s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
