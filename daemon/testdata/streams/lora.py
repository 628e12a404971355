#!/usr/bin/env python3
"""A random LoRA adapter on all linear layers of a base, as a GGUF file: lora.py BASE.gguf OUT.gguf RANK SEED. Needs gguf, numpy."""
import sys

import gguf
import numpy as np

base, out, rank, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(seed)
reader = gguf.GGUFReader(base)
w = gguf.GGUFWriter(out, "llama")
w.add_string("general.type", "adapter")
w.add_string("adapter.type", "lora")
w.add_float32("adapter.lora.alpha", rank)
for t in reader.tensors:
    if not (t.name.startswith("blk.") and len(t.shape) == 2):
        continue
    columns, rows = int(t.shape[0]), int(t.shape[1])
    scale = 0.02
    w.add_tensor(t.name + ".lora_a", (rng.standard_normal((rank, columns)) * scale).astype(np.float16))
    w.add_tensor(t.name + ".lora_b", (rng.standard_normal((rows, rank)) * scale).astype(np.float16))
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
