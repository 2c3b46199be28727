#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/golden/safetensors_golden.py: files of Python's safetensors, and what it says of damaged ones.
"""Writes safetensors/*.safetensors and safetensors/verdicts.txt beside this script. A line of verdicts.txt, with tabs
between its parts:
  file NAME READING        what the package reads in a file that it wrote itself
  case NAME READING BYTES  what it reads in a file of these bytes
  cut LENGTH READING       in the first LENGTH bytes of small.safetensors, for all that it accepts
  flip BIT READING         in small.safetensors with one bit of the header flipped, for all that it accepts
READING is `refused`, or the metadata as @KEY=VALUE; and the tensors as NAME:TYPE:EXTENTS:DATA; with names, texts and
data in hexadecimal, extents joined by x, both lists sorted. In BYTES, \\xHH is a byte and all other characters are
themselves.
Run: python safetensors_golden.py        (needs safetensors and numpy; the files are committed, tests do not run this)
     python safetensors_golden.py FILE   prints the reading of a file"""

import ctypes
import pathlib
import struct
import sys
import tempfile

import safetensors
from safetensors import TensorSpec, safe_open, serialize

HERE = pathlib.Path(__file__).resolve().parent / "safetensors"

# What the package can write: Python's name, the format's, bits of an element.
TYPES = [
    ("bool", "BOOL", 8),
    ("float4_e2m1fn_x2", "F4", 4),
    ("uint8", "U8", 8),
    ("int8", "I8", 8),
    ("float8_e5m2", "F8_E5M2", 8),
    ("float8_e4m3fn", "F8_E4M3", 8),
    ("float8_e8m0fnu", "F8_E8M0", 8),
    ("float8_e4m3fnuz", "F8_E4M3FNUZ", 8),
    ("float8_e5m2fnuz", "F8_E5M2FNUZ", 8),
    ("int16", "I16", 16),
    ("uint16", "U16", 16),
    ("float16", "F16", 16),
    ("bfloat16", "BF16", 16),
    ("int32", "I32", 32),
    ("uint32", "U32", 32),
    ("float32", "F32", 32),
    ("complex64", "C64", 64),
    ("float64", "F64", 64),
    ("int64", "I64", 64),
    ("uint64", "U64", 64),
]
NAMES = ["", "a", "A", "a.9", "a.10", "wte.weight", 'quote"', "back\\slash", "/", "\x01\x1f", "\x7f"]
NAMES += ["\b\f\n\r\t", "é", "\u2028", "\uffff", "\U0001f600", "__metadata", "long" * 50]
SHAPES = [[], [0], [1], [2, 0, 3], [0, 2**40], [3, 2], [1] * 9, [2**6]]


def hexed(text):
    return text.encode().hex()


def reading(raw):
    """What the package reads in these bytes."""
    try:
        tensors = safetensors.deserialize(raw)
    except safetensors.SafetensorError:
        return "refused"
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        with safe_open(file.name, "np") as opened:
            metadata = opened.metadata() or {}
    out = [f"@{hexed(k)}={hexed(v)};" for k, v in metadata.items()]
    for name, t in tensors:
        extents = "x".join(map(str, t["shape"]))
        out.append(f"{hexed(name)}:{t['dtype']}:{extents}:{bytes(t['data']).hex()};")
    return "".join(sorted(out)) or "nothing"


def written(tensors, metadata=None):
    """The package's file of (name, Python's type, shape as frameworks tell it, bytes)."""
    kept, specs = [], {}
    for name, dtype, shape, count in tensors:
        data = bytes((37 * i + 11 * len(kept)) % (2 if dtype == "bool" else 256) for i in range(count))
        kept.append(ctypes.create_string_buffer(data, max(count, 1)))
        at = ctypes.addressof(kept[-1])
        specs[name] = TensorSpec(dtype=dtype, shape=shape, data_ptr=at, data_len=count)
    return bytes(serialize(specs, metadata))


