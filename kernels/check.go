package kernels

import "fmt"

// The functions of this file but Overlaps panic with BUG when the arguments of an operation do not fit together. Every backend calls
// them at the entry of its operations when Invariants is set.

// must panics when ok is false.
func must(ok bool, op, format string, args ...any) {
	if !ok {
		panic("BUG: kernels: " + op + ": " + fmt.Sprintf(format, args...))
	}
}

// check panics when m reaches outside its buffer or its rows overlap.
func (m Matrix) check(op, name string) {
	must(m.Buf != nil, op, "%s has no buffer", name)
	must(m.Rows >= 0 && m.Cols > 0 && m.First >= 0, op, "%s is [%d, %d] from %d on", name, m.Rows, m.Cols, m.First)
	must(m.Rows <= 1 || m.Stride >= m.Cols, op, "%s has stride %d for rows of %d", name, m.Stride, m.Cols)
	if m.Rows > 0 {
		end := m.First + (m.Rows-1)*m.Stride + m.Cols
		must(end <= m.Buf.Len(), op, "%s ends at %d in a buffer of %d", name, end, m.Buf.Len())
	}
}

// shape panics when m is not [rows, cols].
func (m Matrix) shape(op, name string, rows, cols int) {
	m.check(op, name)
	must(m.Rows == rows && m.Cols == cols, op, "%s is [%d, %d], want [%d, %d]", name, m.Rows, m.Cols, rows, cols)
}

// Overlaps says whether two views share elements. Views of one stride that take different columns do not; views of
// different strides are taken as everything from their first to their last element.
func (m Matrix) Overlaps(o Matrix) bool {
	if m.Buf != o.Buf || m.Rows == 0 || o.Rows == 0 {
		return false
	}
	if m.First >= o.First+(o.Rows-1)*o.Stride+o.Cols || o.First >= m.First+(m.Rows-1)*m.Stride+m.Cols {
		return false
	}
	if m.Stride != o.Stride || m.Stride == 0 {
		return true
	}
	a, b := m.First%m.Stride, o.First%m.Stride
	behind := a+m.Cols <= b && b+o.Cols <= a+m.Stride
	before := b+o.Cols <= a && a+m.Cols <= b+m.Stride
	return !behind && !before
}

// check panics when t's data is not what its type and shape need.
func (t *Tensor) check(op string) {
	info := t.Type.Info()
	must(info.Computable, op, "tensor %q is %s", t.Name, info.Name)
	must(t.Rows > 0 && t.Cols > 0 && t.Cols%info.BlockLen == 0, op, "tensor %q is [%d, %d] of %s", t.Name, t.Rows, t.Cols, info.Name)
	want := t.Rows * t.Type.RowBytes(t.Cols)
	must(len(t.Data) == want, op, "tensor %q has %d bytes, want %d", t.Name, len(t.Data), want)
}

// checkIDs panics when one of the ids is not in [0, n).
func checkIDs(op, name string, ids []int32, n int) {
	for i, id := range ids {
		must(id >= 0 && int(id) < n, op, "%s %d is %d of %d", name, i, id, n)
	}
}

// CheckEmbed checks the arguments of Embed.
func CheckEmbed(dst Matrix, table Tensor, ids []int32, changes []LowRank) {
	const op = "Embed"
	table.check(op)
	dst.shape(op, "dst", len(ids), table.Cols)
	checkIDs(op, "id", ids, table.Rows)
	for i := range changes {
		changes[i].check(op, len(ids), table.Rows, table.Cols)
	}
}

// CheckRMSNorm checks the arguments of RMSNorm.
func CheckRMSNorm(dst, x Matrix, weight Tensor) {
	const op = "RMSNorm"
	weight.check(op)
	CheckSame(op, dst, x)
	must(weight.Rows*weight.Cols == x.Cols, op, "weight has %d elements for rows of %d", weight.Rows*weight.Cols, x.Cols)
}

// CheckProject checks the arguments of Project.
func CheckProject(x Matrix, out []Projection) {
	const op = "Project"
	x.check(op, "x")
	for i := range out {
		p := &out[i]
		p.W.check(op)
		must(p.W.Cols == x.Cols, op, "tensor %q has %d columns, x has %d", p.W.Name, p.W.Cols, x.Cols)
		p.Dst.shape(op, "dst", x.Rows, p.W.Rows)
		must(!p.Dst.Overlaps(x), op, "dst of tensor %q overlaps x", p.W.Name)
		if p.Bias != nil {
			p.Bias.check(op)
			must(p.Bias.Rows*p.Bias.Cols == p.W.Rows, op, "bias of tensor %q has %d elements", p.W.Name, p.Bias.Rows*p.Bias.Cols)
		}
		for j := range p.LowRank {
			p.LowRank[j].check(op, x.Rows, p.W.Cols, p.W.Rows)
		}
	}
}

