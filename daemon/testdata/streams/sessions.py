#!/usr/bin/env python3
"""Gaps between tokens of one stream while what other answers leave is written to disk, in turns with the same where nothing is written.

    sessions.py URL MODEL KV_DIR TURNS

In each turn four prompts of 1,500 tokens are computed, then a stream begins, and each prompt is asked for once more, for one token,
with a session and in the next turn without: it is found in memory, so the stream meets the writing alone. Gaps count from the end of such an answer to when the
last of its files is in KV_DIR, the folder kv of the state folder; without a session for as long as the writing of the turn before took. The next prompt is asked for
three seconds later. Sessions are forgotten between turns. The daemon is to run with `speculation` off, so that tokens come one by one. Prints one line
of JSON, times in ms. URL is http://host:port or unix:///path. Needs nothing but Python."""
import json
import os
import random
import statistics
import sys
import threading
import time

from streams import connection

URL, MODEL, FOLDER, TURNS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
PROMPTS, LENGTH, TOKENS, SLOT = 4, 1500, 3000, 3


over = threading.Event()  # the stream is not wanted any more


def ask(prompt, tokens, session, seen=None):
    """Asks for an answer; seen gets the time of each of its tokens, until the stream is over. Returns how many tokens of the prompt were found."""
    body = {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True, "return_token_ids": True}
    if session:
        body["session"] = session
    c = connection(URL)
    c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        sys.exit(r.read().decode())
    info = {}
    for line in r:
        if seen is not None and over.is_set():
            c.sock.close()
            return None
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            sys.exit(str(chunk))
        if seen is not None:
            seen.extend([time.monotonic()] * sum(len(choice.get("token_ids") or []) for choice in chunk["choices"]))
        info = chunk.get("weft") or info
    return info["reused_tokens"]


def forget():
    for name in [f"s{i}" for i in range(PROMPTS)]:
        c = connection(URL)
        c.request("DELETE", "/weft/v1/sessions/" + name)
        c.getresponse().read()


def size():
    return sum(os.stat(e).st_size for e in os.scandir(FOLDER) if e.name.endswith(".kv"))


def turn(number, spans):
    """One turn: with sessions where spans, the times to count gaps in, is empty; it is filled. Returns the gaps."""
    write, seen = not spans, []
    rng = random.Random(number)
    prompts = [[rng.randrange(300, 20000) for _ in range(LENGTH)] for _ in range(PROMPTS)]
    for p in prompts:
        ask(p, 1, None)
    t = threading.Thread(target=ask, args=([rng.randrange(300, 20000) for _ in range(8)], TOKENS, None, seen))
    t.start()
    while len(seen) < 20:
        time.sleep(0.01)
    counted = []
    for i, p in enumerate(prompts):
        if ask(p, 1, f"s{i}" if write else None) < LENGTH - 64:
            sys.exit("a prompt was not found in memory: give the model more")
        begin = last = time.monotonic()
        grown = size()
        while time.monotonic() - begin < SLOT:
            time.sleep(0.02)
            if size() > grown:
                grown, last = size(), time.monotonic()
        counted.append((begin, last if write else begin + spans[i]))
    if not t.is_alive():
        sys.exit("the stream ended before the writing: ask for more tokens")
    over.set()
    t.join()
    over.clear()
    if write:
        spans.extend(b - a for a, b in counted)
    gaps = [b - a for a, b in zip(seen, seen[1:]) if any(begin <= a and b <= end for begin, end in counted)]
    forget()
    return gaps


def told(turns):
    all_ = sorted(gap for gaps in turns for gap in gaps)
    at = {"p50": len(all_) // 2, "p90": len(all_) * 9 // 10, "p99": len(all_) * 99 // 100, "longest": -1}
    return {"gaps": len(all_), **{k: round(1000 * all_[i], 1) for k, i in at.items()}, "p50_of_turns": [round(1000 * statistics.median(g), 1) for g in turns]}


writing, without, written = [], [], []
for n in range(TURNS):
    spans = []
    writing.append(turn(2 * n, spans))
    written += spans
    without.append(turn(2 * n + 1, spans))
print(json.dumps({"turns": TURNS, "written_after_ms": round(1000 * statistics.median(written)), "writing": told(writing), "without": told(without)}))
