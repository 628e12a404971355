package engine

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/scheduler"
)

// TestDamagedWeights: with an infinite weight somewhere in a real forward pass, a request fails with the layer that holds it.
func TestDamagedWeights(t *testing.T) {
	const poisoned = 9 // the token whose embedding is damaged in one case
	for name, c := range map[string]struct {
		tensor  string
		element int
		layer   int
		others  bool // whether requests without the poisoned token go on
	}{
		"first layer":  {"blk.0.ffn_down.weight", 3, 0, false},
		"second layer": {"blk.1.attn_output.weight", 0, 1, false},
		"final norm":   {"output_norm.weight", 1, 2, false},
		"head":         {"output.weight", 5, 2, false},
		"embedding":    {"token_embd.weight", poisoned*64 + 2, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			meta, tensors := modeltest.Parts(modeltest.Spec{Untied: true})
			at := slices.IndexFunc(tensors, func(x gguf.TensorData) bool { return x.Name == c.tensor })
			binary.LittleEndian.PutUint32(tensors[at].Data[4*c.element:], math.Float32bits(float32(math.Inf(1))))
			path := filepath.Join(t.TempDir(), "damaged.gguf")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(gguf.Write(file, meta, tensors), file.Close()); err != nil {
				t.Fatal(err)
			}
			model := load(t, path)
			e := open(t, newDevices(t), Config{Model: model, StepTokens: 16}, cpu.Options{Threads: 1})
			good, err := e.Submit(Request{Prompt: []int32{4, 5, 6}, MaxTokens: 3, Sampling: greedy(), IgnoreEOS: true})
			if err != nil {
				t.Fatal(err)
			}
			prompt := slices.Repeat([]int32{4, 5, 6}, 8)
			prompt = append(prompt, poisoned)
			bad, err := e.Submit(Request{Prompt: prompt, Sampling: greedy()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = drain(testContext(t), bad)
			var e2 *NonFiniteError
			if !errors.As(err, &e2) || e2.Layer != c.layer || e2.Layers != 2 || e2.Position != len(prompt)-1 {
				t.Errorf("damaged %s: %v", c.tensor, err)
			}
			if _, err = drain(testContext(t), good); errors.As(err, &e2) == c.others {
				t.Errorf("the other request: %v", err)
			}
		})
	}
}

// TestRealDecodeStepAllocatesNothing runs the step function on the CPU backend, over page borders, with guesses and without.
func TestRealDecodeStepAllocatesNothing(t *testing.T) {
	if kernels.Invariants {
		t.Skip("the checks of a build with invariants allocate")
	}
	wrong := []int32{1, 2, 3}
	for name, guesses := range map[string]func(*Stream, []scheduler.Sampled) []int32{
		"own":   nil,
		"wrong": func(*Stream, []scheduler.Sampled) []int32 { return wrong },
	} {
		e, err := newEngine(Config{
			Backend: newDevices(t).get(t, cpu.Options{Threads: 1}).Open(), Model: load(t, builtinFile(t)), PageTokens: 16, MaxBatch: 3, StepTokens: 64,
			guesses: guesses,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := e.Submit(Request{Prompt: prompt(9, 1), IgnoreEOS: true, Sampling: greedy()}); err != nil {
				t.Fatal(err)
			}
		}
		step := func() {
			e.listen()
			if ok, err := e.step(); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		for range 20 {
			step()
		}
		if n := fewestAllocations(3, 20, step); n != 0 {
			t.Errorf("%s guesses: %v allocations in a decode step", name, n)
		}
		e.shut(ErrClosed)
	}
}
