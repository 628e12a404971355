"""Writes two LoRA adapters of the built-in model into a folder, as PEFT saves them. usage: adapters.py FOLDER"""
import json
import os
import random
import struct
import sys

LAYERS, WIDTH, FFN, RANK = 5, 64, 172, 4


def tensors(r):
    """The factors of all queries and downward projections: name -> (shape, values)."""
    for layer in range(LAYERS):
        for module, inputs in (("self_attn.q_proj", WIDTH), ("mlp.down_proj", FFN)):
            name = f"base_model.model.model.layers.{layer}.{module}.lora_"
            yield name + "A.weight", (RANK, inputs), [r.uniform(-1, 1) / inputs**0.5 for _ in range(RANK * inputs)]
            yield name + "B.weight", (WIDTH, RANK), [r.uniform(-0.5, 0.5) for _ in range(WIDTH * RANK)]


def write(folder, seed):
    os.makedirs(folder)
    header, data = {}, b""
    for name, shape, values in tensors(random.Random(seed)):
        packed = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "adapter_model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as f:
        json.dump({"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": ["q_proj", "down_proj"]}, f)


if __name__ == "__main__":
    for seed, name in enumerate(("style", "tone")):
        write(os.path.join(sys.argv[1], name), seed)
