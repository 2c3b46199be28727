# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/bf16.py: PyTorch's ways to train a Gpt in bf16 over fp32 masters.
"""A way is PRECISION+ATTENTION. Precisions: `autocast` (fp32 parameters, torch.autocast) and `copies` (model.to(bf16), fp32
masters updated and copied back, as cohort does); `pure` (model.to(bf16), no masters) is no way of WAYS: it is less work, and
updates are lost. Attentions: `sdpa` (in bf16; its backward on CPUs takes ten times fp32's time in PyTorch 2.15), `fp32` (the
same on widened queries, keys and values), `math` (PyTorch's unfused one in bf16)."""

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from nano_gpt import Attention, Gpt


def fp32_attention(q, k, v, is_causal):
    with torch.autocast("cpu", enabled=False):
        y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=is_causal)
    return y.to(q.dtype)


def math_attention(q, k, v, is_causal):
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)


ATTENTIONS = {"sdpa": Attention.core, "fp32": fp32_attention, "math": math_attention}
WAYS = [f"{p}+{a}" for p in ("autocast", "copies") for a in ATTENTIONS]


class Precision:
    """fp32 masters, and the model that forward and backward run, for a way or for fp32 (way "")."""

    def __init__(self, config, way, device="cpu", kind=Gpt):
        precision, attention = way.split("+") if way else ("", "sdpa")
        self.autocast, self.device = precision == "autocast", device
        self.trained = kind(config).to(device)
        if precision == "pure":
            self.trained.to(torch.bfloat16)
        self.masters = list(self.trained.parameters())
        self.model, self.copies = self.trained, None
        if precision == "copies":
            self.model = kind(config).to(device, torch.bfloat16)
            self.copies = list(self.model.parameters())
            self.follow()
        for module in self.model.modules():
            if isinstance(module, Attention):
                module.core = ATTENTIONS[attention]

    def loss(self, run, rows):
        """`run` is self.model, compiled or under DDP."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.autocast):
            return run(rows[:, :-1], rows[:, 1:])

    def after_backward(self):
        """Gives the masters their gradients."""
        if self.copies is not None:
            for master in self.masters:
                master.grad = torch.empty_like(master)
            torch._foreach_copy_([m.grad for m in self.masters], [p.grad for p in self.copies])

    @torch.no_grad()
    def follow(self):
        """Rounds the masters into the copies and drops all gradients."""
        if self.copies is not None:
            torch._foreach_copy_(self.copies, self.masters)
            for copy in self.copies:
                copy.grad = None
