#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/gpu_ops.py: the ops of benchmarks/gpu/{ops,attention}.cu in PyTorch, timed the same way. JSON lines.
"""Each op is captured into a CUDA graph, over buffers taken in turn so that the cache does not hold them, and replayed;
the median of the replays is printed as {"metric", "way", "us"}. Ways: `eager` (PyTorch's own kernels), `compile` (torch.compile
of the same lines), and for attention `flash` and `cudnn` (SDPA's backends). --tiny on the CPU tries the script itself."""

import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

BF16 = torch.bfloat16


class Timer:
    """Everything runs on one stream: autograd walks back on the stream of the forward pass, and that must be the one
    that is captured."""

    def __init__(self, args):
        self.device, self.tiny, self.compiles = args.device, args.tiny, not args.no_compile
        self.stream = torch.cuda.Stream() if args.device == "cuda" else None

    def copies(self, size):
        """How many buffers make four times a cache of 60 MB, for calls that move so many bytes each."""
        return 2 if self.tiny else max(1, math.ceil(256e6 / size))

    def normal(self, *shape, dtype=BF16, scale=1.0, centre=0.0):
        return torch.randn(*shape, device=self.device).mul_(scale).add_(centre).to(dtype)

    def median_us(self, f, copies):
        if self.device == "cpu":
            return self.replays_us(lambda: [f(turn) for turn in range(copies)], copies, 3)
        for _ in range(3):  # compiles, chooses algorithms
            for turn in range(copies):
                f(turn)
        once = self.graph_us(f, copies, copies, 3)
        turns = copies * max(1, math.ceil(2e3 / (once * copies)))
        return self.graph_us(f, copies, turns, min(51, max(9, int(1e5 / (once * turns)))))

    def graph_us(self, f, copies, turns, replays):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            for turn in range(turns):
                f(turn % copies)
        graph.replay()
        return self.replays_us(graph.replay, turns, replays)

    def replays_us(self, replay, turns, replays):
        times = []
        for _ in range(replays):
            if self.device == "cpu":
                begin = time.perf_counter()
                replay()
                times.append(1e6 * (time.perf_counter() - begin) / turns)
                continue
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            replay()
            end.record()
            end.synchronize()
            times.append(1e3 * begin.elapsed_time(end) / turns)
        return statistics.median(times)

    def report(self, metric, way, f, copies):
        """Times f(turn); a way that this PyTorch or GPU does not offer is named on stderr and left out."""
        try:
            us = self.median_us(f, copies)
        except (RuntimeError, NotImplementedError) as error:
            print(f"{metric} {way}: {str(error).splitlines()[0]}", file=sys.stderr)
            return
        print(json.dumps(dict(metric=metric, way=way, us=us)), flush=True)

    def ways(self, f):
        yield "eager", f
        if self.compiles:
            yield "compile", torch.compile(f)


def copy(t):
    n = 1024 if t.tiny else 1 << 29
    a, b = t.normal(n, dtype=torch.float32), torch.empty(n, device=t.device)
    t.report("copy", "eager", lambda turn: b.copy_(a), 1)


def matmul(t):
    m = 64 if t.tiny else 8192
    a, b = [t.normal(m, m) for _ in range(2)], [t.normal(m, m) for _ in range(2)]
    d = [torch.empty(m, m, dtype=BF16, device=t.device) for _ in range(2)]
    t.report("matmul_8192", "eager", lambda i: torch.mm(a[i], b[i].t(), out=d[i]), 2)


def adamw(t, metric, n):
    """One flat parameter, which suits PyTorch's fused kernel best. It writes no bf16 copies."""
    p = torch.nn.Parameter(t.normal(n, dtype=torch.float32))
    p.grad = t.normal(n, dtype=torch.float32, scale=1e-3)
    more = dict(capturable=True) if t.device == "cuda" else {}
    optimizer = torch.optim.AdamW([p], lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True, **more)
    optimizer.step()
    t.report(metric, "fused", lambda turn: optimizer.step(), 1)


def grad_norm(t, n):
    g = t.normal(n, dtype=torch.float32, scale=1e-3)
    for way, f in t.ways(lambda: torch.linalg.vector_norm(g)):
        t.report("grad_norm_124m", way, lambda turn, f=f: f(), 1)


