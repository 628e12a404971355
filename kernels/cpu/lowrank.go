package cpu

import (
	"sync/atomic"
	"unsafe"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// A low-rank change is computed in two pieces. What A makes of x is small and all outputs want it whole: each thread computes some of it
// before its first chunk of the product. What B makes of that is added by the chunks of the product, to the outputs that they have just
// computed, as soon as all of it is there.

// A chunk of shrinking has up to chunkMACs multiply-adds, of a change that has few rows of x chunkRanks rows of A.
const (
	chunkMACs  = 1 << 20
	chunkRanks = 8
)

// mostExpand bounds a call of expand, in multiply-adds, as maxCall does for products.
const mostExpand = 1 << 21

// shrinking computes Scale * (A x) of all changes of one Project.
type shrinking struct {
	b     *backend
	x     kernels.Matrix
	units []shrinkUnit
	place []int // where the values of a change begin in t, by change, those of the first projection first
	first []int // of the projections: their first change in place
	t     []float32
	share int          // units of a call of help
	taken atomic.Int32 // units that some thread took
	done  atomic.Int32
}

// shrinkUnit is a chunk: some rows of x with some rows of A.
type shrinkUnit struct {
	change    *kernels.LowRank
	place     int // of the change's values
	row, rows int // of the change's own
	k, ranks  int
}

// begin cuts what the changes of out make of x into units, for a number of calls of help at least.
func (s *shrinking) begin(x kernels.Matrix, out []kernels.Projection, calls int) {
	s.units, s.place, s.first = s.units[:0], s.place[:0], s.first[:0]
	s.taken.Store(0)
	s.done.Store(0)
	size := 0
	for i := range out {
		s.first = append(s.first, len(s.place))
		for j := range out[i].LowRank {
			c := &out[i].LowRank[j]
			s.place = append(s.place, size)
			s.cut(c, size)
			size += c.Count * c.Rank
		}
	}
	s.x, s.t = x, grow(s.t, size)
	s.share = (len(s.units) + calls - 1) / calls
}

// end forgets the memory of others.
func (s *shrinking) end() {
	clear(s.units)
	s.x = kernels.Matrix{}
}

// help computes a thread's share of the units, if any is left.
func (s *shrinking) help(w *scratch) {
	if int(s.taken.Load()) >= len(s.units) {
		return
	}
	end := int(s.taken.Add(int32(s.share)))
	for i := end - s.share; i < min(end, len(s.units)); i++ {
		s.run(w, i)
		s.done.Add(1)
	}
}

// ready says whether all units are computed.
func (s *shrinking) ready() bool { return int(s.done.Load()) == len(s.units) }

// cut makes the chunks of a change.
func (s *shrinking) cut(c *kernels.LowRank, place int) {
	if c.Rank == 0 {
		return
	}
	rows, ranks := c.Count, min(chunkRanks, c.Rank)
	if c.Count >= panelFrom {
		rows = max(1, chunkMACs/(c.Rank*c.In))
		if rows < c.Count { // chunks enough, and none decodes A for fewer rows than it must
			ranks = c.Rank
		}
	}
	for row := 0; row < c.Count; row += rows {
		for k := 0; k < c.Rank; k += ranks {
			s.units = append(s.units, shrinkUnit{
				change: c, place: place, row: row, rows: min(rows, c.Count-row), k: k, ranks: min(ranks, c.Rank-k),
			})
		}
	}
}

// of returns the values of change j of projection i, [Count, Rank].
func (s *shrinking) of(i, j int) []float32 { return s.t[s.place[s.first[i]+j]:] }

func (s *shrinking) run(w *scratch, unit int) {
	u := &s.units[unit]
	c, table := u.change, s.b.table
	a := c.A[2*u.k*c.In : 2*(u.k+u.ranks)*c.In]
	t := s.t[u.place+u.row*c.Rank : u.place+(u.row+u.rows)*c.Rank]
	if c.Count < panelFrom {
		for r := range u.rows {
			next := a
			if r == u.rows-1 && unit+1 < len(s.units) {
				n := &s.units[unit+1]
				next = n.change.A[2*n.k*n.change.In:]
			}
			table.shrink(t[r*c.Rank+u.k:r*c.Rank+u.k+u.ranks], a, row(s.x, c.First+u.row+r), c.Scale, next)
		}
		return
	}
	product := table.products[quant.F16]
	// As floatPanels, with a panel of A at a time, over rows of x that are filled up to whole lanes.
	padded := (c.In + ref.Lanes - 1) / ref.Lanes * ref.Lanes
	x := s.dense(w, c.First+u.row, u.rows, padded)
	w.floats = grow(w.floats, ref.PanelRows*padded)
	for k := 0; k < u.ranks; k += ref.PanelRows {
		ranks := min(ref.PanelRows, u.ranks-k)
		for r := range ranks {
			one := w.floats[r*padded : (r+1)*padded]
			product.decode(one[:c.In], a[2*(k+r)*c.In:2*(k+r+1)*c.In])
			clear(one[c.In:])
		}
		table.mulFloats(t[u.k+k:], c.Rank, w.floats[:ranks*padded], x, padded)
	}
	for r := range u.rows {
		ref.Scale(t[r*c.Rank+u.k:r*c.Rank+u.k+u.ranks], c.Scale)
	}
}

// dense returns rows of x without gaps, of padded columns: where they lie, if they lie so.
func (s *shrinking) dense(w *scratch, first, rows, padded int) []float32 {
	if x := &s.x; x.Stride == padded && x.Cols == padded {
		return x.Buf.(*buffer).data[x.First+first*padded : x.First+(first+rows)*padded]
	}
	w.tile = grow(w.tile, rows*padded)
	for r := range rows {
		one := w.tile[r*padded : (r+1)*padded]
		clear(one[copy(one, row(s.x, first+r)):])
	}
	return w.tile
}

// piecesOfB returns where those pieces of B lie that changes read for the outputs first to last, and an empty span behind them.
func (s *scratch) piecesOfB(changes []kernels.LowRank, first, last int) []span {
	s.spans = s.spans[:0]
	for i := range changes {
		if c := &changes[i]; c.Count > 0 && c.Rank > 0 {
			begin := uintptr(unsafe.Pointer(unsafe.SliceData(c.B)))
			s.spans = append(s.spans, span{begin + uintptr(2*first*c.Rank), begin + uintptr(2*last*c.Rank)})
		}
	}
	s.spans = append(s.spans, span{})
	return s.spans
}

// change applies change j of a projection, of which t is what A made of x, to the outputs first to last.
func (b *backend) change(out *kernels.Projection, j int, t []float32, first, last int) {
	c := &out.LowRank[j]
	factors := c.B[2*first*c.Rank:] // first is a whole number of panels
	step := max(1, mostExpand/max(1, c.Rank*(last-first)))
	data, stride := out.Dst.Buf.(*buffer).data, out.Dst.Stride
	for r := 0; r < c.Count && c.Rank > 0; r += step {
		rows := min(step, c.Count-r)
		b.table.expand(data[out.Dst.First+(c.First+r)*stride+first:], stride, factors, t[r*c.Rank:(r+rows)*c.Rank], c.Rank, last-first)
	}
	if c.Gain == nil && c.Bias == nil {
		return
	}
	for r := range c.Count {
		b.finish(c, row(out.Dst, c.First+r), first, last)
	}
}

// finish applies the gain and the bias of a change to the outputs first to last of a row.
func (b *backend) finish(c *kernels.LowRank, y []float32, first, last int) {
	if c.Gain != nil {
		ref.Mul(y[first:last], c.Gain[first:last])
	}
	if c.Bias != nil {
		b.table.add(y[first:last], c.Bias[first:last])
	}
}

// changeEmbedding applies a change to those of the rows first to last of an Embed that it is for.
func (b *backend) changeEmbedding(o *rowOp, c *kernels.LowRank, s *scratch, first, last int) {
	s.tile = grow(s.tile, c.Rank)
	for r := max(first, c.First); r < min(last, c.First+c.Count); r++ {
		id, y := int(o.ids[r]), row(o.dst, r)
		if c.Rank > 0 {
			ref.ShrinkID(s.tile, c.A[2*id*c.Rank:2*(id+1)*c.Rank], c.Scale)
			b.table.expand(y, len(y), c.B, s.tile, c.Rank, len(y))
		}
		b.finish(c, y, 0, len(y))
	}
}
