package cpu

import "github.com/weft-run/weft/kernels"

// Operations on rows wait for those that follow them: while each computes its row i from rows i alone, a chunk of rows can go
// through all of them while it lies in the cache, and the workers meet once (docs/adr/0007-fusion-inside-the-backend.md).
// The last of them is often a product's own, which brings the rows into the forms that it multiplies.

// mostRowOps is how many operations go together: as many as any model has in a row, and one.
const mostRowOps = 6

// chunkWork is how many elements of row operations are worth a chunk of their own.
const chunkWork = 1 << 13

// rowOp is an operation that computes rows one by one, with its arguments. What it writes is dst, a cache or the
// backend's own memory; what it reads of matrices is x, y and dst.
type rowOp struct {
	run func(b *backend, o *rowOp, s *scratch, first, last int)

	dst, x, y kernels.Matrix // no buffer: none
	weight    kernels.Tensor
	eps       float32
	scale     float32
	ids       []int32
	changes   []kernels.LowRank
	freqs     []float64
	headDim   int
	pairing   kernels.Pairing
	cache     *cache
	layer     int
	side      bool // it puts four rows side by side: chunks should be of whole fours
}

// rowTask applies operations to all rows of a batch, several rows a chunk, each chunk from the first operation to the last.
type rowTask struct {
	b     *backend
	ops   []rowOp
	count int // rows
	cost  int // elements of a row, of all operations
	per   int // rows in a chunk
}

func (t *rowTask) run(s *scratch, chunk int) {
	first := chunk * t.per
	t.all(s, first, min(first+t.per, t.count))
}

func (t *rowTask) all(s *scratch, first, last int) {
	for i := range t.ops {
		o := &t.ops[i]
		o.run(t.b, o, s, first, last)
	}
}

func (t *rowTask) tensorAt(address uintptr) (string, bool) {
	for i := range t.ops {
		if w := &t.ops[i].weight; holds(w, address) {
			return w.Name, true
		}
	}
	return "", false
}

// drop forgets what waits, and all memory that it would have used.
func (t *rowTask) drop() {
	clear(t.ops)
	t.ops, t.count, t.cost = t.ops[:0], 0, 0
}

// takes says whether o, on count rows, may go with what waits: what one of two operations writes must lie apart from all
// that the other has, or be the same rows at the same place.
func (t *rowTask) takes(o *rowOp, count int) bool {
	if len(t.ops) == mostRowOps || count != t.count {
		return false
	}
	for i := range t.ops {
		e := &t.ops[i]
		if !inStep(&e.dst, &o.dst) || !inStep(&e.dst, &o.x) || !inStep(&e.dst, &o.y) ||
			!inStep(&o.dst, &e.x) || !inStep(&o.dst, &e.y) {
			return false
		}
	}
	return true
}

// inStep says whether no row of a shares elements with another row of c.
func inStep(a, c *kernels.Matrix) bool {
	if a.Buf == nil || c.Buf == nil || a.Buf != c.Buf {
		return true
	}
	return a.First == c.First && a.Stride == c.Stride || !a.Overlaps(*c)
}

// readsMapped says whether an operation reads weights, which may fault.
func (t *rowTask) readsMapped() bool {
	for i := range t.ops {
		if t.ops[i].weight.Data != nil {
			return true
		}
	}
	return false
}

// later keeps an operation on count rows of about cost elements each until others have come that may go with it, or one that may
// not. Its arguments must hold no slice of the caller's, who may use it again.
func (b *backend) later(o rowOp, count, cost int) {
	if count == 0 {
		return
	}
	b.takeTurn()
	t := &b.rows
	if len(t.ops) > 0 && !t.takes(&o, count) {
		b.flush()
	}
	t.ops = append(t.ops, o)
	t.count = count
	t.cost += cost
}

// eachRow runs an operation, as later takes it, and all that waits.
func (b *backend) eachRow(o rowOp, count, cost int) {
	b.later(o, count, cost)
	b.flush()
}

// flush runs what waits.
func (b *backend) flush() {
	t := &b.rows
	if len(t.ops) == 0 {
		return
	}
	defer t.drop()
	t.per = max(1, chunkWork/max(t.cost, 1))
	if t.ops[len(t.ops)-1].side {
		t.per = (t.per + 3) &^ 3
	}
	if t.count <= t.per && !t.readsMapped() {
		t.all(&b.device.pool.caller.scratch, 0, t.count) // nothing to survive, and nobody to share with
		return
	}
	b.device.pool.dispatch(t, (t.count+t.per-1)/t.per)
}
