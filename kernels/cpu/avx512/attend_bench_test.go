package avx512

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/ref"
)

// BenchmarkTile is the steps of a tile of 64 positions in the cache, for heads of 64. GMAC/s counts the multiply-adds of scores or mix.
func BenchmarkTile(b *testing.B) {
	const dim = 64
	r := kerneltest.Rand()
	for _, n := range []int{1, 3, 8, 16} {
		q, acc := kerneltest.Floats(r, kerneltest.Normal, n*dim), make([]float32, n*dim)
		floats, p := kerneltest.Floats(r, kerneltest.Normal, dim*ref.Tile), make([]float32, n*ref.Tile)
		corrections, states := make([]float32, n), make([]ref.Softmax, n)
		memory := make([]uint16, len(floats))
		ref.FloatsToHalves(memory, floats)
		tile := &ref.HalfTile{Stride: ref.Quarter}
		for i := range tile.Keys {
			tile.Keys[i] = memory[i*ref.Quarter*dim:][:ref.Quarter*dim]
			tile.Values[i] = tile.Keys[i]
		}
		for name, f := range map[string]func(){
			"scores":       func() { Scores(p, q, floats, dim, 0.125) },
			"scoresHalves": func() { ScoresHalves(p, q, tile, tile, dim, 0.125) },
			"mix":          func() { Mix(acc, p, floats, dim, 0, ref.Tile, corrections) },
			"mixHalves":    func() { MixHalves(acc, p, tile, tile, dim, 0, ref.Tile, corrections) },
			"weights": func() {
				for i := range states {
					states[i] = ref.Empty
				}
				Weights(p, 0, ref.Tile, states, corrections)
			},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.N)*float64(n*dim*ref.Tile)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}
