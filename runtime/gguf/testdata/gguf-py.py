"""Writes gguf-py.gguf and gguf-py.txt: a file as the gguf package for Python writes it, and what that package reads of it.

    python -m venv V && V/bin/pip install gguf && V/bin/python runtime/gguf/testdata/gguf-py.py

TestReadsWhatPythonWrites reads the file and wants the text.
"""

import hashlib
import pathlib

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent
PATH = HERE / "gguf-py.gguf"


def write():
    w = gguf.GGUFWriter(PATH, "llama")
    w.add_custom_alignment(64)
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000)
    w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000)
    w.add_int32("t.i32", -2000000000)
    w.add_uint64("t.u64", 2**63 + 5)
    w.add_int64("t.i64", -(2**62))
    w.add_float32("t.f32", 0.1)
    w.add_float64("t.f64", 0.1)
    w.add_bool("t.yes", True)
    w.add_bool("t.no", False)
    w.add_string("t.text", "Grüße, 世界")
    w.add_array("t.strings", ["a", "", "▁b"])
    w.add_array("t.ints", [1, -2, 3])
    w.add_array("t.floats", [0.5, -1.25])
    w.add_array("t.bools", [True, False])
    w.add_array("t.nested", [["x", "y"], [1, 2, 3]])
    rng = np.random.default_rng(1)
    w.add_tensor("f32", rng.standard_normal((3, 5), dtype=np.float32))
    w.add_tensor("f16", rng.standard_normal((2, 7), dtype=np.float32).astype(np.float16))
    w.add_tensor("i8", np.arange(6, dtype=np.int8).reshape(1, 2, 3))
    for name in ("Q4_0", "Q8_0", "Q5_1", "BF16"):
        t = gguf.GGMLQuantizationType[name]
        data = gguf.quants.quantize(rng.standard_normal((2, 64), dtype=np.float32), t)
        w.add_tensor(name.lower(), data, raw_dtype=t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def describe():
    r = gguf.GGUFReader(PATH)
    yield f"data at {r.data_offset} alignment {r.alignment}"
    for f in r.fields.values():
        if f.name.startswith("GGUF."):
            continue
        kinds = " ".join(t.name.lower() for t in f.types)
        c = f.contents() if f.name != "t.nested" else "..."  # the package flattens arrays of arrays
        if f.types[0].name.startswith("FLOAT"):
            c = repr(float(c))
        elif isinstance(c, list):
            c = "|".join(str(x) for x in c)
        yield f"key {f.name} {kinds.split()[0]} {c}"
    for t in r.tensors:
        raw = t.data.tobytes()
        dims = "x".join(str(d) for d in t.shape.tolist())
        yield f"tensor {t.name} {t.tensor_type.name} {dims} at {t.data_offset} {hashlib.sha256(raw).hexdigest()}"


write()
(HERE / "gguf-py.txt").write_text("\n".join(describe()) + "\n", encoding="utf-8")
