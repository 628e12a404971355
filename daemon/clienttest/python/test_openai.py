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

    def weft(self, path, body=None):
        """One of Weft's own endpoints, by the client's own means."""
        own = self.client.with_options(base_url=str(self.client.base_url).removesuffix("/v1/"))
        return own.get(path, cast_to=object) if body is None else own.post(path, cast_to=object, body=body)

    def adapted(self, model, **more):
        """The text and the adapters of a completion."""
        r = self.client.completions.create(model=model, prompt=PROMPT, max_tokens=32, temperature=0, **more)
        return r.choices[0].text, [(a["name"], a["scale"]) for a in r.model_extra["weft"]["adapters"]]

    def test_adapters(self):
        base, none = self.adapted(MODEL)
        self.assertEqual(none, [])
        whole, used = self.adapted(MODEL + "+style")
        self.assertEqual(used, [("style", 1)])
        self.assertNotEqual(whole, base)
        half, used = self.adapted(MODEL + "+style@0.5")
        self.assertEqual(used, [("style", 0.5)])
        self.assertNotEqual(half, whole)
        body = {"adapters": [{"name": "style", "scale": 0.5}]}
        self.assertEqual(self.adapted(MODEL, extra_body=body), (half, used))
        self.assertEqual(self.adapted("style@0.5"), (half, used))
        stack = self.adapted(MODEL + "+style@0.7+tone@0.3")
        self.assertEqual(stack[1], [("style", 0.7), ("tone", 0.3)])
        body = {"adapters": [{"name": "style", "scale": 0.7}, {"name": "tone", "scale": 0.3}]}
        self.assertEqual(self.adapted(MODEL, extra_body=body), stack)
        self.assertEqual(self.adapted(MODEL + "+none"), (base, []))

    def test_adapters_streamed(self):
        whole, _ = self.adapted(MODEL + "+tone")
        text, info = "", None
        for chunk in self.client.completions.create(model=MODEL + "+tone", prompt=PROMPT, max_tokens=32, temperature=0, stream=True):
            if chunk.choices:
                text += chunk.choices[0].text
            info = (chunk.model_extra or {}).get("weft") or info
        self.assertEqual(text, whole)
        self.assertEqual([a["name"] for a in info["adapters"]], ["tone"])

    def test_adapter_that_is_not_there(self):
        for model, near in ((MODEL + "+styl", "style"), (MODEL + "+style+tones@0.5", "tone")):
            with self.assertRaises(openai.NotFoundError) as e:
                self.client.completions.create(model=model, prompt=PROMPT)
            self.assertRegex(str(e.exception), rf"there is .*\b{near}\b")
            self.assertEqual(e.exception.code, "adapter_not_found")
        with self.assertRaises(openai.BadRequestError):
            self.client.completions.create(model=MODEL, prompt=PROMPT, extra_body={"adapters": [{"name": "style", "scale": "much"}]})

    def test_list_of_adapters(self):
        self.adapted(MODEL + "+style")
        self.assertLessEqual({"style", "tone"}, {m.id for m in self.client.models.list()})
        listed = {a["name"]: a for a in self.weft("/weft/v1/adapters")["adapters"]}
        self.assertLessEqual({"style", "tone"}, set(listed))
        style = listed["style"]
        self.assertEqual((style["state"], style["format"], style["rank"], style["bases"][0]["name"]), ("published", "peft", 4, MODEL))
        self.assertEqual(self.weft("/weft/v1/adapters/style")["digest"], style["digest"])

    def test_sixteen_choices(self):
        ask = dict(model=MODEL + "+style@0.5", prompt=PROMPT, max_tokens=12, temperature=1.0, seed=11, n=16)
        a, b = self.client.completions.create(**ask), self.client.completions.create(**ask)
        self.assertEqual([c.index for c in a.choices], list(range(16)))
        self.assertEqual([c.text for c in a.choices], [c.text for c in b.choices])
        self.assertGreater(len({c.text for c in a.choices}), 8)
        self.assertEqual(a.usage.completion_tokens, sum(len(self.sampled(c)) for c in self.client.completions.create(**ask, extra_body={"return_token_ids": True}).choices))

    @staticmethod
    def sampled(choice):
        return choice.model_extra["token_ids"]

    def test_receipts(self):
        r = self.client.completions.create(
            model=MODEL + "+style@0.5", prompt=PROMPT, max_tokens=24, temperature=0.9, seed=3, n=2, extra_body={"receipt": True}
        )
        receipts = r.model_extra["weft"]["receipts"]
        self.assertEqual(len(receipts), 2)
        for receipt in receipts:
            self.assertEqual([a["name"] for a in receipt["adapters"]], ["style"])
            found = self.weft("/weft/v1/verify", {"receipt": receipt})
            self.assertTrue(found["equal"], found)
            self.assertEqual(found["tokens"], len(receipt["token_ids"]))
        receipts[0]["token_ids"][5] ^= 1
        found = self.weft("/weft/v1/verify", {"receipt": receipts[0]})
        self.assertFalse(found["equal"])
        self.assertEqual(found["difference"]["index"], 5)
        receipts[1]["adapters"][0]["digest"] = "sha256:" + "0" * 64
        with self.assertRaises(openai.NotFoundError) as e:
            self.weft("/weft/v1/verify", {"receipt": receipts[1]})
        self.assertEqual(e.exception.code, "file_not_found")


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
