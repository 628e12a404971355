package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
)

// Random sequences of operations give the bits that they give when each is followed by Sync, which leaves nothing waiting.
func TestWaitingChangesNoResult(t *testing.T) {
	together := 0
	devices(t, func(t *testing.T, d *Device) {
		for seed := range uint64(6) {
			want, _ := newSequence(t, d, seed, true).run(80)
			got, most := newSequence(t, d, seed, false).run(80)
			kerneltest.Equal(t, fmt.Sprint("sequence ", seed), got, want)
			together = max(together, most)
		}
	})
	if together < 3 {
		t.Errorf("at most %d operations went together: the sequences show little", together)
	}
}

// sequence makes operations on views of one buffer that share memory in all ways that an operation allows: the same view
// again, other row counts of it, other columns of its rows, and the same columns some rows further on.
type sequence struct {
	t     *testing.T
	r     *rand.Rand
	b     *backend
	each  bool // Sync after each operation
	all   kernels.Matrix
	cache kernels.Cache
	rows  int
	most  int // operations that waited together

	norms, weights []kernels.Tensor
}

// Views have up to seqRows rows, enough for several chunks, of seqCols elements or less, and begin up to seqShift rows further on.
const (
	seqRows   = 60
	seqShift  = 30
	seqCols   = 256
	seqDim    = 64
	seqPages  = 5
	seqStride = 3 * seqCols
)

func newSequence(t *testing.T, d *Device, seed uint64, each bool) *sequence {
	s := &sequence{t: t, r: rand.New(rand.NewPCG(seed, 1)), b: open(t, d).(*backend), each: each}
	s.all = kernels.NewMatrix(s.b.NewBuffer((seqRows+seqShift)*seqStride), seqRows+seqShift, seqStride)
	s.b.Write(s.all, kerneltest.Floats(s.r, kerneltest.Normal, s.all.Buf.Len()))
	var err error
	s.cache, err = s.b.NewCache(kernels.CacheLayout{Layers: 1, KVHeads: 2, HeadDim: seqDim, PageTokens: 16, Pages: seqPages})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cache.Free)
	s.norms = []kernels.Tensor{tensor(quant.F32, 1, seqCols), tensor(quant.F16, 1, seqCols)}
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q4_1, quant.Q8_0, quant.Q6_K} {
		s.weights = append(s.weights, tensor(typ, seqDim, seqCols))
	}
	return s
}

// view returns a view of cols columns that fits beside others in one operation: it is apart from each, or, where same
// allows it, at the same place.
func (s *sequence) view(cols int, same bool, others ...kernels.Matrix) kernels.Matrix {
	for {
		m := kernels.Matrix{Buf: s.all.Buf, Rows: s.rows, Cols: cols, Stride: seqStride}
		shift := []int{0, 0, 1, seqShift}[s.r.IntN(4)]
		m.First = shift*seqStride + s.r.IntN(seqStride/cols)*cols
		fits := true
		for _, o := range others {
			fits = fits && (same && m.First == o.First && m.Cols == o.Cols || !m.Overlaps(o))
		}
		if fits {
			return m
		}
	}
}

// done ends an operation. What it was given in slices is overwritten: callers may.
func (s *sequence) done(slices ...[]int32) {
	s.most = max(s.most, len(s.b.rows.ops))
	for _, slice := range slices {
		for i := range slice {
			slice[i] = 0
		}
	}
	if s.each {
		if err := s.b.Sync(); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sequence) ids(n int) []int32 {
	ids := make([]int32, s.rows)
	for i := range ids {
		ids[i] = int32(s.r.IntN(n))
	}
	return ids
}

// run does steps operations and returns all that they left, and how many operations waited together.
func (s *sequence) run(steps int) ([]float32, int) {
	s.rows = 1
	for range steps {
		if s.r.IntN(6) == 0 {
			s.rows = []int{1, 2, 5, 20, seqRows, seqRows}[s.r.IntN(6)]
		}
		s.operation()
	}
	got := read(s.b, s.all)
	if err := s.b.Sync(); err != nil {
		s.t.Fatal(err)
	}
	finite := 0
	for _, v := range got {
		if !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) {
			finite++
		}
	}
	if finite < len(got)/2 {
		s.t.Fatalf("only %d of %d elements are finite: equal bits would mean little", finite, len(got))
	}
	return got, s.most
}

func (s *sequence) operation() {
	b, r := s.b, s.r
	x := s.view(seqCols, false)
	switch r.IntN(13) {
	case 0, 1, 2:
		b.RMSNorm(s.view(seqCols, true, x), x, s.norms[r.IntN(2)], 1e-5)
	case 3:
		up := s.view(seqCols, false, x)
		b.SiluMul(s.view(seqCols, true, x, up), x, up)
	case 4, 5:
		b.Add(s.view(seqCols, true, x), x)
	case 6, 7:
		out := []kernels.Projection{{Dst: s.view(seqDim, false, x), W: s.weights[r.IntN(len(s.weights))]}}
		b.Project(x, out)
		clear(out)
	case 8:
		b.Write(x, kerneltest.Floats(r, kerneltest.Normal, s.rows*seqCols))
	case 9:
		b.Rotate(x, s.view(seqDim, false, x), seqDim, kernels.Pairing(r.IntN(2)))
		k := s.view(seqCols/2, false)
		s.done()
		s.store(k, s.view(seqCols/2, true, k))
		return
	case 10:
		ids := s.ids(s.rows)
		b.GatherRows(s.view(seqCols, false, x), x, ids)
		s.done(ids)
		return
	case 11:
		ids := s.ids(seqDim)
		if r.IntN(2) == 0 {
			b.Embed(x, s.weights[r.IntN(len(s.weights))], ids, nil)
		} else {
			b.RotaryAngles(s.view(seqDim, false), ids, make([]float64, seqDim/2), 1)
		}
		s.done(ids)
		return
	default:
		pages := []int32{0, 1, 2, 3, 4}
		spans := []kernels.Span{{Count: s.rows, Pages: pages}}
		b.Attend(s.view(seqCols, true, x), x, s.cache, 0, spans, kernels.Attention{Scale: 0.125})
		clear(spans)
		s.done(pages)
		return
	}
	s.done()
}

// store stores keys and values in different slots, the first one anywhere.
func (s *sequence) store(k, v kernels.Matrix) {
	slots := s.ids(1)
	first := s.r.IntN(16*seqPages - s.rows)
	for i := range slots {
		slots[i] = int32(first + i)
	}
	s.b.StoreKV(s.cache, 0, k, v, slots)
	s.done(slots)
}
