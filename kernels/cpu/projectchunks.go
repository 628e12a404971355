package cpu

import (
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/ref"
)

// dispatch runs the chunks, and what is left to do of them then. Biases may fault, so that is a dispatch too.
func (t *projectTask) dispatch(chunks int) {
	p := t.b.device.pool
	t.rest = false
	for i := range t.b.device.threads {
		s := p.scratchOf(i)
		s.late = grow(s.late, chunks)[:0]
	}
	p.dispatch(t, chunks)
	for i := range t.b.device.threads {
		t.rest = t.rest || len(p.scratchOf(i).late) > 0
	}
	if t.rest {
		p.dispatch(t, t.b.device.threads)
	}
}

// at returns of which product a chunk is, and its outputs.
func (t *projectTask) at(chunk int) (i, first, last int) {
	for chunk >= t.last[i] {
		i++
	}
	if i > 0 {
		chunk -= t.last[i-1]
	}
	first = chunk * t.per
	return i, first, min(first+t.per, t.out[i].W.Rows)
}

// run computes one chunk: some rows of one weight matrix with all rows of activations. Before its first one a thread computes its share of
// what changes make of the rows. Where another is not done with its own, as it may have lost its core, nobody waits: changes come later.
func (t *projectTask) run(s *scratch, chunk int) {
	if t.rest {
		t.changeLate(t.b.device.pool.scratchOf(chunk))
		return
	}
	i, first, last := t.at(chunk)
	t.b.shrink.help(s)
	t.multiply(s, i, first, last)
	s.late = append(s.late, chunk)
	if t.b.shrink.ready() {
		t.changeLate(s)
	}
}

// changeLate applies changes and bias to the outputs that want them yet.
func (t *projectTask) changeLate(s *scratch) {
	for _, chunk := range s.late {
		i, first, last := t.at(chunk)
		out := &t.out[i]
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
	s.late = s.late[:0]
}

// multiply computes the outputs first to last of product i.
func (t *projectTask) multiply(s *scratch, i, first, last int) {
	out := &t.out[i]
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
}

// asking multiplies weight rows with the only row of activations, and asks for what their changes will read.
func (t *projectTask) asking(p *product, out *kernels.Projection, w []byte, first, last int) {
	size := len(w) / (last - first)
	step := max(ref.PanelRows, askEach/size/ref.PanelRows*ref.PanelRows)
	dst := row(out.Dst, 0)
	for n := first; n < last; n += step {
		end := min(n+step, last)
		for i := range out.LowRank {
			if c := &out.LowRank[i]; c.Count > 0 {
				t.b.table.prefetch(c.B[2*n*c.Rank : 2*end*c.Rank])
			}
		}
		p.rowsQuant(dst[n:end], w[(n-first)*size:(end-first)*size], &t.quants[p.form])
	}
}

// single multiplies weight rows where they lie with each row of activations.
func (t *projectTask) single(s *scratch, p *product, out *kernels.Projection, w []byte, first, last int) {
	for r := range t.x.Rows {
		dst := row(out.Dst, r)[first:last]
		switch {
		case p.form == ref.Float:
			p.rowsFloat(dst, w, row(t.x, r))
		case t.x.Rows == 1 && len(out.LowRank) > 0:
			t.asking(p, out, w, first, last)
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
