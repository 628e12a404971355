#!/usr/bin/env python3
"""Four callers, one of them greedy, ask a server for more than it can do, and some leave. What each of them gets.

    overload.py MODEL URL[#PID] ... [--overload 2] [--seconds 150] [--slices 1] [--capacity R] [--calibrate 60] [--greedy 3] [--seed 1]

A trace is a list of requests, the same for the same seed: when each arrives (a Poisson process), its prompt (random tokens; three of four short,
the others long and beginning with one of two prefixes of their caller), its max_tokens, and of one in five when it is cancelled. The last caller
asks --greedy times as often as each of the others. Each of --slices traces of --seconds is replayed on every URL in turn. The arrivals are
--overload times what the first URL's server serves of such requests in a closed loop, measured for --calibrate seconds or given as requests a
second by --capacity. A client leaves when it has seen no token for PATIENCE seconds; at the end of a slice all leave.

weftd knows callers on a Unix socket by user id: each is a process with one of its own, so run this as root. With #PID the anonymous memory of
that process is watched. Prints one line of JSON for each URL, times in ms. URL is http://host:port or unix:///path. Needs nothing but Python."""
import argparse
import collections
import http.client
import itertools
import json
import multiprocessing
import os
import random
import sys
import threading
import time

from streams import connection

CALLERS = ("a", "b", "c", "greedy")
FIRST_UID = 60001
PATIENCE, STALL = 60, 60  # seconds without a first token after which a client leaves, and without another one, which is an error
CLIENTS = 4  # of each caller in the closed loop
LEFT = ("refused", "cancelled", "gave_up", "cut", "failed")


def requests(seed, part, caller, rate):
    """The requests of one caller without end. at: seconds from the start; tokens, wait: after how many tokens, or seconds, it is cancelled."""
    rng = random.Random(f"{seed} {caller}")
    ids = range(1000, 40000)
    prefixes = [rng.choices(ids, k=256) for _ in range(2)]
    rng = random.Random(f"{seed} {part} {caller}")
    at = 0.0
    while True:
        at += rng.expovariate(rate)
        prefix = rng.choice(prefixes)
        if rng.random() < 0.75:
            prompt = prefix[:rng.choice((0, 64))] + rng.choices(ids, k=rng.randint(16, 128))
        else:
            prompt = prefix + rng.choices(ids, k=rng.randint(64, 400))
        r = {"at": at, "prompt": prompt, "max_tokens": rng.randint(16, 96), "tokens": None, "wait": None}
        if rng.random() < 0.2:
            if rng.random() < 0.5:
                r["tokens"] = rng.randint(1, r["max_tokens"] - 1)
            else:
                r["wait"] = rng.uniform(0, 5)
        yield r