def backward_of(y, inputs, dy):
    """Only the backward pass: the graph is kept and walked again."""
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def forward_and_backward(t, metric, f, inputs, dy, shared=()):
    """f(x) of each of inputs, then the gradient of each; shared parameters get theirs too."""
    for way, run in t.ways(f):

        def forward(turn, run=run):
            with torch.no_grad():
                return run(inputs[turn])

        t.report(metric.format("forward"), way, forward, len(inputs))
        try:
            passes = [backward_of(run(x), [x, *shared], g) for x, g in zip(inputs, dy)]
        except RuntimeError as error:
            print(f"{metric} {way}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        t.report(metric.format("backward"), way, lambda turn, p=passes: p[turn](), len(inputs))


def layer_norm(t, width, rows):
    rows = 8 if t.tiny else rows
    copies = t.copies(4.0 * rows * width)
    x = [t.normal(rows, width).requires_grad_() for _ in range(copies)]
    dy = [t.normal(rows, width) for _ in range(copies)]
    w = t.normal(width, scale=0.1, centre=1.0).requires_grad_()
    b = t.normal(width).requires_grad_()
    metric = f"layer_norm_{{}}_{width}"
    forward_and_backward(t, metric, lambda v: F.layer_norm(v, (width,), w, b, 1e-5), x, dy, [w, b])


def cross_entropy(t, rows):
    """Loss and gradient together, in fp32 over bf16 logits, as under autocast."""
    rows, ids = (8, 64) if t.tiny else (rows, 50304)
    copies = t.copies(4.0 * rows * ids)
    logits = [t.normal(rows, ids, scale=2.0).requires_grad_() for _ in range(copies)]
    targets = [torch.randint(ids - 7, (rows,), device=t.device) for _ in range(copies)]
    for way, f in t.ways(lambda x, y: F.cross_entropy(x.float(), y, reduction="sum")):

        def both(turn, f=f):
            torch.autograd.grad(f(logits[turn], targets[turn]), logits[turn])

        t.report("cross_entropy_50304", way, both, copies)


def linear(t, width, out, rows):
    rows = 8 if t.tiny else rows
    copies = t.copies(2.0 * rows * (width + out))
    x = [t.normal(rows, width).requires_grad_() for _ in range(copies)]
    dy = [t.normal(rows, out) for _ in range(copies)]
    w = t.normal(out, width, scale=0.02).requires_grad_()
    b = t.normal(out).requires_grad_()
    metric = f"linear_{{}}_{width}_{out}"
    forward_and_backward(t, metric, lambda v: F.linear(v, w, b), x, dy, [w, b])


def attention(t, heads, kv_heads, dim, samples, tokens):
    samples, tokens_ = (2, 16) if t.tiny else (samples, tokens)
    all_heads = heads + 2 * kv_heads
    copies = t.copies(2.0 * samples * tokens_ * (heads + all_heads) * dim)
    packed = [t.normal(samples, tokens_, all_heads, dim).requires_grad_() for _ in range(copies)]
    dy = [t.normal(samples, tokens_, heads, dim).transpose(1, 2) for _ in range(copies)]
    shared = kv_heads < heads

    def attend(qkv):
        q, k, v = (x.transpose(1, 2) for x in qkv.split([heads, kv_heads, kv_heads], 2))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=shared)

    kind = "attention_shared" if shared else "attention"
    backends = dict(flash=SDPBackend.FLASH_ATTENTION, cudnn=SDPBackend.CUDNN_ATTENTION)
    for way, backend in backends.items() if t.device == "cuda" else [("math", SDPBackend.MATH)]:
        with sdpa_kernel(backend):
            metric = f"{kind}_forward_{dim}_{tokens}"
            t.report(metric, way, lambda turn: attend(packed[turn].detach()), copies)
            try:
                passes = [backward_of(attend(x), [x], g) for x, g in zip(packed, dy)]
            except RuntimeError as error:
                print(f"attention {way}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            metric = f"{kind}_backward_{dim}_{tokens}"
            t.report(metric, way, lambda turn, p=passes: p[turn](), copies)


def rope(t, heads, kv_heads, dim, samples, tokens):
    """Hugging Face's rotate_half with tables of sines and cosines that are there already, values left alone."""
    samples, tokens_ = (2, 16) if t.tiny else (samples, tokens)
    turned, pairs = heads + kv_heads, dim // 2
    copies = t.copies(4.0 * samples * tokens_ * turned * dim)
    x = [t.normal(samples, tokens_, turned + kv_heads, dim) for _ in range(copies)]
    frequencies = 500000.0 ** (-torch.arange(pairs, device=t.device, dtype=torch.float32) / pairs)
    angles = torch.outer(torch.arange(tokens_, device=t.device, dtype=torch.float32), frequencies)
    cos, sin = (f(torch.cat([angles, angles], -1))[:, None].to(BF16) for f in (torch.cos, torch.sin))

    def turn_half(v):
        q = v[:, :, :turned]
        return q * cos + torch.cat([-q[..., pairs:], q[..., :pairs]], -1) * sin

    for way, f in t.ways(turn_half):
        t.report(f"rope_{dim}_{tokens}", way, lambda turn, f=f: f(x[turn]), copies)


def memory_and_products(t):
    gpt2, eighth = (1024, 512) if t.tiny else (124475904, 1557686400 // 8)
    copy(t)
    matmul(t)
    adamw(t, "adamw_124m", gpt2)
    adamw(t, "adamw_1558m_eighth_copies", eighth)
    grad_norm(t, gpt2)
    layer_norm(t, 768, 32 * 1024)
    layer_norm(t, 1600, 16 * 1024)
    cross_entropy(t, 16 * 1024)
    for width, out in ((768, 2304), (768, 768), (768, 3072), (3072, 768)):
        linear(t, width, out, 32 * 1024)


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parse.add_argument("--tiny", action="store_true", help="tiny shapes, to try this script")
    parse.add_argument("--no-compile", action="store_true")
    parse.add_argument("--only", default="", help="ops or attention")
    args = parse.parse_args()
    if not args.no_compile:
        import torch._functorch.config as functorch

        functorch.donated_buffer = False  # backward passes are walked more than once
    t = Timer(args)
    name = torch.cuda.get_device_name() if args.device == "cuda" else "none"
    print(json.dumps(dict(torch=torch.__version__, gpu=name)), flush=True)
    with torch.cuda.stream(t.stream):  # nothing without a GPU
        if args.only != "attention":
            memory_and_products(t)
        if args.only != "ops":
            attention(t, 12, 12, 64, 32, 1024)
            attention(t, 12, 12, 64, 8, 4096)
            attention(t, 8, 8, 128, 16, 1024)
            attention(t, 8, 8, 128, 4, 4096)
            attention(t, 32, 8, 128, 1, 4096)
            rope(t, 32, 8, 128, 1, 4096)


if __name__ == "__main__":
    main()
