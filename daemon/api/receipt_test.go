package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// aReceipt is a good one.
func aReceipt() Receipt {
	return Receipt{
		Object: ReceiptObject, Version: ReceiptVersion, Weft: "0.1", Numerics: "1", KVType: "f16",
		Base:     Base{Name: "m", Digest: "sha256:" + strings.Repeat("0a", 32), HeaderDigest: "sha256:" + strings.Repeat("0b", 32), Generation: 3},
		Adapters: []Adapter{{Name: "a", Digest: "sha256:" + strings.Repeat("0c", 32), Scale: -0.5, Generation: 9}},
		Prompt:   []int32{1, 2, 3}, Output: []int32{4, 5}, FinishReason: FinishStop,
		Sampling: ReceiptSampling{
			Temperature: 0.7, TopP: 0.9, TopK: 40, TypicalP: 1, RepetitionPenalty: 1.1, RepeatLastN: -1, Seed: 1<<64 - 1, MaxTokens: 2,
			LogitBias: map[int32]float32{7: -1}, Stop: Stops{"x"},
		},
	}
}

// TestHostileReceipts changes one thing each: the refusal names it.
func TestHostileReceipts(t *testing.T) {
	good, err := json.Marshal(aReceipt())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := DefaultLimits().DecodeVerify(fmt.Appendf(nil, `{"receipt":%s}`, good)); err != nil || r.Receipt.Sampling.Seed != 1<<64-1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"another object":     {`"weft.receipt"`, `"chat.completion"`, `receipt.object`},
		"a newer version":    {`"version":1`, `"version":2`, `the version that this program reads`},
		"an unknown field":   {`"numerics":"1"`, `"numerics":"1","mirostat":2`, `receipt.mirostat`},
		"a field missing":    {`"kv_type":"f16",`, ``, `receipt.kv_type`},
		"a short digest":     {strings.Repeat("0a", 32), "0a", `receipt.base.digest`},
		"a negative token":   {`[1,2,3]`, `[1,-2,3]`, `receipt.prompt_token_ids[1]`},
		"a large token":      {`[4,5]`, `[4,4294967296]`, `receipt.token_ids[1]`},
		"no prompt":          {`[1,2,3]`, `[]`, `receipt.prompt_token_ids`},
		"more than its max":  {`[4,5]`, `[4,5,6]`, `at most max_tokens`},
		"an infinite scale":  {`"scale":-0.5`, `"scale":1e999`, `receipt.adapters[0].scale`},
		"a negative seed":    {`18446744073709551615`, `-1`, `receipt.sampling.seed`},
		"a seed of 65 bits":  {`18446744073709551615`, `18446744073709551616`, `receipt.sampling.seed`},
		"a reason that none": {`"finish_reason":"stop"`, `"finish_reason":"cancel"`, `receipt.finish_reason`},
		"a name of a path":   {`"name":"a"`, `"name":7`, `receipt.adapters[0].name`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(good), c.old, c.new, 1)
			if text == string(good) {
				t.Fatalf("%q is not in %s", c.old, good)
			}
			_, err := DefaultLimits().DecodeVerify(fmt.Appendf(nil, `{"receipt":%s}`, text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want something of %q", err, c.want)
			}
			if _, again := DefaultLimits().ParseReceipts([]byte(text)); name != "another object" && (again == nil || again.Error() != err.Error()) {
				t.Errorf("as a file: %v, in a request: %v", again, err)
			}
		})
	}
}

// TestParseReceipts finds receipts where an answer has them.
func TestParseReceipts(t *testing.T) {
	one, err := json.Marshal(aReceipt())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"a receipt":          {string(one), 1},
		"an answer":          {`{"object":"chat.completion","choices":[],"weft":{"seed":1,"receipt":` + string(one) + `}}`, 1},
		"of several choices": {`{"object":"text_completion","weft":{"receipts":[` + string(one) + "," + string(one) + `]}}`, 2},
		"without":            {`{"object":"chat.completion","weft":{"seed":1}}`, 0},
		"something else":     {`[1]`, 0},
		"an empty object":    {`{}`, 0},
	} {
		list, err := DefaultLimits().ParseReceipts([]byte(c.text))
		if len(list) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %d receipts, %v", name, len(list), err)
		}
	}
}

func FuzzDecodeVerify(f *testing.F) {
	one, err := json.Marshal(VerifyRequest{Receipt: aReceipt(), Model: "m"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one)
	f.Add([]byte(`{"receipt":{"object":"weft.receipt","version":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DefaultLimits().DecodeVerify(body)
		checkFuzzed(t, body, r, err, DefaultLimits().DecodeVerify)
		if err == nil && len(r.Receipt.Prompt)+len(r.Receipt.Output) > MaxReceiptTokens {
			t.Fatalf("%d tokens", len(r.Receipt.Prompt)+len(r.Receipt.Output))
		}
		list, err := DefaultLimits().ParseReceipts(body)
		if (err == nil) != (len(list) > 0) && err == nil {
			t.Fatal("no receipt and no error")
		}
	})
}
