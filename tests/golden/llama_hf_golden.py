#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/llama_hf_golden.py: small random Llama and Qwen2 by Hugging Face's transformers: files, logits, gradients.
"""Writes, beside this script:
  llama_hf.safetensors  LlamaForCausalLM.save_pretrained of 2 layers, 16 wide, 4 heads of 6 on 2 key heads, feed-forward 20,
                        19 ids, rope_theta 500000, rms_norm_eps 1e-5
  qwen2_hf.safetensors  Qwen2ForCausalLM with heads of 4 and biases on queries, keys and values, head and token table tied,
                        rope_theta 1000000, rms_norm_eps 0.01 so that it matters
  llama_hf.bin, qwen2_hf.bin
                        tokens i32 [2, 9], dy f32 and logits f64 [2, 9, 19]; `d.<parameter>`: the gradient of sum(logits * dy)
                        with respect to it, f64. The model computes in float64, but for angles and norms, which transformers
                        leaves in float32
All parameters are random and large enough that each one matters.
Run: python llama_hf_golden.py             checks that each one does, and writes
     python llama_hf_golden.py KIND FILE   compares the model in FILE, read by transformers, with KIND_hf.safetensors
(needs PyTorch, transformers and safetensors; the files are committed, tests do not run this)"""

import pathlib
import shutil
import sys
import tempfile

import golden_file
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
COMMON = dict(
    vocab_size=19,
    hidden_size=16,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=32,
)
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig, 500000.0, dict(head_dim=6, rms_norm_eps=1e-5, tie_word_embeddings=False)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, 1000000.0, dict(rms_norm_eps=1e-2, tie_word_embeddings=True)),
}


def config(kind):
    _, make, theta, more = MODELS[kind]
    made = make(**COMMON, **more, attn_implementation="eager")
    # transformers 5 keeps the base among the parameters of the rotation.
    if getattr(made, "rope_parameters", None) is not None:
        made.rope_parameters = dict(rope_type="default", rope_theta=theta)
    else:
        made.rope_theta = theta
    return made


def make_model(kind, seed=7):
    torch.manual_seed(seed)
    model = MODELS[kind][0](config(kind)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn_like(p)
            if p.dim() == 1:
                p.copy_(0.3 * noise + (1 if name.endswith("weight") else 0))
            else:
                p.copy_(noise * (0.7 if "embed" in name else 1.5 * p.shape[1] ** -0.5))
    return model


def check_sensitivity(model, tokens, logits):
    """Every element of every norm and bias, and every row of every matrix, moves the logits; tokens that do not occur
    cannot, and the biases of keys do once positions have turned them."""
    torch.manual_seed(5)
    for name, p in model.named_parameters():
        least, rows = float("inf"), range(p.shape[0])
        if "embed" in name:
            rows = sorted(set(tokens.flatten().tolist()))
        for i in rows:
            kept = p.data[i].clone()
            p.data[i] += 0.3 * torch.randn_like(kept).sign()
            least = min(least, (model(tokens).logits - logits).abs().max().item())
            p.data[i] = kept
        print(f"{name:50} {list(p.shape)!s:10} moves the logits by {least:.2e} at least")
        assert least > 1e-4, name


def write(kind):
    model = make_model(kind)
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randint(COMMON["vocab_size"], (2, 9), generator=generator)
    dy = torch.randn(2, 9, COMMON["vocab_size"], generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=True)
        shutil.copyfile(pathlib.Path(folder) / "model.safetensors", HERE / f"{kind}_hf.safetensors")
    model.double()
    logits = model(tokens).logits
    logits.backward(dy.double())
    gradients = {f"d.{name}": p.grad for name, p in model.named_parameters()}
    with torch.no_grad():
        check_sensitivity(model, tokens, logits)
    golden_file.write(
        HERE / f"{kind}_hf.bin",
        dict(transformers=transformers.__version__, rope_theta=MODELS[kind][2], **COMMON, **MODELS[kind][3]),
        dict(tokens=tokens.int(), dy=dy, logits=logits.detach(), **gradients),
    )
    print(kind, "logits from", logits.min().item(), "to", logits.max().item())


def compare(kind, file):
    """The file must load without a missing or unexpected name, into the same parameters."""
    with tempfile.TemporaryDirectory() as folder:
        config(kind).save_pretrained(folder)
        shutil.copyfile(file, pathlib.Path(folder) / "model.safetensors")
        model, found = MODELS[kind][0].from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), found
    ours, theirs = model.state_dict(), make_model(kind).state_dict()
    assert ours.keys() == theirs.keys()
    print("largest difference:", max((ours[k] - theirs[k]).abs().max().item() for k in ours))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compare(*sys.argv[1:])
    else:
        for each in MODELS:
            write(each)
