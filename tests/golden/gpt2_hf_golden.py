#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/gpt2_hf_golden.py: a small random GPT-2 by Hugging Face's transformers, its file and its logits.
"""Writes, beside this script:
  gpt2_hf.safetensors  GPT2LMHeadModel.save_pretrained of 2 layers, 2 heads, 32 wide, 61 ids, 32 positions
  gpt2_hf.bin          tokens i32 [3, 24]; logits32 f32 and logits64 f64 [3, 24, 61], of the model in float32 and in
                       float64; loss64 f64 [1]: the sum of the cross entropy of tokens[:, 1:] after tokens[:, :-1]
All parameters are random, also biases and those of the norms, and large enough that each one matters.
Run: python gpt2_hf_golden.py        checks that each one does, and writes
     python gpt2_hf_golden.py FILE   compares the model in FILE, read by transformers, with gpt2_hf.safetensors
(needs PyTorch, transformers and safetensors; the files are committed, tests do not run this)"""

import pathlib
import shutil
import sys
import tempfile

import golden_file
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = dict(n_layer=2, n_head=2, n_embd=32, vocab_size=61, n_positions=32, bos_token_id=0, eos_token_id=0)


def make_model(seed=3):
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(**CONFIG, attn_implementation="eager")).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn_like(p)
            if p.dim() == 2:  # tables, and Conv1D [in, out]
                p.copy_(noise * (0.5 if "wte" in name or "wpe" in name else 1.5 * p.shape[0] ** -0.5))
            else:
                p.copy_(0.3 * noise + (1 if name.endswith("weight") else 0))
    return model


@torch.no_grad()
def logits_of(model, tokens):
    return model(tokens).logits


def loss_of(logits, tokens):
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum"
    )


def check_sensitivity(model, tokens, logits):
    """Every element of every bias and norm, and every row of every matrix, moves the logits; the key third of c_attn's
    bias does not (softmax ignores it), and positions that do not occur cannot."""
    torch.manual_seed(5)
    for name, p in model.named_parameters():
        least, rows = float("inf"), range(p.shape[0])
        if "c_attn.bias" in name:
            rows = [i for i in rows if not 32 <= i < 64]
        if "wpe" in name:
            rows = range(tokens.shape[1])
        for i in rows:
            kept = p.data[i].clone()
            p.data[i] += 0.3 * torch.randn_like(kept).sign()
            least = min(least, (logits_of(model, tokens) - logits).abs().max().item())
            p.data[i] = kept
        print(f"{name:40} {list(p.shape)!s:12} moves the logits by {least:.2e} at least")
        assert least > 1e-4, name


def main():
    model = make_model()
    tokens = torch.randint(CONFIG["vocab_size"], (3, 24), generator=torch.Generator().manual_seed(4))
    logits32 = logits_of(model, tokens)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=True)
        shutil.copyfile(pathlib.Path(folder) / "model.safetensors", HERE / "gpt2_hf.safetensors")
    model.double()
    logits64 = logits_of(model, tokens)
    check_sensitivity(model, tokens, logits64)
    golden_file.write(
        HERE / "gpt2_hf.bin",
        dict(transformers=transformers.__version__, **CONFIG),
        dict(
            tokens=tokens.int(),
            logits32=logits32,
            logits64=logits64,
            loss64=loss_of(logits64, tokens).reshape(1),
        ),
    )
    print("float32 is off by", (logits32.double() - logits64).abs().max().item())
    print("logits from", logits64.min().item(), "to", logits64.max().item())


def compare(file):
    """The file must load without a missing or unexpected name, into the same parameters."""
    with tempfile.TemporaryDirectory() as folder:
        GPT2Config(**CONFIG).save_pretrained(folder)
        shutil.copyfile(file, pathlib.Path(folder) / "model.safetensors")
        model, found = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), found
    ours, theirs = model.state_dict(), make_model().state_dict()
    assert ours.keys() == theirs.keys()
    print("largest difference:", max((ours[k] - theirs[k]).abs().max().item() for k in ours))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compare(sys.argv[1])
    else:
        main()
