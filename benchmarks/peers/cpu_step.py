#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/cpu_step.py: one training step of nanoGPT's CPU model, or of a Llama of its size, in PyTorch, alone or under DDP with gloo.
"""A step is what nanoGPT's loop does: set the learning rate, forward, mean loss, backward, clip to 1, AdamW, drop the
gradients. 12 x 64 tokens a rank, one thread a rank. `run K` answers with the times of K steps on rank 0 (see protocol.py).
The optimizer's implementation is the fastest of foreach, fused and for-loop, timed at the start, unless one is named;
with --bf16 so is the way to train in bf16 (bf16.py)."""

import argparse
import time

import torch

import bf16
import protocol
from llama import Llama, LlamaConfig
from nano_gpt import Config, Gpt, decay_groups, warmup_cosine

MODELS = {"gpt": (Gpt, Config), "llama": (Llama, LlamaConfig)}
OPTIMIZERS = {"foreach": dict(foreach=True), "fused": dict(fused=True), "loop": dict(foreach=False)}


def fastest_optimizer(kind, config):
    """Times ten updates of each implementation on random gradients; returns (name, {name: median us})."""
    times = {}
    for name, options in OPTIMIZERS.items():
        model = kind(config)
        optimizer = torch.optim.AdamW(
            decay_groups(model, 0.1), lr=1e-3, betas=(0.9, 0.99), **options
        )
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        samples = []
        for _ in range(13):
            begin = time.perf_counter()
            optimizer.step()
            samples.append(1e6 * (time.perf_counter() - begin))
        times[name] = round(sorted(samples[3:])[5], 1)
    return min(times, key=times.get), times


class Step:
    def __init__(self, args):
        torch.manual_seed(1337)
        kind, config = MODELS[args.model]
        self.config = config()
        self.precision = bf16.Precision(self.config, args.bf16, kind=kind)
        options = OPTIMIZERS[args.optimizer]
        self.optimizer = torch.optim.AdamW(
            decay_groups(self.precision.trained, 0.1), lr=1e-3, betas=(0.9, 0.99), **options
        )
        self.model = self.precision.model
        if args.compile:
            self.model = torch.compile(self.model)
        if args.ranks > 1:
            self.model = torch.nn.parallel.DistributedDataParallel(
                self.model, gradient_as_bucket_view=True
            )
        g = torch.Generator().manual_seed(args.rank)
        self.batches = torch.randint(
            self.config.vocab, (8, args.batch, self.config.block + 1), generator=g
        )
        self.done = 0

    def one(self):
        rows = self.batches[self.done % 8]
        for group in self.optimizer.param_groups:
            group["lr"] = warmup_cosine(self.done)
        self.precision.loss(self.model, rows).backward()
        self.precision.after_backward()
        torch.nn.utils.clip_grad_norm_(self.precision.masters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.follow()
        self.done += 1

    def run(self, arguments):
        times = []
        for _ in range(arguments[0]):
            begin = time.perf_counter()
            self.one()
            times.append(1e6 * (time.perf_counter() - begin))
        return times


def fastest_way(args):
    """Times steps of each way to train in bf16 in turn; returns (name, {name: least us})."""
    steps = {}
    for way in bf16.WAYS:
        steps[way] = Step(argparse.Namespace(**{**vars(args), "ranks": 1, "bf16": way}))
        steps[way].run([3])
    times = {way: [] for way in steps}
    for _ in range(5):
        for way, step in steps.items():
            times[way] += step.run([3])[1:]
    least = {way: round(min(all_), 1) for way, all_ in times.items()}
    return min(least, key=least.get), least


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--ranks", type=int, default=1)
    parse.add_argument("--batch", type=int, default=12, help="rows of 64 tokens a rank")
    parse.add_argument(
        "--compile", action="store_true", help="torch.compile the model (needs a C++ compiler)"
    )
    parse.add_argument("--optimizer", choices=OPTIMIZERS)
    parse.add_argument("--model", choices=MODELS, default="gpt")
    parse.add_argument(
        "--bf16",
        nargs="?",
        default="",
        const="fastest",
        choices=["", "fastest", *bf16.WAYS],
        help="train in bf16 over fp32 masters, in the way named or in the fastest",
    )
    parse.add_argument("--rank", type=int, default=0, help="set by rank 0 for the ranks it starts")
    parse.add_argument("--store", default="", help="likewise")
    args = parse.parse_args()
    torch.set_num_threads(1)
    times, way_times, pipes = {}, {}, []
    if not args.optimizer:
        kind, config = MODELS[args.model]
        args.optimizer, times = fastest_optimizer(kind, config())
    if args.bf16 == "fastest":
        args.bf16, way_times = fastest_way(args)
    if args.ranks > 1:
        chosen = ["--optimizer", args.optimizer, "--bf16", args.bf16, "--model", args.model]
        pipes = protocol.start_world(args.ranks, args.rank, args.store, chosen)
    step = Step(args)
    step.run([5])
    info = dict(
        torch=torch.__version__,
        ranks=args.ranks,
        threads=torch.get_num_threads(),
        optimizer=args.optimizer,
        optimizer_us=times,
        compile=args.compile,
        bf16=args.bf16,
        bf16_us=way_times,
        tokens_per_step=args.ranks * args.batch * step.config.block,
    )
    protocol.serve(info, step.run, pipes) if args.rank == 0 else protocol.follow(step.run)


if __name__ == "__main__":
    main()
