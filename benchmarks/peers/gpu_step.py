#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/gpu_step.py: optimizer steps of GPT-2 124M in PyTorch on one GPU, served to a driver.
"""A step is what nanoGPT's loop does: copy the rows, set the learning rate, forward, mean loss, backward, clip to 1,
fused AdamW, drop the gradients; 12 layers, 768 wide, 12 heads, biases, tanh GELU, tied head, vocabulary 50304. `run K`
queues K steps, waits, and answers with their mean in us (see protocol.py). --way is bf16.py's: `autocast` keeps fp32
parameters and casts them in every step (nanoGPT's way), `copies` does what cohort does, `pure` has bf16 parameters only.
--tiny on the CPU tries the script itself."""

import argparse
import time

import torch

import bf16
import protocol
from nano_gpt import Config, decay_groups, warmup_cosine


class Step:
    def __init__(self, args):
        torch.manual_seed(1337)
        torch.set_float32_matmul_precision("high")
        self.device = args.device
        self.config = Config(vocab=50304, block=args.tokens, n_layer=12, n_head=12, channels=768, bias=True, gelu="tanh")
        if args.tiny:
            self.config = Config(vocab=64, block=args.tokens, n_layer=2, n_head=2, channels=32, bias=True, gelu="tanh")
        self.precision = bf16.Precision(self.config, args.way + "+sdpa", self.device)
        self.optimizer = torch.optim.AdamW(
            decay_groups(self.precision.trained, 0.1), lr=6e-4, betas=(0.9, 0.95), fused=True
        )
        self.model = torch.compile(self.precision.model) if args.compile else self.precision.model
        ids = min(50257, self.config.vocab)
        shape = (8, args.batch, args.tokens + 1)
        generator = torch.Generator().manual_seed(1)
        octave = torch.randint(ids.bit_length(), shape, generator=generator)  # as data/synthetic_tokens.hpp
        first = (1 << octave) - 1
        width = torch.minimum(first + 1, ids - first)
        self.batches = first + torch.randint(1 << 30, shape, generator=generator) % width
        if self.device == "cuda":
            self.batches = self.batches.pin_memory()
        self.done = 0

    def one(self):
        rows = self.batches[self.done % 8].to(self.device, non_blocking=True)
        for group in self.optimizer.param_groups:
            group["lr"] = warmup_cosine(self.done, 1 << 20, 700, 6e-4, 6e-5)
        loss = self.precision.loss(self.model, rows)
        loss.backward()
        self.precision.after_backward()
        torch.nn.utils.clip_grad_norm_(self.precision.masters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.follow()
        self.done += 1
        return loss

    def run(self, arguments):
        count = arguments[0]
        if count < 1:
            return []
        begin = time.perf_counter()
        for _ in range(count):
            loss = self.one()
        self.loss = loss.item()  # waits
        return [1e6 * (time.perf_counter() - begin) / count]


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--batch", type=int, default=32)
    parse.add_argument("--tokens", type=int, default=1024)
    parse.add_argument("--way", choices=["autocast", "copies", "pure"], default="autocast")
    parse.add_argument("--compile", action="store_true")
    parse.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parse.add_argument("--tiny", action="store_true", help="a tiny model, to try this script")
    args = parse.parse_args()
    step = Step(args)
    step.run([5])
    info = dict(
        torch=torch.__version__,
        gpu=torch.cuda.get_device_name() if args.device == "cuda" else "none",
        way=args.way,
        compile=args.compile,
        batch=args.batch,
        tokens=args.tokens,
        parameters=sum(p.numel() for p in step.precision.trained.parameters()),
        loss=step.loss,
        peak_bytes=torch.cuda.max_memory_allocated() if args.device == "cuda" else 0,
    )
    protocol.serve(info, step.run)


if __name__ == "__main__":
    main()
