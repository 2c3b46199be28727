#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/kill/check_kills.py: jobs are killed at random instants of their saves, again and again; nothing durable is lost.
"""usage: check_kills.py [--kills N] [--seed N] [--mpirun MPIRUN] [--directory DIR] [--parts ...] THREADS [PROCESSES]

THREADS and PROCESSES are the programs of threads.cpp and processes.cpp. A job trains and saves at every step until all of
its processes are killed (SIGKILL); the next job takes up what is left, in the same directory. Every state that any of them
loads or reaches must be the one that an uninterrupted run has at that step, and no save that was reported durable may be
lost. The other parts: one process of two is killed; the disk is full; calls on files fail, one by one."""

import argparse
import contextlib
import errno
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

parse = argparse.ArgumentParser()
parse.add_argument("threads")
parse.add_argument("processes", nargs="?")
parse.add_argument("--kills", type=int, default=10, help="in all")
parse.add_argument("--seed", type=int, default=1)
parse.add_argument("--mpirun", default="mpirun")
parse.add_argument("--directory", default=None, help="where to save; a temporary directory if not given")
parse.add_argument("--parts", nargs="*", default=["kills", "one", "room", "faults"])
args = parse.parse_args()
for program in filter(None, [args.threads, args.processes]):
    if not os.access(program, os.X_OK):
        parse.error(f"{program} is no program: build the targets kill_threads and kill_processes")
args.threads = os.path.abspath(args.threads)
args.processes = args.processes and os.path.abspath(args.processes)
rng = random.Random(args.seed)
failures = []


def check(holds, sentence, more=""):
    if not holds:
        failures.append(sentence)
        print(f"FAILED  {sentence}\n{more}", flush=True)
    return holds


def passed(sentence):
    print(f"        {sentence}", flush=True)


def descendants(pid):
    """pid and every process below it (Linux)."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parent = int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


class Log:
    """The lines that a job has written so far: [word, number, more...]."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        text = self.path.read_text() if self.path.exists() else ""
        return [line.split() for line in text.splitlines()]

    def steps(self, word):
        return [int(line[1]) for line in self.lines() if line[0] == word]

    def last(self, word, default=0):
        return max(self.steps(word), default=default)


class Job:
    """A kind of job and how it is started."""

    def __init__(self, name, command, place):
        self.name, self.command, self.place = name, command, place
        self.logs = 0
        self.place.mkdir()

    def start(self, *words, wrap=()):
        """(process, log)"""
        self.logs += 1
        log = Log(self.place / f"log {self.logs}")
        command = [*wrap, *self.command, words[0], str(log.path), *map(str, words[1:])]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return process, log

    def run(self, *words, wrap=(), seconds=300):
        """(exit code, output, log); the code is None for a job that did not end."""
        process, log = self.start(*words, wrap=wrap)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill(process)
            return None, f"did not end within {seconds} s: {log.lines()[-3:]}", log
        return process.returncode, output, log


def kill(process):
    for pid in descendants(process.pid)[::rng.choice((1, -1))]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def states(log):
    """{step: hash} of all that a job loaded or reached."""
    return {int(line[1]): line[2] for line in log.lines() if line[0] in ("loaded", "step")}


class Reference:
    """The hash of the state at each step of a run that nobody disturbs; longer where more is asked for."""

    def __init__(self, job):
        self.job, self.steps, self.hashes = job, 0, {}

    def __call__(self, step):
        if step > self.steps or not self.hashes:
            self.steps = max(2 * self.steps, step + 100)
            code, output, log = self.job.run("train", "-", self.steps)
            check(code == 0, f"{self.job.name}: the reference run", output)
            self.hashes = states(log)
        return self.hashes.get(step)

    def check(self, log, name):
        wrong = [step for step, found in states(log).items() if found != self(step)]
        return check(not wrong, f"{name}: the states of steps {wrong} are not those of the uninterrupted run", log.lines())


def wait_until(true, process, seconds=60):
    limit = time.monotonic() + seconds
    while not true() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.0005)


