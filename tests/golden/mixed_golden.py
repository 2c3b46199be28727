#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/mixed_golden.py: the GPTs of gpt_golden.py trained in bf16 and in fp16 over fp32 masters.
"""Start, rows, optimizer and the float64 run are those of gpt_golden.py (gpt_<variant>_{start,grad,result}.bin); this
script adds what 16 bits do to them. Writes, beside this script:
  mixed_bf16_<variant>.bin  2 ranks, 20 steps, gradients added over ranks in fp32
  mixed_bf16_reduced.bin    the tied variant, gradients added over ranks in bf16
      loss, norm (float64 [20]; mean loss, norm of the mean gradient before clipping), grad.<name> f32: the gradient
      of the sum over all rows of step 0, as reduced; final.<name> f32: the masters;
      distances (float64 [4, 6]: how far from the float64 run, as distance() of gpt_golden.py says. Row 0 is this run,
      row 1 the same with float64 inside the operations, row 2 with float32 roundings added inside, row 3 the same
      model with PyTorch's own bf16 operations, its gradients rounded to bf16 each);
      noise (float64 [2, 3]: how far rows 1 and 2 are from row 0, which is as far as correct programs are apart:
      root mean square over all final parameters; gradients, |difference| / |gradient|, the worst tensor and the mean)
  mixed_fp16.bin            the tied variant in fp16 on 3 ranks under torch.amp.GradScaler, reduced in fp16: 30 steps,
      in some of which (note overflows) rank 1's loss gradient holds an infinity
      scale (float64 [30], that of each step), skipped (u8 [30]), good (i32 [30], after each step), loss and
      norm as above (norm 0 where skipped), final.<name>,
      noise (float64 [2, 3]: as above, the parameters; root mean square over the losses, over the norms)
What is rounded: parameters once a step, to nearest, from fp32 masters; every result of a layer; every gradient of one.
What is not: anything inside an operation (statistics, softmax, cross entropy, sums of products) and the gradients of
parameters, which are fp32 sums over a rank's rows. 16-bit values are added over ranks in fp32 and rounded once.
Run: python mixed_golden.py      (needs PyTorch; the files are committed, tests do not run this)"""

import sys

import torch
from torch.nn import functional as F

import golden_file
import gpt_golden
from gpt_golden import BETAS, CLIP, DECAY, EPS, HERE, LR, ROWS, VARIANTS

SCALE = dict(init_scale=2.0**12, growth_factor=2.0, backoff_factor=0.5, growth_interval=4)
OVERFLOWS, FP16_STEPS = (2, 9, 10, 16, 23), 30  # steps, from 0


class Rounded(torch.autograd.Function):
    """A master's value in the compute type, held in the type of the arithmetic; its gradient is not rounded."""

    @staticmethod
    def forward(ctx, master, compute, inside):
        return master.to(compute).to(inside)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.float(), None, None


