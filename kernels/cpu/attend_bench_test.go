package cpu

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
)

// BenchmarkAttend is attention in the shapes of SmolLM2-135M (9 heads of 64, 3 of keys) and of TinyLlama-1.1B (32, 4), layer after layer, so
// that the cache comes from memory. MB/s is the rate at which cache memory is read if it were read once, GMAC/s that of
// multiply-adds: position by position, two for each element of each query head.
func BenchmarkAttend(b *testing.B) {
	for _, s := range []struct {
		name                        string
		layers, heads, kvHeads, dim int
	}{{"smollm2-135m", 30, 9, 3, 64}, {"tinyllama-1.1b", 22, 32, 4, 64}} {
		for _, run := range []struct{ rows, depth int }{{1, 4096}, {8, 4096}, {512, 0}, {512, 4096}} {
			for _, typ := range kernels.CacheTypes() {
				for threads := 1; threads <= 2; threads++ {
					b.Run(fmt.Sprintf("%s/%s/rows=%d/depth=%d/threads=%d", s.name, typ, run.rows, run.depth, threads), func(b *testing.B) {
						layout := kernels.CacheLayout{
							Layers: s.layers, KVHeads: s.kvHeads, HeadDim: s.dim, PageTokens: 16, Pages: (run.depth + run.rows + 15) / 16, Type: typ,
						}
						if run.rows > 1 {
							layout.Layers = 2
						}
						benchmarkAttend(b, layout, s.heads, run.rows, run.depth, threads)
					})
				}
			}
		}
	}
}

func benchmarkAttend(b *testing.B, layout kernels.CacheLayout, heads, rows, depth, threads int) {
	backend := benchBackend(b, threads)
	c, err := backend.NewCache(layout)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Free()
	fill(backend, c, layout)
	pages := make([]int32, layout.Pages)
	for i := range pages {
		pages[i] = int32(i)
	}
	q := kernels.NewMatrix(backend.NewBuffer(rows*heads*layout.HeadDim), rows, heads*layout.HeadDim)
	dst := kernels.NewMatrix(backend.NewBuffer(rows*heads*layout.HeadDim), rows, heads*layout.HeadDim)
	backend.Write(q, kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, rows*q.Cols))
	spans := []kernels.Span{{Count: rows, Pos: depth, Pages: pages}}
	b.SetBytes(layout.Bytes() / int64(layout.Layers))
	i := 0
	for b.Loop() {
		backend.Attend(dst, q, c, i%layout.Layers, spans, kernels.Attention{Scale: 0.125})
		i++
	}
	_ = backend.Sync()
	seen := float64(rows)*float64(depth) + float64(rows)*float64(rows+1)/2
	b.ReportMetric(float64(b.N)*2*seen*float64(heads*layout.HeadDim)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
