#!/usr/bin/env python3
"""Tokens a second of several requests at once, of any server that has /v1/completions and understands "ignore_eos": weftd, llama-server.

    streams.py URL MODEL STREAMS [LORAS]

Each of STREAMS requests has a short prompt of its own and is answered whole. All are asked for with 272 tokens, and again with 80 and with
272: the time between those two is that of 192 steps in which all streams take part, as 80 tokens last longer than the beginning, in which
streams come one after the other where a server lets those that are there go on meanwhile, and both find the same prompts kept, if a server
keeps any. The first is the whole time. LORAS of 0 uses no adapter, of N the adapters 0 to N-1 in rotation, by llama-server's field "lora".
Prints one line of JSON. URL is http://host:port or unix:///path. Needs nothing but Python."""
import http.client
import json
import socket
import sys
import threading
import time

FEW, MANY = 80, 272


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def connection(url):
    if url.startswith("unix://"):
        return Unix(url.removeprefix("unix://"))
    return http.client.HTTPConnection(url.removeprefix("http://"))


def complete(url, body):
    c = connection(url)
    c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    answer = json.loads(r.read())
    if r.status != 200:
        sys.exit(f"{r.status}: {answer}")
    if answer["usage"]["completion_tokens"] != body["max_tokens"]:
        sys.exit(f"asked for {body['max_tokens']} tokens, got {answer['usage']}")


def together(url, model, streams, loras, tokens):
    """The seconds that all requests take together."""
    threads = []
    for i in range(streams):
        body = {"model": model, "prompt": f"{i} stood beside the door", "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        if loras:
            body["lora"] = [{"id": i % loras, "scale": 1}]
        threads.append(threading.Thread(target=complete, args=(url, body)))
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return time.monotonic() - start


def main():
    url, model, streams = sys.argv[1], sys.argv[2], int(sys.argv[3])
    loras = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    whole, few, many = (together(url, model, streams, loras, tokens) for tokens in (MANY, FEW, MANY))
    print(json.dumps({
        "streams": streams, "loras": loras, "tokens_per_second": round(streams * (MANY - FEW) / (many - few), 2),
        "tokens_per_second_with_prompts": round(streams * MANY / whole, 2),
    }))


if __name__ == "__main__":
    main()
