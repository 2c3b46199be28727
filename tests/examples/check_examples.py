#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/examples/check_examples.py: the examples train, agree with their raw twins, and say what is wrong with bad input.
"""usage: check_examples.py FOLDER   the folder of the built examples"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(sys.argv[1])
failures = []


def run(name, *arguments, seconds=120):
    return subprocess.run(
        [FOLDER / name, *map(str, arguments)], capture_output=True, text=True, timeout=seconds, check=False
    )


def check(holds, sentence, result=None):
    print(("ok      " if holds else "FAILED  ") + sentence)
    if not holds:
        failures.append(sentence)
        if result:
            print(f"exit {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")


def losses(result):
    return [float(x) for x in re.findall(r"^step \d+ +loss ([0-9.]+)", result.stdout, re.M)]


for ranks in (1, 2, 3):
    ours, raw = run("quickstart", "--ranks", ranks), run("raw_quickstart", ranks)
    pairs = list(zip(losses(ours), losses(raw)))
    # Printed to 1e-5; the twin's sums round in another order, 500 steps long.
    same = len(pairs) == 5 and all(abs(a - b) <= 2e-5 + 0.05 * b for a, b in pairs)
    check(same and ours.returncode == 0 and raw.returncode == 0, f"quickstart on {ranks}: the raw twin's losses", ours)

result = run("custom_layer")
curve = losses(result)
check(result.returncode == 0 and len(curve) == 3 and curve[-1] < 0.5 * 0.6931, "custom_layer: beats ln 2", result)

result = run("full_shard")
curve = losses(result)
check(result.returncode == 0 and len(curve) == 3 and curve[-1] < 0.5 * curve[0], "full_shard: the loss falls", result)
check("512 ranks" in result.stdout and "8 ranks" in result.stdout, "full_shard: plans of 8 and 512 ranks", result)

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
    ):
        result = run("gpt", *arguments, seconds=20)
        sentence = f"gpt {' '.join(str(a) for a in arguments)}: one sentence".replace(str(place), "...")
        said = result.stderr.strip()
        check(result.returncode not in (0, -6, -11) and words in said and len(said.splitlines()) <= 2, sentence, result)
        print("        " + said.replace("\n", "\n        ").replace(str(place), "..."))

print(f"{len(failures)} failed")
sys.exit(bool(failures))
