# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/golden_file.py: write the small binary files that golden.hpp reads.
"""Layout, little-endian throughout:
  8 bytes  "GOLDEN01"
  u32      number of notes; each: u32 length, key, u32 length, value           (UTF-8 text)
  u32      number of arrays; each: u32 length, name, u8 type, u32 number of dims, u64 per dim, values
Types: 'f' float32, 'd' float64, 'i' int32, 'b' uint8. Values are row-major, without padding."""

import struct

import torch

CODES = {
    torch.float32: (b"f", "<f4"),
    torch.float64: (b"d", "<f8"),
    torch.int32: (b"i", "<i4"),
    torch.uint8: (b"b", "<u1"),
}


def text(value):
    raw = str(value).encode()
    return struct.pack("<I", len(raw)) + raw


def write(path, notes, arrays):
    """Writes notes (a dict of anything printable) and arrays (a dict of tensors) to path."""
    notes = dict(torch=torch.__version__, **notes)
    out = [b"GOLDEN01", struct.pack("<I", len(notes))]
    out += [text(k) + text(repr(v) if isinstance(v, float) else v) for k, v in notes.items()]
    out.append(struct.pack("<I", len(arrays)))
    for name, tensor in arrays.items():
        code, form = CODES[tensor.dtype]
        out.append(
            text(name)
            + code
            + struct.pack("<I", tensor.dim())
            + struct.pack(f"<{tensor.dim()}Q", *tensor.shape)
        )
        out.append(tensor.detach().contiguous().numpy().astype(form).tobytes())
    with open(path, "wb") as file:
        file.write(b"".join(out))
    print(f"{path}: {sum(map(len, out))} bytes, {len(arrays)} arrays")