class Caller:
    """What one caller asked and got."""

    def __init__(self, url, model, end):
        self.url, self.model, self.end = url, model, end
        self.lock = threading.Lock()
        self.got = collections.Counter()
        self.first, self.gaps, self.ended = [], [], []
        self.seconds = collections.Counter()  # tokens in each second
        self.errors = collections.Counter()

    def ask(self, r, patience):
        begun, times = time.monotonic(), []
        cancel = begun + r["wait"] if r["wait"] else float("inf")

        def left():
            """Seconds until the client leaves, if nothing comes."""
            now = time.monotonic()
            seconds = min(self.end, cancel, now + STALL if times else begun + patience) - now
            if seconds <= 0:
                raise TimeoutError
            return seconds

        how = answer = None
        c = connection(self.url)
        try:
            c.connect()
            sock = c.sock
            sock.settimeout(left())
            c.request("POST", "/v1/completions", json.dumps({
                "model": self.model, "prompt": r["prompt"], "max_tokens": r["max_tokens"], "temperature": 0, "ignore_eos": True,
                "stream": True, "stream_options": {"include_usage": True},
            }), {"Content-Type": "application/json"})
            answer = c.getresponse()
            how = self.read(r, answer, times, lambda: sock.settimeout(left()))
        except TimeoutError:
            now = time.monotonic()
            how = "cut" if now >= self.end else "cancelled" if now >= cancel else "failed: stalled" if times else "gave_up"
        except (OSError, ValueError, http.client.HTTPException) as e:
            how = f"failed: {e!r}"
        finally:
            if answer:
                answer.close()
            c.close()
        with self.lock:
            self.got["asked"] += 1
            self.got[how.partition(":")[0]] += 1
            if how.startswith("failed"):
                self.errors[how[:200]] += 1
            self.got["tokens"] += len(times)
            self.got["prompt_tokens"] += len(r["prompt"]) if times else 0
            self.first.extend(t - begun for t in times[:1])
            self.gaps.extend(b - a for a, b in zip(times, times[1:]))
            self.seconds.update(int(t) for t in times)
            self.ended.append(time.monotonic())

    def read(self, r, answer, times, again):
        """Reads a stream and says how it ended."""
        if answer.status in (429, 503):
            return "refused"
        if answer.status != 200:
            return f"failed: {answer.status} {answer.read(200)}"
        usage = None
        for line in answer:
            again()
            if line.startswith(b"data: [DONE]"):
                whole = usage and usage["completion_tokens"] == r["max_tokens"]
                return "finished" if whole else f"failed: wanted {r['max_tokens']} tokens, got {usage}"
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            if "error" in chunk:
                return f"failed: {chunk['error']}"
            usage = chunk.get("usage") or usage
            if any(choice.get("text") for choice in chunk.get("choices", ())):
                times.append(time.monotonic())
                if len(times) == r["tokens"]:
                    return "cancelled"
        return "failed: cut off"


def become(url, uid):
    """Another user, of the group that may use the socket."""
    if url.startswith("unix://"):
        os.setgroups([])
        os.setgid(os.stat(url.removeprefix("unix://")).st_gid)
        os.setuid(uid)


def run_caller(number, args, part, url, rate, start, end, pipe):
    """One caller's process. A rate of None is a closed loop."""
    become(url, FIRST_UID + number)
    caller = Caller(url, args.model, end)
    todo = requests(args.seed, part, CALLERS[number], rate or 1)
    threads = []
    if rate is None:
        def loop():
            while time.monotonic() < end:
                with caller.lock:
                    r = next(todo)
                caller.ask(r, float("inf"))
        threads = [threading.Thread(target=loop, daemon=True) for _ in range(CLIENTS)]
        for t in threads:
            t.start()
    else:
        for r in itertools.takewhile(lambda r: start + r["at"] < end, todo):
            time.sleep(max(0, start + r["at"] - time.monotonic()))
            threads.append(threading.Thread(target=caller.ask, args=(r, PATIENCE), daemon=True))
            threads[-1].start()
    for t in threads:
        t.join(max(1, end + STALL - time.monotonic()))
    stuck = sum(t.is_alive() for t in threads)
    with caller.lock:
        caller.got["stuck"] = stuck
        pipe.send((caller.got, caller.first, caller.gaps, caller.ended, caller.seconds, caller.errors))


def anonymous(pid):
    """RssAnon of a process in MiB."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:")) / 1024


def together(args, part, url, pid, rates, seconds):
    """All callers at once: what each of them saw, the server's memory each second, and when it began."""
    context = multiprocessing.get_context("fork")
    start = time.monotonic() + 0.5
    pipes, memory = [], []
    for number, rate in enumerate(rates):
        ours, theirs = context.Pipe(False)
        context.Process(target=run_caller, args=(number, args, part, url, rate, start, start + seconds, theirs), daemon=True).start()
        theirs.close()
        pipes.append(ours)
    while time.monotonic() < start + seconds:
        if pid:
            memory.append(anonymous(pid))
        time.sleep(1)
    return [p.recv() for p in pipes], memory, start


def capacity(args, url, pid):
    """Requests a second that the server serves to clients who each ask again when they have their answer."""
    seen, _, start = together(args, "closed", url, pid, [None] * len(CALLERS), args.calibrate)
    warm = 0.2 * args.calibrate
    return sum(start + warm < t < start + args.calibrate for s in seen for t in s[3]) / (args.calibrate - warm)


