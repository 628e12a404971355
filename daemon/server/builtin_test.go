package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/builtin"
	"github.com/weft-run/weft/daemon/config"
)

const opening = "Once upon a time"

// startDaemon runs the whole daemon on its built-in model and returns a client on its socket.
func startDaemon(t *testing.T) *api.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft") //nolint:usetesting // the test's own folder may be too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cfg := config.Default()
	cfg.DataDir = dir
	cfg.ModelsDir, cfg.AdaptersDir, cfg.PluginsDir = filepath.Join(dir, "models"), filepath.Join(dir, "adapters"), filepath.Join(dir, "plugins")
	cfg.DocumentsDir, cfg.StateDir = filepath.Join(dir, "documents"), filepath.Join(dir, "state")
	cfg.Listen = []config.Address{{Network: "unix", Address: socket}}
	cfg.MemoryBudget = config.Size{Bytes: 1 << 30}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, cfg, slog.New(slog.DiscardHandler)) }()
	client := api.NewClient(api.Host{Socket: socket})
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
		os.RemoveAll(dir)
	})
	until(t, "the daemon is ready", func() bool { return client.Ready(ctx) == nil })
	return client
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func ptr[T any](v T) *T { return &v }

// story asks for n tokens behind the opening, greedily unless a seed is given.
func story(n int, seed ...int64) api.CompletionRequest {
	r := api.CompletionRequest{Model: builtin.Name, Prompt: api.Text(opening), MaxTokens: &n}
	r.Temperature, r.ReturnTokenIDs = ptr(0.0), true
	if len(seed) > 0 {
		r.Seed, r.Temperature = &seed[0], ptr(1.0)
	}
	return r
}

// collect joins a stream's chunks to the choices of a whole answer.
func collect(t *testing.T, c *api.Client, r api.CompletionRequest) (choices []api.CompletionChoice, last *api.Completion) {
	t.Helper()
	stream, err := c.CompleteStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	choices = make([]api.CompletionChoice, r.Prompt.Len()*r.Choices())
	for chunk, err := range stream.All() {
		if err != nil {
			t.Fatal(err)
		}
		last = chunk
		for _, piece := range chunk.Choices {
			c := &choices[piece.Index]
			c.Index = piece.Index
			c.Text += piece.Text
			c.TokenIDs = append(c.TokenIDs, piece.TokenIDs...)
			if piece.PromptTokenIDs != nil {
				c.PromptTokenIDs = piece.PromptTokenIDs
			}
			if piece.FinishReason != nil {
				c.FinishReason = piece.FinishReason
			}
			if l := piece.Logprobs; l != nil {
				if c.Logprobs == nil {
					c.Logprobs = new(api.CompletionLogprobs)
				}
				c.Logprobs.Tokens = append(c.Logprobs.Tokens, l.Tokens...)
				c.Logprobs.TokenLogprobs = append(c.Logprobs.TokenLogprobs, l.TokenLogprobs...)
				c.Logprobs.TopLogprobs = append(c.Logprobs.TopLogprobs, l.TopLogprobs...)
				c.Logprobs.TextOffset = append(c.Logprobs.TextOffset, l.TextOffset...)
			}
		}
	}
	return choices, last
}

