package engine

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/scheduler"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// testDraft is the draft of a variant; its zero value is none.
type testDraft struct {
	*Draft
	drawn *rand.Rand
}

// newTestDraft makes the draft that a variant wants: a model of the same seed in another type, which is right sometimes, or of another seed.
func newTestDraft(t *testing.T, d *devices, of subject, model models.Model, v variant) testDraft {
	t.Helper()
	if v.Guesses != "draft" && v.Guesses != "own draft" {
		return testDraft{}
	}
	small := model
	if of.draft != nil {
		small = load(t, of.draft(t))
	}
	return testDraft{makeDraft(t, d.get(t, v.CPU), DraftConfig{
		Model: small, Vocab: model.Config().Vocab, ContextLen: of.contextLen, PageTokens: v.PageTokens,
	}), rand.New(rand.NewPCG(12, 0))}
}

// makeDraft makes a draft that is closed after the engines of the test.
func makeDraft(t *testing.T, device *cpu.Device, cfg DraftConfig) *Draft {
	t.Helper()
	cfg.Backend = device.Open()
	d, err := NewDraft(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// give has an engine ask the draft where it is alone and that pays.
func (d testDraft) give(t *testing.T, e *Engine) {
	t.Helper()
	if d.Draft != nil && e.cfg.guesses == nil {
		if err := e.SetDraft(testContext(t), d.Draft); err != nil {
			t.Fatal(err)
		}
	}
}

// always takes the place of an engine's guesses: the draft's, for every sequence in turn, whether or not that pays.
func (d testDraft) always(s *Stream, _ []scheduler.Sampled) []int32 {
	return d.Guess(nil, s.engine.loop.scheduler.Tokens(s.id), d.drawn.IntN(16))
}

// What a draft says is what its model says, greedily, whatever it was asked before and in whatever pieces it caught up.
func TestADraftSaysWhatItsModelSays(t *testing.T) {
	d := newDevices(t)
	model := load(t, builtinFile(t))
	const contextLen = 200
	cfg := Config{Model: model, EOG: nil, ContextLen: contextLen, MaxBatch: 1}
	e := open(t, d, cfg, cpu.Options{Threads: 1})
	draft := makeDraft(t, d.get(t, cpu.Options{Threads: 1}), DraftConfig{Model: model, Vocab: model.Config().Vocab, ContextLen: 400, PageTokens: 16})
	r := rand.New(rand.NewPCG(4, 0))
	for range 12 {
		prompt := make([]int32, 1+r.IntN(contextLen-1))
		for i := range prompt {
			prompt[i] = int32(r.IntN(400))
		}
		a := ask(t, e, Request{Prompt: prompt, MaxTokens: 20, IgnoreEOS: true, Sampling: greedy()}, func() {})
		have := prompt
		for len(a.Tokens) > 0 {
			n := 1 + r.IntN(5)
			var got []int32
			for range 1 + len(have)/catchUp {
				got = draft.Guess(got, have, n)
				if len(got) > 0 {
					break
				}
			}
			if want := min(n, len(a.Tokens)); len(got) < want {
				t.Fatalf("%d guesses behind %d tokens, want %d", len(got), len(have), want)
			}
			take := 1 + r.IntN(min(len(got), len(a.Tokens)))
			for i := range take {
				if got[i] != a.Tokens[i].ID {
					t.Fatalf("guess %d behind %d tokens is %d, the model says %d", i, len(have), got[i], a.Tokens[i].ID)
				}
				have = append(have, got[i])
			}
			a.Tokens = a.Tokens[take:]
		}
	}
	long := make([]int32, 401)
	for range 10 {
		if got := draft.Guess(nil, long, 4); len(got) > 0 {
			t.Errorf("guesses %v behind %d tokens, more than the context holds", got, len(long))
		}
	}
}

// A draft whose weights cannot be read guesses nothing any more, and the engine goes on without.
func TestADraftThatFails(t *testing.T) {
	broken := &fakeBackend{fault: func(int) error { return errors.New("no such page") }}
	draft, err := NewDraft(DraftConfig{Backend: broken, Model: newFakeModel(), Vocab: fakeVocab, ContextLen: 64, PageTokens: 16})
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t, nil)
	if err := f.SetDraft(testContext(t), draft); err != nil {
		t.Fatal(err)
	}
	want, _ := expect(prompt(5, 2), 40, 64, true)
	got := read(t, f.submit(t, Request{Prompt: prompt(5, 2), MaxTokens: 40, IgnoreEOS: true}))
	if diff := cmp.Diff(want, got); diff != "" || f.Stats().Drafted != 0 || broken.syncs > 1 {
		t.Errorf("%d syncs, %+v: %s", broken.syncs, f.Stats(), diff)
	}
	if err := f.SetDraft(testContext(t), nil); err != nil {
		t.Fatal(err)
	}
	draft.Close()
	if !broken.freed || !broken.closed {
		t.Error("the draft's memory is not given back")
	}
	f.Close()
	if err := f.SetDraft(testContext(t), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed engine: %v", err)
	}
}

// TestSmolLM2DraftsForItself: the f32 file guessed for by the Q4_1 file gives the tokens, logprobs and logits that it gives alone, greedily and
// sampled, with the draft asked always and as it pays.
func TestSmolLM2DraftsForItself(t *testing.T) {
	if testing.Short() {
		t.Skip("computes a real model")
	}
	model, small := load(t, modeltest.File(t, "smollm2-f32.gguf")), load(t, modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"))
	d := newDevices(t)
	f, err := gguf.Open(modeltest.File(t, "smollm2-f32.gguf"), gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words, err := tokenizer.New(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	prompt := words.Encode("<|im_start|>user\nExplain how a bicycle stays upright.<|im_end|>\n<|im_start|>assistant\n", tokenizer.EncodeOptions{ParseSpecial: true})
	sampled := sampler.Default()
	sampled.Temperature, sampled.TopP, sampled.RepetitionPenalty, sampled.TopLogprobs, sampled.Seed = 0.7, 0.9, 1.1, 2, 5
	requests := []Request{
		{Prompt: prompt, MaxTokens: 40, IgnoreEOS: true, Sampling: greedy()},
		{Prompt: prompt, MaxTokens: 40, IgnoreEOS: true, Sampling: sampled},
	}
	var want []answer
	for _, kind := range []string{"off", "draft", "own draft"} {
		v := variant{CPU: cpu.Options{Threads: 2}, PageTokens: 32, Guesses: kind}
		draft := testDraft{}
		cfg := Config{Model: model, ContextLen: 128, MaxBatch: 1, NoSpeculation: kind == "off", CacheType: kernels.CacheF16}
		if kind != "off" {
			draft = testDraft{makeDraft(t, d.get(t, v.CPU), DraftConfig{
				Model: small, Vocab: model.Config().Vocab, ContextLen: 128, PageTokens: 32,
			}), rand.New(rand.NewPCG(12, 0))}
		}
		if kind == "draft" {
			cfg.guesses = draft.always
		}
		e := open(t, d, cfg, v.CPU)
		draft.give(t, e)
		for i, req := range requests {
			got := ask(t, e, req, func() {})
			if kind == "off" {
				want = append(want, got)
			} else if diff := cmp.Diff(want[i], got); diff != "" {
				t.Errorf("%s, request %d (-alone +drafted):\n%s", kind, i, diff)
			}
		}
		s := e.Stats()
		t.Logf("%s: %d steps, %d of %d guesses right", kind, s.Steps, s.Accepted, s.Drafted)
		if kind == "draft" && s.Accepted < s.Drafted/4 {
			t.Errorf("%d of %d guesses were right; the two files are not one model", s.Accepted, s.Drafted)
		}
		e.Close()
	}
}
