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
}
