package cpu

import (
	"sync"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Row operations, on so many rows that they are spread over workers, give what the reference gives row by row.
func TestRowOperations(t *testing.T) {
	const rows, cols = 40, 1000
	r := kerneltest.Rand()
	x, y := kerneltest.Floats(r, kerneltest.Normal, rows*cols), kerneltest.Floats(r, kerneltest.Normal, rows*cols)
	weight := kerneltest.Floats(r, kerneltest.Normal, cols)
	each := func(f func(dst, x, y []float32)) []float32 {
		dst := append([]float32(nil), x...)
		for i := range rows {
			f(dst[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols], y[i*cols:(i+1)*cols])
		}
		return dst
	}
	encoded := func(typ quant.Type) kernels.Tensor {
		w := kernels.Tensor{Name: "norm", Type: typ, Rows: 1, Cols: cols, Data: make([]byte, typ.RowBytes(cols))}
		quant.Encode(typ, w.Data, weight)
		return w
	}
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		dst := matrix(b, x, rows, 3)
		b.RMSNorm(dst, matrix(b, x, rows, 0), encoded(quant.F32), 1e-6)
		kerneltest.Equal(t, "RMSNorm", read(b, dst), each(func(dst, x, _ []float32) { ref.RMSNorm(dst, x, weight, 1e-6) }))
		half := make([]float32, cols)
		quant.Decode(quant.F16, half, encoded(quant.F16).Data)
		b.RMSNorm(dst, matrix(b, x, rows, 0), encoded(quant.F16), 1e-6)
		kerneltest.Equal(t, "RMSNorm by halves", read(b, dst), each(func(dst, x, _ []float32) { ref.RMSNorm(dst, x, half, 1e-6) }))
		b.SiluMul(dst, matrix(b, x, rows, 0), matrix(b, y, rows, 1))
		kerneltest.Equal(t, "SiluMul", read(b, dst), each(ref.SiluMul))
		b.Write(dst, x)
		b.Add(dst, matrix(b, y, rows, 0))
		kerneltest.Equal(t, "Add", read(b, dst), each(func(dst, _, y []float32) { ref.Add(dst, y) }))
		ids := []int32{39, 0, 7, 7}
		gathered := matrix(b, make([]float32, len(ids)*cols), len(ids), 2)
		b.GatherRows(gathered, matrix(b, x, rows, 0), ids)
		got := read(b, gathered)
		for i, id := range ids {
			kerneltest.Equal(t, "GatherRows", got[i*cols:(i+1)*cols], x[int(id)*cols:(int(id)+1)*cols])
		}
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEmbed(t *testing.T) {
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		for _, typ := range quant.Computable() {
			table := tensor(typ, 5, 256)
			ids := []int32{4, 0, 4}
			dst := matrix(b, make([]float32, 3*256), 3, 1)
			b.Embed(dst, table, ids, nil)
			if err := b.Sync(); err != nil {
				t.Fatal(err)
			}
			all := make([]float32, 5*256)
			quant.Decode(typ, all, table.Data)
			got := read(b, dst)
			for i, id := range ids {
				kerneltest.Equal(t, typ.String(), got[i*256:(i+1)*256], all[id*256:(id+1)*256])
			}
		}
	})
}

func TestRotateByAngles(t *testing.T) {
	const rows, heads, dim, n = 9, 5, 64, 24 // only the first 48 elements of a head turn
	r := kerneltest.Rand()
	x := kerneltest.Floats(r, kerneltest.Normal, rows*heads*dim)
	freqs := make([]float64, n)
	for i := range freqs {
		freqs[i] = 1 / float64(1+i*i)
	}
	positions := []int32{0, 1, 2, 1000, 131071, 1 << 30, 5, 6, 7}
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		angles := matrix(b, make([]float32, rows*2*n), rows, 0)
		b.RotaryAngles(angles, positions, freqs, 1.5)
		want := make([]float32, rows*2*n)
		for i, p := range positions {
			ref.Angles(want[i*2*n:(i+1)*2*n], p, freqs, 1.5)
		}
		kerneltest.Equal(t, "RotaryAngles", read(b, angles), want)
		for pairing, turn := range map[kernels.Pairing]func(x, cos, sin []float32){
			kernels.PairAdjacent: ref.RotateAdjacent, kernels.PairHalves: ref.RotateHalves,
		} {
			turned := append([]float32(nil), x...)
			for i := range rows * heads {
				row := i / heads
				turn(turned[i*dim:i*dim+2*n], want[row*2*n:row*2*n+n], want[row*2*n+n:(row+1)*2*n])
			}
			m := matrix(b, x, rows, 4)
			b.Rotate(m, angles, dim, pairing)
			kerneltest.Equal(t, "Rotate", read(b, m), turned)
		}
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
	})
}

