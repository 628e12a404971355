package models

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// BenchmarkNewAdapterDoRA binds an adapter of rank 16 on all products of all layers to the model in WEFT_MODEL: with DoRA, which reads
// all of its weights, and without.
func BenchmarkNewAdapterDoRA(b *testing.B) {
	path := os.Getenv("WEFT_MODEL")
	if path == "" {
		b.Skip("set WEFT_MODEL to a file")
	}
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	m, err := Load(f)
	if err != nil {
		b.Fatal(err)
	}
	d, err := cpu.NewDevice(cpu.Options{Level: os.Getenv("WEFT_CPU")})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	layers := func(name string) bool { return strings.HasPrefix(name, "blk.") }
	plain := drawSpec(m, 1, 1, layers)
	for i := range plain.Deltas {
		change, t := &plain.Deltas[i], &m.Targets()[i+1]
		change.Rank = 16
		change.A, change.B = synthetic.Factors(uint64(i), change.Rank, t.Rows, t.Cols)
	}
	dora := *plain
	dora.Deltas = slices.Clone(plain.Deltas)
	withDoRA(m, &dora)
	for name, spec := range map[string]*AdapterSpec{"plain": plain, "dora": &dora} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := NewAdapter(m, spec, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
