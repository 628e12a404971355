package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// A prompt that cannot fit is refused before it is encoded, whether it came so or a template made it.
func TestHopelessPromptsAreNotEncoded(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{
		"m":    {text: " a", finish: engine.FinishStop},
		"long": {text: " a", finish: engine.FinishStop, template: "{{ 'a' * 1000000 }}"},
	})
	handler := New(testOptions(models))
	for path, body := range map[string]string{
		api.PathCompletions:     `{"model":"m","prompt":"` + strings.Repeat("a", 1<<20) + `"}`,
		api.PathChatCompletions: `{"model":"long","messages":[{"role":"user","content":"x"}]}`,
	} {
		status, err := send(t, handler, path, body)
		if status != 400 || *err.Code != api.CodeContextLength || !strings.Contains(err.Message, "has at least") {
			t.Errorf("%s: answered %d %+v", path, status, err)
		}
	}
	// Where the number of tokens is what is asked for, they are counted.
	if status, err := send(t, handler, api.PathTokenize, `{"model":"m","text":"`+strings.Repeat("a", 1<<17)+`"}`); status != 200 {
		t.Errorf("tokenizing it is answered %d %+v", status, err)
	}
}

// Long texts take turns, and who waits can leave; short ones wait for nobody.
func TestLongTextsTakeTurns(t *testing.T) {
	model := &Model{Tokenizer: builtinTokenizer(t), ContextLength: 64}
	synctest.Test(t, func(t *testing.T) {
		s := &Server{encoders: newEncoders()}
		encode := func(ctx context.Context, bytes int) error {
			_, err := s.encode(ctx, model, strings.Repeat("ab ", bytes/3), 0, tokenizer.EncodeOptions{})
			return err
		}
		if err := s.encoders.long.Acquire(t.Context(), longRoom); err != nil { // somebody encodes a long text
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- encode(ctx, 2*longText) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("a second long text was encoded at once: %v", err)
		default:
		}
		if err := errors.Join(encode(t.Context(), shortText), encode(t.Context(), longText-1)); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; !errors.Is(err, errClientGone) {
			t.Errorf("who left was told %v", err)
		}
		s.encoders.long.Release(longRoom)
		if err := encode(t.Context(), 2*longText); err != nil {
			t.Error(err)
		}
	})
}
