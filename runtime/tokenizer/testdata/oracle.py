#!/usr/bin/env python3
"""Writes oracle.jsonl: the ids llama.cpp gives random texts on several vocabularies, with special tokens among them.

usage: python3 oracle.py NAME=MODEL.gguf ... > oracle.jsonl      (needs: pip install llama-cpp-python)
The names are those of the test. A line holds the ids of a text plain (nothing added, special tokens not parsed) and whole
(BOS and EOS by the model's rule, special tokens parsed); the first line of a vocabulary its end tokens.
"""
import json
import random
import sys
import unicodedata

import llama_cpp as L

WORDS = ["the", "Hello", "world", "naïve", "Straße", "日本語", "кот", "don't", "WE'LL", "x1", "2024", "3.14", "🦙", "e\u0301", "\u200b", "</s>x", "http://a.b/c", "def f(x):", "\treturn", "a_b", "ﬁ", "½", "٣", "aaaaaaaaaaaaaaaaaaaa", "\x00", "▁", "<0x41>", "ſ"]
SPECIALS = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end|>", "<|user|>", "<|assistant|>", "<repo_name>", "<|im_end", "im_end|>", "<<s>>", "<s"]
GAPS = ["", " ", " ", " ", "  ", "\n", "\n\n", "\r\n", "    ", " \n "]


def texts(rng):
    for i in range(60):
        out = ""
        for _ in range(rng.randrange(1, 12)):
            out += rng.choice(WORDS if rng.random() < 0.75 or i < 20 else SPECIALS) + rng.choice(GAPS)
        yield unicodedata.normalize("NFC", out)  # llama.cpp leaves out the normalization that Qwen's tokenizer does


def main():
    L.llama_backend_init()
    quiet = L.llama_log_callback(lambda *a: None)
    L.llama_log_set(quiet, None)
    for arg in sys.argv[1:]:
        name, path = arg.split("=", 1)
        params = L.llama_model_default_params()
        params.vocab_only = True
        vocab = L.llama_model_get_vocab(L.llama_model_load_from_file(path.encode(), params))

        def encode(text, special):
            raw = text.encode()
            buf = (L.llama_token * (len(raw) + 16))()
            n = L.llama_tokenize(vocab, raw, len(raw), buf, len(buf), special, special)
            assert n >= 0
            return list(buf[:n])

        size = L.llama_vocab_n_tokens(vocab)
        print(json.dumps({"vocab": name, "eog": [i for i in range(size) if L.llama_vocab_is_eog(vocab, i)]}))
        for text in texts(random.Random(11)):
            print(json.dumps({"text": text, "plain": encode(text, False), "whole": encode(text, True)}))


main()
