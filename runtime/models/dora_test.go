package models

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// TestNorms holds the sums of DoRA, to the bit, against their definition (docs/numerics.md): rows that are no whole number of those
// decoded together, of lengths with and without a rest, and even and odd ranks.
func TestNorms(t *testing.T) {
	for _, shape := range [][3]int{{1, 1, 1}, {2, 5, 3}, {3, 17, 6}, {5, 33, 8}, {16, 40, 101}, {7, 16, 64}} {
		rank, rows, cols := shape[0], shape[1], shape[2]
		d := Delta{Target: "x", Rank: rank, Scale: 0.3}
		d.A, d.B = synthetic.Factors(uint64(rank), rank, rows, cols)
		p := d.pack(&Target{Name: "x", Rows: rows, Cols: cols}, magnitude(d.A), magnitude(d.B), refDevice(t))
		weight, _ := synthetic.Factors(9, rows, 1, cols)
		data := make([]byte, quant.F32.RowBytes(len(weight)))
		quant.Encode(quant.F32, data, weight)
		n := newNorms(kernels.Tensor{Type: quant.F32, Rows: rows, Cols: cols, Data: data}, &p, make([]float32, rows), refDevice(t))

		a, b := make([]float32, rank*cols), make([]float64, rank)
		quant.Decode(quant.F16, a, p.factors.A)
		for o := range rows {
			row, cross, lowRank := weight[o*cols:(o+1)*cols], 0.0, 0.0
			for k := range b {
				var half [1]float32
				at := o/kernels.FactorPanel*kernels.FactorPanel*rank + k*kernels.FactorPanel + o%kernels.FactorPanel
				quant.Decode(quant.F16, half[:], p.factors.B[2*at:2*at+2])
				b[k] = float64(half[0])
				cross += float64(b[k] * ref.Dot64(row, a[k*cols:(k+1)*cols]))
			}
			for k := range b {
				for l := range b {
					// The matrix is symmetric to the bit.
					lowRank += float64(float64(b[k]*b[l]) * ref.Dot64(a[k*cols:(k+1)*cols], a[l*cols:(l+1)*cols]))
				}
			}
			if n.base[o] != ref.Dot64(row, row) || n.cross[o] != math.Ldexp(cross, -p.twos) || n.lowRank[o] != math.Ldexp(lowRank, -2*p.twos) {
				t.Errorf("rank %d, row %d of %d: %v %v %v, want %v %v %v", rank, o, cols, n.base[o], n.cross[o], n.lowRank[o], ref.Dot64(row, row), cross, lowRank)
			}
		}
	}
}

// TestNormsOfTruncatedFile: weights that are gone when DoRA wants them are an error, whichever goroutine meets them.
func TestNormsOfTruncatedFile(t *testing.T) {
	built := small.build(1)
	path := filepath.Join(t.TempDir(), "cut.gguf")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := gguf.Write(out, built.meta, built.tensors); err != nil {
		t.Fatal(err)
	}
	m, err := Load(openFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Truncate(0), out.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := NewAdapter(m, withDoRA(m, drawSpec(m, 1, 4, layersOnly)), refDevice(t)); !errors.Is(err, kernels.ErrFault) {
		t.Errorf("error %v, want a memory fault", err)
	}
	if _, err := NewAdapter(m, drawSpec(m, 1, 4, layersOnly), refDevice(t)); err != nil {
		t.Errorf("without DoRA: %v", err)
	}
}
