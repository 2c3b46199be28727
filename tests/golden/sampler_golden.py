#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/sampler_golden.py: the indices of PyTorch's DistributedSampler and torch.randperm.
"""Writes sampler.txt beside this script, one case a line, `#` starts a comment:
  sampler LENGTH WORLD RANK SEED EPOCH DROP_LAST SHUFFLE COUNT HASH : INDEX ...
  randperm N SEED COUNT HASH : INDEX ...
HASH is FNV-1a (64 bits, 0x hex) over the indices, each as four little-endian bytes; of a list longer than 64 only the
first 16 indices are printed. A COUNT of 0 ends after the colon. The manual_seed of sampler is SEED + EPOCH.
Run: python sampler_golden.py      (needs PyTorch; the file is committed, tests do not run this)"""

import itertools
import pathlib
import struct

import torch
from torch.utils.data import DistributedSampler

HERE = pathlib.Path(__file__).resolve().parent


def fnv(values):
    digest = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(values)}I", *values):
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return digest


def line(head, values):
    shown = values if len(values) <= 64 else values[:16]
    return " ".join(
        [*map(str, head), str(len(values)), f"0x{fnv(values):016x}", ":", *map(str, shown)]
    )


def sampler(length, world, rank, seed, epoch, drop_last, shuffle):
    one = DistributedSampler(
        range(length), world, rank, shuffle=shuffle, seed=seed, drop_last=drop_last
    )
    one.set_epoch(epoch)
    return line(
        ["sampler", length, world, rank, seed, epoch, int(drop_last), int(shuffle)], list(one)
    )


def combinations():
    for length, world in itertools.product((1, 2, 3, 5, 8, 10, 17), (1, 2, 3, 4, 7)):
        for drop_last, shuffle in itertools.product((False, True), repeat=2):
            if drop_last and length < world:
                continue  # PyTorch's arithmetic gives ranks nothing, or a negative size
            for rank in sorted({0, world // 2, world - 1}):
                yield length, world, rank, 0, 0, drop_last, shuffle
    for seed, epoch in (
        (0, 1),
        (0, 2),
        (1, 0),
        (42, 7),
        (1234567, 3),
        (2**31, 0),
        (2**32 - 1, 1),
        (2**40 + 5, 0),
    ):
        for rank in range(3):
            yield 20, 3, rank, seed, epoch, False, True
            yield 20, 3, rank, seed, epoch, True, True
    for length in (63, 64, 65, 1000, 100003):
        for rank in (0, 3):
            for drop_last in (False, True):
                yield length, 4, rank, 9, 5, drop_last, True
    for rank in range(8):
        yield 3, 8, rank, 2, 0, False, True  # the padding repeats the list more than once


def main():
    out = [f"# torch {torch.__version__}"]
    out += [sampler(*case) for case in combinations()]
    for n, seed in itertools.product(
        (0, 1, 2, 3, 10, 623, 624, 625, 5000, 200000), (0, 1, 42, 2**32 - 1, 2**32, 2**63)
    ):
        values = torch.randperm(
            n, generator=torch.Generator().manual_seed(seed - 2**64 if seed >= 2**63 else seed)
        ).tolist()
        out.append(line(["randperm", n, seed], values))
    (HERE / "sampler.txt").write_text("\n".join(out) + "\n")
    print(f"sampler.txt: {len(out)} lines")


if __name__ == "__main__":
    main()
