#!/usr/bin/env python3
"""Writes renderings.jsonl: each conversation of conversations.json through each template of templates/, rendered by
`transformers` itself (transformers.utils.chat_template_utils.render_jinja_template).

usage: python3 expect.py [FOLDER_OF_TEMPLATES] > renderings.jsonl      (needs: pip install transformers jinja2)
Made with transformers 5.23.0 and jinja2 3.1.6. templates/README.md says where the templates come from.
"""
import datetime
import json
import pathlib
import sys

import jinja2
from transformers.utils import chat_template_utils


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 7, 9, 5, 2)


chat_template_utils.datetime = Fixed


def render(template, c):
    rendered, _ = chat_template_utils.render_jinja_template(
        conversations=[c["messages"]], tools=c.get("tools"), documents=c.get("documents"), chat_template=template,
        add_generation_prompt=c.get("add_generation_prompt", False), bos_token="<s>", eos_token="</s>", **c.get("extra", {}))
    return rendered[0]


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "templates"
    conversations = json.loads((here / "conversations.json").read_text(encoding="utf-8"))
    for path in sorted(folder.glob("*.jinja")):
        template = path.read_bytes().decode("utf-8")
        for name, c in conversations.items():
            out = {"template": path.stem, "conversation": name}
            try:
                out["want"] = render(template, c)
            except Exception as error:  # whatever Python makes of it is the expectation
                out["raised" if type(error) is jinja2.exceptions.TemplateError else "error"] = str(error)
            print(json.dumps(out, ensure_ascii=False))
