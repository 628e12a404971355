package cpu

import (
	"fmt"
	"os"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/ref"
)

// BenchmarkTile is the steps of a tile of 64 positions that lies in the cache, for heads of 64, at the level of WEFT_CPU.
// GMAC/s counts the multiply-adds of scores or mix.
func BenchmarkTile(b *testing.B) {
	const dim = 64
	table, err := tableFor(os.Getenv("WEFT_CPU"))
	if err != nil {
		b.Fatal(err)
	}
	r := kerneltest.Rand()
	floats := kerneltest.Floats(r, kerneltest.Normal, dim*ref.Tile)
	memory := make([]uint16, len(floats))
	ref.FloatsToHalves(memory, floats)
	tile := &ref.HalfTile{Stride: ref.Quarter}
	for i := range tile.Keys {
		tile.Keys[i] = memory[i*ref.Quarter*dim:][:ref.Quarter*dim]
		tile.Values[i] = tile.Keys[i]
	}
	for _, n := range []int{1, 3, 8, 16} {
		q, acc, p := kerneltest.Floats(r, kerneltest.Normal, n*dim), make([]float32, n*dim), make([]float32, n*ref.Tile)
		corrections, states := make([]float32, n), make([]ref.Softmax, n)
		steps := []struct {
			name string
			f    func()
		}{
			{"scores", func() { table.scores(p, q, floats, dim, 0.125) }},
			{"weights", func() {
				for i := range states {
					states[i] = ref.Empty
				}
				table.weights(p, 0, ref.Tile, states, corrections)
			}},
			{"mix", func() { table.mix(acc, p, floats, dim, 0, ref.Tile, corrections) }},
		}
		if h := table.halves; h.most > 0 {
			steps = append(steps, []struct {
				name string
				f    func()
			}{
				{"scoresHalves", func() { h.scores(p, q, tile, tile, dim, 0.125) }},
				{"mixHalves", func() { h.mix(acc, p, tile, tile, dim, 0, ref.Tile, corrections) }},
			}...)
		}
		for _, step := range steps {
			b.Run(fmt.Sprintf("%s/%d", step.name, n), func(b *testing.B) {
				for b.Loop() {
					step.f()
				}
				b.ReportMetric(float64(b.N)*float64(n*dim*ref.Tile)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}
