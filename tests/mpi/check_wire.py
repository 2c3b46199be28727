#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/mpi/check_wire.py: bytes that the network interface counted against the plan's, per step.
import concurrent.futures
import os
import re
import subprocess
import sys

two_hosts, mpirun, wire = sys.argv[1:4]
FEW, MANY = 5, 45
failures = 0


def run(how, mode, steps):
    done = subprocess.run([two_hosts, mpirun, wire, how, str(steps), *mode], text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 77:
        print(done.stdout, end="", flush=True)
        os._exit(77)  # of all threads
    numbers = {what: int(n) for what, n in re.findall(r"(planned|sent|received) (\d+) bytes", done.stdout)}
    if done.returncode != 0 or len(numbers) != 3:
        sys.exit(f"{how} {mode}, {steps} steps: exit code {done.returncode}\n{done.stdout}")
    return numbers


# On the wire: payload, 64 bytes for each of our messages, Open MPI's header on each of its fragments,
# and 66 bytes of Ethernet, IP and TCP around at most 64 KiB (a veth pair needs no smaller packets, but
# counts them as they are cut), with bare acknowledgements: between nothing and 66 in 1448, both ways.
most = 1 + 2 * 66 / 1448 + 0.02
runs = [(how, []) for how in ("Replicate", "ShardOptimizer", "ShardGradients", "FullShard", "HybridShard")]
runs += [("ShardGradients", ["each"]), ("FullShard", ["each"])]
pool = concurrent.futures.ThreadPoolExecutor(2)  # most of a run's time is its start
counted = [[pool.submit(run, how, mode, steps) for steps in (FEW, MANY)] for how, mode in runs]
for (how, mode), pair in zip(runs, counted):
    few, many = (one.result() for one in pair)
    planned = many["planned"]
    for way in ("sent", "received"):  # two ranks: what one sends, the other receives
        measured = (many[way] - few[way]) / (MANY - FEW)
        good = planned <= measured <= most * planned
        failures += not good
        print(f"{'passed' if good else 'FAILED'}: {' '.join([how, *mode])}: planned {planned} bytes a step, {way} {measured:.0f} "
              f"({measured / planned:.4f})")
sys.exit(1 if failures else 0)
