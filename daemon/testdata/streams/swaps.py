#!/usr/bin/env python3
"""Gaps between tokens of streams while the adapter that they use is replaced again and again.

    swaps.py URL BASE ADAPTERS_DIR A.gguf B.gguf STREAMS SWAPS SECONDS

STREAMS clients ask for BASE+swapped, 64 tokens each, one answer after the other, while ADAPTERS_DIR/swapped.gguf is replaced SWAPS times in
SECONDS by A and B in turns, by rename; with SWAPS of 0 it is only put there. Each file has the low byte of one of its last numbers changed, so that it is content that was
never tested (256 swaps have different files), and has lain still for a second before its rename, which makes it count at once. After each rename the first token by the new
generation is waited for, by a client of its own. Prints one line of JSON, times in ms. URL is http://host:port or unix:///path. Needs nothing but Python."""
import json
import os
import queue
import shutil
import sys
import threading
import time

from streams import connection

URL, BASE, FOLDER, A, B = sys.argv[1:6]
STREAMS, SWAPS, SECONDS = int(sys.argv[6]), int(sys.argv[7]), float(sys.argv[8])
MODEL, TOKENS = BASE + "+swapped", 64
gaps, failures, generations, swapped = [], [], set(), []
lock, end, ready = threading.Lock(), threading.Event(), queue.Queue(8)


def stream(prompt, tokens):
    """Asks for an answer and returns the times at which its tokens came, and what made them."""
    c = connection(URL)
    body = {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True, "return_token_ids": True}
    c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        return None, r.read().decode()
    times, info, count = [], None, 0
    for line in r:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            return None, str(chunk)
        count += sum(len(choice.get("token_ids") or []) for choice in chunk["choices"])
        times.append(time.monotonic())
        info = chunk.get("weft") or info
    if count != tokens:
        return None, f"{count} tokens of {tokens}"
    return times, info


def client(i):
    while not end.is_set():
        times, info = stream(f"{i} stood beside the door", TOKENS)
        with lock:
            if times is None:
                failures.append(info)
                continue
            generations.add(info["adapters"][0]["generation"])
            gaps.extend(b - a for a, b in zip(times, times[1:]))


def prepare(n):
    """Writes the file of a swap under a name that does not count."""
    path = os.path.join(FOLDER, f".swapped{n}.tmp")
    shutil.copyfile(B if n % 2 else A, path)
    with open(path, "r+b") as f:
        f.seek(-4, os.SEEK_END)
        low = f.read(1)[0]
        f.seek(-4, os.SEEK_END)
        f.write(bytes([(low + n) % 256]))
    return path


def preparer():
    """Has files ready some seconds ahead of their renames."""
    for n in range(1, SWAPS + 1):
        ready.put((prepare(n), time.monotonic()))


def put():
    path, written = ready.get()
    time.sleep(max(0, written + 1 - time.monotonic()))
    os.rename(path, os.path.join(FOLDER, "swapped.gguf"))


def generation():
    c = connection(URL)
    c.request("GET", "/weft/v1/adapters/swapped")
    r = c.getresponse()
    status = json.loads(r.read())
    return status.get("generation", 0) if r.status == 200 else 0


os.rename(prepare(0), os.path.join(FOLDER, "swapped.gguf"))
threading.Thread(target=preparer, daemon=True).start()
while not generation():
    time.sleep(0.05)
stream("warm", 4)
clients = [threading.Thread(target=client, args=(i,)) for i in range(STREAMS)]
for t in clients:
    t.start()
time.sleep(2)
begun = time.monotonic()
for n in range(SWAPS):
    before = generation()
    put()
    start = time.monotonic()
    while generation() == before:
        time.sleep(0.01)  # asking more often would take the time that is measured
    published = time.monotonic()
    times, info = stream("a", 1)
    if times is None:
        failures.append(info)
    else:
        swapped.append((published - start, times[0] - start))
    time.sleep(max(0, begun + (n + 1) * SECONDS / SWAPS - time.monotonic()))
if not SWAPS:
    time.sleep(SECONDS)
took = time.monotonic() - begun
end.set()
for t in clients:
    t.join()


def quantiles(values):
    values = sorted(values)
    return {q: round(1000 * values[min(len(values) - 1, int(float(q) * len(values)))], 1) for q in ("0.5", "0.99", "1")} if values else {}


print(json.dumps({
    "swaps": SWAPS, "seconds": round(took, 1), "tokens": len(gaps), "failures": len(failures), "generations": len(generations), "gap": quantiles(gaps),
    "published": quantiles(s[0] for s in swapped), "first_token": quantiles(s[1] for s in swapped), "example": failures[:1],
}))
