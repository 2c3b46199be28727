#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/compile_time/check_counts.py: what compilers make of the examples does not grow unnoticed.
"""Counts what a compiler makes of each unit: clang++ the classes it instantiates, all declarations, all statements, and
what constexpr evaluation initialises; g++ the MiB it allocates. Seconds depend on the machine; these do not. They may be at
most `allowance` above budgets.json, which holds for one version of compiler, libstdc++ and Eigen; other versions are
counted, and not compared (exit 77). 126 layers may have at most 1.3 times what 12 have, with any version; constexpr
evaluation alone is linear in the layers, because the plan's tables are."""

import argparse
import datetime
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUDGETS = HERE / "budgets.json"
LAW = 1.3
UNITS = {
    name: [ROOT / "examples" / f"{name}.cpp"] for name in ("quickstart", "custom_layer", "full_shard", "gpt")
}  # fmt: skip
UNITS |= {f"{n}_layers": [f"-DLAYERS={n}", HERE / "layers.cpp"] for n in (12, 126)}
GXX_UNITS = ("gpt", "12_layers", "126_layers")  # clang counts finer, and in half the time
SKIPPED = 77


def output_of(command):
    made = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{made.stdout}{made.stderr}")
    return made.stdout + made.stderr


def number(pattern, text):
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        sys.exit(f"the compiler's statistics have no line like '{pattern}': its version may write another one.")
    return int(found[1])


def clang_counts(text):
    evaluated = sum(number(rf"^ *(\d+) {kind}, ", text) for kind in ("OpaqueValueExpr", "ImplicitValueInitExpr"))
    return {
        "classes": number(r"^ *(\d+) ClassTemplateSpecialization decls", text),
        "declarations": number(r"^ *(\d+) decls total", text),
        "statements": number(r"^ *(\d+) stmts/exprs total", text) - evaluated,
        "constants": evaluated,
    }


def gxx_counts(text):
    return {"MiB": number(r"^Total +\d+M +(\d+)M", text)}


# Without a collection of garbage all that was ever allocated is in use at the end, whatever memory the machine has.
COMPILERS = {
    "clang": (["-Xclang", "-print-stats"], clang_counts, tuple(UNITS)),
    "g++": (["-fmem-report", "--param=ggc-min-heapsize=16000000"], gxx_counts, GXX_UNITS),
}


def version_of(compiler, flags):
    macros = subprocess.run(
        [compiler, *flags, "-dM", "-E", "-x", "c++", "-"], input="#include <Eigen/Core>\n", capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    value = dict(re.findall(r"^#define (\w+) (.*)$", macros, re.MULTILINE))
    eigen = ".".join(value[f"EIGEN_{part}_VERSION"] for part in ("WORLD", "MAJOR", "MINOR"))
    name = output_of([compiler, "--version"]).splitlines()[0]
    name = re.sub(r"^[cg]\+\+\S* ", "g++ ", name)  # c++ is g++ too
    return f"{name}, libstdc++ {value.get('__GLIBCXX__', 'none')}, Eigen {eigen}"


def over_law(kind, counts):
    return [
        f"{kind}: 126 layers cost {count / counts['12_layers'][key]:.2f} times the {key} of 12 layers (at most {LAW}): "
        f"{counts['12_layers'][key]} -> {count}. Something is instantiated per layer of a Repeat; make it once per "
        "type of layer, and a loop over tables."
        for key, count in counts["126_layers"].items()
        if key != "constants" and count > LAW * counts["12_layers"][key]
    ]


def over_budget(kind, counts, budgets):
    allowance = budgets["allowance"]
    return [
        f"{kind}: {unit} grew from {old} {key} ({budgets['date']}) to {count}, by {100 * (count / old - 1):.1f} % "
        f"(at most {100 * allowance:.0f} %)."
        for unit, each in counts.items()
        for key, count in each.items()
        if count > (1 + allowance) * (old := budgets[kind]["counts"][unit][key])
    ]


def main():
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--gxx", help="a g++")
    parse.add_argument("--clang", help="a clang++")
    parse.add_argument("--measure", action="store_true", help="write budgets.json anew instead of comparing")
    parse.add_argument("flags", nargs="*", help="how cohort and Eigen are found")
    args = parse.parse_args()
    flags = [*args.flags, "-DNDEBUG", f"-I{ROOT / 'examples'}"]
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {"allowance": 0.02}
    measured = {"date": str(datetime.date.today()), "allowance": budgets["allowance"]}
    wrong, unknown = [], []
    for kind, compiler in (("clang", args.clang), ("g++", args.gxx)):
        if not compiler:
            continue
        options, count_in, units = COMPILERS[kind]
        version = version_of(compiler, flags)
        counts = {
            unit: count_in(output_of([compiler, *flags, "-fsyntax-only", *options, *UNITS[unit]])) for unit in units
        }  # fmt: skip
        measured[kind] = {"version": version, "counts": counts}
        for unit, each in counts.items():
            print(f"{kind} {unit}: " + ", ".join(f"{count} {key}" for key, count in each.items()))
        wrong += over_law(kind, counts)
        if args.measure:
            continue
        if budgets.get(kind, {}).get("version") == version:
            wrong += over_budget(kind, counts, budgets)
        else:
            known = budgets.get(kind, {}).get("version", "nothing")
            unknown.append(f"not compared: the budgets are of {known}; this is {version}")
    for line in wrong + unknown:
        print(line)
    if args.measure:
        for kind in COMPILERS.keys() - measured.keys():  # what was not measured stays
            if kind in budgets:
                measured[kind] = budgets[kind]
        BUDGETS.write_text(json.dumps(measured, indent=1) + "\n")
        print(f"wrote {BUDGETS}")
    elif wrong:
        print(
            "If the growth is worth it, say so in CHANGELOG.md and write the budgets anew: the same command with --measure "
            "(it is the COMMAND of `ctest -N -V -R compile_time`)."
        )
    sys.exit(1 if wrong else SKIPPED if unknown else 0)


if __name__ == "__main__":
    main()
