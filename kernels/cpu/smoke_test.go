package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

func TestSmoke(t *testing.T) {
	for _, threads := range []int{1, 2} {
		d, err := NewDevice(Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		b := d.Open()
		r := rand.New(rand.NewPCG(1, 2))
		for _, typ := range quant.Computable() {
			const rows, cols, tokens = 37, 512, 5
			w := make([]float32, rows*cols)
			for i := range w {
				w[i] = float32(r.NormFloat64())
			}
			enc := make([]byte, rows*typ.RowBytes(cols))
			for i := range rows {
				quant.Encode(typ, enc[i*typ.RowBytes(cols):(i+1)*typ.RowBytes(cols)], w[i*cols:(i+1)*cols])
			}
			x := make([]float32, tokens*cols)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			xm := kernels.NewMatrix(b.NewBuffer(len(x)), tokens, cols)
			b.Write(xm, x)
			dst := kernels.NewMatrix(b.NewBuffer(tokens*rows), tokens, rows)
			tensor := kernels.Tensor{Name: typ.String(), Type: typ, Rows: rows, Cols: cols, Data: enc}
			got := make([]float32, tokens*rows)
			b.Project(xm, []kernels.Projection{{Dst: dst, W: tensor}})
			if err := b.Sync(); err != nil {
				t.Fatal(err)
			}
			b.Read(got, dst)
			one := make([]float32, rows)
			for i := range tokens {
				b.Project(kernels.Matrix{Buf: xm.Buf, First: i * cols, Rows: 1, Cols: cols, Stride: cols}, []kernels.Projection{{Dst: dst.Head(1), W: tensor}})
				b.Sync()
				b.Read(one, dst.Head(1))
				for j := range one {
					if one[j] != got[i*rows+j] {
						t.Fatalf("%v token %d row %d: %g %g", typ, i, j, one[j], got[i*rows+j])
					}
				}
			}
			// against float64
			dec := make([]float32, cols)
			var e, n float64
			for j := range rows {
				quant.Decode(typ, dec, enc[j*typ.RowBytes(cols):(j+1)*typ.RowBytes(cols)])
				for i := range tokens {
					var s float64
					for k := range dec {
						s += float64(dec[k]) * float64(x[i*cols+k])
					}
					e += (s - float64(got[i*rows+j])) * (s - float64(got[i*rows+j]))
					n += s * s
				}
			}
			t.Logf("%v nmse %.3g", typ, e/n)
			if e/n > 1e-3 {
				t.Fatal("far off")
			}
		}
		b.Close()
		d.Close()
	}
	_ = ref.Tile
}
