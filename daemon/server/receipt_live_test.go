package server_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
)

// TestReceipts makes receipts of every kind of answer and has them computed again, whole and changed.
func TestReceipts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a daemon and computes with it")
	}
	c := startDaemon(t)
	ctx := t.Context()
	limit, temperature, three := 24, 0.9, 3
	complete := func(change func(*api.CompletionRequest)) *api.Info {
		t.Helper()
		r := api.CompletionRequest{Model: "stories260K", Prompt: api.Text(opening), MaxTokens: &limit}
		r.Receipt, r.Temperature = true, &temperature
		change(&r)
		answer, err := c.Complete(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Weft
	}
	verify := func(r api.Receipt, model string) *api.Verification {
		t.Helper()
		v, err := c.Verify(ctx, api.VerifyRequest{Receipt: r, Model: model})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	equal := func(t *testing.T, r api.Receipt) {
		t.Helper()
		if v := verify(r, ""); !v.Equal || v.Tokens != len(r.Output) || v.Difference != nil || len(v.Notes) > 0 {
			t.Errorf("%+v is not found equal: %+v, %+v", r, v, v.Difference)
		}
	}
	plain := *complete(func(*api.CompletionRequest) {}).Receipt

	t.Run("sampled", func(t *testing.T) {
		if len(plain.Output) != limit || plain.FinishReason != api.FinishLength || !strings.HasPrefix(plain.Base.Digest, "sha256:") {
			t.Errorf("%+v", plain)
		}
		equal(t, plain)
	})
	t.Run("with a stop string, a penalty and a bias", func(t *testing.T) {
		penalty := 1.3
		r := complete(func(r *api.CompletionRequest) {
			r.Stop, r.RepetitionPenalty, r.LogitBias = api.Stops{"a", "zz"}, &penalty, map[int32]float32{403: -100, 300: 1.5}
		}).Receipt
		if r.FinishReason != api.FinishStop || len(r.Sampling.LogitBias) != 2 || len(r.Sampling.Stop) != 2 {
			t.Errorf("%+v", r)
		}
		equal(t, *r)
	})
	t.Run("of several choices", func(t *testing.T) {
		info := complete(func(r *api.CompletionRequest) { r.N = three })
		if info.Receipt != nil || len(info.Receipts) != three || slices.Equal(info.Receipts[0].Output, info.Receipts[1].Output) {
			t.Fatalf("%+v", info)
		}
		for _, r := range info.Receipts {
			equal(t, r)
		}
	})
	t.Run("of a streamed chat", func(t *testing.T) {
		r := api.ChatRequest{Model: "stories260K", Messages: []api.Message{{"role": "user", "content": "Tell me of a cat."}}, MaxTokens: &limit}
		r.Receipt = true
		stream, err := c.ChatStream(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		var last *api.Info
		for chunk, err := range stream.All() {
			if err != nil {
				t.Fatal(err)
			}
			if chunk.Weft != nil {
				last = chunk.Weft
			}
		}
		if last == nil || last.Receipt == nil {
			t.Fatalf("no receipt in the last chunk: %+v", last)
		}
		equal(t, *last.Receipt)
	})
	t.Run("none is made unasked", func(t *testing.T) {
		if info := complete(func(r *api.CompletionRequest) { r.Receipt = false }); info.Receipt != nil || info.Receipts != nil {
			t.Errorf("%+v", info)
		}
	})
	t.Run("a changed token is found", func(t *testing.T) {
		r := plain
		r.Output = slices.Clone(r.Output)
		r.Output[7]++
		v := verify(r, "")
		if v.Equal || v.Tokens != 7 || v.Difference.Index != 7 || *v.Difference.Computed.ID != plain.Output[7] || *v.Difference.Receipt.ID != r.Output[7] {
			t.Errorf("%+v, %+v", v, v.Difference)
		}
	})
	t.Run("a shorter and a longer answer are found", func(t *testing.T) {
		short := plain
		short.Output, short.FinishReason = plain.Output[:10], api.FinishStop
		if v := verify(short, ""); v.Equal || v.Difference.Index != 10 || v.Difference.Receipt.FinishReason != api.FinishStop {
			t.Errorf("%+v, %+v", v, v.Difference)
		}
		ended := plain
		ended.FinishReason = api.FinishStop
		if v := verify(ended, ""); v.Equal || v.Difference.Computed.FinishReason != api.FinishLength {
			t.Errorf("%+v, %+v", v, v.Difference)
		}
	})
	t.Run("what is other here is told", func(t *testing.T) {
		r := plain
		r.Numerics, r.KVType = "2", "q4_0"
		if v := verify(r, ""); len(v.Notes) != 2 || !strings.Contains(v.Notes[0], "numerics") || !strings.Contains(v.Notes[1], `kv_type = "q4_0"`) {
			t.Errorf("%q", v.Notes)
		}
	})
	t.Run("a file that is not here", func(t *testing.T) {
		r := plain
		r.Base.Digest = "sha256:" + strings.Repeat("ab", 32)
		_, err := c.Verify(ctx, api.VerifyRequest{Receipt: r})
		if e := (*api.Error)(nil); !errors.As(err, &e) || e.Status != http.StatusNotFound || *e.Code != api.CodeFileNotFound {
			t.Errorf("%v", err)
		}
		if v := verify(r, "stories260K"); !v.Equal || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "another base") {
			t.Errorf("%+v", v)
		}
		r = plain
		r.Adapters = []api.Adapter{{Name: "gone", Digest: "sha256:" + strings.Repeat("ab", 32), Scale: 1, Generation: 1}}
		if _, err := c.Verify(ctx, api.VerifyRequest{Receipt: r}); err == nil || !strings.Contains(err.Error(), "no adapter in service has the digest") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a token that the vocabulary lacks", func(t *testing.T) {
		r := plain
		r.Prompt = []int32{1, 100000}
		if _, err := c.Verify(ctx, api.VerifyRequest{Receipt: r}); err == nil || !strings.Contains(err.Error(), "receipt.prompt_token_ids[1]") {
			t.Errorf("%v", err)
		}
	})
}
