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

BLOCK = Config.block


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
    starts = torch.randint(
        len(data) - block, (samples,), generator=torch.Generator().manual_seed(7)
    )
    return (
        sum(model(*windows(data, block, part)).item() * len(part) for part in starts.split(100))
        / samples
    )


@contextlib.contextmanager
def shared(path):
    """Holds a shared lock on a file, if one was named, so that other programs can time alone."""
    if not path:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def arguments():
    parse = argparse.ArgumentParser()
    parse.add_argument("--data", required=True)
    parse.add_argument("--steps", type=int, default=2000)
    parse.add_argument("--batch", type=int, default=12)
    parse.add_argument("--seed", type=int, default=1337)
    parse.add_argument("--untied", action="store_true", help="an output head of its own")
    parse.add_argument("--bias", action="store_true", help="biases in Linear and LayerNorm")
    parse.add_argument("--init", choices=("nanogpt", "torch"), default="nanogpt")
    parse.add_argument("--lock", default="", help="file to lock (shared) around every 50 steps")
    return parse.parse_args()


def train_steps(model, optimizer, train, args, steps):
    """Does these steps; returns the last one's loss."""
    loss = torch.zeros(())
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, args.steps)
        starts = torch.randint(len(train) - BLOCK, (args.batch,))
        optimizer.zero_grad(set_to_none=True)
        loss = model(*windows(train, BLOCK, starts))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return loss.item()


def main():
    args = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    vocab, train, valid = read(args.data)
    config = Config(vocab=vocab, bias=args.bias, tied=not args.untied, init=args.init)
    model = Gpt(config)
    groups = decay_groups(model, 0.1)
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, foreach=True)
    begin = time.time()
    for first in range(0, args.steps, 50):
        last = min(first + 50, args.steps)
        with shared(args.lock):
            loss = train_steps(model, optimizer, train, args, range(first, last))
            if last % 250 == 0:
                row = dict(step=last, loss=loss, valid=whole_split(model, valid, BLOCK))
                print(json.dumps(row), flush=True)
    row = dict(torch=torch.__version__, **vars(args), seconds=round(time.time() - begin, 1))
    row.update(train_tokens=len(train), valid_tokens=len(valid))
    row.update(valid_whole_split=whole_split(model, valid, BLOCK))
    row.update(valid_random_offsets=every_offset(model, valid, BLOCK))
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
