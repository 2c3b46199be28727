#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/examples/check_examples.py: the examples train, agree with their raw twins, and say what is wrong with bad input.
"""usage: check_examples.py FOLDER [MPIEXEC]   the folder of the built examples; MPIEXEC where those for MPI are built"""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FOLDER = pathlib.Path(sys.argv[1])
MPIEXEC = sys.argv[2:]
PAGE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "README.md"
failures = []


def run(name, *arguments, seconds=120):
    return subprocess.run(
        [FOLDER / name, *map(str, arguments)], capture_output=True, text=True, errors="backslashreplace", timeout=seconds, check=False
    )


def check(holds, sentence, result=None):
    print(("ok      " if holds else "FAILED  ") + sentence)
    if not holds:
        failures.append(sentence)
        if result:
            print(f"exit {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")


def losses(result):
    return [float(x) for x in re.findall(r"^step \d+ +loss ([0-9.]+)", result.stdout, re.M)]


def loosely(text):
    """The text without what differs from machine to machine: decimal numbers that are no bytes, hashes, and widths of columns."""
    text = re.sub(r"-?\d+\.\d+(?:e[+-]\d+)?(?!\d| ?[KMGT]?i?B\b)", "#", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "#", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def as_shown(name, result):
    """examples/README.md shows what the program prints."""
    shown = re.search(rf"^```text\n\$ {name}\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    check(shown is not None and loosely(shown[1]) == loosely(result.stdout), f"{name}: prints what examples/README.md shows", result)


def table(result, *names):
    """The numbers of the lines that begin with each of the names; sizes in bytes."""
    units = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    rows = []
    for name in names:
        line = re.search(rf"^{re.escape(name)} +(.*)$", result.stdout, re.M)
        number = r"(\d+(?:\.\d+)?)(?: (B|KiB|MiB|GiB)\b)?"
        rows.append([float(n) * units.get(unit, 1) for n, unit in re.findall(number, line[1])] if line else [])
    return rows


def policies():
    """An optimizer of one's own, accumulation and precision: what their tables must show on any machine."""
    result = run("custom_policy")
    curves = {name: re.findall(rf"^{name} +step +\d+ +loss ([0-9.]+)", result.stdout, re.M) for name in ("Replicate", "FullShard")}
    check(result.returncode == 0 and len(curves["Replicate"]) == 4 and float(curves["Replicate"][-1]) < 0.5 * 0.6931, "custom_policy: beats ln 2", result)
    check(curves["Replicate"] == curves["FullShard"] and "the same bits" in result.stdout, "custom_policy: sharded, the same losses and bits", result)
    as_shown("custom_policy", result)
    result = run("custom_policy", "--ranks", 3)
    check(result.returncode == 0 and "the same bits" in result.stdout, "custom_policy on 3: the same bits", result)

    result = run("gradient_accumulation")
    whole, in_four, each = table(result, "1 x 64", "4 x 16  GradAccum<4>", "4 x 16  GradAccum<4, Each>")
    check(result.returncode == 0 and list(map(len, (whole, in_four, each))) == [6, 6, 6], "gradient_accumulation: three lines of six", result)
    if [len(row) for row in (whole, in_four, each)] == [6, 6, 6]:
        check(all(a[0] < 0.3 * whole[0] for a in (in_four, each)), "gradient_accumulation: activations fall to a quarter", result)
        check(each[1] < in_four[1], "gradient_accumulation: reduced each, gradients are shards", result)
        check(whole[2] < in_four[2] < each[2] and whole[3] < in_four[3] < each[3], "gradient_accumulation: collectives and bytes are the price", result)
        # One step apart by rounding only: sums of 128 terms in another order, printed to 1e-5. 50 steps let that grow.
        check(all(abs(a[4] - whole[4]) <= 2e-5 for a in (in_four, each)), "gradient_accumulation: the same loss before the first update", result)
        check(all(abs(a[5] - whole[5]) <= 0.01 * whole[4] for a in (in_four, each)) and whole[5] < 0.5 * whole[4], "gradient_accumulation: and after 50 steps", result)
    as_shown("gradient_accumulation", result)

    results = [run("same_bits", "--ranks", ranks) for ranks in (1, 2, 8)]
    check(all(r.returncode == 0 and r.stdout == results[0].stdout for r in results), "same_bits: 1, 2 and 8 ranks print the same digits", results[1])
    check("210.00 KiB of partial sums" in results[0].stderr and "0 B of partial sums" in results[2].stderr, "same_bits: what fewer ranks keep for it", results[0])
    as_shown("same_bits", results[1])
    check("trains on 8, 4, 2 or 1 ranks, and there are 3" in run("same_bits", "--ranks", 3).stderr, "same_bits on 3: refused", results[0])

    result = run("mixed_precision")
    fp32, bf16, fp16 = table(result, "fp32", "bf16", "fp16")
    check(result.returncode == 0 and list(map(len, (fp32, bf16, fp16))) == [7, 7, 7], "mixed_precision: three lines of seven", result)
    if [len(row) for row in (fp32, bf16, fp16)] == [7, 7, 7]:
        # The plan's numbers are exact (static_assert in the example), these have two decimals.
        check(fp32[1] == 0 and all(abs(2 * a[0] / fp32[0] - 1) < 0.01 and a[1] == fp32[0] for a in (bf16, fp16)), "mixed_precision: half the parameters, whole masters", result)
        check(all(a[2] < 0.6 * fp32[2] and a[3] < 0.51 * fp32[3] for a in (bf16, fp16)), "mixed_precision: about half of activations and wire", result)
        check(fp32[5] == bf16[5] == 0 and fp16[5] <= 5, "mixed_precision: fp16 alone may skip steps", result)
        check(all(a[6] < 0.69 and abs(a[6] - fp32[6]) < 0.1 for a in (fp32, bf16, fp16)), "mixed_precision: all three learn, alike", result)
    as_shown("mixed_precision", result)


def rates(result):
    """The table of the search: (rate, group, loss or None), and the rate that it calls the best."""
    rows = re.findall(r"^ *([0-9.e+-]+) +(\d+) +([0-9.]+|diverged)$", result.stdout, re.M)
    best = re.search(r"^best: ([0-9.e+-]+)$", result.stdout, re.M)
    return [(float(rate), int(group), None if loss == "diverged" else float(loss)) for rate, group, loss in rows], best and float(best[1])


def search():
    """Every rate gets its loss, whatever becomes of the others; the best is the least."""
    name = "hyperparameter_search"
    result = run(name)
    first, best = rates(result)
    check(result.returncode == 0 and [row[1] for row in first] == [0, 1, 0, 1], f"{name}: four rates on two groups in turn", result)
    check([row[2] is None for row in first] == [False, False, False, True], f"{name}: the last rate diverges, alone", result)
    finite = {row[0]: row[2] for row in first if row[2] is not None}
    check(finite and best == min(finite, key=finite.get), f"{name}: the best is the least of the table", result)
    as_shown(name, result)
    # Other groups train on the same global batches: sums in another order, 200 steps long.
    for ranks, groups in ((1, 1), (2, 2), (4, 4), (6, 3)):
        result = run(name, "--ranks", ranks, "--groups", groups)
        rows, again = rates(result)
        same = len(rows) == len(first) and all((a[2] is None) == (b[2] is None) and (a[2] is None or abs(a[2] - b[2]) <= 0.02 * b[2] + 2e-6) for a, b in zip(rows, first))
        check(result.returncode == 0 and same and again == best, f"{name}: {ranks} ranks in {groups} groups find the same", result)
    result = run(name, "--lr", "1e3", "1e4", "1e-2")
    check(result.returncode == 0 and rates(result)[1] == 0.01, f"{name}: a group goes on after a rate that diverged", result)
    result = run(name, "--lr", "1e3", "1e4")
    check(result.returncode == 0 and "every rate diverged" in result.stdout, f"{name}: says when nothing is left", result)
    said = run(name, "--help").stdout
    check(all(words in said for words in ("--ranks", "--groups", "--lr", "--steps")), f"{name} --help")
    for arguments, words in (
        (("--ranks", 3), "3 ranks do not make 2 equal groups"),
        (("--ranks", 6), "whose size divides 64"),
        (("--groups", 0), "--groups"),
        (("--lr", 0), "--lr"),
        (("--lr",), "--lr"),
        (("--steps", "many"), "--steps"),
        (("--ranks", 0), "--ranks"),
        (("--learning-rate", 1), "--learning-rate"),
    ):
        result = run(name, *arguments, seconds=20)
        said = result.stderr.strip()
        check(result.returncode not in (0, -6, -11) and words in said and len(said.splitlines()) <= 2, f"{name} {' '.join(map(str, arguments))}: one sentence", result)
        print("        " + said.replace("\n", "\n        "))
    if MPIEXEC:
        command = [*MPIEXEC, "-n", "4", FOLDER / f"{name}_mpi"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        check(result.returncode == 0 and rates(result) == (first, best), f"{name}_mpi: the same table from 4 processes", result)


def stopped(number, log, name, *arguments, after):
    """Runs a gpt until its log has a line of that step, sends it the signal and waits for its end."""
    log.unlink(missing_ok=True)
    command = [FOLDER / name, *map(str, arguments), "--log", log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="backslashreplace") as process:
        limit = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < limit and not (log.exists() and f'"step": {after},' in log.read_text()):
            time.sleep(0.002)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def checkpoints(directory):
    return sorted(path.name for path in directory.glob("step-*"))


def saving(place, text):
    """gpt is stopped, killed and taken up again: it says, logs and saves what the uninterrupted run does."""
    arguments = ("--data", text, "--batch", 4, "--eval-every", 20, "--sample", 40)
    two = (*arguments, "--ranks", 2, "--steps", 60)
    log, whole_log, whole_saves, saves = (place / name for name in ("log", "whole log", "whole", "saves"))
    whole = run("gpt", *two, "--log", whole_log, "--save", whole_saves)
    plain = run("gpt", *two)
    check(whole.returncode == 0 and whole.stdout == plain.stdout, "gpt --save: the same losses and sample as without", whole)
    check(checkpoints(whole_saves) == ["step-00000060"], f"gpt --save: the last step is saved: {checkpoints(whole_saves)}")
    values = {line["step"]: line["val_loss"] for line in map(json.loads, whole_log.read_text().splitlines()) if "val_loss" in line and "val_tokens" not in line}
    best = [f"step-{min(values, key=values.get):08}"]
    check(list(values) == [20, 40, 60] and checkpoints(whole_saves / "best") == best, f"gpt --save: best is {best} of {values}")

    for number, every in ((signal.SIGTERM, 0), (signal.SIGINT, 7), (signal.SIGKILL, 7)):
        shutil.rmtree(saves, ignore_errors=True)
        options = (*two, "--save", saves, "--save-every", every, "--keep", 2)
        first = stopped(number, log, "gpt", *options, after=25)
        name = f"gpt, {number.name} with --save-every {every}"
        if number == signal.SIGKILL:
            check(first.returncode == -number, f"{name}: is killed", first)
        else:
            check(first.returncode == 128 + number, f"{name}: exit code {128 + number}", first)
            said = re.search(rf"^{number.name} after step (\d+): saved in '(.*)'; to go on, .* --resume$", first.stderr, re.M)
            check(said is not None and 25 <= int(said[1]) < 60 and said[2] == str(saves), f"{name}: says so", first)
            latest = (saves / "latest").read_text().strip()
            check(said is not None and latest == f"step-{int(said[1]):08}", f"{name}: that step is the latest, {latest}")
        kept = len(checkpoints(saves))  # whoever is killed may not have removed the oldest yet
        check(kept == (1 if every == 0 else 2) or (number == signal.SIGKILL and kept == 3), f"{name}: keeps {checkpoints(saves)}")
        rest = run("gpt", *options, "--log", log, "--resume")
        check(re.search(r"^resumed '.*step-\d+' after step \d+ of 60$", rest.stderr, re.M) is not None, f"{name}: --resume says where", rest)
        check(rest.returncode == 0 and rest.stdout == whole.stdout, f"{name}: resumed, the same validation loss and sample", rest)
        check(log.read_text() == whole_log.read_text(), f"{name}: resumed, the same log, byte for byte")
        check(checkpoints(saves / "best") == best, f"{name}: resumed, the same best: {checkpoints(saves / 'best')}")

    done = run("gpt", *two, "--save", saves, "--resume", "--log", log)
    check(done.returncode == 0 and "nothing is left to train" in done.stderr and done.stdout == whole.stdout, "gpt: a finished run says so, and its result", done)
    check(log.read_text() == whole_log.read_text(), "gpt: a finished run leaves its log alone")

    wild = run("gpt", *arguments, "--ranks", 3, "--steps", 62, "--lr", 100, "--save", saves, "--resume")
    check("2 ranks of 4 rows: a step now has 12 rows instead of 8" in wild.stderr and "options" in wild.stderr, "gpt: goes on with 3 ranks and other options, and says so", wild)
    check(wild.returncode == 0 and checkpoints(saves / "best") == best and checkpoints(saves)[-1] == "step-00000062", "gpt: the best loss is remembered", wild)

    half = ("--data", text, "--batch", 4, "--sample", 40, "--ranks", 2, "--steps", 30)
    expected = run("gpt_bf16", *half)
    first = stopped(signal.SIGTERM, log, "gpt_bf16", *half, "--save", place / "half", after=10)
    rest = run("gpt_bf16", *half, "--save", place / "half", "--resume")
    check(first.returncode == 143 and rest.stdout == expected.stdout != "", "gpt_bf16: sharded, stopped and resumed, the same", rest)

    fresh = run("gpt", *arguments, "--ranks", 2, "--steps", 5, "--save", place / "fresh", "--resume")
    check(fresh.returncode == 0 and "holds no checkpoint yet" in fresh.stderr, "gpt: --resume without a checkpoint begins and says so", fresh)


def tracing(place, text):
    """gpt --timings logs where the time went, gpt --trace writes what both ranks did; neither changes a loss."""
    log, trace = place / "timed.jsonl", place / "trace.json"
    arguments = ("--data", text, "--ranks", 2, "--steps", 12, "--batch", 4, "--sample", 40)
    plain = run("gpt", *arguments)
    for name in ("gpt", "gpt_bf16"):
        result = run(name, *arguments, "--log", log, "--timings", "--trace", trace, "--trace-steps", 3)
        check(result.returncode == 0 and (name != "gpt" or result.stdout == plain.stdout), f"{name} --timings --trace: the same loss and sample", result)
        check(re.search(r"^a step took [0-9.]+ ms, [0-9.]+ ms of it waiting for communication: a share of [0-9.]+ %$", result.stderr, re.M) is not None, f"{name} --timings: the share of all ranks", result)
        lines = [line for line in map(json.loads, log.read_text().splitlines()) if "loss" in line]
        fields = ["step", "loss", "lr", "grad_norm", "tokens_per_s", "step_s", "comm_s", "exposed_comm_s", "memory_bytes"]
        check(len(lines) == 12 and all(list(line) == fields for line in lines), f"{name} --timings: the fields of a line are {list(lines[0])}")
        check(all(0 < line["exposed_comm_s"] <= line["step_s"] and line["comm_s"] > 0 for line in lines), f"{name} --timings: parts of a step")
        check(all(abs(line["tokens_per_s"] * line["step_s"] - 2 * 4 * 64) < 1e-6 for line in lines), f"{name} --timings: tokens a second")
        check(len({line["memory_bytes"] for line in lines}) == 1, f"{name} --timings: planned bytes do not change")
        events = json.loads(trace.read_text())["traceEvents"]
        spans = [event for event in events if event["ph"] == "X"]
        check({event["pid"] for event in spans} == {0, 1} and {event["tid"] for event in spans} == {0, 1}, f"{name} --trace: both streams of both ranks")
        check({event["args"]["step"] for event in spans} == {10, 11, 12}, f"{name} --trace: the last three steps")
        names = {event["name"] for event in spans}
        check("forward 2.3" in names and "update" in names and any(name.startswith("all_reduce") for name in names), f"{name} --trace: units, collectives")
        check(not list(place.glob("trace.json.*")), f"{name} --trace: nothing beside it")


for ranks in (1, 2, 3):
    ours, raw = run("quickstart", "--ranks", ranks), run("raw_quickstart", ranks)
    pairs = list(zip(losses(ours), losses(raw)))
    # Printed to 1e-5; the twin's sums round in another order, 500 steps long.
    same = len(pairs) == 5 and all(abs(a - b) <= 2e-5 + 0.05 * b for a, b in pairs)
    check(same and ours.returncode == 0 and raw.returncode == 0, f"quickstart on {ranks}: the raw twin's losses", ours)

as_shown("quickstart", run("quickstart"))

result = run("custom_layer")
as_shown("custom_layer", result)
curve = losses(result)
check(result.returncode == 0 and len(curve) == 3 and curve[-1] < 0.5 * 0.6931, "custom_layer: beats ln 2", result)

result = run("full_shard")
curve = losses(result)
check(result.returncode == 0 and len(curve) == 3 and curve[-1] < 0.5 * curve[0], "full_shard: the loss falls", result)
check("512 ranks" in result.stdout and "8 ranks" in result.stdout, "full_shard: plans of 8 and 512 ranks", result)

result = run("llama")
curve = losses(result)
check(result.returncode == 0 and len(curve) == 5 and curve[-1] < 0.1, "llama: finds where the next token stood", result)
as_shown("llama", result)

policies()
search()

with tempfile.TemporaryDirectory(prefix="cohort-examples-") as place:
    place = pathlib.Path(place)
    text, log = place / "text.txt", place / "log.jsonl"
    text.write_text("the quick brown fox jumps over the lazy dog, and the dog sleeps on. " * 500)
    result = run("gpt", "--data", text, "--ranks", 2, "--steps", 60, "--batch", 4, "--eval-every", 20, "--sample", 40, "--log", log)
    check(result.returncode == 0, "gpt: trains on two ranks", result)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    values = [line["val_loss"] for line in lines if "val_loss" in line]
    check([line["step"] for line in steps] == list(range(1, 61)), "gpt: a line of metrics a step")
    check(len(values) == 3 and values[0] > values[1] > values[2], f"gpt: the validation loss falls: {values}")
    check(re.search(r"validation loss [0-9.]+ over all \d+ tokens\n---\n", result.stdout) is not None, "gpt: a sample", result)

    again = run("gpt", "--data", text, "--ranks", 2, "--steps", 60, "--batch", 4, "--eval-every", 20, "--sample", 40)
    check(again.stdout == result.stdout, "gpt: the same seed says the same", again)

    half = run("gpt_bf16", "--data", text, "--ranks", 2, "--steps", 60, "--batch", 4, "--eval-every", 20, "--sample", 40, "--log", log)
    ours = [line["val_loss"] for line in map(json.loads, log.read_text().splitlines()) if "val_loss" in line]
    check(half.returncode == 0 and len(ours) == 3, "gpt_bf16: trains on two ranks, sharded", half)
    check(ours != values and all(abs(a - b) < 0.05 for a, b in zip(ours, values)), f"gpt_bf16: near fp32, not its bits: {ours} {values}")

    saving(place, text)
    tracing(place, text)

    said = run("gpt", "--help").stdout
    for words in ("--save ", "--save-every ", "--keep ", "--resume", "--timings", "--trace ", "--trace-steps ", "SIGTERM", "130, 143"):
        check(words in said, f"gpt --help: {words}")

    (place / "file").write_text("")
    (place / "empty.txt").write_text("")
    (place / "short.txt").write_text("too short")
    for arguments, words in (
        (("--data", place / "missing.txt"), "missing.txt"),
        (("--data", place / "empty.txt"), "empty.txt"),
        (("--data", place / "short.txt"), "short.txt"),
        (("--data", place), str(place)),
        ((), "--data"),
        (("--data", text, "--steps", 0), "--steps"),
        (("--data", text, "--ranks", 0), "ranks"),
        (("--data", text, "--log", place / "no" / "log.jsonl"), "log.jsonl"),
        (("--data", text, "--trace", place / "no" / "trace.json"), "trace.json"),
        (("--data", text, "--trace-steps", 5), "--trace"),
        (("--data", text, "--save", place / "file"), "a file, not a directory"),
        (("--data", text, "--save", place / "file", "--resume"), str(place / "file")),
        (("--data", text, "--save", place / "no" / "saves"), "in a directory that exists"),
        (("--data", text, "--save", place / "saves"), "add --resume"),
        (("--data", text, "--resume"), "--save"),
        (("--data", text, "--save-every", 5), "--save"),
        (("--data", text, "--save", place / "saves", "--keep", -1), "--keep"),
    ):
        result = run("gpt", *arguments, seconds=20)
        sentence = f"gpt {' '.join(str(a) for a in arguments)}: one sentence".replace(str(place), "...")
        said = result.stderr.strip()
        check(result.returncode not in (0, -6, -11) and words in said and len(said.splitlines()) <= 2, sentence, result)
        print("        " + said.replace("\n", "\n        ").replace(str(place), "..."))

print(f"{len(failures)} failed")
sys.exit(bool(failures))
