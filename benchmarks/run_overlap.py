#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_overlap.py: what a slow wire adds to a step when communication runs beside compute, and when it does not.
"""`overlap` trains a GPT of 12 layers on 2 thread ranks over a wire of --ns-per-byte: after every collective a rank sleeps for
the bytes that it sent by the ledger (a sleep needs no core; two cores cannot run compute and communication of two ranks at
once). Equal time a byte for both strategies: FullShard sends half as much again as Replicate. For each of the two, interleaved:
the step without the wire (compute), with it on the worker (overlap), and with it inline (no overlap).

The wire is meant to be faster than the compute that hides it: a layer's parameters (769 KiB, 394 KiB sent at 2 ranks) are
gathered during one layer's forward, about 2.7 ms of the step's 105, or gathered and reduced during one layer's backward, about
5.4 ms; at 2.5 ns a byte they take 1 ms each. What cannot hide: for Replicate the last bucket; for FullShard the first layer's
gather, the last layer's second gather and the first layer's reduction.

One rank waits for its wire as one of two ranks would, though it has nobody to talk to: on two cores compute and wire then have
a core each, and the sums above can be read off. Two ranks on two cores share them.

On a machine without a core for each thread a worker that wakes up waits for the end of somebody's time slice, up to 3 ms;
cohort's workers ask for short slices of their own (cohort/device/time_slice.hpp), which Linux has from 6.12 on."""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

LAYER = 196_864 * 4  # bytes of one layer's parameters: a bucket, a group


def main():
    parse = driver.options(argparse.ArgumentParser(), "overlap")
    parse.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    parse.add_argument("--ns-per-byte", type=float, default=2.5)
    parse.add_argument("--blocks", type=int, default=10)
    parse.add_argument("--steps", type=int, default=6, help="timed steps a block, after one other")
    args = parse.parse_args()
    driver.machine("overlap", ranks=args.ranks, ns_per_byte=args.ns_per_byte)
    for ranks in args.ranks:
        measure(args, ranks)


def measure(args, ranks):
    modes = {"compute": ["--stream", "worker"], "worker": ["--stream", "worker"]}
    modes["inline"] = ["--stream", "inline"]
    programs = {}
    for strategy in ("Replicate", "FullShard"):
        for mode, flags in modes.items():
            wire = 0 if mode == "compute" else args.ns_per_byte
            command = [args.cohort, strategy, "--ranks", ranks, *flags, "--wire", wire]
            programs[strategy, mode] = driver.Program(command)
    times = driver.interleave(list(programs.values()), args.blocks, args.steps, 1)
    for program in programs.values():
        program.quit()
    ms = {key: statistics.median(one) / 1e3 for key, one in zip(programs, times)}
    report(args, programs, ms, dict(ranks=ranks, samples=len(times[0])))


def report(args, programs, ms, common):
    def emit(metric, value, peer, peer_value, **more):
        driver.emit("overlap", metric, value, "ms", peer, peer_value, **common, **more)

    # The bytes of one layer that a rank sends: gathered or reduced, and summed everywhere.
    wire_ranks = max(2, common["ranks"])
    part = args.ns_per_byte * LAYER * (wire_ranks - 1) / wire_ranks / 1e6
    units = dict(Replicate=("bucket", 2 * part, 1), FullShard=("group", part, 3))
    for strategy, (unit, one, exposed) in units.items():
        compute, beside, after = (ms[strategy, m] for m in ("compute", "worker", "inline"))
        wire = args.ns_per_byte * programs[strategy, "worker"].info["wire_bytes"] / 1e6
        bound = f"compute + {exposed} {unit}{'s' if exposed > 1 else ''}"
        sums = dict(compute_ms=driver.rounded(compute), wire_ms=driver.rounded(wire))
        sums[f"{unit}_ms"] = driver.rounded(one)
        emit(f"{strategy}_step", beside, bound, compute + exposed * one, **sums)
        emit(f"{strategy}_step", beside, "no overlap (inline)", after, **sums)
        emit(f"{strategy}_inline_step", after, "compute + wire", compute + wire, **sums)
        driver.emit("overlap", f"{strategy}_exposed", beside - compute, "ms", **common, **sums)
    emit("FullShard_step", ms["FullShard", "worker"], "Replicate", ms["Replicate", "worker"])
    emit("FullShard_inline_step", ms["FullShard", "inline"], "Replicate", ms["Replicate", "inline"])


if __name__ == "__main__":
    main()
