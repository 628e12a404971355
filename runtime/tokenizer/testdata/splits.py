#!/usr/bin/env python3
"""Writes splits.jsonl: how the regular expressions of the pre-tokenizers cut texts into words, by Hugging Face's tokenizers.

usage: python3 splits.py > splits.jsonl      (needs: pip install tokenizers)
A line holds a text and, for each pre-tokenizer, the lengths of its words in bytes. The texts are edge cases and random
ones from a fixed seed; the last line holds the classes of all characters as ranges.
"""
import json
import random

from tokenizers import Regex, pre_tokenizers as pre

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = r"[^\r\n\p{L}\p{N}]?%s*%s+{0}|[^\r\n\p{L}\p{N}]?%s+%s*{0}|\p{N}{1}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+" % (UPPER, LOWER, UPPER, LOWER)


def cased(contraction, digits):
    return CASED.replace("{0}", contraction).replace("{1}", digits)


DEEPSEEK3 = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"


SPARK = DEEPSEEK3.replace(r"[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+", r"[\p{P}\p{S}]+|[\r\n]")
ASIAN = r"[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"
KIMI = r"[\p{Han}]+|" + cased(CONTRACTION, "{1,3}").replace(r"\p{M}]", r"\p{M}&&[^\p{Han}]]").replace(r"[\r\n/]*", r"[\r\n]*")
JAIS2 = LLAMA3.replace(r"\s+(?!\S)|\s+", "".join(r"\s{%d}(?!\S)|" % n for n in (512, 256, 128, 64, 32, 16, 8, 4)) + r"\s{1,2}(?!\S)|\s{1}")
EXAONE_MOE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SEED_CODER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
YOUTU = "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"


def split(pattern):
    return pre.Split(Regex(pattern), "isolated")


