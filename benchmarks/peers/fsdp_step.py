#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/fsdp_step.py: cpu_step.py's training step in PyTorch under FSDP2 (fully_shard) with gloo.
"""Every block is a group, the rest of the model the root, as cohort's FullShard has it; parameters are freed after forward but
the root's. One thread a rank. `run K` answers with the times of K steps on rank 0 (see protocol.py). The optimizer is the
fastest of foreach, fused and for-loop on sharded parameters, timed by whole steps at the start, unless one is named."""

import argparse
import statistics
import time

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import cpu_step
import protocol
from nano_gpt import Gpt, decay_groups


class Step(cpu_step.Step):
    def __init__(self, args):
        args.optimizer = args.optimizer or "fused"
        super().__init__(argparse.Namespace(**{**vars(args), "ranks": 1, "compile": False}))
        self.model = Gpt(self.config)
        mesh = init_device_mesh("cpu", (args.ranks,))
        for block in self.model.transformer.h:
            fully_shard(block, mesh=mesh)
        fully_shard(self.model, mesh=mesh)
        self.params = list(self.model.parameters())
        self.use(args.optimizer)

    def use(self, name):
        options = cpu_step.OPTIMIZERS[name]
        groups = decay_groups(self.model, 0.1)
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), **options)

    def choose(self):
        """Times steps with every implementation, on all ranks alike, and keeps rank 0's fastest; returns (name, times)."""
        times = {}
        for name in cpu_step.OPTIMIZERS:
            self.use(name)
            times[name] = round(statistics.median(self.run([13])[3:]), 1)
        best = [min(times, key=times.get)]
        torch.distributed.broadcast_object_list(best)
        self.use(best[0])
        return best[0], times


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--ranks", type=int, default=2)
    parse.add_argument("--batch", type=int, default=12, help="rows of 64 tokens a rank")
    parse.add_argument("--optimizer", choices=cpu_step.OPTIMIZERS)
    parse.add_argument("--rank", type=int, default=0, help="set by rank 0 for the ranks it starts")
    parse.add_argument("--store", default="", help="likewise")
    args = parse.parse_args()
    torch.set_num_threads(1)
    chosen = args.optimizer
    pipes = protocol.start_world(args.ranks, args.rank, args.store)
    step = Step(args)
    step.run([5])
    name, times = (chosen, {}) if chosen else step.choose()
    info = dict(
        torch=torch.__version__,
        ranks=args.ranks,
        threads=torch.get_num_threads(),
        optimizer=name,
        optimizer_us=times,
        tokens_per_step=args.ranks * args.batch * step.config.block,
    )
    protocol.serve(info, step.run, pipes) if args.rank == 0 else protocol.follow(step.run)


if __name__ == "__main__":
    main()
