package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/tokenizer"
)

const builtin = "../../daemon/builtin/stories260K-f32.gguf"

// golden is one line of testdata/*.jsonl, see the README there.
type golden struct {
	Name   string
	Prompt string
	BOS    bool
	IDs    []int32
	Greedy []int32
	Margin []float64
	Top    [][2]float64 // id, logit
	LSE    float64

	stages []Stage // of adapters; not of the file
}

func readGolden(t *testing.T, file string) (list []golden) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var g golden
		if err := d.Decode(&g); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
}

// levelFromEnv is the device of `make test-levels`.
func levelFromEnv() cpu.Options { return cpu.Options{Level: os.Getenv("WEFT_CPU")} }

// play prefills all prompts and then decodes them greedily in one batch, each for as many tokens as its line has. It calls
// seen with the logits before every token of every prompt, and follows the tokens of the lines where the model would choose
// others: so that one close call does not end the comparison.
func play(t *testing.T, r *runner, list []golden, chunk int, seen func(prompt, step int, logits []float32)) {
	t.Helper()
	seqs := make([]sequence, len(list))
	for i, g := range list {
		ids := g.IDs
		seqs[i].stages = g.stages
		for len(ids) > chunk {
			r.step(part{&seqs[i], ids[:chunk], 0})
			ids = ids[chunk:]
		}
		seen(i, 0, r.step(part{&seqs[i], ids, 1}))
	}
	vocab := r.model.Config().Vocab
	for step := 1; ; step++ {
		var parts []part
		var which []int
		for i, g := range list {
			if step < len(g.Greedy) {
				parts, which = append(parts, part{&seqs[i], g.Greedy[step-1 : step], 1}), append(which, i)
			}
		}
		if len(parts) == 0 {
			return
		}
		logits := r.step(parts...)
		for k, i := range which {
			seen(i, step, logits[k*vocab:(k+1)*vocab])
		}
	}
}

// lse is log(sum(exp)) of logits.
func lse(logits []float32) float64 {
	most := float64(slices.Max(logits))
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - most)
	}
	return most + math.Log(sum)
}

// checkGreedy compares a step with the line, for steps whose margin is clear.
func checkGreedy(t *testing.T, g golden, step int, logits []float32) {
	t.Helper()
	if got := greedy(logits); got != g.Greedy[step] && g.Margin[step] >= 1e-3 {
		t.Errorf("%s: step %d gives token %d, want %d (margin %g)", g.Name, step, got, g.Greedy[step], g.Margin[step])
	}
}

// worstLogprob is the largest difference of the ten best logprobs of the line.
func worstLogprob(g golden, logits []float32) (worst float64) {
	total := lse(logits)
	for _, top := range g.Top {
		worst = max(worst, math.Abs((float64(logits[int(top[0])])-total)-(top[1]-g.LSE)))
	}
	return worst
}

