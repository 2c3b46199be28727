# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/llama.py: a small Llama in plain PyTorch, with the loss of nano_gpt.py.
"""RMSNorm, rotary positions, query heads that share key heads, SwiGLU, no biases. Products that read the same rows are one, and
tables of sines and cosines are made once. Source: arXiv:2302.13971; positions as Hugging Face's Llama has them."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class LlamaConfig:
    vocab: int = 65
    block: int = 64
    n_layer: int = 4
    n_head: int = 4
    n_kv_head: int = 2
    channels: int = 128
    gates: int = 352
    base: float = 500000.0


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.dim = c.n_head, c.n_kv_head, c.channels // c.n_head
        width = (self.heads + 2 * self.kv_heads) * self.dim
        self.qkv = nn.Linear(c.channels, width, bias=False)
        self.projection = nn.Linear(c.channels, c.channels, bias=False)

    def forward(self, x, cos, sin):
        B, T, C = x.shape
        q, k, v = (
            t.view(B, T, -1, self.dim).transpose(1, 2)
            for t in self.qkv(x).split([n * self.dim for n in (self.heads, self.kv_heads, self.kv_heads)], -1)
        )
        q, k = (t * cos + torch.cat([-t[..., self.dim // 2 :], t[..., : self.dim // 2]], -1) * sin for t in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.projection(y.transpose(1, 2).reshape(B, T, C))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm_1, self.norm_2 = (nn.RMSNorm(c.channels, eps=1e-5) for _ in range(2))
        self.attention = Attention(c)
        self.gate_up = nn.Linear(c.channels, 2 * c.gates, bias=False)
        self.down = nn.Linear(c.gates, c.channels, bias=False)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.norm_1(x), cos, sin)
        gate, up = self.gate_up(self.norm_2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    """Returns the mean cross entropy of targets [B, T] given tokens [B, T]."""

    def __init__(self, c):
        super().__init__()
        self.table = nn.Embedding(c.vocab, c.channels)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.n_layer))
        self.norm = nn.RMSNorm(c.channels, eps=1e-5)
        self.head = nn.Linear(c.channels, c.vocab, bias=False)
        pairs = c.channels // c.n_head // 2
        frequencies = c.base ** (-torch.arange(pairs) / pairs)
        angles = torch.outer(torch.arange(c.block, dtype=torch.float32), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens, targets):
        x = self.table(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))
