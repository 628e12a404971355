// The official openai client for Node, unchanged, against a live daemon: over TCP, and over the Unix socket through an undici dispatcher.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";
import { Agent, fetch } from "undici";

const model = "stories260K";
const prompt = "Once upon a time";
const golden = readFileSync(process.env.WEFT_TEST_GOLDEN, "utf8").trimEnd();

const transports = {
  tcp: () => new OpenAI({ baseURL: process.env.WEFT_TEST_URL + "/v1", apiKey: "none", maxRetries: 0 }),
  socket: () =>
    new OpenAI({
      baseURL: "http://weft/v1",
      apiKey: "none",
      maxRetries: 0,
      fetch,
      fetchOptions: { dispatcher: new Agent({ connect: { socketPath: process.env.WEFT_TEST_SOCKET } }) },
    }),
};

for (const [name, make] of Object.entries(transports)) {
  const client = make();

  test(`${name}: models`, async () => {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.ok(ids.includes(model));
  });

  test(`${name}: completion`, async () => {
    const r = await client.completions.create({ model, prompt, max_tokens: 252, temperature: 0 });
    assert.equal(prompt + r.choices[0].text, golden);
    assert.deepEqual([r.usage.prompt_tokens, r.usage.completion_tokens], [5, 252]);
  });

  test(`${name}: completion, streamed`, async () => {
    let text = "";
    let usage;
    const stream = await client.completions.create({
      model, prompt, max_tokens: 252, temperature: 0, stream: true, stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(prompt + text, golden);
    assert.equal(usage.completion_tokens, 252);
  });

  test(`${name}: chat, whole and streamed`, async () => {
    const messages = [{ role: "user", content: "Tell me a story." }];
    const whole = await client.chat.completions.create({ model, messages, max_completion_tokens: 32, temperature: 0 });
    assert.equal(whole.choices[0].message.role, "assistant");
    let text = "";
    const stream = await client.chat.completions.create({ model, messages, max_completion_tokens: 32, temperature: 0, stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    assert.equal(text, whole.choices[0].message.content);
  });

  test(`${name}: the streaming helper`, async () => {
    const runner = client.chat.completions.stream({ model, messages: [{ role: "user", content: "Hello" }], max_completion_tokens: 8, temperature: 0 });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "length");
  });

  test(`${name}: a stream given up early`, async () => {
    const stream = await client.completions.create({ model, prompt, max_tokens: 250, temperature: 0, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.text) break;
    }
    const again = await client.completions.create({ model, prompt, max_tokens: 4, temperature: 0 });
    assert.ok(golden.startsWith(prompt + again.choices[0].text));
  });

  test(`${name}: errors`, async () => {
    await assert.rejects(client.completions.create({ model: "nobody", prompt }), (e) => e instanceof OpenAI.NotFoundError && /stories260K/.test(e.message));
    await assert.rejects(client.completions.create({ model, prompt, top_p: "most" }), (e) => e instanceof OpenAI.BadRequestError && /top_p/.test(e.message));
  });

  // Weft's own endpoints, by the client's own means: an absolute URL is taken as it is.
  const weft = (path) => new URL(path, client.baseURL).href;
  const adapted = async (name, more = {}) => {
    const r = await client.completions.create({ model: name, prompt, max_tokens: 32, temperature: 0, ...more });
    return { text: r.choices[0].text, used: r.weft.adapters.map((a) => [a.name, a.scale]) };
  };

  test(`${name}: adapters by name and in the body`, async () => {
    const base = await adapted(model);
    const half = await adapted(`${model}+style@0.5`);
    assert.deepEqual(half.used, [["style", 0.5]]);
    assert.notEqual(half.text, base.text);
    assert.deepEqual(await adapted(model, { adapters: [{ name: "style", scale: 0.5 }] }), half);
    assert.deepEqual(await adapted("style@0.5"), half);
    const stack = await adapted(`${model}+style@0.7+tone@0.3`);
    assert.deepEqual(stack.used, [["style", 0.7], ["tone", 0.3]]);
    assert.deepEqual(await adapted(`${model}+none`), base);
  });

  test(`${name}: an adapter that is not there, and the list`, async () => {
    await assert.rejects(
      client.completions.create({ model: `${model}+styl`, prompt }),
      (e) => e instanceof OpenAI.NotFoundError && e.code === "adapter_not_found" && /style/.test(e.message),
    );
    await adapted(`${model}+tone`);
    const { adapters } = await client.get(weft("/weft/v1/adapters"));
    const tone = adapters.find((a) => a.name === "tone");
    assert.deepEqual([tone.state, tone.format, tone.bases[0].name], ["published", "peft", model]);
  });

  test(`${name}: sixteen choices`, async () => {
    const ask = { model: `${model}+tone`, prompt, max_tokens: 12, temperature: 1, seed: 5, n: 16 };
    const [a, b] = [await client.completions.create(ask), await client.completions.create(ask)];
    assert.deepEqual(a.choices.map((c) => c.index), [...Array(16).keys()]);
    assert.deepEqual(a.choices.map((c) => c.text), b.choices.map((c) => c.text));
    assert.ok(new Set(a.choices.map((c) => c.text)).size > 8);
  });

  test(`${name}: a receipt is verified`, async () => {
    const r = await client.chat.completions.create({
      model: `${model}+style@0.5+tone@-0.25`, messages: [{ role: "user", content: "Hello" }], max_completion_tokens: 16, temperature: 0.8, seed: 4, receipt: true,
    });
    const { receipt } = r.weft;
    const same = await client.post(weft("/weft/v1/verify"), { body: { receipt } });
    assert.deepEqual([same.equal, same.tokens], [true, receipt.token_ids.length]);
    receipt.sampling.seed += 1;
    const other = await client.post(weft("/weft/v1/verify"), { body: { receipt } });
    assert.equal(other.equal, false);
  });
}
