package models

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// small is a model with grouped-query attention that every test can start from.
var small = tiny{Spec: modeltest.Spec{Width: 48, Layers: 3, Heads: 6, KVHeads: 2, FFN: 96, VocabSize: smallVocab, Context: 512}}

// smallVocab is the size of its vocabulary: more than its tokens, and not a multiple of anything.
const smallVocab = 487

func randomTokens(seed uint64, n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(seed, 3))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(r.IntN(vocab))
	}
	return tokens
}

func with(m tiny, change func(*tiny)) tiny {
	change(&m)
	return m
}

// yarnRamp is Hugging Face's linear_ramp_factor between the pairs at which beta_fast and beta_slow turns are made.
func yarnRamp(pair, dims int, base, original, fast, slow float64) float64 {
	dim := func(turns float64) float64 {
		return float64(dims) * math.Log(original/(turns*2*math.Pi)) / (2 * math.Log(base))
	}
	low, high := max(math.Floor(dim(fast)), 0), min(math.Ceil(dim(slow)), float64(dims-1))
	if low == high {
		high += 0.001
	}
	return min(1, max(0, (float64(pair)-low)/(high-low)))
}

// TestForward holds the architecture, with every switch, against the float64 forward of the test.
func TestForward(t *testing.T) {
	kv := func(key string, value any) gguf.KV { return gguf.KV{Key: "llama." + key, Value: value} }
	for name, m := range map[string]tiny{
		"grouped":    small,
		"multi-head": with(small, func(m *tiny) { m.KVHeads = 6 }),
		"one kv":     with(small, func(m *tiny) { m.KVHeads = 1 }),
		"biases":     with(small, func(m *tiny) { m.Biases = true }),
		"untied":     with(small, func(m *tiny) { m.Untied = true }),
		"base":       with(small, func(m *tiny) { m.RopeBase = 500000 }),
		"odd":        with(small, func(m *tiny) { m.Width, m.Heads, m.KVHeads, m.HeadDim, m.FFN, m.VocabSize = 37, 3, 3, 10, 51, 491 }),
		"wide heads": with(small, func(m *tiny) { m.HeadDim = 16 }),
		"part rope":  with(small, func(m *tiny) { m.HeadDim, m.ropeDims = 12, 6 }),
		"window": with(small, func(m *tiny) {
			m.window = 13
			m.Set = []gguf.KV{kv("attention.sliding_window", uint32(13))}
		}),
		"one layer": with(small, func(m *tiny) { m.Layers = 1 }),
		"f16":       with(small, func(m *tiny) { m.Type = quant.F16 }),
		"bf16":      with(small, func(m *tiny) { m.Type = quant.BF16 }),
		"linear": with(small, func(m *tiny) {
			m.Set = []gguf.KV{kv("rope.scaling.type", "linear"), kv("rope.scaling.factor", float32(4))}
			m.stretch = func(f float64, _ int) float64 { return f / 4 }
		}),
		"old linear key": with(small, func(m *tiny) {
			m.Set = []gguf.KV{kv("rope.scale_linear", float32(2))}
			m.stretch = func(f float64, _ int) float64 { return f / 2 }
		}),
		"no scaling": with(small, func(m *tiny) {
			m.Set = []gguf.KV{kv("rope.scaling.type", "none"), kv("rope.scaling.factor", float32(4))}
		}),
		"llama3 tensor": with(small, func(m *tiny) { m.RopeFactors = []float32{1, 1.5, 4, 8} }),
		"llama3 keys": with(small, func(m *tiny) {
			m.HeadDim = 32
			m.Set = []gguf.KV{
				kv("rope.scaling.type", "llama3"), kv("rope.scaling.factor", float32(8)),
				kv("rope.scaling.low_freq_factor", float32(1)), kv("rope.scaling.high_freq_factor", float32(4)),
				kv("rope.scaling.original_context_length", uint32(64)),
			}
			m.stretch = func(f float64, _ int) float64 {
				switch wavelength := 2 * math.Pi / f; {
				case wavelength < 64.0/4:
					return f
				case wavelength > 64.0/1:
					return f / 8
				default:
					smooth := (64/wavelength - 1) / (4 - 1)
					return (1-smooth)*f/8 + smooth*f
				}
			}
		}),
		"yarn": with(small, func(m *tiny) {
			m.HeadDim = 32
			m.Set = []gguf.KV{
				kv("rope.scaling.type", "yarn"), kv("rope.scaling.factor", float32(4)),
				kv("rope.scaling.original_context_length", uint32(128)),
			}
			m.stretch = func(f float64, pair int) float64 {
				ramp := yarnRamp(pair, 32, 10000, 128, 32, 1)
				return f/4*ramp + f*(1-ramp)
			}
			m.magnitude = 0.1*math.Log(4) + 1
		}),
		"yarn with all keys": with(small, func(m *tiny) {
			m.HeadDim = 64
			m.Set = []gguf.KV{
				kv("rope.scaling.type", "yarn"), kv("rope.scaling.factor", float32(16)),
				kv("rope.scaling.original_context_length", uint32(256)), kv("rope.scaling.attn_factor", float32(1.25)),
				kv("rope.scaling.yarn_beta_fast", float32(16)), kv("rope.scaling.yarn_beta_slow", float32(2)),
				kv("rope.scaling.yarn_log_multiplier", float32(0.5)),
			}
			m.stretch = func(f float64, pair int) float64 {
				ramp := yarnRamp(pair, 64, 10000, 256, 16, 2)
				return f/16*ramp + f*(1-ramp)
			}
			m.magnitude = 1.25 * (0.1*math.Log(16) + 1) / (0.05*math.Log(16) + 1)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			m := m.build(11)
			r := newRunner(t, m.open(t), runnerOptions{cache: kernels.CacheF32, pages: 8, rows: 64, logitRows: 64})
			tokens := randomTokens(1, 50, m.VocabSize)
			got := r.prefill(&sequence{}, tokens, 50)
			worst := 0.0
			for i, row := range m.logits(tokens) {
				for id, want := range row {
					worst = max(worst, math.Abs(float64(got[i*m.VocabSize+id])-want))
				}
			}
			if !(worst < 2e-4) { // of logits around 10
				t.Errorf("logits differ by up to %g from the float64 forward", worst)
			}
		})
	}
}

