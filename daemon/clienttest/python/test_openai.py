"""The official openai client for Python, unchanged, against a live daemon: over TCP, and over the Unix socket through an httpx2 transport."""
import os
import unittest

import httpx2
import openai

MODEL = "stories260K"
PROMPT = "Once upon a time"
GOLDEN = open(os.environ["WEFT_TEST_GOLDEN"], encoding="utf-8").read().rstrip("\n")


class Suite:
    """What holds on every transport; the classes below choose one."""

    def test_models(self):
        self.assertIn(MODEL, [m.id for m in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve(MODEL).id, MODEL)

    def test_completion(self):
        r = self.client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=252, temperature=0, echo=True)
        self.assertEqual(r.choices[0].text, GOLDEN)
        self.assertEqual(r.choices[0].finish_reason, "length")
        self.assertEqual((r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.total_tokens), (5, 252, 257))

    def test_completion_streamed(self):
        text, usage, finish = "", None, None
        for chunk in self.client.completions.create(
            model=MODEL, prompt=PROMPT, max_tokens=252, temperature=0, stream=True, stream_options={"include_usage": True}
        ):
            if chunk.choices:
                text += chunk.choices[0].text
                finish = chunk.choices[0].finish_reason or finish
            usage = chunk.usage or usage
        self.assertEqual(PROMPT + text, GOLDEN)
        self.assertEqual(finish, "length")
        self.assertEqual(usage.completion_tokens, 252)

    def test_chat(self):
        messages = [{"role": "user", "content": "Tell me a story."}]
        whole = self.client.chat.completions.create(model=MODEL, messages=messages, max_completion_tokens=32, temperature=0, logprobs=True, top_logprobs=3)
        self.assertEqual(whole.choices[0].message.role, "assistant")
        self.assertEqual(len(whole.choices[0].logprobs.content), whole.usage.completion_tokens)
        self.assertEqual(len(whole.choices[0].logprobs.content[0].top_logprobs), 3)
        text = ""
        for chunk in self.client.chat.completions.create(model=MODEL, messages=messages, max_completion_tokens=32, temperature=0, stream=True):
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
        self.assertEqual(text, whole.choices[0].message.content)

    def test_choices_and_seed(self):
        ask = dict(model=MODEL, prompt=PROMPT, max_tokens=24, temperature=1.0, seed=7, n=3)
        a, b = self.client.completions.create(**ask), self.client.completions.create(**ask)
        self.assertEqual([c.text for c in a.choices], [c.text for c in b.choices])
        self.assertEqual([c.index for c in a.choices], [0, 1, 2])
        self.assertGreater(len({c.text for c in a.choices}), 1)

    def test_stop_string(self):
        r = self.client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=200, temperature=0, stop=["Lily"])
        self.assertEqual(r.choices[0].text, ", there was a little girl named ")
        self.assertEqual(r.choices[0].finish_reason, "stop")

    def test_token_ids(self):
        r = self.client.completions.create(
            model=MODEL, prompt=[1, 403, 407, 261, 378], max_tokens=4, temperature=0, extra_body={"return_token_ids": True}
        )
        self.assertEqual(r.choices[0].model_extra["token_ids"], [432, 383, 286, 261])

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as e:
            self.client.completions.create(model="stories260k", prompt=PROMPT)
        self.assertIn(MODEL, str(e.exception))
        with self.assertRaises(openai.BadRequestError) as e:
            self.client.completions.create(model=MODEL, prompt=PROMPT, temperature="hot")
        self.assertIn("temperature", str(e.exception))
        with self.assertRaises(openai.BadRequestError) as e:
            self.client.completions.create(model=MODEL, prompt=[1] * 5000)
        self.assertIn("5000", str(e.exception))


class OverTCP(Suite, unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=os.environ["WEFT_TEST_URL"] + "/v1", api_key="none", max_retries=0)
        self.addCleanup(self.client.close)


class OverSocket(Suite, unittest.TestCase):
    def setUp(self):
        transport = httpx2.HTTPTransport(uds=os.environ["WEFT_TEST_SOCKET"])
        self.client = openai.OpenAI(
            base_url="http://weft/v1", api_key="none", max_retries=0, http_client=openai.DefaultHttpxClient(transport=transport)
        )
        self.addCleanup(self.client.close)


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_streamed(self):
        async with openai.AsyncOpenAI(base_url=os.environ["WEFT_TEST_URL"] + "/v1", api_key="none", max_retries=0) as client:
            text = ""
            stream = await client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=16, temperature=0, stream=True)
            async for chunk in stream:
                if chunk.choices:
                    text += chunk.choices[0].text
            self.assertTrue(GOLDEN.startswith(PROMPT + text) and len(text) > 20)


if __name__ == "__main__":
    unittest.main()
