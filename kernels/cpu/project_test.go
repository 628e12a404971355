package cpu

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// devices runs f on every level that this machine has, with 1 to 3 threads.
func devices(t *testing.T, f func(t *testing.T, d *Device)) {
	for _, level := range Levels() {
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%s/threads=%d", level, threads), func(t *testing.T) {
				d, err := NewDevice(Options{Threads: threads, Level: level})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(d.Close)
				if d.Level() != level {
					t.Skipf("LOUD: skipped: this machine does not have level %s", level)
				}
				f(t, d)
			})
		}
	}
}

// open returns a Backend that is closed with the test.
func open(t testing.TB, d *Device) kernels.Backend {
	b := d.Open()
	t.Cleanup(b.Close)
	return b
}

// matrix returns a matrix with the values of src, its rows gap elements apart.
func matrix(b kernels.Backend, src []float32, rows, gap int) kernels.Matrix {
	cols := len(src) / rows
	m := kernels.Matrix{Buf: b.NewBuffer(3 + rows*(cols+gap)), First: 3, Rows: rows, Cols: cols, Stride: cols + gap}
	b.Write(m, src)
	return m
}

// read returns the elements of m.
func read(b kernels.Backend, m kernels.Matrix) []float32 {
	s := make([]float32, m.Rows*m.Cols)
	b.Read(s, m)
	return s
}

// tensor returns random weights.
func tensor(typ quant.Type, rows, cols int) kernels.Tensor {
	data := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, rows, cols)
	return kernels.Tensor{Name: typ.String(), Type: typ, Rows: rows, Cols: cols, Data: data}
}

// wantProduct computes one product by its definition.
func wantProduct(x []float32, rows int, w kernels.Tensor, bias []float32) []float32 {
	cols := len(x) / rows
	want := make([]float32, rows*w.Rows)
	for i := range rows {
		dst, row := want[i*w.Rows:(i+1)*w.Rows], x[i*cols:(i+1)*cols]
		if form := ref.FormOf(w.Type); form == ref.Float {
			ref.RowsFloat(w.Type, dst, w.Data, row)
		} else {
			q := kerneltest.Quants(row, 1, form.BlockLen())
			ref.RowsQuant(w.Type, dst, w.Data, &q)
		}
		if bias != nil {
			ref.Add(dst, bias)
		}
	}
	return want
}

// Every type, alone or in a batch, on every level and number of threads: the bits of the definition.
func TestProjectIsTheDefinition(t *testing.T) {
	const cols, most = 512, panelsOfSupersFrom // the most rows that panels wait for at any level
	r := kerneltest.Rand()
	all := kerneltest.Floats(r, kerneltest.Normal, most*cols)
	biasValues := kerneltest.Floats(r, kerneltest.Normal, 53)
	bias := tensor(quant.F32, 1, 53)
	quant.Encode(quant.F32, bias.Data, biasValues)
	want := map[quant.Type][]float32{}
	for _, typ := range quant.Computable() {
		want[typ] = wantProduct(all, most, tensor(typ, 53, cols), biasValues)
	}
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		for _, rows := range []int{1, 2, panelFrom, 9, panelsOfEightFrom, most} {
			x := matrix(b, all[:rows*cols], rows, rows%2*5)
			var out []kernels.Projection
			for _, typ := range quant.Computable() {
				dst := matrix(b, make([]float32, rows*53), rows, 7)
				out = append(out, kernels.Projection{Dst: dst, W: tensor(typ, 53, cols), Bias: &bias})
			}
			b.Project(x, out)
			if err := b.Sync(); err != nil {
				t.Fatal(err)
			}
			for i, typ := range quant.Computable() {
				kerneltest.Equal(t, fmt.Sprintf("%s, %d rows", typ, rows), read(b, out[i].Dst), want[typ][:rows*53])
			}
		}
	})
}

// Shapes that no vector divides, as the built-in model has them.
func TestProjectOddShapes(t *testing.T) {
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		for _, shape := range [][2]int{{1, 1}, {172, 64}, {64, 172}, {5, 17}, {16, 33}} {
			w := tensor(quant.F32, shape[0], shape[1])
			for _, rows := range []int{1, 3, 5, 64} {
				x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, rows*shape[1])
				dst := matrix(b, make([]float32, rows*shape[0]), rows, 1)
				b.Project(matrix(b, x, rows, 0), []kernels.Projection{{Dst: dst, W: w}})
				if err := b.Sync(); err != nil {
					t.Fatal(err)
				}
				kerneltest.Equal(t, fmt.Sprintf("%v, %d rows", shape, rows), read(b, dst), wantProduct(x, rows, w, nil))
			}
		}
	})
}

// A step larger than one kernel call and one chunk.
func TestProjectLarge(t *testing.T) {
	const rows, cols, n = 70, 1024, 300
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, n*cols)
	for _, typ := range []quant.Type{quant.Q4_1, quant.Q6_K, quant.F16} {
		w := tensor(typ, rows, cols)
		var first []float32
		for _, threads := range []int{1, 2} {
			d, err := NewDevice(Options{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			b := open(t, d)
			dst := matrix(b, make([]float32, n*rows), n, 0)
			b.Project(matrix(b, x, n, 0), []kernels.Projection{{Dst: dst, W: w}})
			if err := b.Sync(); err != nil {
				t.Fatal(err)
			}
			got := read(b, dst)
			if first == nil {
				first = got
				kerneltest.Equal(t, typ.String(), got[:3*rows], wantProduct(x[:3*cols], 3, w, nil))
				kerneltest.Equal(t, typ.String(), got[(n-2)*rows:], wantProduct(x[(n-2)*cols:], 2, w, nil))
			}
			kerneltest.Equal(t, typ.String(), got, first)
		}
	}
}
