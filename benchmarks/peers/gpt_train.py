#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/gpt_train.py: train nanoGPT's published CPU setting with PyTorch and print its validation loss.
"""Data: characters of the file, sorted set as vocabulary; the first int(0.9 * length) train, the rest validates.
A batch is 12 windows of 64 tokens at independent uniform offsets in [0, length - 64), targets shifted by one.
The validation loss is the mean over every token that whole blocks cut from the split without overlap predict."""

import argparse
import contextlib
import fcntl
import json
import time

import torch

from nano_gpt import Config, Gpt, decay_groups, warmup_cosine


def read(path):
    text = open(path, encoding="utf-8").read()
    chars = sorted(set(text))
    index = {c: i for i, c in enumerate(chars)}
    data = torch.tensor([index[c] for c in text])
    cut = int(0.9 * len(data))
    return len(chars), data[:cut], data[cut:]


def windows(data, block, starts):
    at = starts[:, None] + torch.arange(block)
    return data[at], data[at + 1]


@torch.no_grad()
def whole_split(model, data, block):
    """Mean loss over floor((length - 1) / block) blocks one after the other; the ragged end is left out."""
    starts = torch.arange((len(data) - 1) // block) * block
    total = 0.0
    for part in starts.split(128):
        total += model(*windows(data, block, part)).item() * len(part)
    return total / len(starts)


@torch.no_grad()
def every_offset(model, data, block, samples=4000):
    """nanoGPT's own estimate: random offsets, here many more of them than its 20 x 12."""
    starts = torch.randint(len(data) - block, (samples,), generator=torch.Generator().manual_seed(7))
    return sum(model(*windows(data, block, part)).item() * len(part) for part in starts.split(100)) / samples


@contextlib.contextmanager
def shared(path):
    """Holds a shared lock on a file, if one was named, so that other programs can time alone."""
    if not path:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--data", required=True)
    parse.add_argument("--steps", type=int, default=2000)
    parse.add_argument("--batch", type=int, default=12)
    parse.add_argument("--seed", type=int, default=1337)
    parse.add_argument("--lock", default="", help="file to lock (shared) around every 50 steps")
    args = parse.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    vocab, train, valid = read(args.data)
    config = Config(vocab=vocab)
    model = Gpt(config)
    optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3, betas=(0.9, 0.99), eps=1e-8, foreach=True)
    begin = time.time()
    loss = torch.zeros(())
    for first in range(0, args.steps, 50):
        with shared(args.lock):
            for step in range(first, min(first + 50, args.steps)):
                for group in optimizer.param_groups:
                    group["lr"] = warmup_cosine(step, args.steps)
                starts = torch.randint(len(train) - config.block, (args.batch,))
                optimizer.zero_grad(set_to_none=True)
                loss = model(*windows(train, config.block, starts))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            if (first // 50) % 5 == 4:
                print(json.dumps(dict(step=first + 50, loss=loss.item(), valid=whole_split(model, valid, config.block))), flush=True)
    print(json.dumps(dict(torch=torch.__version__, seed=args.seed, steps=args.steps, seconds=round(time.time() - begin, 1),
                          train_tokens=len(train), valid_tokens=len(valid), valid_whole_split=whole_split(model, valid, config.block),
                          valid_random_offsets=every_offset(model, valid, config.block))), flush=True)


if __name__ == "__main__":
    main()