// TestSameBits: neither chunks nor company nor threads nor the level change a bit of the logits, in any kind of weights.
func TestSameBits(t *testing.T) {
	kinds := []quant.Type{quant.F32, quant.Q4_1, quant.F16, quant.Q8_0, quant.Q4_0, quant.Q6_K}
	if testing.Short() {
		kinds = kinds[:2]
	}
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			m := with(small, func(m *tiny) {
				m.Type, m.Layers, m.Heads, m.HeadDim = kind, 2, 4, max(32, kind.Info().BlockLen/4)
				m.Width, m.FFN = max(64, kind.Info().BlockLen), max(96, kind.Info().BlockLen)
			}).build(5)
			f := m.open(t)
			tokens := randomTokens(2, 100, m.VocabSize)
			options := runnerOptions{cpu: cpu.Options{Threads: 1}, pages: 80, rows: 300, logitRows: 300}
			want := newRunner(t, f, options).prefill(&sequence{}, tokens, len(tokens))
			for _, chunk := range []int{1, 7, 64} {
				equal(t, fmt.Sprintf("chunks of %d", chunk), newRunner(t, f, options).prefill(&sequence{}, tokens, chunk), want)
			}
			company(t, newRunner(t, f, options), tokens, want)
			two := options
			two.cpu.Threads = 2
			equal(t, "two threads", newRunner(t, f, two).prefill(&sequence{}, tokens, 64), want)
			two.cpu.Level = "ref"
			equal(t, "the reference level", newRunner(t, f, two).prefill(&sequence{}, tokens[:40], 40), want[:40*m.VocabSize])
		})
	}
}

