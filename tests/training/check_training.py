#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/training/check_training.py: the gpt example's whole training, against n-gram models and published losses.
"""usage: check_training.py GPT GET_CORPUS

Trains 2000 steps of 12 rows on 1 rank and on 2 ranks and compares the loss over the whole validation split with that of an
interpolated trigram model of the same training split. With COHORT_TINYSHAKESPEARE=FILE also the mean of four seeds on
Tiny Shakespeare with PyTorch's 1.870."""

import collections
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys

GPT, GET_CORPUS = sys.argv[1:3]
failures = []


def check(holds, sentence):
    print(("ok      " if holds else "FAILED  ") + sentence, flush=True)
    if not holds:
        failures.append(sentence)


def trained(data, ranks, seed):
    command = [GPT, "--data", data, "--ranks", ranks, "--batch", 12 // ranks, "--steps", 2000, "--seed", seed, "--eval-every", 500]
    out = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True, timeout=900).stdout
    loss = float(re.search(r"^validation loss ([0-9.]+) over all", out, re.M).group(1))
    return loss, out[out.index("\n---\n") + 5 :]


def trigram_loss(text):
    """Nats a byte on the last tenth, of counts of the rest: orders 1 to 3 mixed, the rarer context the less trusted."""
    split = int(0.9 * len(text))
    counts = [collections.Counter() for _ in range(3)]
    contexts = [collections.Counter() for _ in range(3)]
    for order in range(3):
        for i in range(order, split):
            counts[order][text[i - order : i + 1]] += 1
            contexts[order][text[i - order : i]] += 1
    total = 0.0
    for i in range(split + 2, len(text)):
        p = 1 / 256
        for order in range(3):
            seen = contexts[order][text[i - order : i]]
            p = (counts[order][text[i - order : i + 1]] + 5 * p) / (seen + 5)
        total -= math.log(p)
    return total / (len(text) - split - 2)


corpus = subprocess.run([GET_CORPUS], capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
text = pathlib.Path(corpus).read_bytes()
trigram = trigram_loss(text)
one, sample = trained(corpus, 1, 1337)
two, _ = trained(corpus, 2, 1337)
check(one < trigram, f"1 rank: validation loss {one} below a trigram model's {trigram:.4f}")
check(two < trigram, f"2 ranks: {two} below it too")
# The same rows in the same steps: only roundings differ. Seeds differ by about 0.01.
check(abs(one - two) < 0.02, f"1 rank and 2 ranks differ by {abs(one - two):.4f}")
words = set(re.findall(rb"[a-z]+", text))
sampled = re.findall(r"[a-z]+", sample)[1:-1]
known = statistics.mean(w.encode() in words for w in sampled)
check(known > 0.5, f"{known:.0%} of the sample's {len(sampled)} words are words of the text")
print(sample)

shakespeare = os.environ.get("COHORT_TINYSHAKESPEARE")
if shakespeare:
    for ranks in (1, 2):
        losses = [trained(shakespeare, ranks, seed)[0] for seed in (1337, 1, 2, 3)]
        mean = statistics.mean(losses)
        check(abs(mean - 1.870) <= 0.01, f"Tiny Shakespeare, {ranks} ranks: mean {mean:.4f} of {losses}, PyTorch 1.870")
else:
    print("        Tiny Shakespeare is left out: COHORT_TINYSHAKESPEARE names no file")
sys.exit(bool(failures))
