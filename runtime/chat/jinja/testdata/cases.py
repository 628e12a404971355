#!/usr/bin/env python3
"""Writes cases.jsonl: templates with what Jinja2's immutable sandbox makes of them, set up as Hugging Face's renderer does.

usage: python3 cases.py > cases.jsonl      (needs: pip install jinja2)
The templates are those of cases.txt, one after the other with a line `----` between them; all see the variables below.
"""
import json
import pathlib
import sys

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARS = {
    "messages": [
        {"role": "system", "content": "You are \"Bo\" & <co>."},
        {"role": "user", "content": "hé <b> 'x'\n", "extra": {"z": 1, "a": [1, 2.5, None, True]}},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"b": 1, "a": "ü"}}}]},
    ],
    "none_value": None,
    "empty_list": [],
    "empty_dict": {},
    "empty_text": "",
    "numbers": [3, 1, 2],
    "floats": [0.5, 1e20, 1e-7, 100.0],
    "words": ["pear", "Apple", "fig"],
    "people": [{"name": "Zoe", "age": 3, "city": "X"}, {"name": "al", "age": 30, "city": "y"}, {"name": "Bo", "age": 3, "city": "x"}],
    "text": "The quick brown fox",
    "number": 42,
    "pi": 3.14159,
    "yes": True,
    "schema": {"type": "object", "items": {"type": "string"}, "keys": 1, "properties": {"b": {}, "a": []}},
    "long_text": "line one\nline two\n\nline four",
    "emoji": "a😀é",
}


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    return env


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    print(json.dumps({"vars": VARS}, ensure_ascii=False))
    for template in (here / "cases.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n----\n"):
        case = {"template": template}
        try:
            case["want"] = environment().from_string(template).render(**VARS)
        except Exception as error:  # whatever Python makes of it is the expectation
            case["error"] = str(error)
        print(json.dumps(case, ensure_ascii=False))
