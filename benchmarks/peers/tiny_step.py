#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/tiny_step.py: one step of a tiny MLP in PyTorch, alone or under DDP with gloo, where overhead is all.
"""MLP 64-64-10 with ReLU and biases, 32 rows a rank, mean cross entropy, AdamW (or SGD), no clipping, one thread a rank.
`run K` answers with the times of K steps on rank 0 (see protocol.py)."""

import argparse
import time

import torch
from torch import nn

import protocol

OPTIMIZERS = {
    "adamw_fused": lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True),
    "adamw_foreach": lambda p: torch.optim.AdamW(p, lr=1e-3, foreach=True),
    "adamw_loop": lambda p: torch.optim.AdamW(p, lr=1e-3, foreach=False),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, foreach=False),
    "sgd_fused": lambda p: torch.optim.SGD(p, lr=1e-2, fused=True),
}


class Step:
    def __init__(self, args):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.optimizer = OPTIMIZERS[args.optimizer](self.model.parameters())
        if args.ranks > 1:
            self.model = nn.parallel.DistributedDataParallel(
                self.model, gradient_as_bucket_view=True
            )
        g = torch.Generator().manual_seed(args.rank)
        self.x, self.y = torch.randn(32, 64, generator=g), torch.randint(10, (32,), generator=g)
        self.loss = nn.CrossEntropyLoss()

    def run(self, arguments):
        times = []
        for _ in range(arguments[0]):
            begin = time.perf_counter()
            self.loss(self.model(self.x), self.y).backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            times.append(1e6 * (time.perf_counter() - begin))
        return times


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--ranks", type=int, default=2)
    parse.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw_fused")
    parse.add_argument("--rank", type=int, default=0, help="set by rank 0 for the ranks it starts")
    parse.add_argument("--store", default="", help="likewise")
    args = parse.parse_args()
    torch.set_num_threads(1)
    pipes = protocol.start_world(args.ranks, args.rank, args.store) if args.ranks > 1 else []
    step = Step(args)
    step.run([50])
    info = dict(
        torch=torch.__version__,
        ranks=args.ranks,
        threads=torch.get_num_threads(),
        optimizer=args.optimizer,
    )
    protocol.serve(info, step.run, pipes) if args.rank == 0 else protocol.follow(step.run)


if __name__ == "__main__":
    main()
