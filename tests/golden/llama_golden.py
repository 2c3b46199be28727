#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/llama_golden.py: PyTorch's values for Llama's attention, in float64.
"""Writes llama.bin beside this script, with the names of ops_golden.py and no float32 results. Rotary positions are written
here as Hugging Face's Llama has them (rotate_half); attention is PyTorch's scaled_dot_product_attention with enable_gqa.
Case
  attention   x [2, 9, 16], qkv [48, 16] = rows of q_proj (4 heads of 6), k_proj, v_proj (2 each) and bias [48], projection
              [16, 24], dy [2, 9, 16] -> y, and the gradient of each
Run: python llama_golden.py      (needs PyTorch; the file is committed, tests do not run this)"""

import torch
from torch.nn import functional as F

import golden_file
from ops_golden import HERE, arrays, case, differentiable, normal

B, T, C = 2, 9, 16
HEADS, KV_HEADS, HEAD_DIM, BASE = 4, 2, 6, 10000.0


def turned(x):
    """x [B, heads, T, HEAD_DIM] at positions 0, 1, ...: x cos + rotate_half(x) sin."""
    pairs = HEAD_DIM // 2
    frequencies = BASE ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
    angles = torch.outer(torch.arange(x.shape[2], dtype=torch.float64), frequencies)
    cos, sin = (f(torch.cat([angles, angles], -1)).to(x.dtype) for f in (torch.cos, torch.sin))
    half = torch.cat([-x[..., pairs:], x[..., :pairs]], -1)
    return x * cos + half * sin


def attend(x, qkv, bias, projection):
    def heads(t, n):
        return t.view(B, T, n, HEAD_DIM).transpose(1, 2)

    width = HEADS * HEAD_DIM
    q, k, v = F.linear(x, qkv, bias).split([width, KV_HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM], -1)
    q, k = turned(heads(q, HEADS)), turned(heads(k, KV_HEADS))
    y = F.scaled_dot_product_attention(q, k, heads(v, KV_HEADS), is_causal=True, enable_gqa=True)
    return F.linear(y.transpose(1, 2).reshape(B, T, width), projection)


def attention():
    qkv_width = (HEADS + 2 * KV_HEADS) * HEAD_DIM
    case(
        "attention",
        dict(
            x=normal(B, T, C),
            qkv=normal(qkv_width, C, scale=0.4),
            bias=normal(qkv_width, scale=0.4),
            projection=normal(C, HEADS * HEAD_DIM, scale=0.3),
            dy=normal(B, T, C),
        ),
        differentiable(attend, ["x", "qkv", "bias", "projection"]),
    )


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    attention()
    golden_file.write(HERE / "llama.bin", {}, {k: v for k, v in arrays.items() if ".f32." not in k})


if __name__ == "__main__":
    main()
