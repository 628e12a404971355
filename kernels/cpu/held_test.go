package cpu

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
)

// Random sequences give the same bits when every operation is followed by Sync, which leaves nothing held back. The
// matrices share memory in part: other row counts of one buffer, the columns of another's rows, repeated destinations.
func TestHeldBackGivesTheSameBits(t *testing.T) {
	const cols, most, steps = 256, 20, 60
	norms := []kernels.Tensor{tensor(quant.F32, 1, cols), tensor(quant.F16, 1, cols)}
	var weights []kernels.Tensor
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q4_1, quant.Q8_0, quant.Q6_K} {
		weights = append(weights, tensor(typ, cols, cols))
	}
	sequence := func(b kernels.Backend, seed int, each bool) []float32 {
		r := kerneltest.Rand()
		for range seed {
			r.Uint64()
		}
		shared := b.NewBuffer(4 * most * 2 * cols)
		all := kernels.NewMatrix(shared, 4*most, 2*cols)
		b.Write(all, kerneltest.Floats(r, kerneltest.Normal, shared.Len()))
		out := kernels.NewMatrix(b.NewBuffer(most*cols), most, cols)
		for range steps {
			rows := []int{1, 2, 5, most}[r.IntN(4)]
			pick := func() kernels.Matrix {
				m := kernels.Matrix{Buf: shared, Rows: rows, Cols: cols, Stride: 2 * cols}
				m.First = (r.IntN(3)*most*2 + r.IntN(2)) * cols
				return m
			}
			dst, x := pick(), pick()
			switch r.IntN(8) {
			case 0, 1:
				b.RMSNorm(dst, x, norms[r.IntN(2)], 1e-5)
			case 2:
				b.SiluMul(dst, dst, x)
			case 3:
				b.Add(dst, x)
			case 4:
				b.Write(dst, kerneltest.Floats(r, kerneltest.Normal, rows*cols))
			case 5:
				b.SiluMul(dst, x, dst)
				if each {
					_ = b.Sync()
				}
				b.Project(dst, []kernels.Projection{{Dst: out.Head(rows), W: weights[r.IntN(len(weights))]}})
			default:
				b.RMSNorm(dst, x, norms[r.IntN(2)], 1e-5)
				if each {
					_ = b.Sync()
				}
				b.Project([]kernels.Matrix{dst, dst, dst.Head(1), x}[r.IntN(4)].Head(1), []kernels.Projection{{Dst: out.Head(1), W: weights[r.IntN(len(weights))]}})
				if dst.First != x.First && dst.Stride == x.Stride {
					if each {
						_ = b.Sync()
					}
					b.Project(dst, []kernels.Projection{{Dst: x, W: weights[r.IntN(len(weights))]}})
				}
			}
			if each {
				if err := b.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := append(read(b, all), read(b, out)...)
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		return got
	}
	devices(t, func(t *testing.T, d *Device) {
		for seed := range 4 {
			want := sequence(open(t, d), seed, true)
			kerneltest.Equal(t, fmt.Sprint("sequence ", seed), sequence(open(t, d), seed, false), want)
		}
	})
}
