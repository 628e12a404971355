package cpu

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// lowRank returns random factors.
func lowRank(rank, in, out int) *kernels.Factors {
	r := kerneltest.Rand()
	panels := (out + kernels.FactorPanel - 1) / kernels.FactorPanel
	return &kernels.Factors{
		Rank: rank, In: in, Out: out,
		A: kerneltest.Weights(r, quant.F16, kerneltest.Normal, rank, in),
		B: kerneltest.Weights(r, quant.F16, kerneltest.Normal, panels*kernels.FactorPanel, rank),
	}
}

// changed applies changes to y [rows, out] by their definition. shrink sets t to what A of a change makes of a row.
func changed(y []float32, out int, changes []kernels.LowRank, shrink func(t []float32, c *kernels.LowRank, row int)) []float32 {
	for i := range changes {
		c := &changes[i]
		for row := c.First; row < c.First+c.Count; row++ {
			dst := y[row*out : (row+1)*out]
			if c.Rank > 0 {
				t := make([]float32, c.Rank)
				shrink(t, c, row)
				ref.Expand(dst, out, c.B, t, c.Rank, out)
			}
			if c.Gain != nil {
				ref.Mul(dst, c.Gain)
			}
			if c.Bias != nil {
				ref.Add(dst, c.Bias)
			}
		}
	}
	return y
}

// Low-rank changes of runs of rows, several of the same rows among them, of ranks and shapes that fit nothing, give the bits of the
// definition on every level and number of threads; rows without any have those of the product alone.
func TestLowRankIsTheDefinition(t *testing.T) {
	r := kerneltest.Rand()
	shapes := []struct{ rows, cols, out int }{{1, 256, 53}, {3, 256, 64}, {17, 256, 331}, {40, 256, 100}, {6, 512, 2048}}
	if testing.Short() {
		shapes = shapes[:3]
	}
	devices(t, func(t *testing.T, d *Device) {
		for _, s := range shapes {
			b := open(t, d)
			x := kerneltest.Floats(r, kerneltest.Normal, s.rows*s.cols)
			vector := func() []float32 { return kerneltest.Floats(r, kerneltest.Normal, s.out) }
			bias := kernels.Tensor{Name: "bias", Type: quant.F32, Rows: 1, Cols: s.out, Data: make([]byte, 4*s.out)}
			values := vector()
			quant.Encode(quant.F32, bias.Data, values)
			half := s.rows / 2
			changes := []kernels.LowRank{
				{First: half, Count: s.rows - half, Factors: lowRank(16, s.cols, s.out), Scale: 0.3},
				{First: 0, Count: half, Factors: lowRank(1, s.cols, s.out), Scale: -1.5, Gain: vector(), Bias: vector()},
				{First: half, Count: 1, Factors: lowRank(37, s.cols, s.out), Scale: 2},
				{First: 0, Count: s.rows, Factors: &kernels.Factors{In: s.cols, Out: s.out}, Bias: vector()},
			}
			for _, gap := range []int{0, 3} {
				var out []kernels.Projection
				for _, typ := range []quant.Type{quant.F32, quant.Q4_0, quant.Q4_K} {
					dst := matrix(b, make([]float32, s.rows*s.out), s.rows, 1)
					out = append(out, kernels.Projection{Dst: dst, W: tensor(typ, s.out, s.cols), Bias: &bias, LowRank: changes[:1+len(out)]})
				}
				out[2].LowRank = changes
				b.Project(matrix(b, x, s.rows, gap), out)
				if err := b.Sync(); err != nil {
					t.Fatal(err)
				}
				for _, p := range out {
					want := changed(wantProduct(x, s.rows, p.W, nil), s.out, p.LowRank, func(t []float32, c *kernels.LowRank, row int) {
						ref.Shrink(t, c.A, x[row*s.cols:(row+1)*s.cols], c.Scale)
					})
					for row := range s.rows {
						ref.Add(want[row*s.out:(row+1)*s.out], values)
					}
					kerneltest.Equal(t, fmt.Sprintf("%d rows, [%d, %d] of %s", s.rows, s.out, s.cols, p.W.Type), read(b, p.Dst), want)
				}
			}
		}
	})
}

// A product of fewer chunks than threads has all of its change.
func TestLowRankOfOneChunk(t *testing.T) {
	const cols, out = 256, 16
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, cols)
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		p := kernels.Projection{
			Dst: matrix(b, make([]float32, out), 1, 1), W: tensor(quant.Q4_K, out, cols),
			LowRank: []kernels.LowRank{{Count: 1, Factors: lowRank(37, cols, out), Scale: 2}},
		}
		b.Project(matrix(b, x, 1, 0), []kernels.Projection{p})
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		want := changed(wantProduct(x, 1, p.W, nil), out, p.LowRank, func(t []float32, c *kernels.LowRank, _ int) {
			ref.Shrink(t, c.A, x, c.Scale)
		})
		kerneltest.Equal(t, "row", read(b, p.Dst), want)
	})
}

// The same for rows of an embedding, whose factor A is looked up by id.
func TestEmbedLowRank(t *testing.T) {
	const vocab, width = 7, 288
	ids := []int32{6, 0, 3, 3, 5}
	table := tensor(quant.Q8_0, vocab, width)
	changes := []kernels.LowRank{
		{First: 1, Count: 3, Factors: lowRank(5, vocab, width), Scale: 0.7},
		{First: 3, Count: 2, Factors: lowRank(16, vocab, width), Scale: -1, Bias: kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, width)},
	}
	want := make([]float32, len(ids)*width)
	size := table.Type.RowBytes(width)
	for i, id := range ids {
		quant.Decode(table.Type, want[i*width:(i+1)*width], table.Data[int(id)*size:(int(id)+1)*size])
	}
	changed(want, width, changes, func(t []float32, c *kernels.LowRank, row int) {
		ref.ShrinkID(t, c.A[2*int(ids[row])*c.Rank:], c.Scale)
	})
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		dst := matrix(b, make([]float32, len(want)), len(ids), 1)
		b.Embed(dst, table, ids, changes)
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		kerneltest.Equal(t, "rows", read(b, dst), want)
	})
}