def answers(args, url):
    """The seconds that one request takes when all others have gone, and the pages of weftd's cache that requests still hold."""
    time.sleep(2)
    start = time.monotonic()
    last = Caller(url, args.model, start + STALL)
    last.ask({"prompt": [1000, 2000], "max_tokens": 4, "tokens": None, "wait": None}, STALL)
    took = time.monotonic() - start if last.got["finished"] else None
    c = connection(url)
    c.request("GET", "/weft/v1/cache")
    r = c.getresponse()
    held = sum(m["pages_used"] for m in json.loads(r.read())["models"]) if r.status == 200 else None
    return took, held


def quantiles(values):
    values = sorted(values)
    return {q: round(1000 * values[min(len(values) - 1, int(float(q) * len(values)))], 1) for q in ("0.5", "0.99", "1")} if values else {}


def spread(values):
    """How much more the richest got than the poorest, in percent."""
    return round(100 * (max(values) / min(values) - 1), 1) if min(values) else None


def silence(seconds):
    """The longest run of seconds without any token."""
    return max((b - a - 1 for a, b in itertools.pairwise(sorted(seconds))), default=None)


def summary(args, url, slices, rates):
    """One server's line."""
    callers = {}
    for i, name in enumerate(CALLERS):
        seen = [s["seen"][i] for s in slices]
        got = sum((s[0] for s in seen), collections.Counter())
        callers[name] = {k: got[k] for k in ("asked", "finished", *LEFT, "stuck", "tokens", "prompt_tokens")}
        callers[name]["first_token"] = quantiles(t for s in seen for t in s[1])
        callers[name]["gap"] = quantiles(t for s in seen for t in s[2])
    tokens = sum(c["tokens"] for c in callers.values())
    memory = [m for s in slices for m in s["memory"]]
    at = {k: round(memory[int(q * (len(memory) - 1))], 1) for k, q in (("first", 0.05), ("middle", 0.5), ("last", 1))} if memory else {}
    return {
        "server": url, "slices": len(slices), "seconds": args.seconds, "offered": [round(r, 2) for r in rates],
        "tokens_per_second": round(tokens / args.seconds / len(slices), 1),
        "spread": spread([c["tokens"] for c in callers.values()]), "spread_with_prompts": spread([c["tokens"] + c["prompt_tokens"] for c in callers.values()]),
        "first_token": quantiles(t for s in slices for c in s["seen"] for t in c[1]), "gap": quantiles(t for s in slices for c in s["seen"] for t in c[2]),
        "silence_s": max(silence(sum((c[4] for c in s["seen"]), collections.Counter())) or 0 for s in slices),
        "answers_after_s": [s["answers"] and round(s["answers"], 2) for s in slices], "pages_held": [s["held"] for s in slices],
        "rss_anon_mib": at | ({"most": round(max(memory), 1)} if memory else {}),
        "callers": callers, "errors": dict(sum((c[5] for s in slices for c in s["seen"]), collections.Counter()).most_common(5)),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("urls", nargs="+")
    for name, kind, default in (("overload", float, 2), ("seconds", float, 150), ("slices", int, 1), ("capacity", float, None), ("calibrate", float, 60),
                                ("greedy", float, 3), ("seed", int, 1)):
        p.add_argument("--" + name, type=kind, default=default)
    args = p.parse_args()
    servers = [(url, int(pid) if pid else None) for url, _, pid in (u.partition("#") for u in args.urls)]
    if os.getuid() and any(url.startswith("unix://") for url, _ in servers):
        sys.exit("callers on a Unix socket are users: run this as root")
    threading.stack_size(256 << 10)
    rate = args.capacity or capacity(args, *servers[0])
    print(json.dumps({"capacity": round(rate, 2)}), flush=True)
    weights = [args.greedy if name == "greedy" else 1 for name in CALLERS]
    rates = [args.overload * rate * w / sum(weights) for w in weights]
    slices = {url: [] for url, _ in servers}
    for part in range(args.slices):
        for url, pid in servers:
            seen, memory, _ = together(args, part, url, pid, rates, args.seconds)
            took, held = answers(args, url)
            slices[url].append({"seen": seen, "memory": memory, "answers": took, "held": held})
    for url, _ in servers:
        print(json.dumps(summary(args, url, slices[url], rates)), flush=True)


if __name__ == "__main__":
    main()