// steady is a sequence of every operation, as a step of a model has them.
func steady(t testing.TB, b kernels.Backend, rows int) func() {
	const dim, heads = 64, 4
	const cols = dim * heads
	var caches []kernels.Cache
	for _, typ := range kernels.CacheTypes() {
		c, err := b.NewCache(kernels.CacheLayout{Layers: 1, KVHeads: 2, HeadDim: dim, PageTokens: 16, Pages: 8, Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Free)
		caches = append(caches, c)
	}
	buffer := func(cols int) kernels.Matrix { return kernels.NewMatrix(b.NewBuffer(rows*cols), rows, cols) }
	x, n, q, k, v, gate, up := buffer(cols), buffer(cols), buffer(cols), buffer(cols/2), buffer(cols/2), buffer(cols), buffer(cols)
	angles := buffer(dim)
	table, norm := tensor(quant.Q6_K, 10, cols), tensor(quant.F32, 1, cols)
	qkv := []kernels.Projection{{Dst: q, W: tensor(quant.Q4_1, cols, cols)}, {Dst: k, W: tensor(quant.F16, cols/2, cols)}, {Dst: v, W: tensor(quant.Q6_K, cols/2, cols)}}
	mlp := []kernels.Projection{{Dst: gate, W: tensor(quant.Q4_0, cols, cols)}, {Dst: up, W: tensor(quant.Q8_0, cols, cols)}}
	down := []kernels.Projection{{Dst: n, W: tensor(quant.F32, cols, cols)}}
	factors := lowRank(1, cols, cols)
	qkv[0].LowRank = []kernels.LowRank{{Count: rows, Factors: factors, Scale: 0.5}}
	ids, slots := make([]int32, rows), make([]int32, rows)
	for i := range slots {
		slots[i] = int32(i)
	}
	freqs := make([]float64, dim/2)
	spans := []kernels.Span{{Count: rows, Pages: []int32{0, 1, 2, 3}}}
	return func() {
		b.Embed(x, table, ids, nil)
		b.RotaryAngles(angles, slots, freqs, 1)
		b.RMSNorm(n, x, norm, 1e-5)
		b.Project(n, qkv)
		b.Rotate(q, angles, dim, kernels.PairHalves)
		for _, c := range caches {
			b.StoreKV(c, 0, k, v, slots)
			b.Attend(n, q, c, 0, spans, kernels.Attention{Scale: 0.125})
		}
		b.Project(n, mlp)
		b.SiluMul(gate, gate, up)
		b.Project(gate, down)
		b.Add(x, n)
		b.GatherRows(n, x, ids)
		if err := b.Sync(); err != nil {
			t.Error(err)
		}
	}
}

func TestNoAllocationsInTheSteadyState(t *testing.T) {
	if kernels.Invariants {
		t.Skip("checks of arguments allocate")
	}
	devices(t, func(t *testing.T, d *Device) {
		b := open(t, d)
		for _, rows := range []int{1, 20} {
			step := steady(t, b, rows)
			for range 10 { // on a busy machine a worker may come to its first chunk, and make room, only then
				step()
			}
			if n := testing.AllocsPerRun(20, step); n != 0 {
				t.Errorf("%d rows: %v allocations", rows, n)
			}
		}
	})
}

// Two engines on one device: steps take turns and stay whole.
func TestEnginesTakeTurns(t *testing.T) {
	d, err := NewDevice(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var all sync.WaitGroup
	for range 3 {
		b := open(t, d)
		step := steady(t, b, 5)
		all.Go(func() {
			for range 30 {
				step()
			}
		})
	}
	all.Wait()
}