def some_saves(job, saves):
    """Seconds between the beginning of a save and its end, on this disk."""
    process, log = job.start("train", saves, 10_000)
    wait_until(lambda: len(log.steps("durable")) >= 6, process)
    begun = time.monotonic()
    wait_until(lambda: len(log.steps("durable")) >= 18, process)
    seconds = (time.monotonic() - begun) / 12
    kill(process)
    shutil.rmtree(saves)
    return seconds


def kill_in_a_row(job, count):
    """Kills `count` jobs, each the successor of the one before, then lets one end."""
    reference, saves = Reference(job), job.place / "saves"
    a_save = some_saves(job, saves)
    durable = begun = during = left_over = lost = 0
    for number in range(1, count + 1):
        name = f"{job.name}, kill {number}"
        process, log = job.start("train", saves, 10**6)
        wait_until(lambda: log.steps("loaded"), process)
        if not check(log.steps("loaded"), f"{name}: what the kill before left does not load"):
            return kill(process)
        loaded = log.last("loaded")
        check(durable <= loaded <= begun, f"{name}: loaded step {loaded}; {durable} was durable, {begun} begun")
        lost += loaded < begun
        target = loaded + rng.randint(1, 4)
        wait_until(lambda: log.last("begin") >= target, process)
        time.sleep(rng.uniform(0, 1.3 * a_save))
        check(process.poll() is None, f"{name}: it ended before it was killed")
        kill(process)
        reference.check(log, name)
        durable, begun = max(durable, log.last("durable")), max(loaded, log.last("begin"))
        during += begun > durable
        left_over += saves.exists() and any(path.name.startswith("tmp-") for path in saves.iterdir())
    code, output, log = job.run("train", saves, begun + 5)
    check(code == 0 and log.last("durable") == begun + 5, f"{job.name}: the last job ends by itself", output)
    check(durable <= log.last("loaded", -1) <= begun, f"{job.name}: the last job loaded {log.last('loaded')}, not {durable} to {begun}")
    reference.check(log, f"{job.name}, the last job")
    left = sorted(path.name for path in saves.iterdir())
    check(left == ["latest", f"step-{begun + 4:08}", f"step-{begun + 5:08}"], f"{job.name}: what is left is {left}")
    passed(f"{job.name}: {count} killed, {during} during a save ({left_over} left an unfinished one), saves in flight lost: {lost}, "
           f"steps: {begun + 5}, a save takes {1e3 * a_save:.1f} ms")


def kill_one(job, times):
    """One process is killed, first one and then the other: the others end, and what is durable loads. Where the launcher
    can be told to let the others live, they must end by themselves."""
    reference = Reference(job)
    keeps = subprocess.run([args.mpirun, "--enable-recovery", "-n", "1", "true"], capture_output=True).returncode == 0
    for number in range(times):
        saves, rank, alone = job.place / f"one {number}", number % 2, keeps and number % 4 < 2
        name = f"{job.name}: rank {rank} is killed" + (", the launcher lets the other live" if alone else "")
        extra = Job(job.name, [job.command[0], *(["--enable-recovery"] if alone else []), *job.command[1:]], saves)
        process, log = extra.start("train", saves, 10**6)
        wait_until(lambda: log.last("begin") >= 4, process)
        time.sleep(rng.uniform(0, 0.03))
        killed = time.monotonic()
        os.kill(next(int(line[2]) for line in log.lines() if line[:2] == ["pid", str(rank)]), signal.SIGKILL)
        try:
            output, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            kill(process)
            output = "did not end"
        seconds = time.monotonic() - killed
        check((alone or process.returncode != 0) and seconds < 20, f"{name}: the job ends", output)
        if alone:
            check(f"cohort: rank {1 - rank}: " in output and f"rank {rank} did not" in output, f"{name}: the other says so", output)
        resume(extra, name, saves, reference, log.last("durable"), log.last("begin"))
        passed(f"{name}: ended after {seconds:.1f} s")


def resume(job, name, saves, reference, least, most):
    code, output, log = job.run("train", saves, most + 2)
    check(code == 0, f"{name}: the next job goes on", output)
    check(least <= log.last("loaded", -1) <= most, f"{name}: loaded {log.last('loaded')}, not {least} to {most}")
    reference.check(log, name)