func complete(t *testing.T, c *api.Client, r api.CompletionRequest) *api.Completion {
	t.Helper()
	got, err := c.Complete(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBuiltinModel asks the whole daemon, through its socket, for what only all rooms together can get right.
func TestBuiltinModel(t *testing.T) {
	t.Parallel()
	c := startDaemon(t)
	golden, err := os.ReadFile(filepath.Join("..", "testdata", "stories260K.golden.txt"))
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the golden text, whole and streamed", func(t *testing.T) {
		r := story(252)
		r.Echo = true
		r.StreamOptions = &api.StreamOptions{IncludeUsage: true}
		whole := complete(t, c, r)
		if got := whole.Choices[0].Text; got != strings.TrimRight(string(golden), "\n") {
			t.Errorf("got %q", got)
		}
		streamed, last := collect(t, c, r)
		if !reflect.DeepEqual(streamed, whole.Choices) || !reflect.DeepEqual(last.Usage, whole.Usage) {
			t.Errorf("streamed: %+v, %+v", streamed, last.Usage)
		}
		if w := last.Weft; w == nil || w.Base.Name != builtin.Name || w.Numerics == "" || len(w.Base.HeaderDigest) != len("sha256:")+64 || w.Timings.FirstToken <= 0 {
			t.Errorf("produced by %+v", w)
		}
	})

	t.Run("everything at once, whole and streamed", func(t *testing.T) {
		r := story(20, 7)
		r.Prompt = api.Prompt{Texts: []string{opening, "Lily"}}
		r.N, r.Echo, r.Logprobs, r.Stop = 3, true, ptr(4), api.Stops{"was", "x y z"}
		whole := complete(t, c, r)
		streamed, _ := collect(t, c, r)
		if !reflect.DeepEqual(streamed, whole.Choices) {
			t.Errorf("streamed: %+v\nwhole: %+v", streamed, whole.Choices)
		}
		for _, choice := range whole.Choices {
			if strings.Contains(choice.Text, "was") {
				t.Errorf("the stop string is in %q", choice.Text)
			}
			l := choice.Logprobs
			if n := len(choice.PromptTokenIDs) + len(choice.TokenIDs); len(l.Tokens) != n || len(l.TokenLogprobs) != n || len(l.TopLogprobs) != n || len(l.TextOffset) != n {
				t.Errorf("%d tokens, %d entries", n, len(l.Tokens))
			}
		}
	})

	t.Run("choice i of seed s is the only choice of seed s+i", func(t *testing.T) {
		r := story(24, 100)
		r.N = 4
		all := complete(t, c, r)
		for i, choice := range all.Choices {
			alone := complete(t, c, story(24, 100+int64(i)))
			if !slices.Equal(alone.Choices[0].TokenIDs, choice.TokenIDs) || alone.Weft.Seed != 100+uint64(i) {
				t.Errorf("choice %d is %q, alone %q", i, choice.Text, alone.Choices[0].Text)
			}
		}
	})

	t.Run("a seed that was drawn gives the text again", func(t *testing.T) {
		r := story(24)
		r.Temperature = ptr(1.0)
		first := complete(t, c, r)
		again := complete(t, c, story(24, int64(first.Weft.Seed)))
		if first.Choices[0].Text != again.Choices[0].Text {
			t.Errorf("seed %d gave %q, then %q", first.Weft.Seed, first.Choices[0].Text, again.Choices[0].Text)
		}
	})

	t.Run("alone or among seven others", func(t *testing.T) {
		r := story(40, 3)
		r.Logprobs = ptr(5)
		alone := complete(t, c, r)
		var wg sync.WaitGroup
		for i := range 7 {
			wg.Go(func() {
				if _, err := c.Complete(t.Context(), story(60, int64(i))); err != nil {
					t.Error(err)
				}
			})
		}
		among := complete(t, c, r)
		wg.Wait()
		if !reflect.DeepEqual(alone.Choices, among.Choices) {
			t.Errorf("alone %+v\namong %+v", alone.Choices[0], among.Choices[0])
		}
	})

	t.Run("ids, texts, tokenize and detokenize agree", func(t *testing.T) {
		whole := complete(t, c, story(30))
		tokens, err := c.Tokenize(t.Context(), api.TokenizeRequest{Model: builtin.Name, Text: opening})
		if err != nil || !slices.Equal(tokens.Tokens, whole.Choices[0].PromptTokenIDs) {
			t.Errorf("tokenize gives %v, the prompt was %v (%v)", tokens, whole.Choices[0].PromptTokenIDs, err)
		}
		r := story(30)
		r.Prompt = api.Tokens(tokens.Tokens)
		if byID := complete(t, c, r); !reflect.DeepEqual(byID.Choices, whole.Choices) {
			t.Errorf("by ids %+v", byID.Choices)
		}
		ids := append(slices.Clone(tokens.Tokens[1:]), whole.Choices[0].TokenIDs...)
		text, err := c.Detokenize(t.Context(), api.DetokenizeRequest{Model: builtin.Name, Tokens: ids})
		if err != nil || text.Text != opening+whole.Choices[0].Text {
			t.Errorf("detokenize gives %q (%v)", text.Text, err)
		}
	})

	t.Run("perplexity is what the prompt's log probabilities say", func(t *testing.T) {
		r := story(0)
		r.Echo, r.Logprobs = true, ptr(0)
		echo := complete(t, c, r)
		sum, n := 0.0, 0
		for _, l := range echo.Choices[0].Logprobs.TokenLogprobs {
			if l != nil {
				sum -= *l
				n++
			}
		}
		p, err := c.Perplexity(t.Context(), api.PerplexityRequest{Model: builtin.Name, Text: opening})
		if err != nil || p.Scored != n || math.Abs(p.MeanNLL-sum/float64(n)) > 1e-12 || math.Abs(math.Log(p.Perplexity)-p.MeanNLL) > 1e-12 {
			t.Errorf("got %+v, %v; want %v over %d", p, err, sum/float64(n), n)
		}
	})

	t.Run("a chat, whole and streamed", func(t *testing.T) {
		r := api.ChatRequest{Model: builtin.Name, Messages: []api.Message{api.NewMessage("user", "Tell me a story.")}, MaxTokens: ptr(24), Logprobs: true}
		r.Temperature = ptr(0.0)
		whole, err := c.Chat(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := c.Render(t.Context(), api.RenderRequest{Model: builtin.Name, Messages: r.Messages})
		if err != nil || rendered.Text != "Tell me a story.\n" || len(rendered.Tokens) != whole.Usage.PromptTokens {
			t.Errorf("rendered %+v (%v), the prompt had %d tokens", rendered, err, whole.Usage.PromptTokens)
		}
		if len(whole.Choices[0].Logprobs.Content) != whole.Usage.CompletionTokens {
			t.Errorf("%d entries for %d tokens", len(whole.Choices[0].Logprobs.Content), whole.Usage.CompletionTokens)
		}
		stream, err := c.ChatStream(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		var text strings.Builder
		for chunk, err := range stream.All() {
			if err != nil {
				t.Fatal(err)
			}
			if d := chunk.Choices[0].Delta.Content; d != nil {
				text.WriteString(*d)
			}
		}
		if text.String() != whole.Choices[0].Message.Content || text.Len() == 0 {
			t.Errorf("streamed %q, whole %q", text.String(), whole.Choices[0].Message.Content)
		}
	})

	t.Run("a bias rules", func(t *testing.T) {
		r := story(8)
		r.LogitBias = map[int32]float32{410: 100}
		if got := complete(t, c, r).Choices[0].Text; got != strings.Repeat(" ", 8) {
			t.Errorf("with every other token out of reach the text is %q", got)
		}
	})

	t.Run("who leaves takes the sequence along", func(t *testing.T) {
		r := story(100_000)
		r.IgnoreEOS = true
		stream, err := c.CompleteStream(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Next(); err != nil {
			t.Fatal(err)
		}
		stream.Close()
		until(t, "nothing runs any more", func() bool {
			st, err := c.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return st.Requests.Running+st.Requests.Queued == 0 && st.Models[0].PagesUsed == 0
		})
	})

	t.Run("the context ends a text", func(t *testing.T) {
		r := story(100_000)
		r.IgnoreEOS = true
		got := complete(t, c, r)
		if n := got.Usage.TotalTokens; *got.Choices[0].FinishReason != api.FinishLength || n != got.Weft.ContextLength {
			t.Errorf("%d tokens of %d, ended by %s", n, got.Weft.ContextLength, *got.Choices[0].FinishReason)
		}
		var e *api.Error
		r.Prompt = api.Tokens(make([]int32, got.Weft.ContextLength))
		if _, err := c.Complete(t.Context(), r); !errors.As(err, &e) || *e.Code != api.CodeContextLength || !strings.Contains(e.Message, "512") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("what never was is 404 with what is near", func(t *testing.T) {
		r := story(1)
		r.Model = "stories260k"
		var e *api.Error
		if _, err := c.Complete(t.Context(), r); !errors.As(err, &e) || e.Status != 404 || !strings.Contains(e.Message, builtin.Name) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a stream ends at its end", func(t *testing.T) {
		stream, err := c.CompleteStream(t.Context(), story(2))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		for {
			if _, err := stream.Next(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				return
			}
		}
	})
}