// CheckRotaryAngles checks the arguments of RotaryAngles.
func CheckRotaryAngles(dst Matrix, positions []int32, freqs []float64) {
	const op = "RotaryAngles"
	dst.shape(op, "dst", len(positions), 2*len(freqs))
}

// CheckRotate checks the arguments of Rotate.
func CheckRotate(x, angles Matrix, headDim int) {
	const op = "Rotate"
	x.check(op, "x")
	must(angles.Rows == x.Rows, op, "%d rows of angles for %d rows", angles.Rows, x.Rows)
	angles.check(op, "angles")
	must(headDim > 0 && x.Cols%headDim == 0, op, "rows of %d are not whole heads of %d", x.Cols, headDim)
	must(angles.Cols%2 == 0 && angles.Cols <= headDim, op, "angles of %d columns for heads of %d", angles.Cols, headDim)
}

// CheckStoreKV checks the arguments of StoreKV.
func CheckStoreKV(l CacheLayout, layer int, k, v Matrix, slots []int32) {
	const op = "StoreKV"
	must(layer >= 0 && layer < l.Layers, op, "layer %d of %d", layer, l.Layers)
	k.shape(op, "k", len(slots), l.KVHeads*l.HeadDim)
	v.shape(op, "v", len(slots), l.KVHeads*l.HeadDim)
	checkIDs(op, "slot", slots, l.Pages*l.PageTokens)
}

// CheckCopyPage checks the arguments of CopyPage.
func CheckCopyPage(l CacheLayout, from, to int32) {
	checkIDs("CopyPage", "pages", []int32{from, to}, l.Pages)
	must(from != to, "CopyPage", "page %d onto itself", from)
}

// CheckPageBytes checks the arguments of ReadPage and WritePage.
func CheckPageBytes(op string, l CacheLayout, page int32, bytes []byte) {
	checkIDs(op, "page", []int32{page}, l.Pages)
	must(len(bytes) == l.PageBytes(), op, "%d bytes for a page of %d", len(bytes), l.PageBytes())
}

// CheckAttend checks the arguments of Attend.
func CheckAttend(dst, q Matrix, l CacheLayout, layer int, spans []Span, how Attention) {
	const op = "Attend"
	must(how.Window >= 0, op, "a window of %d positions", how.Window)
	must(how.SoftCap >= 0, op, "a soft cap of %g", how.SoftCap)
	must(layer >= 0 && layer < l.Layers, op, "layer %d of %d", layer, l.Layers)
	CheckSame(op, dst, q)
	must(dst.Buf != q.Buf || dst.First == q.First || !dst.Overlaps(q), op, "dst overlaps q in part")
	must(q.Cols%(l.KVHeads*l.HeadDim) == 0, op, "rows of %d are not groups of %d heads of %d", q.Cols, l.KVHeads, l.HeadDim)
	for i, s := range spans {
		must(s.Count >= 0 && s.Pos >= 0 && s.First >= 0 && s.First+s.Count <= q.Rows, op, "span %d: rows %d to %d of %d", i, s.First, s.First+s.Count, q.Rows)
		pages := (s.Pos + s.Count + l.PageTokens - 1) / l.PageTokens
		must(len(s.Pages) >= pages, op, "span %d: %d pages, %d are needed", i, len(s.Pages), pages)
		seen := how.Sees(s.Pos) / l.PageTokens // pages before this one are not read
		checkIDs(op, "page", s.Pages[min(seen, pages):pages], l.Pages)
	}
}

// CheckSame checks that all matrices of an element-wise operation have one shape.
func CheckSame(op string, first Matrix, others ...Matrix) {
	first.check(op, "dst")
	for _, o := range others {
		o.shape(op, "operand", first.Rows, first.Cols)
		must(o.First == first.First && o.Stride == first.Stride || !o.Overlaps(first), op, "dst overlaps an operand in part")
	}
}

// CheckGatherRows checks the arguments of GatherRows.
func CheckGatherRows(dst, x Matrix, rows []int32) {
	const op = "GatherRows"
	x.check(op, "x")
	dst.shape(op, "dst", len(rows), x.Cols)
	must(!dst.Overlaps(x), op, "dst overlaps x")
	checkIDs(op, "row", rows, x.Rows)
}