// company feeds tokens in uneven chunks among seven other sequences that prefill and decode.
func company(t *testing.T, r *runner, tokens []int32, want []float32) {
	t.Helper()
	vocab := r.model.Config().Vocab
	var seq sequence
	others := make([]sequence, 7)
	rnd := rand.New(rand.NewPCG(8, 8))
	var got []float32
	for len(tokens) > 0 {
		n := min(len(tokens), 1+rnd.IntN(20))
		var parts []part
		at, rows := 0, 0
		for i := range others {
			if i == 4 {
				at = rows
				parts = append(parts, part{&seq, tokens[:n], n})
			}
			length := 1 + rnd.IntN(9)
			parts = append(parts, part{&others[i], randomTokens(rnd.Uint64(), length, vocab), i % 2})
			rows += i % 2
		}
		got = append(got, r.step(parts...)[at*vocab:(at+n)*vocab]...)
		tokens = tokens[n:]
	}
	equal(t, "among seven others", got, want)
}

// equal compares bits.
func equal(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d logits, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: logit %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// TestLogitRows: rows that are not asked for cost nothing and change nothing, and none may be asked for.
func TestLogitRows(t *testing.T) {
	m := small.build(3)
	f := m.open(t)
	options := runnerOptions{pages: 20, rows: 64, logitRows: 64}
	tokens := randomTokens(4, 60, m.VocabSize)
	all := newRunner(t, f, options).prefill(&sequence{}, tokens, 60)
	options.logitRows = 2
	r := newRunner(t, f, options)
	var seq sequence
	if n := len(r.step(part{&seq, tokens[:20], 0})); n != 0 {
		t.Fatalf("%d logits of no rows", n)
	}
	equal(t, "two rows", r.step(part{&seq, tokens[20:60], 2}), all[58*m.VocabSize:])
}

// TestProbe: the probe sees every layer once, in order, and what it sees ends in the logits.
func TestProbe(t *testing.T) {
	m := small.build(3)
	r := newRunner(t, m.open(t), runnerOptions{pages: 4, rows: 8, logitRows: 8})
	var layers, rows []int
	r.probe = func(layer int, x kernels.Matrix) {
		layers, rows = append(layers, layer), append(rows, x.Rows)
		if x.Cols != m.Width {
			t.Errorf("layer %d has width %d", layer, x.Cols)
		}
	}
	r.step(part{&sequence{}, randomTokens(1, 5, m.VocabSize), 2})
	if !slices.Equal(layers, []int{0, 1, 2, 3}) || !slices.Equal(rows, []int{5, 5, 2, 2}) {
		t.Errorf("layers %v with rows %v", layers, rows)
	}
}

// TestForwardDoesNotAllocate in the steady state, for decode and prefill.
func TestForwardDoesNotAllocate(t *testing.T) {
	if kernels.Invariants {
		t.Skip("the checks of a build with invariants allocate")
	}
	m := small.build(3)
	r := newRunner(t, m.open(t), runnerOptions{pages: 40, rows: 64, logitRows: 8})
	tokens := randomTokens(4, 32, m.VocabSize)
	var a, b sequence
	r.step(part{&a, tokens, 1}, part{&b, tokens[:1], 1})
	step := func(rows int) func() {
		return func() {
			a.len, b.len = 32, 1 // again and again the same rows
			batch := &r.batch
			batch.Tokens = append(batch.Tokens[:0], tokens[:rows]...)
			batch.Positions, batch.Slots = batch.Positions[:0], batch.Slots[:0]
			for i := range rows {
				batch.Positions = append(batch.Positions, int32(i))
				batch.Slots = append(batch.Slots, a.pages[i/testPageTokens]*testPageTokens+int32(i%testPageTokens))
			}
			batch.Spans = append(batch.Spans[:0], kernels.Span{Count: rows, Pages: a.pages})
			batch.LogitRows = append(batch.LogitRows[:0], int32(rows-1))
			r.model.Forward(r.backend, r.ws, batch, r.pages)
			if err := r.backend.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, rows := range []int{1, 32} {
		if n := testing.AllocsPerRun(20, step(rows)); n != 0 {
			t.Errorf("%g allocations in a step of %d rows", n, rows)
		}
	}
}
