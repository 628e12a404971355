#!/usr/bin/env python3
"""Writes renderings.jsonl: each conversation of conversations.json through each template of templates/, rendered by Jinja2
set up as Hugging Face's renderer does (see cases.py).

usage: python3 expect.py > renderings.jsonl      (needs: pip install jinja2)
smollm2.jinja is the template of the SmolLM2 file itself; the others are written after the shapes in use.
"""
import datetime
import json
import pathlib

from cases import environment

NOW = datetime.datetime(2026, 3, 7, 9, 5, 2)


class Raised(Exception):
    pass


def raise_exception(message):
    raise Raised(message)


def render(template, c):
    env = environment()
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env.from_string(template).render(
        messages=c["messages"], tools=c.get("tools"), documents=c.get("documents"),
        add_generation_prompt=c.get("add_generation_prompt", False), bos_token="<s>", eos_token="</s>", **c.get("extra", {}))


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    conversations = json.loads((here / "conversations.json").read_text(encoding="utf-8"))
    for path in sorted((here / "templates").glob("*.jinja")):
        for name, c in conversations.items():
            out = {"template": path.stem, "conversation": name}
            try:
                out["want"] = render(path.read_text(encoding="utf-8"), c)
            except Raised as error:
                out["raised"] = str(error)
            except Exception as error:  # whatever Python makes of it is the expectation
                out["error"] = str(error)
            print(json.dumps(out, ensure_ascii=False))
