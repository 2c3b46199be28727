# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/nano_gpt.py: nanoGPT's model, optimizer groups and schedule in plain PyTorch.
"""Shapes: B rows, T tokens, C channels, V vocabulary. Source: github.com/karpathy/nanoGPT, model.py and train.py."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab: int = 65
    block: int = 64
    n_layer: int = 4
    n_head: int = 4
    channels: int = 128
    bias: bool = False
    tied: bool = True
    gelu: str = "none"  # nn.GELU's `approximate`: "none" (erf) or "tanh"
    init: str = "nanogpt"  # or "torch": what nn.Linear (uniform) and nn.Embedding (normal 0, 1) do


class LayerNorm(nn.Module):
    """Layer norm with an optional bias; eps 1e-5."""

    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(c.channels))
        self.bias = nn.Parameter(torch.zeros(c.channels)) if c.bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Attention(nn.Module):
    """Causal self attention; c_attn's output is [q | k | v], each C wide, heads inside."""

    core = staticmethod(F.scaled_dot_product_attention)

    def __init__(self, c):
        super().__init__()
        self.n_head = c.n_head
        self.c_attn = nn.Linear(c.channels, 3 * c.channels, bias=c.bias)
        self.c_proj = nn.Linear(c.channels, c.channels, bias=c.bias)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            t.view(B, T, self.n_head, -1).transpose(1, 2) for t in self.c_attn(x).split(C, dim=2)
        )
        y = self.core(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c_fc = nn.Linear(c.channels, 4 * c.channels, bias=c.bias)
        self.gelu = nn.GELU(approximate=c.gelu)
        self.c_proj = nn.Linear(4 * c.channels, c.channels, bias=c.bias)

    def forward(self, x):
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln_1 = LayerNorm(c)
        self.attn = Attention(c)
        self.ln_2 = LayerNorm(c)
        self.mlp = Mlp(c)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """Returns the mean cross entropy of targets [B, T] given tokens [B, T]."""

    def __init__(self, c):
        super().__init__()
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(c.vocab, c.channels),
                wpe=nn.Embedding(c.block, c.channels),
                h=nn.ModuleList(Block(c) for _ in range(c.n_layer)),
                ln_f=LayerNorm(c),
            )
        )
        self.lm_head = nn.Linear(c.channels, c.vocab, bias=False)
        if c.tied:
            self.lm_head.weight = self.transformer.wte.weight
        for name, p in self.named_parameters() if c.init == "nanogpt" else ():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * c.n_layer))
            elif p.dim() >= 2:
                nn.init.normal_(p, 0.0, 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens, targets):
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.transformer.wte(tokens) + self.transformer.wpe(positions)
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def decay_groups(model, decay):
    """Weight decay for parameters of two or more dims (tied ones once), none for the others."""
    params = list(model.parameters())
    return [
        dict(params=[p for p in params if p.dim() >= 2], weight_decay=decay),
        dict(params=[p for p in params if p.dim() < 2], weight_decay=0.0),
    ]


def warmup_cosine(step, steps=2000, warmup=100, high=1e-3, low=1e-4):
    """nanoGPT's get_lr: linear to `high` over warmup steps, then half a cosine down to `low`."""
    if step < warmup:
        return high * (step + 1) / (warmup + 1)
    if step > steps:
        return low
    return low + 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (steps - warmup))) * (high - low)
