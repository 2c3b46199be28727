#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_checkpoint.py: saves and loads of a 204 MB state against dd, what save_async costs the training, memory of loads.
"""`checkpoint DIR --ranks R` trains 17 million parameters with AdamW, sharded over R threads. All in turn, medians:

save_mb_s, load_mb_s   of save() (durable when it returns) against `dd bs=1M conv=fsync` of as many bytes, from memory to the same
                       disk; of load() against dd to /dev/null, both of files that are not in the page cache, and of files that
                       are (warm). A load checks hashes and puts every element in its place.
stall                  what save_async() and the steps beside the save take longer than steps without one, over what save()
                       takes. call: that part of it that the call itself takes; first: the first one of a run, which takes the
                       memory that later ones use again. step_ms and beside_ms are medians of single steps. cpu_ms: what the
                       saving threads compute; floor: that, shared by all cores, where ranks leave none of them (spare_cores)
                       over save(): no scheduling goes below it there.
memory_of_load         how far the resident memory of the process rose above what the run has, against one layer a rank.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402


PARTS = ["bandwidth", "stall", "memory"]


def dd(*arguments):
    """Microseconds."""
    os.sync()
    start = time.monotonic()
    subprocess.run(["dd", "bs=1M", "status=none", *arguments], check=True)
    return 1e6 * (time.monotonic() - start)


def forget(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Place:
    """A directory on the disk that is measured, and bytes in memory that dd writes to it."""

    def __init__(self, directory, size):
        self.source, self.target = pathlib.Path("/dev/shm/cohort-checkpoint-benchmark"), directory / "dd"
        with open(self.source, "wb") as file:
            for left in range(size, 0, -(1 << 20)):
                file.write(os.urandom(min(left, 1 << 20)))

    def write(self):
        self.target.unlink(missing_ok=True)
        return dd(f"if={self.source}", f"of={self.target}", "conv=fsync")

    def read(self, cached):
        if not cached:
            forget(self.target)
        return dd(f"if={self.target}", "of=/dev/null")

    def close(self):
        self.source.unlink(missing_ok=True)


def ask(program, *words):
    os.sync()
    return program.run(*words)


def bandwidth(args, programs, place, size):
    """{metric: {who: [us]}}"""
    times = {metric: {who: [] for who in [*programs, "dd"]} for metric in ("save", "load", "warm")}
    actions = {"save": place.write, "load": lambda: place.read(False), "warm": lambda: place.read(True)}
    for round_ in range(args.rounds + 1):
        who = [*programs, "dd"]
        for name in who if round_ % 2 else reversed(who):
            for metric, of_dd in actions.items():
                took = of_dd() if name == "dd" else ask(programs[name], metric)[0]
                if round_ > 0:
                    times[metric][name].append(took)
    for metric, of in times.items():
        for ranks in programs:
            label = {"save": "save", "load": "load", "warm": "load_warm"}[metric]
            driver.emit("checkpoint", f"{label}_mb_s", size / statistics.median(of[ranks]), "MB/s",
                        "dd conv=fsync" if metric == "save" else "dd", size / statistics.median(of["dd"]), ranks=ranks,
                        samples=len(of[ranks]), spread=driver.spread(of[ranks]), peer_spread=driver.spread(of["dd"]))


def stall(args, programs):
    for ranks, program in programs.items():
        saves = {ranks: statistics.median(ask(program, "save")[0] for _ in range(5))}
        step = statistics.median(ask(program, "steps", 12)[2:])
        count = math.ceil(1.2 * saves[ranks] / step) + 1
        calls, extras, plain, beside, firsts, computed = [], [], [], [], [], []
        for round_ in range(args.rounds + 1):
            without = ask(program, "steps", count // 2 + 2)[1:]
            call, *steps, wait, others = ask(program, "async", count)
            without += ask(program, "steps", count // 2 + 2)[1:]
            others -= program.run("others", count)[0]
            expected = count * statistics.median(without)
            extra = call + sum(steps) + wait - expected
            if round_ == 0:
                firsts = [extra, call]
                continue
            extras.append(extra)
            calls.append(call)
            computed.append(others)
            plain += without
            beside += steps
        share = 100 * statistics.median(extras) / saves[ranks]
        cores = len(os.sched_getaffinity(0))
        spare, cpu = max(0, cores - ranks), statistics.median(computed)
        floor = 0 if spare else 100 * cpu / cores / saves[ranks]
        low, _, high = (100 * q / saves[ranks] for q in statistics.quantiles(extras, n=4))
        driver.emit("checkpoint", "stall", share, "% of save()", ranks=ranks, samples=len(extras), quartiles=[driver.rounded(low),
                    driver.rounded(high)], call_percent=driver.rounded(100 * statistics.median(calls) / saves[ranks]),
                    first_percent=driver.rounded(100 * firsts[0] / saves[ranks]), first_call_ms=driver.rounded(firsts[1] / 1e3),
                    call_ms=driver.rounded(statistics.median(calls) / 1e3), save_ms=driver.rounded(saves[ranks] / 1e3),
                    step_ms=driver.rounded(statistics.median(plain) / 1e3), beside_ms=driver.rounded(statistics.median(beside) / 1e3),
                    cpu_ms=driver.rounded(cpu / 1e3), spare_cores=spare, floor_percent=driver.rounded(floor), steps=count)


def memory(args, directory):
    """Loads by a fresh process each: of 1 rank's checkpoint by 2 ranks, and back."""
    for saved_by, loaded_by in ((1, 2), (2, 1)):
        saves = directory / f"memory {saved_by}"
        writer = start(args, saves, saved_by)
        writer.run("save")
        writer.quit()
        peaks = []
        for _ in range(3):
            reader = start(args, saves, loaded_by)
            peaks += reader.run("memory")
            layer = reader.info["layer_bytes"]
            reader.quit()
        driver.emit("checkpoint", "memory_of_load", max(peaks) / 1e6, "MB", f"one layer on each of {loaded_by} ranks",
                    loaded_by * layer / 1e6, saved_by=saved_by, ranks=loaded_by)
        shutil.rmtree(saves)


def start(args, saves, ranks):
    return driver.Program([args.cohort, saves, "--ranks", ranks])


def main():
    parse = driver.options(argparse.ArgumentParser(), "checkpoint")
    parse.add_argument("--directory", default=None, help="on the disk to measure")
    parse.add_argument("--rounds", type=int, default=15)
    parse.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    parse.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    args = parse.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as name:
        directory = pathlib.Path(name)
        programs = {ranks: start(args, directory / f"saves {ranks}", ranks) for ranks in args.ranks}
        size = programs[args.ranks[0]].info["state_bytes"]
        disk = json.loads(subprocess.run(["findmnt", "-J", "-T", name], capture_output=True, text=True, check=True).stdout)
        driver.machine("checkpoint", state_bytes=size, disk=disk["filesystems"][0]["fstype"], threads_per_rank=1)
        if "bandwidth" in args.parts:
            place = Place(directory, size)
            try:
                bandwidth(args, programs, place, size)
            finally:
                place.close()
        if "stall" in args.parts:
            stall(args, programs)
        for program in programs.values():
            program.quit()
        if "memory" in args.parts:
            memory(args, directory)


if __name__ == "__main__":
    main()
