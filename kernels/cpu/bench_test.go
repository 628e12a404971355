package cpu

import (
	"fmt"
	"os"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
)

// BenchmarkProject multiplies matrices of real models: MB/s is the rate at which weights are read, to be held against
// the memory's when the rows are few, GMAC/s the rate of multiply-adds. Matrices are cycled through so that small ones
// come from memory too, as in a model.
func BenchmarkProject(b *testing.B) {
	shapes := []struct{ rows, cols int }{{576, 576}, {1536, 576}, {576, 1536}, {2048, 2048}, {5632, 2048}, {49152, 576}}
	for _, typ := range quant.Computable() {
		for _, s := range shapes {
			if s.cols%typ.Info().BlockLen != 0 {
				continue
			}
			for _, tokens := range []int{1, 4, 8, 16, 512} {
				b.Run(fmt.Sprintf("%s/%dx%d/rows=%d", typ, s.rows, s.cols, tokens), func(b *testing.B) {
					benchmarkProject(b, typ, s.rows, s.cols, tokens)
				})
			}
		}
	}
}

// benchBackend returns a backend of so many threads, 0 for as many as there are, at the level that WEFT_CPU allows.
func benchBackend(b *testing.B, threads int) kernels.Backend {
	d, err := NewDevice(Options{Threads: threads, Level: os.Getenv("WEFT_CPU")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.Close)
	return open(b, d)
}

func benchmarkProject(b *testing.B, typ quant.Type, rows, cols, tokens int) {
	backend := benchBackend(b, 0)
	r := kerneltest.Rand()
	size := rows * typ.RowBytes(cols)
	copies := max(1, min(64, 128<<20/size))
	if tokens > 16 {
		copies = 1
	}
	data := kerneltest.Weights(r, typ, kerneltest.Normal, rows, cols)
	var weights []kernels.Tensor
	for range copies {
		own := append([]byte(nil), data...)
		weights = append(weights, kernels.Tensor{Type: typ, Rows: rows, Cols: cols, Data: own})
	}
	x := kernels.NewMatrix(backend.NewBuffer(tokens*cols), tokens, cols)
	backend.Write(x, kerneltest.Floats(r, kerneltest.Normal, tokens*cols))
	out := []kernels.Projection{{Dst: kernels.NewMatrix(backend.NewBuffer(tokens*rows), tokens, rows)}}
	b.SetBytes(int64(size))
	i := 0
	for b.Loop() {
		out[0].W = weights[i%copies]
		i++
		backend.Project(x, out)
	}
	_ = backend.Sync()
	b.ReportMetric(float64(b.N)*float64(rows*cols)*float64(tokens)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
