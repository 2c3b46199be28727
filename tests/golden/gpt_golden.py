#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/gpt_golden.py: 20 clipped AdamW steps of two small GPTs, in float32 and in float64.
"""Writes, beside this script, for each variant (`tied`: no biases, erf GELU, head tied to wte; `untied`: biases, tanh
GELU, own head; `frozen`: untied, with wte and every first branch of a block frozen, from untied's start file):
  gpt_<variant>_start.bin   notes: the configuration; arrays: start.<name> f32, tokens b [steps, rows, block + 1]
                            (inputs are [..., :-1], targets [..., 1:])
  gpt_<variant>_result.bin  loss32, loss64, norm32, norm64 (float64 [steps]; mean loss before the update, gradient norm
                            before clipping), final32.<name> f32, error32.<name> f32 = float32(final32 - final64),
                            distances (float64 [9, 6]: how far float32 is from float64, see distance(); first this run,
                            then eight that permute the rows of every batch, which shows how much is luck)
  gpt_<variant>_grad.bin    grad.<name> f32: the float64 gradient of step 0's mean loss, before clipping, rounded once
final64 is final32 - error32 in float64: exact to about 1e-7 of the error itself.
Names and layouts are nanoGPT's: a Linear's weight is [out, in], c_attn's output is [q | k | v].
Run: python gpt_golden.py [variant...]      (needs PyTorch; the files are committed, tests do not run this)"""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks" / "peers"))
import golden_file  # noqa: E402
from nano_gpt import Config, Gpt, decay_groups  # noqa: E402

STEPS, ROWS, LR, BETAS, EPS, DECAY = 20, 12, 1e-3, (0.9, 0.99), 1e-8, 0.1
CLIP = {"tied": 1.3125, "untied": 1.3125, "frozen": 1.09375}
VARIANTS = {
    "tied": Config(vocab=61, block=16, n_layer=2, n_head=2, channels=32),
    "untied": Config(
        vocab=61, block=16, n_layer=2, n_head=2, channels=32, bias=True, tied=False, gelu="tanh"
    ),
}
VARIANTS["frozen"] = VARIANTS["untied"]


def is_frozen(variant, name):
    return variant == "frozen" and any(part in name for part in (".wte.", ".ln_1.", ".attn."))


def make_tokens(config, seed=5):
    """Rows that a model can learn: each token follows from the one before, one time in four it is random."""
    g = torch.Generator().manual_seed(seed)
    rows = torch.empty(STEPS, ROWS, config.block + 1, dtype=torch.long)
    rows[..., 0] = torch.randint(config.vocab, (STEPS, ROWS), generator=g)
    for t in range(config.block):
        noise = torch.randint(config.vocab, (STEPS, ROWS), generator=g)
        random = torch.rand(STEPS, ROWS, generator=g) < 0.25
        rows[..., t + 1] = torch.where(random, noise, (rows[..., t] * 7 + 3) % config.vocab)
    return rows


def make_model(config, seed=11):
    """nanoGPT's initialisation, four times as wide, so that the gradient norm is above CLIP[variant] in some steps and below
    in others; biases and norm weights off their usual 0 and 1."""
    torch.manual_seed(seed)
    model = Gpt(config)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(4.0) if p.dim() >= 2 else p.add_(0.05 * torch.randn_like(p))
    return model


def train(variant, start, tokens, dtype):
    """Returns (losses, norms, gradients of step 0, final parameters), the last two of what is trained."""
    model = make_model(VARIANTS[variant]).to(dtype)
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, p in named.items():
            p.copy_(start[name])
            p.requires_grad_(not is_frozen(variant, name))
    named = {n: p for n, p in named.items() if p.requires_grad}
    optimizer = torch.optim.AdamW(
        decay_groups(model, DECAY), lr=LR, betas=BETAS, eps=EPS, foreach=False
    )
    losses, norms, first = [], [], None
    for rows in tokens:
        optimizer.zero_grad(set_to_none=True)
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        first = first or {n: p.grad.clone() for n, p in named.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP[variant]).item())
        losses.append(loss.item())
        optimizer.step()
    double = lambda values: torch.tensor(values, dtype=torch.float64)  # noqa: E731
    return double(losses), double(norms), first, {n: p.detach() for n, p in named.items()}


def without_key_bias(params, config):
    """The key third of c_attn.bias has no true gradient (softmax ignores it): Adam turns its rounding into steps."""
    keep = torch.ones(3 * config.channels, dtype=torch.float64)
    keep[config.channels : 2 * config.channels] = 0
    return {
        n: p.double() * keep if n.endswith("c_attn.bias") else p.double() for n, p in params.items()
    }


def distance(run, exact, config):
    """[loss rms, loss max, norm rms, norm max, parameter rms, parameter max] of a float32 run's errors."""
    a, b = without_key_bias(run[3], config), without_key_bias(exact[3], config)
    errors = run[0] - exact[0], run[1] - exact[1], torch.cat([(a[n] - b[n]).flatten() for n in b])
    return torch.stack(
        [
            f(e)
            for e in errors
            for f in (lambda e: e.square().mean().sqrt(), lambda e: e.abs().max())
        ]
    )


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    for variant in sys.argv[1:] or VARIANTS:
        config = VARIANTS[variant]
        tokens = make_tokens(config)
        start = {n: p.detach().clone() for n, p in make_model(config).named_parameters()}
        run, exact = (train(variant, start, tokens, d) for d in (torch.float32, torch.float64))
        (loss32, norm32, _, final32), (loss64, norm64, grad, final64) = run, exact
        distances = [distance(run, exact, config)]
        for seed in range(8):
            rows = torch.randperm(ROWS, generator=torch.Generator().manual_seed(seed))
            distances.append(
                distance(train(variant, start, tokens[:, rows], torch.float32), exact, config)
            )
        notes = dict(
            variant=variant,
            **vars(config),
            steps=STEPS,
            rows=ROWS,
            lr=LR,
            beta1=BETAS[0],
            beta2=BETAS[1],
            eps=EPS,
            decay=DECAY,
            clip=CLIP[variant],
            layer_norm_eps=1e-5,
        )
        error32 = {n: (final32[n].double() - final64[n]).float() for n in final64}
        if variant != "frozen":
            golden_file.write(
                HERE / f"gpt_{variant}_start.bin",
                notes,
                {**{f"start.{n}": p for n, p in start.items()}, "tokens": tokens.to(torch.uint8)},
            )
        golden_file.write(
            HERE / f"gpt_{variant}_result.bin",
            notes,
            {
                "loss32": loss32,
                "loss64": loss64,
                "norm32": norm32,
                "norm64": norm64,
                "distances": torch.stack(distances),
                **{f"final32.{n}": p for n, p in final32.items()},
                **{f"error32.{n}": e for n, e in error32.items()},
            },
        )
        golden_file.write(
            HERE / f"gpt_{variant}_grad.bin",
            notes,
            {f"grad.{n}": g.float() for n, g in grad.items()},
        )
        print(
            variant,
            "loss",
            loss64[0].item(),
            "->",
            loss64[-1].item(),
            "clipped",
            (norm64 > CLIP[variant]).int().tolist(),
        )
        print("  float32's distances", distances[0].tolist(), "\n  times that, with rows permuted:")
        for other in distances[1:]:
            print("   ", " ".join(f"{r:.2f}" for r in other / distances[0]))


if __name__ == "__main__":
    main()
