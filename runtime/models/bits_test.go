package models

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/ref"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
	"github.com/weft-run/weft/runtime/tokenizer"
)

var update = flag.Bool("update", false, "write testdata/bits.txt again")

// bitsFile holds ref.Version and then a line for each model: its name, and the sha256 of all logits of three prompts with 32 greedy tokens each.
const bitsFile = "testdata/bits.txt"

// TestBits holds the bits of logits: of the built-in model with both float types of cache, and of a tiny model in each mix of
// types, in one of them with the quantized types too, in two of them with adapters. Every platform and level gives these. A change of them is a change of the
// numerics (docs/numerics.md), which are frozen: -update writes new ones only under a new ref.Version, and adds what is new under the
// old one. It computes at every level of the machine; under
// -short, or with WEFT_CPU, at one.
func TestBits(t *testing.T) {
	committed, err := os.ReadFile(bitsFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := map[string]string{}
	version, _, _ := strings.Cut(string(committed), "\n")
	if version != ref.Version && !*update {
		t.Errorf("%s is of %q, and the kernels are %q: `make bits`", bitsFile, version, ref.Version)
	}
	for line := range strings.Lines(string(committed)) {
		if name, sum, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			want[name] = sum
		}
	}
	var now strings.Builder
	fmt.Fprintln(&now, ref.Version)
	check := func(name string, f *gguf.File, cache kernels.CacheType, adapt func(t *testing.T, r *runner, list []golden)) {
		t.Run(name, func(t *testing.T) {
			for i, level := range levelsHere(t) {
				got := bitsOf(t, f, level, cache, adapt)
				if i == 0 {
					fmt.Fprintf(&now, "%s %s\n", name, got)
					if _, known := want[name]; *update && (!known || version != ref.Version) {
						want[name] = got
					}
				}
				if got != want[name] {
					t.Errorf("level %q: sha256 of the logits is %s, want %s", level, got, want[name])
				}
			}
		})
	}
	check("stories260K:f16-cache", openFile(t, builtin), kernels.CacheF16, nil)
	check("stories260K:f32-cache", openFile(t, builtin), kernels.CacheF32, nil)
	for _, mix := range synthetic.Mixes() {
		m, err := synthetic.Parse("tiny:" + mix)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), mix+".gguf")
		if err := m.WriteFile(context.Background(), path); err != nil {
			t.Fatal(err)
		}
		check(m.Name(), openFile(t, path), kernels.CacheF16, nil)
		if mix == "f32" || mix == "q4_k_m" {
			check(m.Name()+":adapters", openFile(t, path), kernels.CacheF16, bitsAdapters)
		}
		if mix == "f32" { // its heads are wide enough for the quantized caches
			check(m.Name()+":q8_0-cache", openFile(t, path), kernels.CacheQ8_0, nil)
			check(m.Name()+":q4_0-cache", openFile(t, path), kernels.CacheQ4_0, nil)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(bitsFile, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// levelsHere lists the levels to compute at: of WEFT_CPU, the best one under -short, else all that the machine has.
func levelsHere(t *testing.T) (names []string) {
	t.Helper()
	if level := os.Getenv("WEFT_CPU"); level != "" || testing.Short() {
		return []string{level}
	}
	for _, level := range cpu.Levels() {
		d, err := cpu.NewDevice(cpu.Options{Threads: 1, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		if d.Level() == level { // else the machine lacks it
			names = append(names, level)
		}
		d.Close()
	}
	return names
}

// bitsAdapters gives the three prompts an adapter of everything, a stack, and DoRA.
func bitsAdapters(t *testing.T, r *runner, list []golden) {
	m := r.model
	bind := func(spec *AdapterSpec) *Adapter {
		a, err := NewAdapter(m, spec, r.device)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	plain, biased := bind(drawSpec(m, 1, 16, all)), bind(withBiases(m, drawSpec(m, 2, 5, layersOnly)))
	dora := bind(withDoRA(m, drawSpec(m, 3, 8, layersOnly)))
	for i, uses := range [][]AdapterUse{{{plain, 1}}, {{biased, 0.7}, {plain, -0.3}}, {{dora, 0.5}}} {
		stages, err := Stages(m, list[i].IDs, uses)
		if err != nil {
			t.Fatal(err)
		}
		list[i].stages = stages
	}
}

// bitsOf plays three prompts in one batch and returns the digest of the logits as little-endian float32. adapt, where it is not nil, gives
// them adapters.
func bitsOf(t *testing.T, f *gguf.File, level string, cache kernels.CacheType, adapt func(t *testing.T, r *runner, list []golden)) string {
	t.Helper()
	text, err := tokenizer.New(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	var list []golden
	for _, prompt := range []string{"Once upon a time", "Tom and his dog went to the big lake. It was", "\"I am sorry,\" said the cat"} {
		list = append(list, golden{IDs: text.Encode(prompt, tokenizer.EncodeOptions{AddSpecial: true}), Greedy: make([]int32, 33)})
	}
	sum := sha256.New()
	r := newRunner(t, f, runnerOptions{cpu: cpu.Options{Level: level}, cache: cache, pages: 32, rows: 32, logitRows: 8})
	if adapt != nil {
		adapt(t, r, list)
	}
	play(t, r, list, 8, func(prompt, step int, logits []float32) {
		for i, x := range logits {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Fatalf("prompt %d, step %d: logit %d is %v", prompt, step, i, x)
			}
		}
		list[prompt].Greedy[step] = greedy(logits)
		sum.Write(floats(logits...))
	})
	return fmt.Sprintf("%x", sum.Sum(nil))
}
