#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
"""tests/package/readme_test.py SOURCE_DIR WORK_DIR with|without conan: runs what README prints, as it is printed.

The blocks of README's section "Taking it into a project", in order, in an empty folder that holds a clone, `cohort`,
and the consumer's main.cpp: a cmake block becomes CMakeLists.txt, an sh block is run by bash. Every sh block must leave
a new `program` that trains two ranks. "with conan" runs the blocks that call conan, "without" the others; exit status 77
where there is no Conan 2 (CONAN names it).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

SECTION = "## Taking it into a project\n"
TRAINED = re.compile(r"2 ranks trained, loss 0\.357\n")


def blocks(text):
    """(language, code) of the section's fenced blocks."""
    section = text.split(SECTION, 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S)


def find_conan(folder):
    """A folder in which `conan` is Conan 2, or the end of this test."""
    conan = shutil.which(os.environ.get("CONAN", "conan"))
    said = subprocess.run([conan, "--version"], capture_output=True, text=True).stdout if conan else ""
    if " 2." not in said:
        print("SKIPPED: there is no Conan 2; python3 -m pip install conan in a virtual environment")
        sys.exit(77)
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    (bin_dir / "conan").symlink_to(conan)
    return bin_dir


def run(folder, code, environment):
    """Runs one sh block, and each program that it made."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("program")}
    print(code, flush=True)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nREADME's commands above ended with {done.returncode}.")
    made = [path for path in folder.rglob("program") if path.is_file() and path.stat().st_mtime_ns != before.get(path)]
    if len(made) != 1:
        sys.exit(f"{done.stdout}\nREADME's commands above made {len(made)} programs instead of one.")
    said = subprocess.run([made[0]], stdout=subprocess.PIPE, text=True, check=True).stdout
    if not TRAINED.fullmatch(said):
        sys.exit(f"{made[0]} printed {said!r}")
    print(f"{made[0].relative_to(folder)}: {said}")


def main():
    source, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    with_conan = sys.argv[3:] == ["with", "conan"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**os.environ, "CONAN_HOME": str(folder / "conan-home")}
    if with_conan:
        environment["PATH"] = f"{find_conan(folder)}:{os.environ['PATH']}"
    # A clone, without what was built in it.
    shutil.copytree(source, folder / "cohort", symlinks=True, ignore=lambda path, names: [
        name for name in names if name in (".git", "build") or folder.is_relative_to(pathlib.Path(path) / name)])
    shutil.copy(source / "tests/package/consumer/main.cpp", folder)
    count = 0
    for language, code in blocks((source / "README.md").read_text(encoding="utf-8")):
        if language == "cmake":
            (folder / "CMakeLists.txt").write_text(code, encoding="utf-8")
        elif language == "sh" and ("conan " in code) == with_conan:
            run(folder, code, environment)
            count += 1
    least = 1 if with_conan else 3
    if count < least:
        sys.exit(f"README has {count} blocks of commands under '{SECTION.strip()}', not {least} or more.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
