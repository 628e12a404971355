package cpu

import (
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// Rows of activations from which on a panel of weights is unpacked, unless a level has its own limit; below it each row
// meets the weights in the file.
const panelFrom = 4

// A kernel call computes at most maxCall multiply-adds with panels, and reads at most maxRead bytes of weights without:
// well under 200 microseconds, because Go cannot preempt it.
const (
	maxCall = 4 << 20
	maxRead = 1 << 20
)

// projectTask is one Project: the activations in each form that its products read, and the cutting into chunks.
type projectTask struct {
	b    *backend
	x    kernels.Matrix
	out  []kernels.Projection
	with []*product // with[i] multiplies out[i], size[i] is a row of its weights in bytes
	size []int
	per  int   // weight rows in a chunk, a multiple of ref.PanelRows
	last []int // last[i] is the number of chunks of products 0 to i

	forms  [3]bool // which forms are needed
	wide   bool    // int16 copies of the quants too
	tiles  bool    // their tiles too
	narrow bool    // their tiles too, and narrow ones
	fours  bool    // their tiles of four rows too
	floats bool    // dense too
	quants [3]ref.Quants
	dense  []float32 // x without gaps, its columns padded with zeros to whole lanes, for panels of floats
	padded int       // columns of dense
}

func (b *backend) Project(x kernels.Matrix, out []kernels.Projection) {
	if kernels.Invariants {
		kernels.CheckProject(x, out)
	}
	if x.Rows == 0 || len(out) == 0 {
		return
	}
	t := &b.project
	t.x, t.out = x, out
	t.forms, t.wide, t.tiles, t.narrow, t.fours, t.floats = [3]bool{}, false, false, false, false, false
	rows, size := 0, 0
	t.with, t.size = grow(t.with, len(out)), grow(t.size, len(out))
	for i := range out {
		p := b.table.products[out[i].W.Type]
		t.with[i], t.size[i] = p, p.typ.RowBytes(x.Cols)
		size = max(size, t.size[i])
		t.forms[p.form] = true
		panels := x.Rows >= p.panelFrom
		t.wide = t.wide || panels && p.widePanels || !panels && p.wideRows
		t.tiles = t.tiles || panels && p.tiles
		t.narrow = t.narrow || t.fits(p) && !p.fewFours
		t.fours = t.fours || panels && p.fours || t.fits(p) && p.fewFours
		t.floats = t.floats || panels && p.form == ref.Float
		rows += out[i].W.Rows
	}
	t.allocate()
	if t.floats || t.forms[ref.Blocks] || t.forms[ref.Supers] {
		b.eachRow(rowOp{run: prepareRows, x: x, side: t.tiles || t.narrow || t.fours}, x.Rows, x.Cols)
	} else {
		b.begin()
	}
	b.shrink.all(x, out)
	t.cut(rows, size)
	b.device.pool.dispatch(t, t.last[len(out)-1])
	t.x, t.out = kernels.Matrix{}, nil
}

// allocate makes room for the activations in the forms needed.
func (t *projectTask) allocate() {
	n := t.x.Rows * t.x.Cols
	for form := ref.Blocks; form <= ref.Supers; form++ {
		if !t.forms[form] {
			continue
		}
		q := &t.quants[form]
		q.Cols, q.BlockLen = t.x.Cols, form.BlockLen()
		q.Q = grow(q.Q, n)
		q.Scale = grow(q.Scale, n/q.BlockLen)
		q.Sums = grow(q.Sums, n/16)
		if t.wide {
			q.Wide = grow(q.Wide, n)
		} else {
			q.Wide = q.Wide[:0]
		}
		q.Tiles = q.Tiles[:0]
		q.PerTile = ref.TileRows
		if t.narrow {
			q.PerTile = ref.NarrowTileRows
		}
		if t.tiles || t.narrow {
			q.Tiles = grow(q.Tiles, ref.TilesLen(t.x.Rows, t.x.Cols, q.BlockLen))
		}
		q.Fours = q.Fours[:0]
		if t.fours {
			q.Fours = grow(q.Fours, ref.FoursLen(t.x.Rows, t.x.Cols, q.BlockLen))
		}
	}
	if t.floats {
		t.padded = (t.x.Cols + ref.Lanes - 1) / ref.Lanes * ref.Lanes
		t.dense = grow(t.dense, t.x.Rows*t.padded)
	}
}

// prepareRows brings rows of the activations into the forms needed.
func prepareRows(b *backend, _ *rowOp, _ *scratch, first, last int) {
	t := &b.project
	for i := first; i < last; i++ {
		x := row(t.x, i)
		for form := ref.Blocks; form <= ref.Supers; form++ {
			if !t.forms[form] {
				continue
			}
			q := t.quants[form].Rows(i, 1)
			b.table.quantize(q.Q, q.Scale, q.Sums, x, q.BlockLen)
			if len(q.Wide) > 0 {
				b.table.widen(q.Wide, q.Q)
			}
		}
		if t.floats {
			dense := t.dense[i*t.padded : (i+1)*t.padded]
			clear(dense[copy(dense, x):])
		}
	}
	for form := ref.Blocks; form <= ref.Supers; form++ {
		if t.forms[form] {
			b.table.pack(&t.quants[form], first, last)
		}
	}
}

// cut chooses how many weight rows a chunk has: enough chunks that a core which loses its time slice does not hold up
// the rest, and so little work that the last ones end at about one time, but not so few rows that taking a chunk costs more than computing
// it. The longest rows have size bytes.
func (t *projectTask) cut(rows, size int) {
	const chunksPerThread, minWork, maxWork = 12, 1 << 16, 32 << 20
	per := rows / (t.b.device.threads * chunksPerThread)
	per = max(per, minWork/(t.x.Cols*t.x.Rows))
	per = min(per, maxRead/size, maxWork/(t.x.Cols*t.x.Rows))
	t.per = max(1, per/ref.PanelRows) * ref.PanelRows
	t.last = t.last[:0]
	chunks := 0
	for i := range t.out {
		chunks += (t.out[i].W.Rows + t.per - 1) / t.per
		t.last = append(t.last, chunks)
	}
}

func (t *projectTask) tensorAt(address uintptr) (string, bool) {
	for i := range t.out {
		if w := &t.out[i].W; holds(w, address) {
			return w.Name, true
		}
		if bias := t.out[i].Bias; bias != nil && holds(bias, address) {
			return bias.Name, true
		}
	}
	return "", false
}

// run computes one chunk: some rows of one weight matrix with all rows of activations.
func (t *projectTask) run(s *scratch, chunk int) {
	i := 0
	for chunk >= t.last[i] {
		i++
	}
	if i > 0 {
		chunk -= t.last[i-1]
	}
	out := &t.out[i]
	first := chunk * t.per
	last := min(first+t.per, out.W.Rows)
	p, w := t.with[i], out.W.Data[first*t.size[i]:last*t.size[i]]
	switch {
	case t.fits(p):
		p.few(out.Dst.Buf.(*buffer).data[out.Dst.First+first:], out.Dst.Stride, w, last-first, &t.quants[p.form],
			s.piecesOfB(out.LowRank, first, last))
	case t.x.Rows < p.panelFrom:
		t.single(s, p, out, w, first, last)
	case p.form == ref.Float:
		t.floatPanels(s, p, out, first, last)
	default:
		t.quantPanels(s, p, out, t.size[i], first, last)
	}
	for j := range out.LowRank {
		t.b.change(out, j, t.b.shrink.of(i, j), first, last)
	}
	if out.Bias != nil {
		bias := floats(out.Bias, &s.weight)[first:last]
		for r := range t.x.Rows {
			t.b.table.add(row(out.Dst, r)[first:last], bias)
		}
	}
}

// single multiplies weight rows where they lie with each row of activations.
func (t *projectTask) single(s *scratch, p *product, out *kernels.Projection, w []byte, first, last int) {
	for r := range t.x.Rows {
		dst := row(out.Dst, r)[first:last]
		switch {
		case p.form == ref.Float:
			p.rowsFloat(dst, w, row(t.x, r))
		case t.x.Rows == 1:
			p.rowsQuant(dst, w, &t.quants[p.form])
		default:
			s.view = t.quants[p.form].Rows(r, 1)
			p.rowsQuant(dst, w, &s.view)
		}
	}
}

// fits says whether p multiplies few rows, and x has so many.
func (t *projectTask) fits(p *product) bool {
	return p.few != nil && t.x.Rows >= p.fewFrom && t.x.Rows < p.panelFrom
}

// quantPanels unpacks ref.PanelRows weight rows at a time and walks over the activations with each panel.
func (t *projectTask) quantPanels(s *scratch, p *product, out *kernels.Projection, size, first, last int) {
	cols := out.W.Cols
	s.growPanel(cols)
	s.panel.Rest = grow(s.panel.Rest, ref.PanelRows*size)
	x := &t.quants[p.form]
	step := max(1, maxCall/(cols*ref.PanelRows)/ref.TileRows) * ref.TileRows // whole tiles
	data, stride := out.Dst.Buf.(*buffer).data, out.Dst.Stride
	for n := first; n < last; n += ref.PanelRows {
		rows := min(ref.PanelRows, last-n)
		p.unpack(&s.panel, out.W.Data[n*size:(n+rows)*size], rows, cols)
		for r := 0; r < t.x.Rows; r += step {
			count := min(step, t.x.Rows-r)
			s.view = x.Rows(r, count)
			if rows == ref.PanelRows {
				p.mul(data[out.Dst.First+r*stride+n:], stride, &s.panel, &s.view)
				continue
			}
			s.tile = grow(s.tile, count*ref.PanelRows)
			p.mul(s.tile, ref.PanelRows, &s.panel, &s.view)
			for i := range count {
				copy(row(out.Dst, r+i)[n:n+rows], s.tile[i*ref.PanelRows:])
			}
		}
	}
}

// floatPanels takes ref.PanelRows weight rows at a time, as float32, and walks over the activations with them.
func (t *projectTask) floatPanels(s *scratch, p *product, out *kernels.Projection, first, last int) {
	cols := out.W.Cols
	step := max(1, maxCall/(4*cols*ref.PanelRows))
	data, stride := out.Dst.Buf.(*buffer).data, out.Dst.Stride
	for n := first; n < last; n += ref.PanelRows {
		rows := min(ref.PanelRows, last-n)
		w := t.decoded(s, p, &out.W, n, rows)
		for r := 0; r < t.x.Rows; r += step {
			count := min(step, t.x.Rows-r)
			t.b.table.mulFloats(data[out.Dst.First+r*stride+n:], stride, w,
				t.dense[r*t.padded:(r+count)*t.padded], t.padded)
		}
	}
}

// decoded returns rows of weights as float32 of t.padded columns: where they lie, if they lie so.
func (t *projectTask) decoded(s *scratch, p *product, w *kernels.Tensor, first, rows int) []float32 {
	cols := w.Cols
	if t.padded == cols {
		if view, ok := view(w); ok {
			return view[first*cols : (first+rows)*cols]
		}
	}
	size := w.Type.RowBytes(cols)
	s.floats = grow(s.floats, rows*t.padded)
	for r := range rows {
		row := s.floats[r*t.padded : (r+1)*t.padded]
		p.decode(row[:cols], w.Data[(first+r)*size:(first+r+1)*size])
		clear(row[cols:])
	}
	return s.floats
}

// growPanel makes room for a panel of cols columns in any format.
func (s *scratch) growPanel(cols int) {
	s.panel.Q = grow(s.panel.Q, cols*ref.PanelRows)
	s.panel.Bytes = grow(s.panel.Bytes, cols*ref.PanelRows)
	s.panel.Scales = grow(s.panel.Scales, cols/16*ref.PanelRows)
	s.panel.Pairs = grow(s.panel.Pairs, cols/8*ref.PanelRows)
	s.panel.Mins = grow(s.panel.Mins, cols/16*ref.PanelRows)
	s.panel.D = grow(s.panel.D, cols/32*ref.PanelRows)
	s.panel.M = grow(s.panel.M, cols/32*ref.PanelRows)
}
