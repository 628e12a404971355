package adapters

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weft-run/weft/runtime/models"
)

// drawSpec draws an adapter of the tiny base. Its numbers are small whole ones and powers of two, so that no product of them rounds.
func drawSpec(t *rapid.T, plain bool) *models.AdapterSpec {
	numbers := func(what string, n int) []float32 {
		seed := rapid.IntRange(1, 1000).Draw(t, what)
		out := make([]float32, n)
		for i := range out {
			out[i] = float32((i*7+seed)%31 - 15)
		}
		return out
	}
	spec := &models.AdapterSpec{}
	dora := !plain && rapid.Bool().Draw(t, "dora")
	for _, target := range tinyTargets() {
		if !rapid.Bool().Draw(t, target.Name) {
			continue
		}
		inputs, outputs := target.Cols, target.Rows
		if target.Name == "token_embd" {
			if dora {
				continue
			}
			inputs, outputs = outputs, inputs
		}
		d := models.Delta{Target: target.Name, Rank: 1 << rapid.IntRange(0, 3).Draw(t, "rank"), Scale: 1 / float32(int(1)<<rapid.IntRange(0, 4).Draw(t, "scale"))}
		d.A, d.B = numbers("a", d.Rank*inputs), numbers("b", d.Rank*outputs)
		if dora {
			d.Magnitude = numbers("magnitude", outputs)
		}
		if !plain && target.Bias != nil && rapid.Bool().Draw(t, "bias") {
			d.Bias = numbers("bias", outputs)
			if rapid.Bool().Draw(t, "bias alone") {
				d.Rank, d.A, d.B, d.Magnitude, d.Scale = 0, nil, nil, nil, 0
			}
		}
		spec.Deltas = append(spec.Deltas, d)
	}
	if rapid.Bool().Draw(t, "activated") && !dora {
		spec.Invocation = []int32{3, 10}
	}
	return spec
}

// byTarget takes a spec's deltas out of their order.
func byTarget(spec *models.AdapterSpec) map[string]models.Delta {
	list := map[string]models.Delta{}
	for _, d := range spec.Deltas {
		list[d.Target] = d
	}
	return list
}

// TestRoundTripOfFolders: a PEFT folder that was written is read as the same adapter: factors, scales, magnitudes, biases, invocation tokens.
func TestRoundTripOfFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "adapter")
	must(t, os.Mkdir(dir, 0o700))
	rapid.Check(t, func(rt *rapid.T) {
		want := drawSpec(rt, false)
		if !slices.ContainsFunc(want.Deltas, func(d models.Delta) bool { return d.Rank > 0 }) {
			return // a configuration that aims at nothing is not one of PEFT
		}
		var config, weights bytes.Buffer
		if err := WritePEFT(&config, &weights, want, "llama", tinyTargets(), "someone/tiny"); err != nil {
			rt.Fatal(err)
		}
		must(t, os.WriteFile(filepath.Join(dir, ConfigFile), config.Bytes(), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, WeightsFile), weights.Bytes(), 0o600))
		got, err := read(dir)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(byTarget(want), byTarget(&got)) + cmp.Diff(want.Invocation, got.Invocation); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// TestRoundTripOfGGUF: a GGUF adapter that was written is read as one that changes the same: B times the scale is what it was.
func TestRoundTripOfGGUF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	rapid.Check(t, func(rt *rapid.T) {
		want := drawSpec(rt, true)
		if len(want.Deltas) == 0 {
			return
		}
		var out bytes.Buffer
		if err := WriteGGUF(&out, want, "llama", tinyTargets()); err != nil {
			rt.Fatal(err)
		}
		must(t, os.WriteFile(path, out.Bytes(), 0o600))
		got, err := read(path)
		if err != nil {
			rt.Fatal(err)
		}
		scaled := func(spec *models.AdapterSpec) map[string]models.Delta {
			list := byTarget(spec)
			for name, d := range list {
				d.B = append([]float32{}, d.B...)
				for i := range d.B {
					d.B[i] *= d.Scale
				}
				d.Scale = 0
				list[name] = d
			}
			return list
		}
		if diff := cmp.Diff(scaled(want), scaled(&got)) + cmp.Diff(want.Invocation, got.Invocation); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// TestWritersRefuse: what a format or a base has no place for is not written.
func TestWritersRefuse(t *testing.T) {
	dora := &models.AdapterSpec{Deltas: []models.Delta{{Target: "output", Rank: 1, Scale: 1, A: make([]float32, 8), B: make([]float32, 11), Magnitude: make([]float32, 11)}}}
	elsewhere := &models.AdapterSpec{Deltas: []models.Delta{{Target: "blk.9.attn_q", Rank: 1}}}
	for name, err := range map[string]error{
		"DoRA":          WriteGGUF(io.Discard, dora, "llama", tinyTargets()),
		"architecture":  WritePEFT(io.Discard, io.Discard, dora, "mamba", tinyTargets(), ""),
		"no target":     WriteGGUF(io.Discard, elsewhere, "llama", tinyTargets()),
		"no target too": WritePEFT(io.Discard, io.Discard, elsewhere, "llama", tinyTargets(), ""),
	} {
		if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrUnfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
