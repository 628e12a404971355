#!/usr/bin/env python3
"""Writes unigram.jsonl: the ids that SentencePiece gives random texts with Unigram vocabularies.

usage: python3 unigram.py ENGLISH.txt [VOCAB.gguf [COUNT]] > unigram.jsonl      (needs: pip install sentencepiece protobuf gguf)
A line with "options" begins a vocabulary, whose keys "tokens", "scores", "types" and "charsmap" (base64) the first line of a
vocabulary holds and the others share; the lines behind it hold texts with what the normalizer makes of them and their ids.
The small vocabulary is trained on ENGLISH.txt, with rules for characters of its own; "file" names one that stands elsewhere.
"""
import base64
import io
import json
import os
import random
import sys
import tempfile
import unicodedata

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as proto

WORDS = ["the", "Hello", "world", "whale", "naïve", "ﬁsh", "ﬁ", "½", "ＡＢＣ", "ａｂｃ", "日本語", "кот", "don't", "x1", "2024", "🦙", "e\u0301", "a\u0308\u0301", "\u200b", "\u00ad", "▁", "▁▁the", "the▁", "a" * 30, "ﷺ", "…", "№",
         "\x01", "\x7f", "\ufeff", "¨", "¨a", "´", "ﾊﾟ", "か\u3099", "한국어", "\u1112\u1161\u11ab", "\ufffd", "<s>", "</s>", "<unk>", "<0x41>", "\u0345", "Ⅷ", "㌔", "\u0000"]
GAPS = ["", " ", " ", " ", "  ", "   ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", " \u200b ", "\u200b "]


def texts(rng, n):
    for _ in range(n):
        out = rng.choice(["", "", " ", "  ", "\n"])
        for _ in range(rng.randrange(0, 10)):
            if rng.random() < 0.8:
                out += rng.choice(WORDS)
            else:
                lo, hi = rng.choice([(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x400, 0x500), (0x1E00, 0x2000), (0x2000, 0x2600), (0x3000, 0x3400), (0xAC00, 0xD7A4), (0xF900, 0xFFFE), (0x1F100, 0x1F800)])
                out += "".join(chr(rng.randrange(lo, hi)) for _ in range(3))
            out += rng.choice(GAPS)
        yield out


def rules():
    """A few hundred rules like those of nmt_nfkc: whitespace, controls, compatibility forms and compositions."""
    chars = [chr(c) for c in [*range(0x80, 0x180), *range(0x2000, 0x2070), *range(0x2100, 0x2130), *range(0x2160, 0x2170), *range(0xFB00, 0xFB07), *range(0xFF01, 0xFF5F), 0x3000, 0xFDFA, 0xFF8A]]
    table = {c: unicodedata.normalize("NFKC", c) for c in chars}
    for c in chars:
        parts = unicodedata.normalize("NFKD", c)
        if len(parts) > 1 and unicodedata.normalize("NFKC", parts) == table[c]:
            table[parts] = table[c]
    for c in "\t\n\r\u00a0\u2028\u2029\u3000":
        table[c] = " "
    for c in [*range(1, 9), *range(14, 32), 0x7F, 0xAD, 0x200B, 0xFEFF]:
        table[chr(c)] = ""
    return {k: v for k, v in table.items() if k != v and "\x00" not in k and unicodedata.category(k[0]) != "Cn"}


def train(path):
    with tempfile.TemporaryDirectory() as folder:
        tsv = os.path.join(folder, "rules.tsv")
        with open(tsv, "w", encoding="utf-8") as f:
            for k, v in sorted(rules().items()):
                f.write(" ".join("%X" % ord(c) for c in k) + "\t" + " ".join("%X" % ord(c) for c in v) + "\n")
        with open(path, encoding="utf-8") as f:
            lines = [x for x in f.read().splitlines() if x]
        out = io.BytesIO()
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=out, vocab_size=600, model_type="unigram", byte_fallback=True, normalization_rule_tsv=tsv,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, num_threads=1, character_coverage=1.0)
    model = proto.ModelProto()
    model.ParseFromString(out.getvalue())
    return model


def from_gguf(path):
    import gguf

    fields = gguf.GGUFReader(path).fields
    model = proto.ModelProto()
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id = fields["tokenizer.ggml.unknown_token_id"].contents()
    tokens = fields["tokenizer.ggml.tokens"]
    scores = fields["tokenizer.ggml.scores"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    for i in range(len(scores)):
        model.pieces.add(piece=tokens.contents(i), score=scores[i], type=types[i])
    spec = model.normalizer_spec
    spec.precompiled_charsmap = bytes(fields["tokenizer.ggml.precompiled_charsmap"].contents())
    spec.add_dummy_prefix = fields["tokenizer.ggml.add_space_prefix"].contents()
    spec.remove_extra_whitespaces = fields["tokenizer.ggml.remove_extra_whitespaces"].contents()
    spec.escape_whitespaces = True
    return model


def emit(model, head, count):
    print(json.dumps(head, ensure_ascii=False))
    sp = spm.SentencePieceProcessor(model_proto=model.SerializeToString())
    for text in texts(random.Random(5), count):
        print(json.dumps({"text": text, "normal": sp.normalize(text), "ids": sp.encode(text)}))


def main():
    model = train(sys.argv[1])
    for fallback in [True, False]:
        if not fallback:
            model.trainer_spec.byte_fallback = False
            kept = [p for p in model.pieces if p.type != 6]
            del model.pieces[:]
            model.pieces.extend(kept)
        head = {
            "tokens": [p.piece for p in model.pieces], "scores": [p.score for p in model.pieces], "types": [p.type for p in model.pieces],
            "charsmap": base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode(),
        }
        for prefix in [True, False]:
            for merge in [True, False]:
                model.normalizer_spec.add_dummy_prefix = prefix
                model.normalizer_spec.remove_extra_whitespaces = merge
                emit(model, {"options": {"prefix": prefix, "merge": merge}, **head}, 60)
                head = {}
    if len(sys.argv) > 2:
        emit(from_gguf(sys.argv[2]), {"options": {}, "file": "nomic-bert-moe"}, int(sys.argv[3]) if len(sys.argv) > 3 else 120)


main()
