package cpu

import (
	"fmt"
	"os"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
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
	room := make([]float32, dim*ref.Tile)
	for _, n := range []int{1, 3, 4, 6, 8, 16} {
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
		for typ, h := range table.inPlace {
			tile, rows := &ref.PagedTile{Tokens: ref.Tile}, make([]byte, typ.RowBytes(len(floats)))
			quant.Encode(typ, rows, floats)
			keys, size := rows, typ.RowBytes(dim)
			if typ != quant.F16 {
				keys = make([]byte, len(rows))
				for token := range ref.Tile {
					ref.StoreKeyQuants(typ, keys, ref.Tile, token, rows[token*size:(token+1)*size])
				}
			}
			for i := range tile.Keys {
				tile.Keys[i], tile.Values[i], tile.At[i] = keys, rows, i*ref.Quarter
			}
			steps = append(steps, []struct {
				name string
				f    func()
			}{
				{"scores" + typ.String(), func() { h.scores(p, q, tile, tile, room, dim, 0.125) }},
				{"mix" + typ.String(), func() { h.mix(acc, p, tile, tile, room, dim, 0, ref.Tile, corrections) }},
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