def files():
    types = []
    for python, name, bits in TYPES:
        shape = [3, 1] if bits == 4 else [3, 2]  # the package doubles the last extent of packed types
        types.append((f"of.{name}", python, shape, 6 * bits // 8))
    names = [(name, "float32" if i % 2 else "int8", [1], 4 if i % 2 else 1) for i, name in enumerate(NAMES)]
    shapes = []
    for i, shape in enumerate(SHAPES):
        count = 1
        for extent in shape:
            count *= extent
        shapes.append((f"shape{i}", "int16", shape, 2 * count))
    return {
        "types": written(types),
        "names": written(names),
        "shapes": written(shapes),
        "empty": written([]),
        "metadata": written([("x", "float64", [2], 16)], {"key \"\\\n\x01é": "value \"\\\n\x01\U0001f600"}),
        "only_metadata": written([], {"format": "pt"}),
        "small": written([("w", "bfloat16", [2, 2], 8), ("b", "float32", [2], 8)], {"step": "17"}),
    }


def tensor(name='"a"', dtype='"I8"', shape="[2]", offsets="[0,2]"):
    return f'{name}:{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


def file(header, data=2, length=None):
    """A file of this header (text or bytes) and bytes 1, 2, 3, ..."""
    raw = header if isinstance(header, bytes) else header.encode()
    length = len(raw) if length is None else length
    return struct.pack("<Q", length) + raw + bytes(1 + i % 255 for i in range(data))


def one(*args, data=2, **kwargs):
    return file("{" + tensor(*args, **kwargs) + "}", data)


def many(*tensors, data=2):
    return file("{" + ",".join(tensors) + "}", data)


GOOD = "{" + tensor() + "}"
A = '{"dtype":"I8","shape":[2],"data_offsets":[0,2]}'
EMPTY = tensor('"e"', shape="[0]", offsets="[0,0]")


def length_cases():
    yield "no bytes", b""
    yield "7 bytes", bytes(7)
    yield "8 bytes, no header", bytes(8)
    yield "header of 0 bytes, data behind it", bytes(10)
    yield "length one above the file", file(GOOD, 0, len(GOOD) + 1)
    yield "length one below the header", file(GOOD, 2, len(GOOD) - 1)
    yield "length takes in a byte of data", file(GOOD, 2, len(GOOD) + 1)
    yield "length 100000001", file(GOOD, 2, 100_000_001)
    yield "length 2^32 + header", file(GOOD, 2, 2**32 + len(GOOD))
    yield "length 2^63", file(GOOD, 2, 2**63)
    yield "length 2^64 - 8: wraps to 0", file(GOOD, 2, 2**64 - 8)
    yield "length 2^64 - 1: wraps to 7", file(GOOD, 2, 2**64 - 1)
    yield "length in big-endian", struct.pack(">Q", len(GOOD)) + GOOD.encode() + b"\1\2"


def text_cases():
    yield "empty object", file("{}", 0)
    yield "space in front", file(" " + GOOD)
    yield "newline in front", file("\n" + GOOD)
    yield "spaces behind", file(GOOD + "    ")
    yield "newline and tab behind", file(GOOD + "\n\t\r ")
    yield "zero byte behind", file(GOOD + "\0")
    yield "byte order mark", file("\ufeff" + GOOD)
    yield "second object behind", file(GOOD + "{}")
    yield "brace too many", file(GOOD + "}")
    yield "brace too few", file(GOOD[:-1])
    yield "comma at the end of the object", file("{" + tensor() + ",}")
    yield "comma at the end of a list", one(shape="[2,]")
    yield "no comma between members", file("{" + EMPTY + tensor() + "}")
    yield "no colon", file('{"a" ' + A + "}")
    yield "name without quotes", file("{a:" + A + "}")
    yield "name in single quotes", file("{'a':" + A + "}")
    yield "comment", file("{/**/" + tensor() + "}")
    yield "a list", file("[" + A + "]")
    yield "a string", file('"a"')
    yield "a number", file("1", 0)
    yield "null", file("null", 0)
    yield "UTF-16", file(GOOD.encode("utf-16-le"))
    yield "byte 0xff in a name", file(b'{"\xff":' + A.encode() + b"}")
    yield "cut character in a name", file(b'{"\xc3":' + A.encode() + b"}")
    yield "overlong character in a name", file(b'{"\xc0\xaf":' + A.encode() + b"}")
    yield "surrogate in UTF-8 in a name", file(b'{"\xed\xa0\x80":' + A.encode() + b"}")
    yield "above U+10FFFF in a name", file(b'{"\xf4\x90\x80\x80":' + A.encode() + b"}")
    yield "byte 0xff between members", file(b"{\xff" + tensor().encode() + b"}")
    yield "newline in a name", one('"a\n"')
    yield "zero byte in a name", one('"a\0"')
    yield "escaped zero in a name", one('"a\\u0000"')
    yield "escaped letter in a name", one('"\\u0061\\/\\b"')
    yield "surrogate pair in a name", one('"\\uD83D\\ude00"')
    yield "first half of a pair", one('"\\ud83d"')
    yield "first half, then a letter", one('"\\ud83d\\u0061"')
    yield "second half of a pair", one('"\\ude00"')
    yield "escape that is none", one('"\\a"')
    yield "escape in hexadecimal", one('"\\x61"')
    yield "escape of three digits", one('"\\u061"')
    yield "escape with a sign", one('"\\u+061"')
    yield "white space everywhere", file(GOOD.replace(":", " : ").replace(",", "\n,\t").replace("[", "[\r "))
    yield "vertical tab", file("{\v" + tensor() + "}")
    yield "no-break space", file("{\xa0" + tensor() + "}")
    yield "nested 200 deep", file('{"a":' + "[" * 200 + "]" * 200 + "}")
    yield "objects nested 200 deep", file('{"a":' * 200 + "1" + "}" * 200)


def name_cases():
    yield "a tensor's name twice", many(EMPTY, EMPTY, data=0)
    yield "name twice, once escaped", many(EMPTY, EMPTY.replace('"e"', '"\\u0065"'), data=0)
    yield "name twice, other offsets", many(EMPTY.replace('"e"', '"a"'), tensor())
    yield "field twice", file('{"a":{"dtype":"I8","dtype":"I8","shape":[2],"data_offsets":[0,2]}}')
    yield "shape twice, once escaped", file('{"a":{"dtype":"I8","shape":[2],"sh\\u0061pe":[2],"data_offsets":[0,2]}}')
    yield "escaped field", file('{"a":{"d\\u0074ype":"I8","shape":[2],"data_offsets":[0,2]}}')
    yield "offsets twice", file('{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,1],"data_offsets":[0,2]}}')
    yield "unknown field", file('{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2],"strides":[1]}}')
    yield "field in capitals", file('{"a":{"DTYPE":"I8","shape":[2],"data_offsets":[0,2]}}')
    yield "no dtype", file('{"a":{"shape":[2],"data_offsets":[0,2]}}')
    yield "no shape", file('{"a":{"dtype":"I8","data_offsets":[0,2]}}')
    yield "no data_offsets", file('{"a":{"dtype":"I8","shape":[2]}}')
    yield "no fields", file('{"a":{}}', 0)
    yield "fields in another order", file('{"a":{"data_offsets":[0,2],"shape":[2],"dtype":"I8"}}')
    yield "a tensor as a list", file('{"a":["I8",[2],[0,2]]}')
    yield "a tensor as a string", file('{"a":"I8"}')
    yield "a tensor as null", file('{"a":null}', 0)
    yield "an empty name", one('""')


def type_cases():
    yield "unknown dtype", one(dtype='"F128"')
    yield "dtype in small letters", one(dtype='"i8"')
    yield "dtype empty", one(dtype='""')
    yield "dtype a number", one(dtype="8")
    yield "dtype null", one(dtype="null")
    yield "dtype as an object", one(dtype='{"I8":null}')
    yield "dtype escaped", one(dtype='"I\\u0038"')
    yield "dtype with a space", one(dtype='"I8 "')
    yield "F4 in half bytes", one(dtype='"F4"', shape="[3]")
    yield "F4 in whole bytes", one(dtype='"F4"', shape="[4]")
    yield "F6_E2M3 in whole bytes", one(dtype='"F6_E2M3"', shape="[2,2]", offsets="[0,3]", data=3)
    yield "F6_E3M2 in parts of bytes", one(dtype='"F6_E3M2"', shape="[2]", offsets="[0,2]")


def shape_cases():
    yield "scalar", one(shape="[]", offsets="[0,1]", data=1)
    yield "shape above the offsets", one(shape="[3]")
    yield "shape below the offsets", one(shape="[1]")
    yield "shape [2,2] over 2 bytes", one(shape="[2,2]")
    yield "no elements over 2 bytes", one(shape="[0]")
    yield "two elements over no bytes", one(offsets="[0,0]", data=0)
    yield "elements wrap to 0: 2^32 x 2^32", one(shape="[4294967296,4294967296]", offsets="[0,0]", data=0)
    yield "elements wrap to 2", one(shape="[9223372036854775809,2]")
    yield "bits wrap to 0: 2^61 of I8", one(shape="[2305843009213693952]", offsets="[0,0]", data=0)
    yield "bits wrap to 0: 2^58 of F64", one('"a"', '"F64"', "[288230376151711744]", "[0,0]", data=0)
    yield "0 behind a product that wraps", one(shape="[9223372036854775808,2,0]", offsets="[0,0]", data=0)
    yield "0 in front of one", one(shape="[0,9223372036854775808,2]", offsets="[0,0]", data=0)
    yield "extent 2^64 - 1 beside 0", one(shape="[0,18446744073709551615]", offsets="[0,0]", data=0)
    yield "extent 2^64", one(shape="[18446744073709551616]", offsets="[0,0]", data=0)
    yield "extent 2^64 + 2: wraps to 2", one(shape="[18446744073709551618]")
    yield "extent negative", one(shape="[-2]")
    yield "extent minus zero", one(shape="[-0]", offsets="[0,0]", data=0)
    yield "extent with a plus", one(shape="[+2]")
    yield "extent with a fraction", one(shape="[2.0]")
    yield "extent with an exponent", one(shape="[2e0]")
    yield "extent with a leading zero", one(shape="[02]")
    yield "extent in hexadecimal", one(shape="[0x2]")
    yield "extent a string", one(shape='["2"]')
    yield "extent null", one(shape="[null]")
    yield "extent true", one(shape="[2,true]")
    yield "extent NaN", one(shape="[NaN]")
    yield "shape a number", one(shape="2")
    yield "shape null", one(shape="null", offsets="[0,1]", data=1)
    yield "shape nested", one(shape="[[2]]")
    yield "shape an object", one(shape='{"0":2}')


def offset_cases():
    yield "offsets: none", one(offsets="[]")
    yield "offsets: one", one(offsets="[2]")
    yield "offsets: three", one(offsets="[0,2,2]")
    yield "offsets null", one(offsets="null")
    yield "offsets an object", one(offsets='{"begin":0,"end":2}')
    yield "offsets swapped", one(offsets="[2,0]")
    yield "offsets negative", one(offsets="[-2,0]")
    yield "offsets with a fraction", one(offsets="[0,2.0]")
    yield "offsets at the end of 64 bits", one(offsets="[18446744073709551614,18446744073709551616]")
    yield "offsets whose sum wraps", one(shape="[0]", offsets="[18446744073709551615,18446744073709551615]")
    yield "end behind the file", one(shape="[3]", offsets="[0,3]")
    yield "byte behind the tensors", one(data=3)
    yield "data but no tensor", file("{}", 2)
    yield "hole in front", one(offsets="[1,3]", data=3)
    yield "hole between", many(tensor(), tensor('"b"', offsets="[3,5]"), data=5)
    yield "overlap", many(tensor(), tensor('"b"', offsets="[1,3]"), data=3)
    yield "two tensors on the same bytes", many(tensor(), tensor('"b"'))
    yield "one inside the other", many(tensor('"a"', shape="[4]", offsets="[0,4]"), tensor('"b"', offsets="[1,3]"), data=4)
    yield "tensors in another order", many(tensor('"b"', offsets="[2,4]"), tensor(), data=4)
    yield "empty tensors at every border", many(
        tensor('"z"', shape="[0]", offsets="[2,2]"), tensor(), EMPTY, tensor('"y"', shape="[0]", offsets="[0,0]")
    )
    yield "empty tensor inside another", many(tensor(), tensor('"z"', shape="[0]", offsets="[1,1]"))
    yield "empty tensor behind the end", many(tensor(), tensor('"z"', shape="[0]", offsets="[3,3]"))


def metadata_cases():
    def meta(text):
        return file('{"__metadata__":' + text + "," + tensor() + "}")

    yield "metadata empty", meta("{}")
    yield "metadata of text", meta('{"a":"b","c":"d"}')
    yield "metadata behind the tensors", file("{" + tensor() + ',"__metadata__":{"a":"b"}}')
    yield "metadata escaped", file('{"__metadat\\u0061__":{"\\u0061":"\\n\\u00e9"},' + tensor() + "}")
    yield "metadata null", meta("null")
    yield "metadata a list", meta("[]")
    yield "metadata a string", meta('"a"')
    yield "metadata with a number", meta('{"a":1}')
    yield "metadata with null", meta('{"a":null}')
    yield "metadata nested", meta('{"a":{"b":"c"}}')
    yield "metadata's key twice", meta('{"a":"b","a":"c"}')
    yield "metadata's key twice, once escaped", meta('{"a":"b","\\u0061":"c"}')
    yield "metadata twice", meta('{"a":"b"},"__metadata__":{"a":"b"}')
    yield "metadata as a tensor", one('"__metadata__"')
    yield "metadata that is not UTF-8", file(b'{"__metadata__":{"a":"\xff"}}', 0)


def cases():
    for group in (length_cases, text_cases, name_cases, type_cases, shape_cases, offset_cases, metadata_cases):
        yield from group()


def shown(raw):
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in raw)


def main():
    HERE.mkdir(exist_ok=True)
    lines = [f"# safetensors {safetensors.__version__}"]
    made = files()
    # The package's file without tensors and metadata of no keys is not JSON, so there is none of these.
    for name, raw in made.items():
        (HERE / f"{name}.safetensors").write_bytes(raw)
        lines.append(f"file\t{name}\t{reading(raw)}")
    lines += [f"case\t{name}\t{reading(raw)}\t{shown(raw)}" for name, raw in cases()]
    small = made["small"]
    lines += [f"cut\t{n}\t{r}" for n in range(len(small) + 1) if (r := reading(small[:n])) != "refused"]
    for bit in range(8 * (8 + struct.unpack("<Q", small[:8])[0])):
        raw = bytearray(small)
        raw[bit // 8] ^= 1 << bit % 8
        if (r := reading(bytes(raw))) != "refused":
            lines.append(f"flip\t{bit}\t{r}")
    (HERE / "verdicts.txt").write_text("\n".join(lines) + "\n")
    print(f"verdicts.txt: {len(lines)} lines")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(reading(pathlib.Path(sys.argv[1]).read_bytes()))
    else:
        main()
