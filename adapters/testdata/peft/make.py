#!/usr/bin/env python3
"""Writes cases.jsonl: what PyTorch and PEFT compute with adapters of many kinds on the tiny model of peft_test.go.

usage: go test ./adapters -run TestPEFTCases -write-base /tmp/base.gguf; make.py /tmp/base.gguf > cases.jsonl
Needs: pip install torch transformers peft gguf numpy. Written with torch 2.15.0, transformers 5.24.0, peft 0.21.2.
Weights of adapters are not kept: both sides make them of their names (fill below).
"""
import json
import sys
import tempfile
import zlib

import numpy as np
import peft
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

reader = GGUFReader(sys.argv[1])
weights = {t.name: np.array(t.data) for t in reader.tensors}
HEADS, KV, WIDTH, FFN, LAYERS = 4, 2, 64, 128, 2
VOCAB = weights["token_embd.weight"].shape[0]
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PLAN = {
    "r64-all": dict(r=64, lora_alpha=16, target_modules=LINEAR),
    "all-linear": dict(r=3, lora_alpha=5, target_modules="all-linear"),
    "expression": dict(r=4, lora_alpha=8, target_modules=r"model\.layers\.\d\.(self_attn\.(q|k)|mlp\.up)_proj"),
    "excluded": dict(r=4, lora_alpha=8, target_modules=LINEAR, exclude_modules=r".*\.0\.mlp\..*"),
    "fan-in-fan-out": dict(r=4, lora_alpha=8, target_modules=LINEAR, fan_in_fan_out=True),
    "one-layer": dict(r=4, lora_alpha=8, target_modules=LINEAR, layers_to_transform=1, layers_pattern="layers"),
    "patterns": dict(r=4, lora_alpha=8, use_rslora=True, target_modules=LINEAR, rank_pattern={"^model.layers.0.self_attn.q_proj": 8, "(gate|up)_proj": 2},
                     alpha_pattern={"layers.1.mlp.down_proj": 3, ".*_proj": 6}),
    "bias-all": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], bias="all"),
    "bias-lora-only": dict(r=4, lora_alpha=8, target_modules=["k_proj", "down_proj"], bias="lora_only"),
    "dora": dict(r=4, lora_alpha=8, use_dora=True, target_modules=["q_proj", "k_proj", "up_proj"]),
    "embeddings": dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "lm_head"]),
    "activated": dict(r=4, lora_alpha=8, target_modules=LINEAR, alora_invocation_tokens=[7, 9]),
    "activated-nowhere": dict(r=4, lora_alpha=8, target_modules=LINEAR, alora_invocation_tokens=[7, 8]),
}
IDS = [1, 20, 7, 9, 33, 41, 7, 9, 55, 60, 12]


def fill(name, shape):
    """Numbers of 8 bits, which every type holds, from the name and the place, between -1/8 and 1/8; around 1 for magnitudes."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    h = (np.uint64(zlib.crc32(name.encode())) + i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    h = (h * np.uint64(1664525) + np.uint64(1013904223)) & np.uint64(0xFFFFFFFF)
    x = ((h >> np.uint64(24)).astype(np.float64) / 256 - 0.5) / 4
    if "magnitude" in name:
        x += 1
    return torch.tensor(x.astype(np.float32).reshape(shape))


def halves(w, heads):
    """The checkpoint's order of rows, which the file has as adjacent pairs."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def base():
    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    state = {}
    for name, w in weights.items():
        name, kind = name.rsplit(".", 1)
        if name.startswith("blk."):
            _, layer, part = name.split(".")
            w = halves(w, {"attn_q": HEADS, "attn_k": KV}[part]) if part in ("attn_q", "attn_k") else w
            name = "model.layers.%s.%s" % (layer, names[part])
        else:
            name = {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}[name]
        state[name + "." + kind] = torch.tensor(np.ascontiguousarray(w))
    eps = float(reader.fields["llama.attention.layer_norm_rms_epsilon"].contents())
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV,
                         rms_norm_eps=eps, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, attention_bias=True, mlp_bias=True,
                         tie_word_embeddings=False, max_position_embeddings=256)
    model = LlamaForCausalLM(config).float().eval()
    model.load_state_dict(state)
    return model


def line(name, model, **more):
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0, -1].double()
    v, i = logits.topk(10)
    print(json.dumps(dict(name=name, ids=IDS, top=[[int(a), round(float(b), 5)] for a, b in zip(i, v)], lse=round(float(torch.logsumexp(logits, 0)), 5), **more)))


line("base", base())
for name, kw in PLAN.items():
    model = peft.get_peft_model(base(), peft.LoraConfig(task_type="CAUSAL_LM", **kw))
    with tempfile.TemporaryDirectory() as out:
        # What is saved and loaded again counts: save_pretrained sorts the patterns, the first of which decides.
        model.save_pretrained(out, save_embedding_layers=False)
        saved = load_file(out + "/adapter_model.safetensors")
        config = json.load(open(out + "/adapter_config.json"))
        save_file({n: fill(n, t.shape) for n, t in saved.items()}, out + "/adapter_model.safetensors")
        model = peft.PeftModel.from_pretrained(base(), out).eval()
    line(name, model, config={k: v for k, v in config.items() if v is not None}, tensors={n: list(t.shape) for n, t in sorted(saved.items())})
