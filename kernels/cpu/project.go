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

// A row's factors B are asked for beside each askEach bytes of weights: all at once they wait for memory, and so does the product.
const askEach = 36 << 10

// projectTask is one Project: the activations in each form that its products read, and the cutting into chunks.
type projectTask struct {
	b    *backend
	x    kernels.Matrix
	out  []kernels.Projection
	with []*product // with[i] multiplies out[i], size[i] is a row of its weights in bytes
	size []int
	per  int   // weight rows in a chunk, a multiple of ref.PanelRows
	last []int // last[i] is the number of chunks of products 0 to i
	rest bool  // chunks are threads whose outputs want their changes yet

	forms  [3]bool // which forms are needed
	wide   bool    // int16 copies of the quants too
	tiles  [3]bool // their tiles too, each form's: panels of one serve where they do not yet of the other
	narrow [3]bool // their tiles too, and narrow ones
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
	t.forms, t.tiles, t.narrow = [3]bool{}, [3]bool{}, [3]bool{}
	t.wide, t.fours, t.floats = false, false, false
	rows, size := 0, 0
	t.with, t.size = grow(t.with, len(out)), grow(t.size, len(out))
	for i := range out {
		p := b.table.products[out[i].W.Type]
		t.with[i], t.size[i] = p, p.typ.RowBytes(x.Cols)
		size = max(size, t.size[i])
		t.forms[p.form] = true
		panels := x.Rows >= p.panelFrom
		t.wide = t.wide || panels && p.widePanels || !panels && p.wideRows
		t.tiles[p.form] = t.tiles[p.form] || panels && p.tiles
		t.narrow[p.form] = t.narrow[p.form] || t.fits(p) && !p.fewFours
		t.fours = t.fours || panels && p.fours || t.fits(p) && p.fewFours
		t.floats = t.floats || panels && p.form == ref.Float
		rows += out[i].W.Rows
	}
	t.allocate()
	if t.floats || t.forms[ref.Blocks] || t.forms[ref.Supers] {
		b.eachRow(rowOp{run: prepareRows, x: x, side: t.fours || t.tiled(ref.Blocks) || t.tiled(ref.Supers)}, x.Rows, x.Cols)
	} else {
		b.begin()
	}
	t.cut(rows, size)
	chunks := t.last[len(out)-1]
	b.shrink.begin(x, out, min(b.device.threads, chunks))
	t.dispatch(chunks)
	t.x, t.out = kernels.Matrix{}, nil
	b.shrink.end()
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
		q.Q = growFours(q.Q, t.x.Rows, t.x.Cols)
		q.Scale = growFours(q.Scale, t.x.Rows, t.x.Cols/q.BlockLen)
		q.Sums = growFours(q.Sums, t.x.Rows, t.x.Cols/16)
		if t.wide {
			q.Wide = grow(q.Wide, n)
		} else {
			q.Wide = q.Wide[:0]
		}
		q.Tiles = q.Tiles[:0]
		q.PerTile = ref.TileRows
		if t.narrow[form] {
			q.PerTile = ref.NarrowTileRows
		}
		if t.tiled(form) {
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

// tiled says whether rows of a form stand side by side in tiles.
func (t *projectTask) tiled(form ref.Form) bool { return t.tiles[form] || t.narrow[form] }

// growFours makes room for rows of so many elements each, and for zeros behind them up to a multiple of four rows: those that pack takes for rows.
func growFours[T any](s []T, rows, each int) []T {
	s = grow(s, (rows+ref.FourRows-1)/ref.FourRows*ref.FourRows*each)
	clear(s[rows*each:])
	return s[:rows*each]
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
