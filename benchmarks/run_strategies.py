#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_strategies.py: a training step under each strategy against Replicate, on threads and on MPI, and PyTorch's.
"""Three parts, each interleaved in blocks of a few steps, one program at a time, medians as JSON lines: every strategy of
`strategies --ranks R` (threads), of `mpirun -n R strategies_mpi`, and over MPI against PyTorch with gloo: Replicate against DDP,
FullShard against FSDP2 (fully_shard). Model and batch are those of cpu_step, one thread a rank. A part whose MPI or PyTorch is
missing is left out and said so. wire_bytes is what the plan says that one rank sends in a step."""

import argparse
import os
import pathlib
import shutil
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

STRATEGIES = ["Replicate", "ShardOptimizer", "ShardGradients", "FullShard", "HybridShard"]
PARTS = ["threads", "mpi", "torch"]


def on_threads(args, strategy):
    return driver.Program([args.cohort, strategy, "--ranks", args.ranks])


def on_mpi(args, strategy):
    program = shutil.which(args.cohort_mpi) or args.cohort_mpi
    return driver.Program(["mpirun", "-q", "-n", args.ranks, program, strategy])


def measure(args, programs):
    """{name: (info, times)} of programs that run in turn."""
    times = driver.interleave(list(programs.values()), args.blocks, args.steps, 2)
    for program in programs.values():
        program.quit()
    return {name: (program.info, one) for (name, program), one in zip(programs.items(), times)}


def report(args, metric, ours, peer, theirs, **more):
    (info, mine), (_, other) = ours, theirs
    driver.emit(
        "strategies",
        f"step_ms_{args.ranks}x1_{metric}",
        statistics.median(mine) / 1e3,
        "ms",
        peer,
        statistics.median(other) / 1e3,
        samples=len(mine),
        spread=driver.spread(mine),
        peer_spread=driver.spread(other),
        wire_bytes=info["wire_bytes"],
        **more,
    )


def against_replicate(args, place, start):
    results = measure(args, {name: start(args, name) for name in STRATEGIES})
    for name in STRATEGIES[1:]:
        label = "HybridShard<2>" if name == "HybridShard" else name
        report(args, f"{place}_{label}", results[name], "Replicate", results["Replicate"])


def against_torch(args, torch):
    pairs = [("Replicate", "DDP", "cpu_step.py"), ("FullShard", "FSDP2", "fsdp_step.py")]
    programs = {}
    for ours, theirs, script in pairs:
        programs[ours] = on_mpi(args, ours)
        programs[theirs] = driver.Program(
            driver.peer_command(args.python, script, "--ranks", args.ranks)
        )
    results = measure(args, programs)
    for ours, theirs, _ in pairs:
        peer = f"torch {torch} {theirs} gloo"
        adamw = results[theirs][0].get("optimizer")
        report(args, f"mpi_{ours}", results[ours], peer, results[theirs], peer_adamw=adamw)


def main():
    parse = driver.options(argparse.ArgumentParser(), "strategies")
    parse.add_argument("--cohort-mpi", default=str(driver.BUILT / "strategies_mpi"))
    parse.add_argument("--ranks", type=int, default=2, help="an even number")
    parse.add_argument("--blocks", type=int, default=10)
    parse.add_argument("--steps", type=int, default=6, help="timed steps a block, after two others")
    parse.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    args = parse.parse_args()
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    torch = driver.torch_version(args.python)
    mpi = shutil.which("mpirun") and pathlib.Path(args.cohort_mpi).exists()
    driver.machine(
        "strategies",
        torch=torch or "missing",
        mpi="found" if mpi else "missing",
        ranks=args.ranks,
        threads_per_rank=1,
    )
    if "threads" in args.parts:
        against_replicate(args, "threads", on_threads)
    if "mpi" in args.parts and mpi:
        against_replicate(args, "mpi", on_mpi)
    if "torch" in args.parts and mpi and torch:
        against_torch(args, torch)


if __name__ == "__main__":
    main()
