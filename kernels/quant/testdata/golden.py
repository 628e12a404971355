"""Writes decode.txt and encode.txt: what the gguf Python package (version 0.19.0) reads and writes.

    pip install gguf==0.19.0 && python3 golden.py

decode.txt: type, block in hexadecimal, then the weights as float32 bits, or nan.
encode.txt: a line `input` of weights as float32 bits, then for each type with an encoder there its name and bytes.
"""

import struct
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

HERE = Path(__file__).parent
rng = np.random.default_rng(20240229)

# Offsets of the halves that scale a block. The bytes between them are drawn at random.
HALVES = {
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0],
}
# An everyday scale, a negative one, the smallest subnormal, the largest finite, infinite and NaN.
SCALES = [0x2345, 0x9C21, 0x0001, 0x7BFF, 0x7C00, 0xFE01]
E8M0 = [0, 1, 2, 120, 254, 255]
HALF_VALUES = [0, 0x8000, 1, 0x03FF, 0x0400, 0x3C00, 0xBC01, 0x7BFF, 0x7C00, 0xFC00, 0x7E01, 0xFFFF]
BF_VALUES = [0, 0x8000, 1, 0x007F, 0x0080, 0x3F80, 0xBF81, 0x7F7F, 0x7F80, 0xFF80, 0x7FC1, 0xFFFF]


def text(weights):
    bits = np.ascontiguousarray(weights, dtype=np.float32).view(np.uint32)
    return " ".join("nan" if np.isnan(w) else f"{b:08x}" for w, b in zip(weights, bits))


def blocks(name, size):
    if name in ("F16", "BF16"):
        for v in HALF_VALUES if name == "F16" else BF_VALUES:
            yield struct.pack("<H", v)
        return
    if name == "MXFP4":
        for e in E8M0:
            yield bytes([e]) + rng.bytes(size - 1)
        return
    # The large blocks skip two scales: the file stays readable.
    for k, scale in enumerate(SCALES if size < 40 else SCALES[:1] + SCALES[2:5]):
        b = bytearray(rng.bytes(size))
        for j, at in enumerate(HALVES[name]):
            b[at : at + 2] = struct.pack("<H", scale if j == 0 else SCALES[(k + 1) % 3])
        yield bytes(b)


with open(HERE / "decode.txt", "w") as out, np.errstate(all="ignore"):
    out.write("# Written by golden.py: type, block, weights as float32 bits.\n")
    for name in ["F16", "BF16", *HALVES, "MXFP4"]:
        _, size = GGML_QUANT_SIZES[T[name]]
        for b in blocks(name, size):
            weights = dequantize(np.frombuffer(b, dtype=np.uint8), T[name])
            out.write(f"{name} {b.hex()} {text(weights)}\n")

with open(HERE / "encode.txt", "w") as out, np.errstate(all="ignore"):
    out.write("# Written by golden.py: weights as float32 bits, then each type's bytes.\n")
    inputs = [
        rng.standard_normal(64),
        rng.standard_normal(32) * 1e-6,
        np.zeros(32),
        np.round(rng.standard_normal(32) * 8) / 8,
        np.concatenate([[-65504.0, 65504.0], rng.standard_normal(30) * 1000]),
    ]
    for x in inputs:
        x = x.astype(np.float32)
        out.write(f"input {text(x)}\n")
        for name in ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"]:
            out.write(f"{name} {quantize(x, T[name]).tobytes().hex()}\n")
