# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/protocol.py: how a measured program talks with its driver (the program's half; driver.py has the other).
"""The program prints `ready`, optionally followed by a JSON object that describes it. Then it blocks on stdin and answers
every `run ...` line with one line, a JSON list of times in microseconds; `quit` or the end of input ends it.
A program of several ranks talks through rank 0; the other ranks follow it."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile


def serve(info, run, followers=()):
    """Rank 0's loop: run(list of int arguments) -> times in us. Followers (other ranks' stdin) get every line too."""
    print("ready " + json.dumps(info), flush=True)
    for line in sys.stdin:
        for pipe in followers:
            pipe.write(line)
            pipe.flush()
        words = line.split()
        if not words or words[0] == "quit":
            break
        print(json.dumps([round(us, 3) for us in run([int(w) for w in words[1:]])]), flush=True)
    for pipe in followers:
        pipe.close()
    end_world()


def follow(run):
    """The other ranks' loop: does what rank 0 does, and says nothing."""
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "quit":
            break
        run([int(w) for w in words[1:]])
    end_world()


def end_world():
    """Leaves the gloo world, if there is one: its threads must be joined before the interpreter ends."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def start_world(ranks, rank, store, extra=()):
    """Forms a gloo world of `ranks` processes; rank 0 starts the others. Returns the others' stdin pipes (rank 0)."""
    import torch.distributed as dist

    pipes = []
    if rank == 0:
        folder = tempfile.mkdtemp(prefix="peer-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        store = folder + "/store"
        for other in range(1, ranks):
            command = [
                sys.executable,
                "-B",
                *sys.argv,
                "--rank",
                str(other),
                "--store",
                store,
                *extra,
            ]
            pipes.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, text=True).stdin
            )
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
    return pipes
