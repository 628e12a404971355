#!/usr/bin/env python3
"""Gaps between tokens of streams while the adapter, or the base, that they use is replaced again and again.

    swaps.py URL BASE FOLDER A B [--base] [--streams 8] [--swaps 20] [--seconds 60] [--tokens 64]

--streams clients ask for BASE+swapped, --tokens tokens each, one answer after the other; when all have begun, what the
adapters folder FOLDER has under that name is replaced --swaps times in --seconds by A and B in turns; with no swaps it is only put there. Where A and
B are files of GGUF they replace FOLDER/swapped.gguf by rename, where they are folders of PEFT they take the place of FOLDER/swapped by exchange. With
--base they ask for BASE, and FOLDER is that of the models, in which A and B replace BASE.gguf by rename.

Each adapter has the low byte of one of its last numbers changed, so that it is content that was never tested (256 swaps have different files);
a base is a hard link, on the same file system, and the same two files come again. All have lain still for a second before, which makes them count at
once. After each swap the first token by the new generation is waited for, by a client of its own. Prints one line of JSON, times in ms. URL is
http://host:port or unix:///path. Needs nothing but Python and Linux."""
import argparse
import ctypes
import json
import os
import shutil
import threading
import time

from streams import connection

parser = argparse.ArgumentParser()
for name in ("url", "model", "folder", "a", "b"):
    parser.add_argument(name)
parser.add_argument("--base", action="store_true")
for name, default in (("streams", 8), ("swaps", 20), ("seconds", 60), ("tokens", 64)):
    parser.add_argument("--" + name, type=int, default=default)
args = parser.parse_args()
MODEL = args.model if args.base else args.model + "+swapped"
STATUS = f"/weft/v1/models/{args.model}" if args.base else "/weft/v1/adapters/swapped"
FOLDERS = os.path.isdir(args.a)
PLACE = os.path.join(args.folder, (args.model if args.base else "swapped") + ("" if FOLDERS else ".gguf"))
gaps, failures, generations, swapped = [], [], set(), []  # a gap: when, how long
lock, end = threading.Lock(), threading.Event()
began = threading.Barrier(args.streams + 1)


def stream(prompt, tokens, first=lambda: None):
    """Asks for an answer and returns the times at which its tokens came, and what made them. It calls first behind the first."""
    c = connection(args.url)
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
        if len(times) == 1:
            first()
        info = chunk.get("weft") or info
    if count != tokens:
        return None, f"{count} tokens of {tokens}"
    return times, info


def client(i):
    first = began.wait
    while not end.is_set():
        times, info = stream(f"{i} stood beside the door", args.tokens, first)
        first = lambda: None
        with lock:
            if times is None:
                failures.append(info)
                continue
            generations.add(info["base"]["generation"] if args.base else info["adapters"][0]["generation"])
            gaps.extend((a, b - a) for a, b in zip(times, times[1:]))


def prepare(n):
    """Lays what a swap brings under a name that does not count."""
    path, source = os.path.join(args.folder, f".swapped{n}.tmp"), args.b if n % 2 else args.a
    if args.base:
        os.link(source, path)
        return path
    if FOLDERS:
        shutil.copytree(source, path)
    else:
        shutil.copyfile(source, path)
    with open(os.path.join(path, "adapter_model.safetensors") if FOLDERS else path, "r+b") as f:
        f.seek(-4, os.SEEK_END)
        low = f.read(1)[0]
        f.seek(-4, os.SEEK_END)
        f.write(bytes([(low + n) % 256]))
    return path


def place(path):
    if FOLDERS and os.path.exists(PLACE):
        if ctypes.CDLL(None, use_errno=True).renameat2(-100, path.encode(), -100, PLACE.encode(), 2):  # AT_FDCWD, RENAME_EXCHANGE
            raise OSError(ctypes.get_errno(), "renameat2")
        threading.Thread(target=shutil.rmtree, args=(path,)).start()  # not in the time that is measured
    else:
        os.rename(path, PLACE)


asked = connection(args.url)


def generation():
    asked.request("GET", STATUS)
    r = asked.getresponse()
    status = json.loads(r.read())
    return status.get("generation", 0) if r.status == 200 else 0


place(prepare(0))
while not generation():
    time.sleep(0.05)
stream("warm", 4)
path, written = prepare(1) if args.swaps else None, time.monotonic()
clients = [threading.Thread(target=client, args=(i,)) for i in range(args.streams)]
for t in clients:
    t.start()
began.wait(300)  # all streams are running
begun = time.monotonic()
for n in range(args.swaps):
    before = generation()
    time.sleep(max(0, written + 1 - time.monotonic()))
    start = time.monotonic()
    place(path)
    while generation() == before:
        time.sleep(0.02)  # asking more often would take the time that is measured
    published = time.monotonic()
    times, info = stream("a", 1)
    if times is None:
        failures.append(info)
    else:
        swapped.append((published - start, times[0] - start))
    if n + 1 < args.swaps:  # not while the daemon reads what came before: both share the processors
        path, written = prepare(n + 2), time.monotonic()
    time.sleep(max(0, begun + (n + 1) * args.seconds / args.swaps - time.monotonic()))
if not args.swaps:
    time.sleep(args.seconds)
took = time.monotonic() - begun
end.set()
for t in clients:
    t.join()


gaps = [gap for at, gap in gaps if begun <= at < begun + took]


def quantiles(values):
    values = sorted(values)
    return {q: round(1000 * values[min(len(values) - 1, int(float(q) * len(values)))], 1) for q in ("0.5", "0.99", "1")} if values else {}


print(json.dumps({
    "swaps": args.swaps, "seconds": round(took, 1), "tokens": len(gaps), "failures": len(failures), "generations": len(generations), "gap": quantiles(gaps),
    "published": quantiles(s[0] for s in swapped), "first_token": quantiles(s[1] for s in swapped), "example": failures[:1],
}))
