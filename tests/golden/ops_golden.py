#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/ops_golden.py: PyTorch's values for every op and optimizer, in float32 and in float64.
"""Writes ops.bin beside this script. Inputs (float32, also the start of the float64 run) are `<case>.in.<name>`; outputs
are `<case>.f32.<name>` and `<case>.f64.<name>`; `d<name>` is the gradient of sum(output * dy) with respect to an input.
Cases
  gelu_erf, gelu_tanh, relu     x, dy -> y, dx
  layer_norm, layer_norm_no_bias, layer_norm_offset (mean 100, spread 1)      x [5, 24], weight, (bias), dy -> y, dx, ...
  batch_norm                    x [3, 6, 10] (three steps' rows), weight, bias, dy [6, 10] -> y, dx, dweight, dbias of the
                                first; running_mean, running_var after three, evaluated (the first rows) with them
  silu                          x, dy -> y, dx
  swiglu                        x [5, 24] = [gate | up], dy [5, 12] -> y, dx
  linear, linear_no_bias        x [6, 10], weight [7, 10], (bias), dy -> y, dx, dweight, (dbias)
  embedding                     ids (repeated ones), weight [9, 6], dy -> y, dweight
  cross_entropy, cross_entropy_large (logits up to about 90)   x [10, 13], labels (-100 = ignored) -> loss (a SUM), dx;
                                weight (how many labels count)
  mse                           x, target -> loss (a SUM), dx
  attention_causal, attention_full   qkv [2, 7, 48] = [q | k | v] of 2 heads x 8 channels, dy [2, 7, 16] -> y, dqkv
  <optimizer cases of OPTIMIZERS>    start [37], grads [5, 37], lr [5] -> params [5, 37] after each of five steps
  clip_0 ... clip_3             grad_a [19], grad_b [4, 5], max_norm -> norm, grad_a, grad_b (after clip_grad_norm_)
Run: python ops_golden.py      (needs PyTorch; the file is committed, tests do not run this)"""

import pathlib

import torch
from torch.nn import functional as F

import golden_file

HERE = pathlib.Path(__file__).resolve().parent
OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, dict(betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)),
    "adamw_no_decay": (torch.optim.AdamW, dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)),
    "adamw_large_eps": (torch.optim.AdamW, dict(betas=(0.9, 0.95), eps=1e-3, weight_decay=0.01)),
    "adam": (torch.optim.Adam, dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)),
    "adam_decay": (torch.optim.Adam, dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)),
    "sgd": (torch.optim.SGD, dict()),
    "sgd_decay": (torch.optim.SGD, dict(weight_decay=0.01)),
    "sgd_momentum": (torch.optim.SGD, dict(momentum=0.9)),
    "sgd_momentum_decay": (torch.optim.SGD, dict(momentum=0.9, weight_decay=0.01)),
    "sgd_nesterov": (torch.optim.SGD, dict(momentum=0.9, nesterov=True)),
    "sgd_nesterov_decay": (torch.optim.SGD, dict(momentum=0.9, nesterov=True, weight_decay=0.01)),
}
arrays, notes = {}, {}


