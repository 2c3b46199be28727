#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/mpi/check_jobs.py: runs whole jobs with faults: exit code, words, time.
import concurrent.futures
import os
import re
import subprocess
import sys
import time

mpirun, job = sys.argv[1:3]
pool = concurrent.futures.ThreadPoolExecutor(2)  # jobs mostly wait: to start, for a rank that is late
jobs = []


def run(*arguments, **options):
    jobs.append(pool.submit(outcome, *arguments, **options))


def outcome(name, command, says, code=None, within=10.0, environment=None, silent=()):
    """Is it right, and in what words? Each pattern of `says` must appear exactly once, `silent` ones never."""
    code = failed if code is None else code
    env = dict(os.environ, **(environment or {}))
    start = time.monotonic()
    try:
        done = subprocess.run(command, env=env, timeout=60, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        output, returned = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        output, returned = str(e.stdout), "no end"
    seconds = time.monotonic() - start
    wrong = []
    if not (returned == code if isinstance(code, int) else returned in code):
        wrong.append(f"exit code {returned}, not {code}")
    for text in says:
        if len(re.findall(text, output)) != 1:
            wrong.append(f"'{text}' appears {len(re.findall(text, output))} times, not once")
    for text in silent:
        if re.search(text, output):
            wrong.append(f"'{text}' appears")
    if seconds > within:
        wrong.append(f"took {seconds:.1f} s, not {within}")
    words = f"{'FAILED' if wrong else 'passed'}: {name} ({seconds:.2f} s)"
    if wrong:
        words += "\n  " + "\n  ".join(wrong) + "\n" + output
    return not wrong, words


def processes(n, *arguments):
    return [mpirun, "-n", str(n), job, *arguments]


ok = dict(code=0, silent=["cohort:"])
dead = [n for n in range(1, 256)] + [-9]
version = subprocess.run([mpirun, "--version"], text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT).stdout
# MPICH's launcher kills the ranks that remain when the first one ends: its code may be theirs.
failed = 1 if "Open MPI" in version or "OpenRTE" in version else [1, 9]
run("a run on 2 processes", processes(2, "none"), ["done on 2"], **ok)
run("--ranks may repeat the launcher", processes(3, "none", "--ranks", "3"), ["done on 3"], **ok)
run("no launcher: a world of one", [job, "none"], ["done on 1"], **ok)
run("--ranks against the launcher", processes(2, "none", "--ranks", "5"), [], silent=["done on"])
run("a rank throws in a step", processes(3, "throw"), ["cohort: rank 1 failed: boom 42"],
    silent=["cohort: rank [02]"])
run("a rank has other options: all ranks meet it, one speaks", processes(3, "options"),
    ["ranks 0 and 1 have different options"], silent=["done on"])
run("a rank is another binary: one speaks, before step 0", processes(3, "plan"),
    ["ranks 0 and 1 have different plans: start the same binary"], silent=["done on"])
run("a rank makes another call", processes(3, "mismatch"),
    [r"cohort: rank 0: .* rank 0 calls all_reduce\(.*\) but rank 1 calls barrier\(\)"],
    silent=["cohort: rank [12]"])
run("a rank is late", processes(2, "late"),
    ["cohort: rank 0: .*rank 1 did not arrive at .* within 1000 ms"],
    silent=["cohort: rank 1"])
run("a rank hangs: ended after the grace", processes(2, "hang"),
    ["rank 1 did not arrive at", "rank 1 did not end within 5000 ms"], within=15)
run("a rank is killed: the launcher ends the job and names it", processes(3, "kill"), [], code=dead)
run("a rank exits in a step", processes(3, "exit"), ["cohort: rank 1 ended its process"], code=dead)
run("a second launch needs MPI's start in main", processes(2, "twice"), ["done on 2"])
torchrun = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
run("torchrun: one sentence that names mpirun", [job, "none"],
    ["torchrun started this program .*; start it with mpirun -n 2 instead"], environment=torchrun,
    silent=["done on"])
run("half of torchrun's variables", [job, "none"], ["RANK is set but WORLD_SIZE is missing"],
    environment={"RANK": "0"}, silent=["done on"])
run("two launchers that disagree", processes(2, "none"), [],
    environment={"RANK": "0", "WORLD_SIZE": "7"}, silent=["done on"])
run("another MPI's launcher", [job, "none"], ["mpiexec started 4 processes but this program's MPI"],
    environment={"PMI_RANK": "0", "PMI_SIZE": "4"}, silent=["done on"])
# An MPI that survives its processes: the others name the dead one themselves, and soon.
survives = subprocess.run([mpirun, "--with-ft", "ulfm", "-n", "1", "true"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0
if survives:
    for n in (2, 4):
        run(f"one of {n} is killed, MPI goes on: its rank is named",
            [mpirun, "--with-ft", "ulfm", "-n", str(n), job, "kill"], ["cohort: .*rank 1 died: "],
            code=dead)
else:
    print("skipped: an MPI that goes on after a death (mpirun --with-ft ulfm) is not here")
failures = 0
for right, words in (done.result() for done in jobs):
    print(words)
    failures += not right
print(f"{failures} failed")
sys.exit(1 if failures else 0)