class Model:
    """nano_gpt.py's Gpt with every rounding written out: a result is computed in `inside` from values of type `compute`
    and rounded by .to(compute); autograd rounds the gradient of .to(inside) the same way."""

    def __init__(self, config, masters, compute, inside):
        self.config, self.compute, self.inside = config, compute, inside
        self.p = {n: Rounded.apply(m, compute, inside) for n, m in masters.items()}

    def layer(self, name, f, *x):
        w, b = self.p[name + ".weight"], self.p.get(name + ".bias")
        return f(*(v.to(self.inside) for v in x), w, b).to(self.compute)

    def dense(self, name, x):
        return self.layer(name, F.linear, x)

    def norm(self, name, x):
        return self.layer(name, lambda x, w, b: F.layer_norm(x, w.shape, w, b, 1e-5), x)

    def gelu(self, x):
        return F.gelu(x.to(self.inside), approximate=self.config.gelu).to(self.compute)

    def attention(self, qkv):
        B, T, C = qkv.shape[0], qkv.shape[1], self.config.channels
        q, k, v = (
            t.view(B, T, self.config.n_head, -1).transpose(1, 2)
            for t in qkv.to(self.inside).split(C, dim=2)
        )
        hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(hidden, float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C).to(self.compute)

    def logits(self, tokens):
        t = "transformer."
        x = self.layer(t + "wte", lambda w, b: F.embedding(tokens, w))
        x = self.layer(t + "wpe", lambda x, w, b: x + w[: tokens.shape[1]], x)
        for i in range(self.config.n_layer):
            h = f"{t}h.{i}."
            y = self.attention(self.dense(h + "attn.c_attn", self.norm(h + "ln_1", x)))
            x = x + self.dense(h + "attn.c_proj", y)
            y = self.gelu(self.dense(h + "mlp.c_fc", self.norm(h + "ln_2", x)))
            x = x + self.dense(h + "mlp.c_proj", y)
        return self.dense(t + "wte" if self.config.tied else "lm_head", self.norm(t + "ln_f", x))

    def loss(self, rows):
        """The sum over all rows."""
        y = self.logits(rows[:, :-1]).to(self.inside)
        return F.cross_entropy(y.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")


class Stock:
    """nano_gpt.py's Gpt cast to the compute type: PyTorch's own 16-bit operations, cross entropy in float32."""

    def __init__(self, config, masters, compute, inside):
        self.model = gpt_golden.Gpt(config).to(compute)
        self.model.lm_head.register_forward_hook(lambda module, x, y: setattr(self, "y", y))
        self.state = {n: m.to(compute) for n, m in masters.items()}

    def loss(self, rows):
        torch.func.functional_call(self.model, self.state, (rows[:, :-1], rows[:, 1:]))
        return F.cross_entropy(self.y.float().flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")


class Shaken(Model):
    """Model with what a correct program may do otherwise: results that are not exact are off by some float32 roundings
    (four, normally distributed) before they are rounded to the compute type."""

    def shake(self, y):
        return y * (1 + 2.0**-22 * torch.randn_like(y))

    def dense(self, name, x):
        return self.layer(name, lambda *x: self.shake(F.linear(*x)), x)

    def norm(self, name, x):
        return self.layer(name, lambda x, w, b: self.shake(F.layer_norm(x, w.shape, w, b, 1e-5)), x)

    def gelu(self, x):
        y = F.gelu(x.to(self.inside), approximate=self.config.gelu)
        return self.shake(y).to(self.compute)


def power_of_two(n):
    return 2.0 ** round(torch.tensor(float(n)).log2().item())


def reduce(gradients, how):
    """The sum over ranks, in the order of cohort's tree for up to three ranks: (0 + 1) + 2."""
    if how == torch.float32:
        return sum(gradients)
    ranks, p = len(gradients), 1
    while how == torch.float16 and ranks % p == 0 and ranks // p > p:
        p *= 2  # what FSDP2 divides by before it adds fp16 gradients
    return sum((g / p).to(how).float() for g in gradients).to(how).float() * p


class Run:
    """A training of N simulated ranks; step() returns (mean loss, norm, reduced gradients of the sum)."""

    def __init__(self, variant, compute, how, ranks, kind=Model, inside=torch.float32, scaler=None):
        self.variant, self.compute, self.how, self.ranks = variant, compute, how, ranks
        self.kind, self.inside, self.scaler = kind, inside, scaler
        model = gpt_golden.make_model(VARIANTS[variant])
        self.masters = dict(model.named_parameters())
        self.optimizer = torch.optim.AdamW(
            gpt_golden.decay_groups(model, DECAY), lr=LR, betas=BETAS, eps=EPS, foreach=False
        )

    def rank(self, rows, factor, broken):
        model = self.kind(VARIANTS[self.variant], self.masters, self.compute, self.inside)
        loss = model.loss(rows)
        scaled = loss * factor
        if broken:
            scaled = scaled + float("inf") * model.logits(rows[:1, :-1])[0, 0, 0].float()
        return loss.item(), torch.autograd.grad(scaled, list(self.masters.values()))

    def step(self, rows, overflow=False):
        mine = len(rows) // self.ranks
        weight, factor = rows[:, 1:].numel(), 1.0
        if self.scaler:
            factor = self.scaler.get_scale() / power_of_two(weight // self.ranks)
        parts = [
            self.rank(rows[r * mine : (r + 1) * mine], factor, overflow and r == 1)
            for r in range(self.ranks)
        ]
        total = [reduce(g, self.how) for g in zip(*(g for _, g in parts))]
        back = self.scaler.get_scale() / factor if self.scaler else 1.0
        for p, g in zip(self.masters.values(), total):
            p.grad = g * back / weight  # the mean, still multiplied by the loss scale
        if self.scaler:
            self.scaler.scale(torch.zeros(()))  # makes its state, as a first scaled loss would
            self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.masters.values(), CLIP[self.variant]).item()
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        return sum(loss for loss, _ in parts) / weight, norm, dict(zip(self.masters, total))

    def final(self):
        return {n: p.detach() for n, p in self.masters.items()}


def train(rows, *args, **kwargs):
    """(losses, norms, step 0's gradients, final parameters), as gpt_golden.train."""
    run = Run(*args, **kwargs)
    losses, norms, gradients = zip(*(run.step(batch) for batch in rows))
    double = lambda values: torch.tensor(values, dtype=torch.float64)  # noqa: E731
    return double(losses), double(norms), gradients[0], run.final()


def apart(a, b, config):
    """Root mean square of the difference of two runs' parameters."""
    a, b = (gpt_golden.without_key_bias(x, config) for x in (a, b))
    return torch.cat([(a[n] - b[n]).flatten() for n in a]).square().mean().sqrt()


def relative(a, b, config):
    """|a - b| / |b| of each tensor."""
    a, b = (gpt_golden.without_key_bias(x, config) for x in (a, b))
    return torch.stack([(a[n] - b[n]).norm() / b[n].norm() for n in a])


def noise(run, other, config):
    r = relative(other[2], run[2], config)
    return torch.stack([apart(other[3], run[3], config), r.max(), r.mean()])


def say(what, a, b, config):
    """In units of bf16's rounding, 2^-8."""
    r = 256 * relative(a, b, config)
    print(f"  gradients of {what}: {r.min():.3f} to {r.max():.3f}, mean {r.mean():.3f} times 2^-8")


def notes_of(variant, **more):
    return dict(variant=variant, rows=ROWS, lr=LR, beta1=BETAS[0], beta2=BETAS[1], eps=EPS,
                decay=DECAY, clip=CLIP[variant], **more)  # fmt: skip


def write_bf16(file, variant, how):
    config, bf16 = VARIANTS[variant], torch.bfloat16
    rows = gpt_golden.make_tokens(config)
    start = {n: p.detach().clone() for n, p in gpt_golden.make_model(config).named_parameters()}
    exact = gpt_golden.train(variant, start, rows, torch.float64)
    run = train(rows, variant, bf16, how, 2)
    double = train(rows, variant, bf16, how, 2, inside=torch.float64)
    shaken = train(rows, variant, bf16, how, 2, kind=Shaken)
    stock = train(rows, variant, bf16, how, 2, kind=Stock)
    others = (double, shaken, stock)
    distances = [gpt_golden.distance(r, exact, config) for r in (run, *others)]
    golden_file.write(
        HERE / f"mixed_bf16_{file}.bin",
        notes_of(variant, steps=len(rows), ranks=2),
        {
            "loss": run[0],
            "norm": run[1],
            "distances": torch.stack(distances),
            "noise": torch.stack([noise(run, r, config) for r in others[:2]]),
            **{f"grad.{n}": g for n, g in run[2].items()},
            **{f"final.{n}": p for n, p in run[3].items()},
        },
    )
    mean = {n: g.double() / rows[0, :, 1:].numel() for n, g in run[2].items()}
    say("the run from float64", mean, exact[2], config)
    for name, other in zip(("float64 inside", "shaken", "stock"), others):
        say(f"{name} from the run", other[2], run[2], config)
        print(f"    parameters: {apart(other[3], run[3], config):.3g}")
    for name, d in zip(("run", "float64 inside", "shaken", "stock"), distances):
        print(f"  distances from float64 of {name}:", " ".join(f"{v:.3g}" for v in d))
    return run


def train_fp16(rows, **kwargs):
    scaler = torch.amp.GradScaler("cpu", **SCALE)
    run = Run("tied", torch.float16, torch.float16, 3, scaler=scaler, **kwargs)
    scales, good, losses, norms, largest = [], [], [], [], 0.0
    for step in range(FP16_STEPS):
        scales.append(scaler.get_scale())
        loss, norm, total = run.step(rows[step % len(rows)], step in OVERFLOWS)
        if step not in OVERFLOWS:
            largest = max(largest, *(g.abs().max().item() for g in total.values()))
        losses.append(loss)
        norms.append(0.0 if step in OVERFLOWS else norm)
        good.append(scaler._get_growth_tracker())
    reports = torch.tensor([losses, norms], dtype=torch.float64)
    return scales, good, reports, run.final(), largest


def write_fp16():
    config = VARIANTS["tied"]
    rows = gpt_golden.make_tokens(config)
    scales, good, reports, final, largest = train_fp16(rows)
    others = [train_fp16(rows, inside=torch.float64), train_fp16(rows, kind=Shaken)]
    assert largest < 65504 / 4, f"no overflow but the injected ones: {largest}"
    assert all(other[0] == scales and other[1] == good for other in others)
    skipped = [int(step in OVERFLOWS) for step in range(FP16_STEPS)]
    noise = [
        torch.stack([apart(other[3], final, config), *(other[2] - reports).square().mean(1).sqrt()])
        for other in others
    ]
    golden_file.write(
        HERE / "mixed_fp16.bin",
        notes_of(
            "tied", steps=FP16_STEPS, ranks=3, overflows=" ".join(map(str, OVERFLOWS)), **SCALE
        ),
        {
            "scale": torch.tensor(scales, dtype=torch.float64),
            "skipped": torch.tensor(skipped, dtype=torch.uint8),
            "good": torch.tensor(good, dtype=torch.int32),
            "loss": reports[0],
            "norm": reports[1],
            "noise": torch.stack(noise),
            **{f"final.{n}": p for n, p in final.items()},
        },
    )
    print("  scales", scales, "\n  good", good, "\n  largest", largest)
    print("  noise", [n.tolist() for n in noise])


def main():
    torch.set_num_threads(1)
    sys.stdout.reconfigure(line_buffering=True)
    tied = write_bf16("tied", "tied", torch.float32)
    write_bf16("untied", "untied", torch.float32)
    reduced = write_bf16("reduced", "tied", torch.bfloat16)
    say("bf16 reduction from fp32", reduced[2], tied[2], VARIANTS["tied"])
    print(f"    parameters: {apart(reduced[3], tied[3], VARIANTS['tied']):.3g}")
    write_fp16()


if __name__ == "__main__":
    main()
