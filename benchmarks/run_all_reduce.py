#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_all_reduce.py: cohort's thread all-reduce against gloo, Open MPI and a memcpy floor, 4 KiB to 64 MiB.
"""Rounds of: `all_reduce`, `mpirun all_reduce_mpi` (both print JSON lines), then gloo through peers/all_reduce.py; one
program at a time. Prints the median over the rounds as JSON lines; a peer that is missing is left out and said so."""

import argparse
import collections
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

SIZES = [4096 * 4**i for i in range(8)]


def printed(command):
    """{metric: row} of the JSON lines that a program prints."""
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    out = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return {row["metric"]: row for row in rows}


def gloo_count(size, milliseconds):
    """How many all-reduces fill the time, at about 2 GB/s and 100 us each."""
    return max(5, min(2000, int(1e3 * milliseconds / (100 + size / 2e3))))


def gather(args, gloo):
    """{(kind, size): [us of each round]} for cohort, floor (memcpy), mpi, gloo."""
    found = collections.defaultdict(list)
    milliseconds = str(args.milliseconds)
    for _ in range(args.rounds):
        rows = printed([args.cohort, "--ranks", str(args.ranks), "--milliseconds", milliseconds])
        for size in SIZES:
            found["cohort", size].append(rows[f"time_{size}"]["value"])
            if f"memcpy_floor_{size}" in rows:
                found["floor", size].append(rows[f"memcpy_floor_{size}"]["peer_value"])
        if args.mpi:
            rows = printed(
                [
                    "mpirun",
                    "-n",
                    str(args.ranks),
                    "--oversubscribe",
                    args.mpi,
                    "--milliseconds",
                    milliseconds,
                ]
            )
            for size in SIZES:
                found["mpi", size].append(rows[f"time_{size}"]["value"])
        for size in SIZES if gloo else []:
            found["gloo", size].append(
                statistics.median(gloo.run(size, gloo_count(size, args.milliseconds)))
            )
    return found


def main():
    parse = driver.options(argparse.ArgumentParser(), "all_reduce")
    parse.add_argument(
        "--mpi",
        default=str(driver.BUILT / "all_reduce_mpi"),
        help="the MPI twin; left out where it or mpirun is missing",
    )
    parse.add_argument("--ranks", type=int, default=2)
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument(
        "--milliseconds", type=int, default=100, help="time for each size, program and round"
    )
    args = parse.parse_args()
    if not (shutil.which("mpirun") and os.path.exists(args.mpi)):
        args.mpi = None
    torch = driver.torch_version(args.python)
    driver.machine(
        "all_reduce",
        torch=torch or "missing",
        mpi="found" if args.mpi else "missing",
        ranks=args.ranks,
    )
    gloo = (
        driver.Program(driver.peer_command(args.python, "all_reduce.py", "--ranks", args.ranks))
        if torch
        else None
    )
    found = gather(args, gloo)
    if gloo:
        gloo.quit()
    names = {"floor": "memcpy floor", "mpi": "Open MPI", "gloo": f"gloo, torch {torch}"}
    for size in SIZES:
        ours = statistics.median(found["cohort", size])
        peers = [kind for kind in names if found[kind, size]]
        for kind in peers:
            driver.emit(
                "all_reduce",
                f"time_{size}",
                ours,
                "us",
                names[kind],
                statistics.median(found[kind, size]),
                rounds=args.rounds,
            )
        if not peers:
            driver.emit("all_reduce", f"time_{size}", ours, "us", rounds=args.rounds)


if __name__ == "__main__":
    main()