// TestStoriesGolden is the built-in model's whole story: prompt ids, logits, every greedy token, text.
func TestStoriesGolden(t *testing.T) {
	f := openFile(t, builtin)
	text, err := tokenizer.New(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	list := readGolden(t, "stories260K.golden.jsonl")
	g := list[0]
	if ids := text.Encode(g.Prompt, tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(ids, g.IDs) {
		t.Fatalf("prompt ids %v, want %v", ids, g.IDs)
	}
	r := newRunner(t, f, runnerOptions{cpu: levelFromEnv(), cache: kernels.CacheF32, pages: 32, rows: 32, logitRows: 8})
	ids := slices.Clone(g.IDs)
	play(t, r, list, 32, func(_, step int, logits []float32) {
		if step == 0 {
			if worst := worstLogprob(g, logits); worst > 5e-4 {
				t.Errorf("a logprob is off by %g", worst)
			}
		}
		checkGreedy(t, g, step, logits)
		ids = append(ids, greedy(logits))
	})
	want, err := os.ReadFile("testdata/stories260K.golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.TrimPrefix(string(text.Decode(ids[1:])), " ") // without BOS and SentencePiece's leading space
	if !strings.HasPrefix(got, strings.TrimSuffix(string(want), "\n")) {
		t.Errorf("text %q, want %q", got, want)
	}
}

// TestSmolLM2SameBits: on the real quantized file too, chunks, threads and the level change no bit.
func TestSmolLM2SameBits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	f := openFile(t, modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"))
	tokens := readGolden(t, "smollm2-f32.golden.jsonl")[6].IDs
	run := func(threads int, level string, n, chunk int) []float32 {
		o := runnerOptions{cpu: cpu.Options{Threads: threads, Level: level}, pages: 8, rows: 128, logitRows: 128}
		return newRunner(t, f, o).prefill(&sequence{}, tokens[:n], chunk)
	}
	best := os.Getenv("WEFT_CPU")
	n := len(tokens)
	if best == "ref" {
		n = 10
	}
	want := run(1, best, n, n)
	vocab := len(want) / n
	for _, chunk := range []int{1, 7, 64} {
		equal(t, fmt.Sprintf("chunks of %d", chunk), run(1, best, n, chunk), want)
	}
	equal(t, "two threads", run(2, best, n, n), want)
	equal(t, "the reference level", run(2, "ref", 9, 9), want[:9*vocab])
}

// real opens a fetched model where that is worth the time: not under -short and not by the reference level.
func real(t *testing.T, name string, cache kernels.CacheType) (*runner, *tokenizer.Tokenizer) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	path := modeltest.File(t, name)
	f := openFile(t, path)
	text, err := tokenizer.New(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, f, runnerOptions{cpu: levelFromEnv(), cache: cache, pages: 320, rows: 512, logitRows: 16})
	if r.device.Level() == "ref" {
		t.Skip("takes too long at the level ref")
	}
	return r, text
}

// TestSmolLM2Golden holds the float32 model with a float32 cache against the oracle.
func TestSmolLM2Golden(t *testing.T) {
	r, text := real(t, "smollm2-f32.gguf", kernels.CacheF32)
	list := readGolden(t, "smollm2-f32.golden.jsonl")
	for _, g := range list {
		if ids := text.Encode(g.Prompt, tokenizer.EncodeOptions{ParseSpecial: true, AddBOS: g.BOS}); !slices.Equal(ids, g.IDs) {
			t.Errorf("%s: prompt ids %v, want %v", g.Name, ids, g.IDs)
		}
	}
	worst, steps := 0.0, 0
	play(t, r, list, 512, func(prompt, step int, logits []float32) {
		if step == 0 {
			off := worstLogprob(list[prompt], logits)
			if off > 5e-4 {
				t.Errorf("%s: a logprob is off by %g", list[prompt].Name, off)
			}
			worst = max(worst, off)
		}
		checkGreedy(t, list[prompt], step, logits)
		steps++
	})
	t.Logf("%d prompts, %d greedy tokens; logprobs within %.2g of the oracle", len(list), steps, worst)
}

// TestSmolLM2Quantized holds what int8 activations cost on the Q4_1 file, as the mean absolute difference of the oracle's ten best
// logprobs, against what they cost llama.cpp.
func TestSmolLM2Quantized(t *testing.T) {
	r, _ := real(t, "SmolLM2-135M-Instruct.Q4_1.gguf", kernels.CacheF16)
	oracle, theirs := readGolden(t, "smollm2-f32.golden.jsonl"), readGolden(t, "smollm2-q4_1.llamacpp.jsonl")
	var ours, peer mean
	for i := range oracle {
		oracle[i].Greedy = oracle[i].Greedy[:1]
		for _, top := range oracle[i].Top {
			for _, other := range theirs[i].Top { // it lists its own ten best, which are not always the oracle's
				if other[0] == top[0] {
					peer.add(math.Abs((other[1] - theirs[i].LSE) - (top[1] - oracle[i].LSE)))
				}
			}
		}
	}
	play(t, r, oracle, 512, func(prompt, _ int, logits []float32) {
		g, total := oracle[prompt], lse(logits)
		var one mean
		for _, top := range g.Top {
			off := math.Abs((float64(logits[int(top[0])]) - total) - (top[1] - g.LSE))
			ours.add(off)
			one.add(off)
		}
		t.Logf("%-12s %.4f", g.Name, one.value())
	})
	t.Logf("mean difference of the ten best logprobs: %.4f, llama.cpp %.4f", ours.value(), peer.value())
	if ours.value() > 1.1*peer.value() {
		t.Errorf("mean difference %.4f is above 1.1 x %.4f", ours.value(), peer.value())
	}
}

type mean struct{ sum, n float64 }

func (m *mean) add(x float64)  { m.sum, m.n = m.sum+x, m.n+1 }
func (m *mean) value() float64 { return m.sum / m.n }