PRES = {
    "gpt-2": split(GPT2),
    "smollm": pre.Sequence([pre.Digits(individual_digits=True), split(GPT2)]),
    "llama-bpe": split(LLAMA3),
    "qwen2": split(QWEN2),
    "qwen35": split(QWEN35),
    "tekken": split(cased("", "")),
    "gpt-4o": split(cased(CONTRACTION, "{1,3}")),
    "falcon": pre.Sequence([split(r"[\p{P}\$\+<=>\^~\|`]+"), split(GPT2), split(r"[0-9][0-9][0-9]")]),
    "deepseek-coder": pre.Sequence([split(p) for p in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}")]),
    "deepseek-v3": pre.Sequence([split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3)]),
    "bloom": split(BLOOM),
    "default": pre.Sequence([split(r"[\p{P}\$\+<=>\^~\|]+"), split(GPT2), split(r"\p{N}+"), split(r"[0-9][0-9][0-9]")]),
    "chameleon": pre.Sequence([split(p) for p in (r"<sentinel:[0-9]+>", r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2)]),
    "spark2_5": pre.Sequence([split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(SPARK), split(r"\p{N}")]),
    "afmoe": pre.Sequence([split(r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"), split(ASIAN), split(DEEPSEEK3)]),
    "youtu": pre.Sequence([split(YOUTU), split(cased(CONTRACTION, ""))]),
    "tiny_aya": pre.Sequence([split(r"\d{1,3}(?=(?:\d{3})*\b)"), split(cased(CONTRACTION, "{1,3}"))]),
    "kimi-k2": split(KIMI),
    "superbpe": pre.Sequence([split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))")]),
    "bailingmoe": split(BAILING),
    "seed-coder": split(SEED_CODER),
    "ufakzeka": split(QWEN2.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)|", "")),
    "exaone-moe": split(EXAONE_MOE),
    "laguna": pre.Sequence([split(r"[^\n]+|[\n]+"), split(QWEN2)]),
    "jais-2": split(JAIS2),
    "minicpm5": pre.Sequence([split(r"\p{N}{1,3}"), split(LLAMA3.replace("{1,3}", "+"))]),
    "gemma4": split(r"[^\n]+|[\n]+"),
    "whitespace": pre.WhitespaceSplit(),
    "viking": pre.Sequence([split(BLOOM), split(r"\p{N}")]),
}

EDGES = [
    "", " ", "  ", "   ", "\n", "\n\n", " \n", "\n ", "\r\n", "\r", "\t", " \t ", "a", " a", "  a", "   a", "a ", "a  ", "\na", "\n\na", " \n a", "\n \na", "a\n", "a \n b",
    "a\r\nb", "a\r\n\r\n b", "!\n\n", "! \n", "!!\r\n\r\nx", " !", "  !", " !a", ".a", "..a", " .a", "a.b", "a!b", "-1", " -1", "1", "12", "123", "1234", "12345678", " 1", "  1", "   12",
    "a1", "1a", " 1a", "1 a", "1.5", "½¾", "٣٤", "Ⅷ", "'s", "'S", "it's", "it'S", "IT'S", "we've", "WE'VE", "I'll", "I'LL", "I'Ll", "'t's", "' s", "'", "''", "'''s", "'re", "'Re", "'r", "'v", "'l", "'x",
    "it'ſ", "'ſ", "don't  do", " 's", "  's", "\n's", "a\u00a0b", "\u00a0", "\u00a0a", "\u00a0\u00a0a", "\u2003x", "\u3000", "a\u3000\u3000b", "\u200b", "a\u200bb", "\u0085", "a\u0085b", "\x1c", "a\x1c", "\x00", "a\x00b",
    "é", "e\u0301", "e\u0301e\u0301", "\u0301", " \u0301", "नमस्ते", "សួស្តី", "日本語", "日 本", "🦙", " 🦙", "🦙🦙", "👨‍👩‍👧", "a🦙b", "😶‍🌫️", "🇨🇭", "\U000143fa", "\U0002ebf0", "\U0001e5f1", "\ufeff", "\ufffd",
    "\u1c89", "ǅ", "ª", "²", "①", "〇", "_a", "a_b", "__", "#!", "<|im_end|>", "[INST] x [/INST]", "http://a.b/c?d=e&f", "HelloWorld", "helloWorld HTTPServer", "ABC한DEF", "한A한A", "\u0301AB", "\u0301Ab", " \u0301AB", "ǅa", "ǅA", "it'sX", "IT'S'S", "X'Sa", "a/b//c", "!/\n/", "==x", "..x", ".\"x", "x…y。z", "(a|b)", "ab12cd345678", "１２３４", "한글ABC", "日本ab", "カタカナ漢字", "$5+3<x>", "a@b.c", "\\n", "3.14e-10", "x=1;y=2", "if (a) {\n\treturn b;\n}\n", "\n\t\tx", "    x", "\t\tx", " \tx",
    "IMGIMGABZ", "xIMGIMGABCDZy", "IMGIMGABCDEZ", "IMGIMGZ", "<sentinel:12>", "<sentinel:>", "a<sentinel:7>b", "1234567", "12½34567", "½1234", "1234abc", "abc1234", "12345_", "1234\u0301", "٣٤٥٦", "1234 5678 90",
    "안녕 하세요", "the whale is  here.", "it is a b\u0301 c", "a /b", "!/!", "⺀⺁日", "日〇1", "a日b", "!日A", "ㄅㄆ、。ㄱ", "：；x", "เรือ", "က၁", "ｶﾅ", "!\n\n\n", "!\n \n!", "don't日", "日's", "\n 日",
    *(" " * n + x for n in (3, 5, 9, 17, 40, 100, 300, 700, 1100) for x in ("", "a", "\nb")), "x" + "\u3000" * 600 + "1", "!\n" + " " * 530 + "\t" * 20 + "(",
]
ALPHABET = ["a", "b", "Z", "é", "ß", "日", "本", "я", " ", " ", " ", "  ", "\n", "\r\n", "\r", "\t", "\u00a0", "\u2003", "\u3000", "\u0085", "1", "2", "9", "½", "٣", "'", "'s", "'S", "'re", "'LL", "'ſ",
            ".", ",", "!", "-", "_", "(", "🦙", "\u0301", "\u200d", "\x00", "\x1c", "\U000143fa", "\U0001e5f1", "ª", "²", "\ufffd"]


def ranges(pattern):
    pt = pre.Split(Regex(pattern), "removed")
    out = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000 or pt.pre_tokenize_str(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


if __name__ == "__main__":
    rng = random.Random(7)
    texts = EDGES + ["".join(rng.choice(ALPHABET) for _ in range(rng.randrange(1, 40))) for _ in range(400)]
    for text in texts:
        words = {name: [len(w.encode()) for w, _ in pt.pre_tokenize_str(text)] for name, pt in PRES.items()}
        print(json.dumps({"text": text, "words": words}))
    print(json.dumps({"classes": {"letter": ranges(r"\p{L}"), "number": ranges(r"\p{N}"), "space": ranges(r"\s"), "mark": ranges(r"\p{M}"), "han": ranges(r"\p{Han}"), "digit": ranges(r"\d"), "word": ranges(r"\w")}}))
