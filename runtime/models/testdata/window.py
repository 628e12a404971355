#!/usr/bin/env python3
"""Writes mistral-window.golden.jsonl: what PyTorch computes with a tiny Mistral whose rows see a window of 24 positions (window_test.go).

usage: window.py > mistral-window.golden.jsonl
Needs: pip install torch transformers numpy. Written with torch 2.15.0, transformers 5.24.0.
Weights and prompts are not kept: both sides make the weights of their names (fill), and the lines hold the prompts.
"""
import json
import zlib

import numpy as np
import torch
from transformers import MistralConfig, MistralForCausalLM

WINDOW, VOCAB, GREEDY = 24, 487, 32
PROMPTS = [1, 23, 24, 25, 40, 64, 65, 100, 150, 200, 224]


def fill(name, shape):
    """Numbers of 8 bits, which every type holds, from the name and the place, between -1/8 and 1/8."""
    h = np.uint64(zlib.crc32(name.encode())) + np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(2654435761)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):  # rows of a line alone would be shifted copies of each other
        h = h & np.uint64(0xFFFFFFFF)
        h = (h ^ (h >> np.uint64(shift))) * np.uint64(factor)
    x = ((h >> np.uint64(24)) & np.uint64(0xFF)).astype(np.float64) / 256 - 0.5
    return torch.tensor((x / 4).astype(np.float32).reshape(shape))


def weight(name, shape):
    x = fill(name, shape)
    if "norm" in name:
        return 1 + x
    if "embed_tokens" in name:
        return 8 * x
    return 4 * x if "self_attn" in name or "lm_head" in name else 2 * x


model = MistralForCausalLM(MistralConfig(
    vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
    rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, sliding_window=WINDOW, tie_word_embeddings=False,
    max_position_embeddings=256, attn_implementation="eager")).float().eval()
model.load_state_dict({n: weight(n, t.shape) for n, t in model.state_dict().items()})
for n in PROMPTS:
    ids = [(i * i * 31 + i * 7 + n) % VOCAB for i in range(n)]
    tokens, greedy, margin = list(ids), [], []
    while len(greedy) < GREEDY:
        with torch.no_grad():
            logits = model(torch.tensor([tokens]), use_cache=False).logits[0, -1].double()  # anew each time: no cache to be wrong
        v, i = logits.topk(10)
        if not greedy:
            line = dict(name="%d tokens" % n, ids=ids, top=[[int(a), round(float(b), 5)] for a, b in zip(i, v)], lse=round(float(torch.logsumexp(logits, 0)), 5))
        greedy.append(int(i[0]))
        margin.append(round(float(v[0] - v[1]), 4))
        tokens.append(greedy[-1])
    print(json.dumps(dict(line, greedy=greedy, margin=margin)))
