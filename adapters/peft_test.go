package adapters

import (
	"encoding/json"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

var writeBase = flag.String("write-base", "", "write the tiny base of testdata/peft/make.py here")

// filled makes the numbers of a tensor of its name, as make.py does.
func filled(name string, n uint64) []float32 {
	out := make([]float32, n)
	for i := range out {
		h := (crc32.ChecksumIEEE([]byte(name))+uint32(i)*2654435761)*1664525 + 1013904223
		out[i] = (float32(h>>24)/256 - 0.5) / 4
		if strings.Contains(name, "magnitude") {
			out[i]++
		}
	}
	return out
}

// TestPEFTCases holds adapters of every kind that PEFT saves, on a tiny model whose products all have biases, against what PyTorch and PEFT
// compute with them: testdata/peft/cases.jsonl, written by make.py beside it. The configurations are PEFT's own.
func TestPEFTCases(t *testing.T) {
	path := modeltest.WriteTiny(t, modeltest.Spec{Seed: 11, Biases: true, Untied: true})
	if *writeBase != "" {
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(*writeBase, b, 0o600))
		return
	}
	f, err := gguf.Open(path, gguf.DefaultLimits())
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	s := newSolo(t, f, 64, kernels.CacheF32)
	cases, err := os.Open("testdata/peft/cases.jsonl")
	must(t, err)
	defer func() { _ = cases.Close() }()
	for d := json.NewDecoder(cases); ; {
		var c struct {
			golden
			Config  json.RawMessage
			Tensors map[string][]uint64
		}
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		var uses []models.AdapterUse
		if c.Config != nil {
			f := &folder{raw: string(c.Config)}
			for name, shape := range c.Tensors {
				n := uint64(1)
				for _, d := range shape {
					n *= d
				}
				f.tensors = append(f.tensors, safetensors.TensorData{Name: name, Type: safetensors.F32, Shape: shape, Values: filled(name, n)})
			}
			uses = append(uses, models.AdapterUse{Adapter: s.bind(f.write(t)), Scale: 1})
		}
		if off := slices.Max(c.off(s.start(c.IDs, uses...))); off > 1e-4 {
			t.Errorf("%s: a logprob is off by %g", c.Name, off)
		} else {
			t.Logf("%s: within %.2g", c.Name, off)
		}
	}
}
