#!/usr/bin/env python3
"""Writes wordpiece.jsonl: the ids that Hugging Face's tokenizers give random texts with BERT's tokenizer.

usage: python3 wordpiece.py ENGLISH.txt [VOCAB.gguf [COUNT]] > wordpiece.jsonl      (needs: pip install tokenizers gguf)
A line with "tokens" begins a vocabulary (as a GGUF file spells it) with its options; the lines behind it hold texts, their ids
and the text of these ids. The small vocabulary is made of ENGLISH.txt; "file" names one that stands elsewhere.
"""
import json
import random
import sys
import unicodedata

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "Hello", "world", "naïve", "Straße", "日本語", "кот", "don't", "x1", "2024", "3.14", "🦙", "e\u0301", "\u200b", "ﬁ", "½", "a" * 101, "b" * 100, "\x00", "▁", "##a", "[CLS]", "[unused1]",
         "İstanbul", "ΣΑΣ", "한국어", "हिन्दी", "ไทย", "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "\ufffd", "\u00ad", "Å", "\u0130", "_", "~", "$", "`", "¿", "«x»", "Ǆ", "𝐀", "\ufeff", "\u3000", "が", "か\u3099", "\U0002b820", "\U0002b920", "\U0002fa1d", "\uf900", "ẛ\u0323", "e\u0327\u0301"]
GAPS = ["", " ", " ", " ", "  ", "\n", "\r\n", "\t", "\u00a0"]


def texts(rng, n):
    planes = [(0x20, 0x7F), (0x80, 0x250), (0x250, 0x800), (0x800, 0x1100), (0x1100, 0x2000), (0x2000, 0x2600), (0x3000, 0x3400), (0xA000, 0xD7A4), (0xF900, 0x10000), (0x10000, 0x20000)]
    for _ in range(n):
        out = ""
        for _ in range(rng.randrange(1, 10)):
            if rng.random() < 0.7:
                out += rng.choice(WORDS)
            else:
                lo, hi = rng.choice(planes)
                # Characters younger than the tables of the reference are left out: it takes them for unassigned.
                out += "".join(c for c in (chr(rng.randrange(lo, hi)) for _ in range(4)) if unicodedata.category(c) not in ("Cn", "Cs") and old(c))
            out += rng.choice(GAPS)
        yield out


def old(c):
    """Says whether the reference's tables (of several ages) agree with Unicode 14 about a character."""
    bert = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=True)
    want = "" if unicodedata.category(c) in ("Cc", "Cf", "Co") and c not in "\t\n\r" else c
    if want:
        want = "".join(x for x in unicodedata.normalize("NFD", want) if unicodedata.category(x) != "Mn").lower()
    if c == "\ufffd":
        want = ""
    if unicodedata.category(c) in ("Zs", "Zl", "Zp") or c in "\t\n\r":
        want = " "
    punct = unicodedata.category(c).startswith("P") or (c.isascii() and unicodedata.category(c).startswith("S"))
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a" + c + "a")
    return bert.normalize_str(c) == want and (c.isspace() or (len(split) == 3) == punct)


def gguf_spelling(tokens):
    return [t if t in SPECIALS else t[2:] if t.startswith("##") else "▁" + t for t in tokens]


def emit(tokens, name, count):
    vocab = {t: i for i, t in enumerate(tokens)}
    for options in [{"lowercase": True}, {"lowercase": False}, {"lowercase": True, "strip_accents": False}, {"lowercase": False, "strip_accents": True}]:
        head = {"options": options, "types": [3 if t in SPECIALS else 1 for t in tokens]}
        if name:
            head = {"options": options, "file": name}
        else:
            head["tokens"] = gguf_spelling(tokens)
        print(json.dumps(head, ensure_ascii=False))
        tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
        tok.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=options.get("strip_accents"), lowercase=options["lowercase"])
        tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tok.decoder = decoders.WordPiece(prefix="##", cleanup=False)
        for text in texts(random.Random(7), count):
            ids = tok.encode(text).ids
            print(json.dumps({"text": text, "ids": ids, "decoded": tok.decode([i for i in ids if tokens[i] != "[UNK]"])}))


def main():
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with open(sys.argv[1], encoding="utf-8") as f:
        lines = f.read()[:200000].splitlines() + [" ".join(WORDS)] * 3 + ["한국어 हिन्दी naive strasse istanbul"] * 3
    tok.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=420, special_tokens=SPECIALS, show_progress=False))
    vocab = tok.get_vocab()
    emit(sorted(vocab, key=vocab.get), "", 60)
    if len(sys.argv) > 2:
        import gguf

        fields = gguf.GGUFReader(sys.argv[2]).fields
        field = fields["tokenizer.ggml.tokens"]
        spelled = [field.contents(i) for i in range(len(field.data))]
        types = fields["tokenizer.ggml.token_type"].contents()
        tokens = [t if ty == 3 or t.startswith("[unused") else t[1:] if t.startswith("▁") else "##" + t for t, ty in zip(spelled, types)]
        emit(tokens, "bert-bge", int(sys.argv[3]) if len(sys.argv) > 3 else 60)


main()
