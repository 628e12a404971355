#!/usr/bin/env python3
"""First token of a prompt whose session was left by the daemon before, beside that of the same prompt computed anew.

    restart.py WEFTD MODEL.gguf [TURNS]

In each turn WEFTD is started on a folder of its own and asked for one token behind 2,000 random ones with a session: cold; it is asked again, so that they are found
in memory; it is stopped and started again, and asked: they are found on disk; the model is unloaded, loaded and asked once more. The answers are to be the same. Prints one line of JSON
for each turn: tokens found and time to the first token in ms, as the client sees it. Needs nothing but Python."""
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time

from streams import Unix

WEFTD, MODEL, TURNS = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3
LENGTH = 2000


def call(path, method, where, body=None):
    c = Unix(path)
    c.request(method, where, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    r = c.getresponse()
    answer = r.read()
    if r.status != 200:
        sys.exit(f"{method} {where}: {r.status} {answer.decode()}")
    return json.loads(answer) if answer.startswith(b"{") else None


def start(folder):
    path = os.path.join(folder, "sock")
    daemon = subprocess.Popen([WEFTD, "--listen", "unix://" + path, "--builtin=false", "--threads", "2", "--ctx", "2048", "--data-dir", folder], stderr=subprocess.DEVNULL)
    while True:
        try:
            if any(m["state"] == "serving" for m in call(path, "GET", "/weft/v1/models")["models"]):
                return daemon, path
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)


def ask(path, prompt):
    begin = time.monotonic()
    answer = call(path, "POST", "/v1/completions", {
        "model": "m", "prompt": prompt, "max_tokens": 1, "temperature": 0, "ignore_eos": True, "session": "s", "return_token_ids": True})
    took = round(1000 * (time.monotonic() - begin), 1)
    return took, answer["weft"]["reused_tokens"], answer["choices"][0]["token_ids"]


def turn(number):
    rng = random.Random(number)
    prompt = [rng.randrange(300, 20000) for _ in range(LENGTH)]
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "models"))
        os.symlink(os.path.realpath(MODEL), os.path.join(folder, "models", "m.gguf"))
        daemon, path = start(folder)
        got = {"cold": ask(path, prompt), "memory": ask(path, prompt)}
        daemon.terminate()
        daemon.wait()
        daemon, path = start(folder)
        got["restart"] = ask(path, prompt)
        call(path, "POST", "/weft/v1/models/m/unload")
        call(path, "POST", "/weft/v1/models/m/load")
        got["reload"] = ask(path, prompt)
        daemon.terminate()
        daemon.wait()
    if len({tuple(answer) for _, _, answer in got.values()}) > 1:
        sys.exit(f"the answers differ: {got}")
    cold = got["cold"][0]
    return {name: {"ms": took, "found": found, "of_cold": round(took / cold, 4)} for name, (took, found, _) in got.items()}


for n in range(TURNS):
    print(json.dumps({"model": os.path.basename(MODEL), **turn(n)}), flush=True)
