#!/usr/bin/env python3
"""Perplexity of GGUF files and their KL divergence to an oracle, as llama.cpp computes them: what `weftd bench --perplexity` is beside.

usage: perplexity.py TEXT ORACLE.logits FILE.gguf...      (needs: pip install llama-cpp-python numpy)
       perplexity.py --oracle TEXT ORACLE.logits FILE.gguf

The text is cut in chunks of 512 tokens, each with a cache of its own; the second half of each chunk is scored. Cache f16 and flash
attention as llama.cpp chooses by itself. ORACLE.logits is what `weftd bench FILE --kv f32 --perplexity TEXT --logits-out` writes, or
what --oracle writes here, with a float32 cache and plain attention.
"""
import hashlib
import struct
import sys
import numpy as np
import llama_cpp as L

CHUNK, MAGIC = 512, b"weftlog1"
FIRST = CHUNK // 2


def chunks(vocab, text):
    raw = text.encode()
    buf = (L.llama_token * (len(raw) + 16))()
    bos = L.llama_vocab_get_add_bos(vocab)
    n = L.llama_tokenize(vocab, raw, len(raw), buf, len(buf), True, False)
    ids = [list(buf[i : i + CHUNK]) for i in range(0, n - CHUNK + 1, CHUNK)]
    for c in ids:
        if bos:
            c[0] = L.llama_vocab_bos(vocab)
    return ids


def logits_of(path, text, oracle):
    """Yields the token ids and the logits [scored, vocabulary] of each chunk."""
    params = L.llama_model_default_params()
    params.n_gpu_layers = 0
    model = L.llama_model_load_from_file(path.encode(), params)
    vocab = L.llama_model_get_vocab(model)
    cp = L.llama_context_default_params()
    cp.n_ctx = cp.n_batch = cp.n_ubatch = CHUNK
    cp.n_threads = cp.n_threads_batch = 2
    if oracle:
        cp.type_k = cp.type_v = 0
        cp.flash_attn_type = 0
    ctx = L.llama_init_from_model(model, cp)
    batch = L.llama_batch_init(CHUNK, 0, 1)
    for ids in chunks(vocab, text):
        L.llama_memory_clear(L.llama_get_memory(ctx), True)
        batch.n_tokens = CHUNK
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, i, 1, 0
            batch.logits[i] = FIRST <= i < CHUNK - 1
        if L.llama_decode(ctx, batch) != 0:
            raise SystemExit("llama_decode failed")
        n = L.llama_vocab_n_tokens(vocab)
        yield ids, np.ctypeslib.as_array(L.llama_get_logits(ctx), shape=(CHUNK - 1 - FIRST, n))
    L.llama_batch_free(batch)
    L.llama_free(ctx)
    L.llama_model_free(model)


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def write_oracle(text, out, path):
    with open(out, "wb") as f:
        digest, head = hashlib.sha256(), None
        nll = []
        for ids, logits in logits_of(path, text, True):
            if head is None:
                head = logits.shape[1]
                f.write(bytes(56))
            digest.update(np.array(ids, "<i4").tobytes())
            nll.append(-log_softmax(logits)[np.arange(len(logits)), ids[FIRST + 1 :]])
            f.write(logits.astype("<f4").tobytes())
        f.seek(0)
        f.write(MAGIC + struct.pack("<IIII", head, CHUNK, len(nll), 0) + digest.digest())
    print(f"{path}: perplexity {np.exp(np.concatenate(nll).mean()):.4f}, {len(nll)} chunks")


def compare(text, oracle, path):
    with open(oracle, "rb") as f:
        header = f.read(56)
    vocab, chunk, n, _ = struct.unpack("<IIII", header[8:24])
    if header[:8] != MAGIC or chunk != CHUNK:
        raise SystemExit(f"{oracle} is not of {CHUNK} tokens a chunk")
    base = np.memmap(oracle, "<f4", "r", 56, (n, CHUNK - 1 - FIRST, vocab))
    digest = hashlib.sha256()
    nll, kl, same = [], [], []
    for i, (ids, logits) in enumerate(logits_of(path, text, False)):
        digest.update(np.array(ids, "<i4").tobytes())
        p, q = log_softmax(base[i]), log_softmax(logits)
        nll.append(-q[np.arange(len(q)), ids[FIRST + 1 :]])
        kl.append((np.exp(p) * (p - q)).sum(axis=1))
        same.append(p.argmax(axis=1) == q.argmax(axis=1))
    if digest.digest() != header[24:]:
        raise SystemExit("the oracle is of another text")
    nll, kl, same = map(np.concatenate, (nll, kl, same))
    print(f"{path}: perplexity {np.exp(nll.mean()):.4f}, mean KL {kl.mean():.8f} +- {kl.std(ddof=1) / len(kl) ** 0.5:.8f}, same best token {100 * same.mean():.2f} %", flush=True)


if __name__ == "__main__":
    args = sys.argv[1:]
    L.llama_backend_init()
    quiet = L.llama_log_callback(lambda *a: None)
    L.llama_log_set(quiet, None)
    if args[0] == "--oracle":
        write_oracle(open(args[1], encoding="utf-8").read(), args[2], args[3])
    else:
        for path in args[2:]:
            compare(open(args[0], encoding="utf-8").read(), args[1], path)