def case(name, inputs, run):
    """Stores inputs and what run(inputs in float32), run(inputs in float64) return (a dict of tensors)."""
    for key, value in inputs.items():
        arrays[f"{name}.in.{key}"] = value if value.is_floating_point() else value.to(torch.int32)
    for label, dtype in (("f32", torch.float32), ("f64", torch.float64)):
        cast = {k: v.detach().to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
        for key, value in run(**cast).items():
            arrays[f"{name}.{label}.{key}"] = value.detach().to(dtype)


def differentiable(op, wanted):
    """Turns op(**inputs) -> y into a run that returns y and the gradients of sum(y * dy) for the wanted inputs."""

    def run(dy=None, **inputs):
        for key in wanted:
            inputs[key].requires_grad_(True)
        y = op(*inputs.values())
        y.backward(dy)
        return {"loss" if dy is None else "y": y, **{f"d{k}": inputs[k].grad for k in wanted}}

    return run


def normal(*shape, scale=1.0, offset=0.0):
    return scale * torch.randn(*shape) + offset


def elementwise():
    x = torch.cat(
        [
            torch.tensor(
                [0.0, -0.0, 1e-4, -1e-4, 0.5, -0.5, 3.0, -3.0, 6.0, -6.0, 12.0, -12.0, 40.0, -40.0]
            ),
            normal(51, scale=2.0),
        ]
    )
    dy = normal(len(x))
    case("gelu_erf", dict(x=x, dy=dy), differentiable(lambda x: F.gelu(x), ["x"]))
    case(
        "gelu_tanh",
        dict(x=x, dy=dy),
        differentiable(lambda x: F.gelu(x, approximate="tanh"), ["x"]),
    )
    case("relu", dict(x=x, dy=dy), differentiable(F.relu, ["x"]))


def layers():
    C = 24
    norm = lambda x, weight, bias=None: F.layer_norm(x, (C,), weight, bias, 1e-5)  # noqa: E731
    weight, bias, dy = normal(C, offset=1.0, scale=0.3), normal(C, scale=0.3), normal(5, C)
    case(
        "layer_norm",
        dict(x=normal(5, C), weight=weight, bias=bias, dy=dy),
        differentiable(norm, ["x", "weight", "bias"]),
    )
    case(
        "layer_norm_no_bias",
        dict(x=normal(5, C), weight=weight, dy=dy),
        differentiable(norm, ["x", "weight"]),
    )
    case(
        "layer_norm_offset",
        dict(x=normal(5, C, offset=100.0), weight=weight, bias=bias, dy=dy),
        differentiable(norm, ["x", "weight", "bias"]),
    )
    x, weight, bias, dy = normal(6, 10), normal(7, 10), normal(7), normal(6, 7)
    case(
        "linear",
        dict(x=x, weight=weight, bias=bias, dy=dy),
        differentiable(F.linear, ["x", "weight", "bias"]),
    )
    case(
        "linear_no_bias", dict(x=x, weight=weight, dy=dy), differentiable(F.linear, ["x", "weight"])
    )
    ids = torch.tensor([3, 0, 3, 8, 1, 3, 0])
    case(
        "embedding",
        dict(ids=ids, weight=normal(9, 6), dy=normal(7, 6)),
        differentiable(lambda ids, weight: F.embedding(ids, weight), ["weight"]),
    )


def losses():
    labels = torch.tensor([0, 12, -100, 5, 5, -100, 7, 1, -100, 3])
    count = int((labels != -100).sum())
    entropy = lambda x, labels: F.cross_entropy(x, labels, ignore_index=-100, reduction="sum")  # noqa: E731
    for name, scale in (("cross_entropy", 2.0), ("cross_entropy_large", 40.0)):
        case(
            name, dict(x=normal(10, 13, scale=scale), labels=labels), differentiable(entropy, ["x"])
        )
        notes[f"{name}.weight"] = count
    case(
        "mse",
        dict(x=normal(6, 5), target=normal(6, 5)),
        differentiable(lambda x, target: F.mse_loss(x, target, reduction="sum"), ["x"]),
    )


def attention():
    B, T, H, D = 2, 7, 2, 8

    def op(causal):
        def run(qkv):
            q, k, v = (t.view(B, T, H, D).transpose(1, 2) for t in qkv.split(H * D, dim=2))
            scores = q @ k.transpose(2, 3) / D**0.5
            if causal:
                scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
            y = scores.softmax(-1) @ v
            fused = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
            assert (y - fused).abs().max() < (1e-12 if y.dtype == torch.float64 else 1e-5)
            return fused.transpose(1, 2).reshape(B, T, H * D)

        return run

    for name, causal in (("attention_causal", True), ("attention_full", False)):
        case(
            name,
            dict(qkv=normal(B, T, 3 * H * D, scale=1.5), dy=normal(B, T, H * D)),
            differentiable(op(causal), ["qkv"]),
        )


def optimizers():
    for name, (kind, options) in OPTIMIZERS.items():

        def run(start, grads, lr, kind=kind, options=options):
            p = torch.nn.Parameter(start.clone())
            optimizer, after = kind([p], lr=1.0, foreach=False, **options), []
            for grad, rate in zip(grads, lr):
                optimizer.param_groups[0]["lr"] = rate.item()
                p.grad = grad.clone()
                optimizer.step()
                after.append(p.detach().clone())
            return dict(params=torch.stack(after))

        grads = normal(5, 37) * torch.logspace(-6, 1, 37)  # from far below to far above eps
        case(
            name,
            dict(start=normal(37), grads=grads, lr=torch.tensor([1e-3, 2e-3, 1e-2, 5e-3, 1e-3])),
            run,
        )
        for key, value in options.items():
            for index, one in enumerate(value if isinstance(value, tuple) else [value]):
                notes[f"{name}.{key}{index + 1 if isinstance(value, tuple) else ''}"] = one


def clipping():
    def run(grad_a, grad_b, max_norm):
        params = [torch.nn.Parameter(torch.zeros_like(g)) for g in (grad_a, grad_b)]
        for p, g in zip(params, (grad_a, grad_b)):
            p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(params, max_norm.item(), foreach=False)
        return dict(norm=norm.reshape(1), grad_a=params[0].grad, grad_b=params[1].grad)

    a, b = normal(19), normal(4, 5)
    bad = a.clone()
    bad[3] = float("inf")
    nan = a.clone()
    nan[3] = float("nan")
    for i, (grad_a, scale) in enumerate(((a, 1.0), (1e-3 * a, 1e-3), (bad, 1.0), (nan, 1.0))):
        case(f"clip_{i}", dict(grad_a=grad_a, grad_b=scale * b, max_norm=torch.tensor([1.0])), run)


def batch_norm():
    def run(x, weight, bias, dy):
        layer = torch.nn.BatchNorm1d(x.shape[2]).to(x.dtype)
        layer.load_state_dict(dict(weight=weight, bias=bias), strict=False)
        rows = x[0].clone().requires_grad_(True)
        y = layer(rows)
        y.backward(dy)
        for more in x[1:]:
            layer(more)
        results = dict(y=y, dx=rows.grad, dweight=layer.weight.grad, dbias=layer.bias.grad)
        results |= dict(running_mean=layer.running_mean, running_var=layer.running_var)
        return results | dict(evaluated=layer.eval()(x[0]))

    x = normal(3, 6, 10, offset=1.5)
    weight, bias, dy = normal(10, offset=1.0, scale=0.3), normal(10, scale=0.3), normal(6, 10)
    case("batch_norm", dict(x=x, weight=weight, bias=bias, dy=dy), run)


def gates():
    x = torch.cat([torch.tensor([0.0, -0.0, 0.5, -0.5, 6.0, -6.0, 40.0, -40.0]), normal(40, scale=3.0)])
    case("silu", dict(x=x, dy=normal(len(x))), differentiable(F.silu, ["x"]))
    swiglu = lambda x: F.silu(x[:, :12]) * x[:, 12:]  # noqa: E731
    case("swiglu", dict(x=normal(5, 24), dy=normal(5, 12)), differentiable(swiglu, ["x"]))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    for part in (elementwise, layers, losses, attention, optimizers, clipping, batch_norm, gates):
        part()
    golden_file.write(HERE / "ops.bin", notes, arrays)


if __name__ == "__main__":
    main()
