#!/usr/bin/env python3
"""Writes real.jsonl: the ids that Hugging Face's tokenizers give random texts with the tokenizers of real models.

usage: python3 real.py FOLDER > real.jsonl      (FOLDER is .testdata/tokenizers; needs: pip install tokenizers tiktoken)
A line with "file" begins a tokenizer and says which pre-tokenizer it is for; the lines behind it hold texts and ids, special tokens
parsed and none added. Tekken's file is in a form of its own, which tiktoken reads.
"""
import base64
import json
import os
import random
import sys
import unicodedata

WORDS = ["the", "Hello", "world", "naïve", "Straße", "日本語", "кот", "don't", "WE'LL", "I'Ve", "x1", "2024", "1234567", "3.14", "🦙", "e\u0301", "o\u0308\u0323", "\u200b", "\u1100\u1161", "http://a.b/c", "def f(x):", "\treturn", "a_b", "ﬁ", "½", "٣", "Ⅷ",
         "aaaaaaaaaaaaaaaaaaaa", "\x00", "▁", "▁▁▁", "<0x41>", "ſ", "HTTPServer", "iPhone", "//x", "!!\n\n", "…。", "한국어", "हिन्दी", "ไทย", "\u2126", "\ufeff", "ǅ", "-1", "$5+3", "</s>", "<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<bos>", "<｜end▁of▁sentence｜>", "<|im_end", "<table>"]
GAPS = ["", "", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "        ", " \n ", "\u00a0", "\u3000", "\t"]
PLANES = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x400, 0x500), (0x600, 0x1200), (0x1E00, 0x2600), (0x3000, 0x3400), (0x4E00, 0x5000), (0xAC00, 0xAD00), (0x1F300, 0x1F700), (0x1D400, 0x1D500)]


def texts(rng):
    for _ in range(80):
        out = ""
        for _ in range(rng.randrange(1, 12)):
            if rng.random() < 0.8:
                out += rng.choice(WORDS)
            else:
                lo, hi = rng.choice(PLANES)
                out += "".join(c for c in (chr(rng.randrange(lo, hi)) for _ in range(3)) if unicodedata.category(c) not in ("Cn", "Cs"))
            out += rng.choice(GAPS)
        yield out


def encoder(path):
    if os.path.basename(path) == "tekken.json":
        import tiktoken

        with open(path, encoding="utf-8") as f:
            d = json.load(f)
        config = d["config"]
        special = config["default_num_special_tokens"]
        ranks = {base64.b64decode(v["token_bytes"]): v["rank"] for v in d["vocab"][: config["default_vocab_size"] - special]}
        enc = tiktoken.Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={})
        return lambda text: [special + i for i in enc.encode_ordinary(text)]
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(path)
    return lambda text: tok.encode(text, add_special_tokens=False).ids


for name, pre in [("deepseek-v3", "deepseek-v3"), ("gemma3", "gemma4"), ("gpt4o", "gpt-4o"), ("llama3_1", "llama-bpe"), ("qwen3", "qwen2"), ("tekken", "tekken")]:
    print(json.dumps({"file": name, "pre": pre}))
    encode = encoder(os.path.join(sys.argv[1], name + ".json"))
    for text in texts(random.Random(23)):
        print(json.dumps({"text": text, "ids": encode(text)}))