def die_in_a_save(job, calls):
    """Rank 1 dies before one of its calls on files while step 2 is saved beside training: no checkpoint of step 2. The last
    of `calls` is never reached: the job must end well."""
    reference, deaths = Reference(job), 0
    for k in calls:
        saves = job.place / f"die {k}"
        code, output, log = job.run("train", saves, 2, 1, k, 2, seconds=30)
        check(code is not None, f"{job.name}: rank 1 dies before call {k}: the job ends", output)
        if code == 0:
            break
        deaths += 1
        resume(job, f"{job.name}: rank 1 died before call {k}", saves, reference, 1, 1)
    check(code == 0 and deaths > 1, f"{job.name}: rank 1 died {deaths} times, then the job ended with {code}")
    passed(f"{job.name}: rank 1 died before one of its calls of a save_async, {deaths} times: the save before is the latest")


def no_room(job):
    """A disk of 800 KiB, in a namespace of its own."""
    full, other = job.place / "full", job.place / "other"
    full.mkdir()
    mount = f"mount -t tmpfs -o size=800k tmpfs '{full}' && exec \"$@\""
    wrap = ["unshare", "-Urm", "sh", "-c", mount, "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True).returncode != 0:
        return passed(f"{job.name}: no disk may be mounted here: not tested")
    code, output, log = job.run("room", full / "saves", other, wrap=wrap, seconds=60)
    check(code == 0 and ["done"] in log.lines(), f"{job.name}: it goes on where there is room", output)
    words = [" ".join(line) for line in log.lines() if line[0] == "rank"]
    right = [line for line in words if "No space left on device" in line and "make room" in line]
    ranks = 2 if "-n" in job.command else 4
    check(len(right) == len(words) == 3 * ranks, f"{job.name}: every rank says that the disk is full", words)
    passed(f"{job.name}: the disk is full: {len(right)} errors on {ranks} ranks, training went on, a save elsewhere worked")


def every_call(job, faults, variants):
    """Errors from every call on files, short writes: in memory, no disk is needed. faults: (error, rank)."""
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as place:
        for error, rank in faults:
            saves = pathlib.Path(place) / f"{error} {rank}"
            code, output, log = job.run("faults", saves, getattr(errno, error), rank, variants)
            check(code == 0 and ["done"] in log.lines(), f"{job.name}: {error} on rank {rank}", (output, log.lines()[-2:]))
            calls, errors = (sum(int(line[i]) for line in log.lines() if line[0] == "faults") for i in (1, 3))
            passed(f"{job.name}: {error} from each of {calls} calls on files of rank {rank}: {errors} saves failed on all ranks, "
                   "latest was right after each")


def main(place):
    jobs = [Job("4 threads", [args.threads], place / "threads")]
    if args.processes:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                          PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe", OMP_NUM_THREADS="1")
        # What a killed MPI leaves behind goes with the directory.
        os.environ.update(TMPDIR=str(place), OMPI_MCA_btl_vader_backing_directory=str(place), OMPI_MCA_btl_sm_backing_directory=str(place))
        jobs.append(Job("2 processes", [args.mpirun, "-n", "2", args.processes], place / "processes"))
    for job in jobs:
        begin = time.monotonic()
        mpi, full = job is not jobs[0], args.kills >= 100
        if "kills" in args.parts:
            kill_in_a_row(job, args.kills // len(jobs))
        if "one" in args.parts and mpi:
            kill_one(job, 20 if full else 1)
            die_in_a_save(job, range(1, 100) if full else (1, 7, 8))
        if "room" in args.parts:
            no_room(job)
        if "faults" in args.parts:
            few = [("EIO", 1)] if mpi else [("ENOSPC", 0)]
            every = [(error, rank) for error in ("EIO", "ENOSPC") for rank in ((0, 1) if mpi else (0,))]
            every_call(job, every, 4) if full else every_call(job, few, 1)
        print(f"{job.name}: {time.monotonic() - begin:.1f} s", flush=True)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


with tempfile.TemporaryDirectory(dir=args.directory) as temporary:
    sys.exit(main(pathlib.Path(temporary)))
