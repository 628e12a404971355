package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// TestFlush holds that every token leaves at once: the next is only made when the one before has been read.
func TestFlush(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " one two three", finish: engine.FinishStop, slow: make(chan struct{})}
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e})))
	tokens := len(builtinTokenizer(t).Encode(e.text, tokenizer.EncodeOptions{})) + 1 // and the one that ends the text
	go func() { e.slow <- struct{}{} }()
	stream, err := s.client.CompleteStream(t.Context(), api.CompletionRequest{Model: "m", Prompt: api.Text("x")})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var text strings.Builder
	for i := range tokens {
		if i > 0 {
			e.slow <- struct{}{}
		}
		if i == tokens-1 {
			go func() { e.slow <- struct{}{} }() // for the end of the stream
		}
		chunk, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(chunk.Choices[0].Text)
	}
	if _, err := stream.Next(); !errors.Is(err, io.EOF) && err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimLeft(text.String(), " "); got != "one two three" {
		t.Errorf("got %q", text.String())
	}
}

// TestKeepAlive holds that a stream says something while nothing comes, and that an error behind it is an event.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{fail: &engine.NonFiniteError{Layer: 1, Layers: 2}, slow: make(chan struct{})}
	o := testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e}))
	o.KeepAlive = 5 * time.Millisecond
	s := serveLive(t, o)
	conn := s.raw(t, post(api.PathCompletions, `{"model":"m","prompt":"x","stream":true}`))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	for n := 0; n < 3 && lines.Scan(); {
		if lines.Text() == ": waiting" {
			n++
		}
	}
	close(e.slow)
	var last string
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if resp.StatusCode != 200 || !strings.Contains(last, `data: {"error":{`) || !strings.Contains(last, api.CodeNonFinite) {
		t.Errorf("%d, ends with %q", resp.StatusCode, last)
	}
}

// TestManyChoices holds that a request for more choices than the engine has places is served all the same, and in order.
func TestManyChoices(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " Lily ran", finish: engine.FinishStop, places: 2}
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e})))
	seed := int64(100)
	r := api.CompletionRequest{Model: "m", Prompt: api.Prompt{Texts: []string{"x", "y", "z"}}, Sampling: api.Sampling{N: 4, Seed: &seed}}
	got, err := s.client.Complete(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	seeds := map[uint64]int{}
	for _, q := range e.requests {
		seeds[q.Sampling.Seed]++
	}
	if len(got.Choices) != 12 || fmt.Sprint(seeds) != "map[100:3 101:3 102:3 103:3]" {
		t.Errorf("%d choices with seeds %v", len(got.Choices), seeds)
	}
	for i, c := range got.Choices {
		if c.Index != i || c.Text != got.Choices[0].Text || *c.FinishReason != "stop" {
			t.Errorf("choice %d is %+v", i, c)
		}
	}
	stream, err := s.client.CompleteStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	ends, last := 0, (*api.Completion)(nil)
	for chunk, err := range stream.All() {
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && last.Weft != nil {
			t.Error("something follows the chunk with what produced it")
		}
		if chunk.Choices[0].FinishReason != nil {
			ends++
		}
		last = chunk
	}
	if ends != 12 || last.Weft == nil || last.Weft.Seed != 100 {
		t.Errorf("%d choices ended; the last chunk is %+v", ends, last)
	}
}

// TestCancelledContext holds that a request whose context ends, as at the end of a drain, ends too.
func TestCancelledContext(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " a", endless: true}
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e})))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := s.client.ChatStream(ctx, api.ChatRequest{Model: "m", Messages: []api.Message{api.NewMessage("user", "x")}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "the sequence is cancelled", func() bool { return e.busy() == 0 })
}
