package cpu

import (
	"unsafe"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// backend computes for one engine, in one goroutine. It holds the arguments of the operation that is on, so that handing
// work to the pool allocates nothing.
type backend struct {
	device *Device
	table  *table
	onTurn bool // between the first operation of a step and Sync

	rows      rowTask
	held      rowTask // a row operation that waits for the next operation (hold); none when op is nil
	project   projectTask
	attend    attendTask
	operation operations
}

// operations are the row functions as values, made once.
type operations struct {
	embed, rmsNorm, angles, rotate, store, siluMul, add, gather, prepare, merge func(s *scratch, first, last int)
}

func newBackend(d *Device) *backend {
	b := &backend{device: d, table: d.table}
	b.project.b, b.attend.b = b, b
	b.operation = operations{
		embed: b.embedRows, rmsNorm: b.normRows, angles: b.angleRows, rotate: b.rotateRows, store: b.storeRows,
		siluMul: b.siluMulRows, add: b.addRows, gather: b.gatherRows, prepare: b.prepareRows, merge: b.mergeRows,
	}
	return b
}

// buffer is a kernels.Buffer.
type buffer struct {
	data []float32
}

func (b *buffer) Len() int { return len(b.data) }

func (b *backend) NewBuffer(n int) kernels.Buffer {
	return &buffer{data: make([]float32, n)}
}

// row returns row r of m.
func row(m kernels.Matrix, r int) []float32 {
	first := m.First + r*m.Stride
	return m.Buf.(*buffer).data[first : first+m.Cols : first+m.Cols]
}

func (b *backend) Write(dst kernels.Matrix, src []float32) {
	b.flush()
	for r := range dst.Rows {
		copy(row(dst, r), src[r*dst.Cols:(r+1)*dst.Cols])
	}
}

func (b *backend) Read(dst []float32, src kernels.Matrix) {
	b.flush()
	for r := range src.Rows {
		copy(dst[r*src.Cols:(r+1)*src.Cols], row(src, r))
	}
}

// begin takes the device's turn at the first operation of a step, and runs what was held back.
func (b *backend) begin() {
	if !b.onTurn {
		b.device.turn.Lock()
		b.onTurn = true
	}
	b.flush()
}

// Sync ends the step: every operation but the one held back has run already.
func (b *backend) Sync() error {
	if !b.onTurn {
		return nil
	}
	b.flush()
	err := b.device.pool.takeFault()
	b.onTurn = false
	b.device.turn.Unlock()
	return err
}

// Close ends a step that was left open, and drops what was held back. The buffers are left to the garbage collector.
func (b *backend) Close() {
	b.held = rowTask{}
	_ = b.Sync()
}

// view returns weights as float32 where they lie, if they are and are aligned.
func view(t *kernels.Tensor) ([]float32, bool) {
	p := unsafe.Pointer(unsafe.SliceData(t.Data))
	if t.Type != quant.F32 || uintptr(p)%4 != 0 || !littleEndian {
		return nil, false
	}
	return unsafe.Slice((*float32)(p), t.Rows*t.Cols), true
}

// floats returns a weight vector as float32: where it lies, or decoded into scratch. Only a goroutine that survives
// faults may call it.
func floats(t *kernels.Tensor, into *[]float32) []float32 {
	if v, ok := view(t); ok {
		return v
	}
	*into = grow(*into, t.Rows*t.Cols)
	quant.Decode(t.Type, *into, t.Data)
	return *into
}

// littleEndian says whether float32 lie in memory as they do in a file.
var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// rowTask applies an operation to all rows of a batch, several rows a chunk.
type rowTask struct {
	before func(s *scratch, first, last int) // an operation held back, on the same rows; or nil
	op     func(s *scratch, first, last int)
	count  int // rows
	per    int // rows in a chunk

	dst, x, y kernels.Matrix
	weight    kernels.Tensor
	eps       float32
	scale     float32
	ids       []int32
	freqs     []float64
	headDim   int
	pairing   kernels.Pairing
	cache     *cache
	layer     int
}

func (t *rowTask) run(s *scratch, chunk int) {
	first := chunk * t.per
	t.take(s, first, min(first+t.per, t.count))
}

func (t *rowTask) take(s *scratch, first, last int) {
	if t.before != nil {
		t.before(s, first, last)
	}
	t.op(s, first, last)
}

func (t *rowTask) tensorAt(address uintptr) (string, bool) {
	return t.weight.Name, holds(&t.weight, address)
}

// chunkWork is how many elements of a row operation are worth a chunk of their own.
const chunkWork = 1 << 13

// eachRow runs the operation that b.rows describes on count rows of about cost elements each.
func (b *backend) eachRow(op func(s *scratch, first, last int), count, cost int) {
	if count == 0 {
		return
	}
	b.begin()
	b.rows.cut(op, count, cost)
	b.runRows()
}

// cut sets the operation and how many rows a chunk has.
func (t *rowTask) cut(op func(s *scratch, first, last int), count, cost int) {
	t.op, t.count, t.per = op, count, max(1, chunkWork/max(cost, 1))
}

// runRows runs b.rows and clears it.
func (b *backend) runRows() {
	t := &b.rows
	if t.count <= t.per && t.weight.Data == nil {
		t.take(&b.device.pool.callers, 0, t.count) // reads no mapped memory: nothing to survive, and nobody to share with
	} else {
		b.device.pool.dispatch(t, (t.count+t.per-1)/t.per)
	}
	*t = rowTask{}
}

// hold keeps back the operation that b.rows describes, as eachRow would run it: a Project of what it writes runs it with
// the rows that it quantizes (docs/adr/0007-one-row-operation-is-held-back.md), and everything else runs it first. Its
// arguments must hold no memory of the caller.
func (b *backend) hold(op func(s *scratch, first, last int), count, cost int) {
	if count == 0 {
		return
	}
	b.begin()
	b.rows.cut(op, count, cost)
	b.held, b.rows = b.rows, rowTask{}
}

// flush runs what was held back.
func (b *backend) flush() {
	if b.held.op == nil {
		return
	}
	next := b.rows
	b.rows, b.held = b.held, rowTask{}
	b.runRows()
	b.rows = next
}

func (b *backend) Embed(dst kernels.Matrix, table kernels.Tensor, ids []int32) {
	if kernels.Invariants {
		kernels.CheckEmbed(dst, table, ids)
	}
	b.rows = rowTask{dst: dst, weight: table, ids: ids}
	b.eachRow(b.operation.embed, len(ids), table.Cols)
}

func (b *backend) embedRows(_ *scratch, first, last int) {
	t := &b.rows
	size := t.weight.Type.RowBytes(t.weight.Cols)
	for i := first; i < last; i++ {
		id := int(t.ids[i])
		quant.Decode(t.weight.Type, row(t.dst, i), t.weight.Data[id*size:(id+1)*size])
	}
}

func (b *backend) RMSNorm(dst, x kernels.Matrix, weight kernels.Tensor, eps float32) {
	if kernels.Invariants {
		kernels.CheckRMSNorm(dst, x, weight)
	}
	b.rows = rowTask{dst: dst, x: x, weight: weight, eps: eps}
	b.hold(b.operation.rmsNorm, x.Rows, x.Cols)
}

func (b *backend) normRows(s *scratch, first, last int) {
	t := &b.rows
	weight := floats(&t.weight, &s.weight)
	for i := first; i < last; i++ {
		b.table.rmsNorm(row(t.dst, i), row(t.x, i), weight, t.eps)
	}
}

func (b *backend) RotaryAngles(dst kernels.Matrix, positions []int32, freqs []float64, scale float32) {
	if kernels.Invariants {
		kernels.CheckRotaryAngles(dst, positions, freqs)
	}
	b.rows = rowTask{dst: dst, ids: positions, freqs: freqs, scale: scale}
	b.eachRow(b.operation.angles, len(positions), 128*len(freqs))
}

func (b *backend) angleRows(_ *scratch, first, last int) {
	t := &b.rows
	for i := first; i < last; i++ {
		ref.Angles(row(t.dst, i), t.ids[i], t.freqs, t.scale)
	}
}

func (b *backend) Rotate(x, angles kernels.Matrix, headDim int, pairing kernels.Pairing) {
	if kernels.Invariants {
		kernels.CheckRotate(x, angles, headDim)
	}
	b.rows = rowTask{x: x, y: angles, headDim: headDim, pairing: pairing}
	b.eachRow(b.operation.rotate, x.Rows, x.Cols)
}

func (b *backend) rotateRows(_ *scratch, first, last int) {
	t := &b.rows
	rotate := b.table.rotateAdjacent
	if t.pairing == kernels.PairHalves {
		rotate = b.table.rotateHalves
	}
	n := t.y.Cols / 2
	for i := first; i < last; i++ {
		x, angles := row(t.x, i), row(t.y, i)
		cos, sin := angles[:n], angles[n:]
		for h := 0; h+t.headDim <= len(x); h += t.headDim {
			rotate(x[h:h+2*n], cos, sin)
		}
	}
}

func (b *backend) SiluMul(dst, gate, up kernels.Matrix) {
	if kernels.Invariants {
		kernels.CheckSame("SiluMul", dst, gate, up)
	}
	b.rows = rowTask{dst: dst, x: gate, y: up}
	b.hold(b.operation.siluMul, dst.Rows, 2*dst.Cols)
}

func (b *backend) siluMulRows(_ *scratch, first, last int) {
	t := &b.rows
	for i := first; i < last; i++ {
		b.table.siluMul(row(t.dst, i), row(t.x, i), row(t.y, i))
	}
}

func (b *backend) Add(dst, x kernels.Matrix) {
	if kernels.Invariants {
		kernels.CheckSame("Add", dst, x)
	}
	b.rows = rowTask{dst: dst, x: x}
	b.eachRow(b.operation.add, dst.Rows, dst.Cols/2)
}

func (b *backend) addRows(_ *scratch, first, last int) {
	t := &b.rows
	for i := first; i < last; i++ {
		b.table.add(row(t.dst, i), row(t.x, i))
	}
}

func (b *backend) GatherRows(dst, x kernels.Matrix, rows []int32) {
	if kernels.Invariants {
		kernels.CheckGatherRows(dst, x, rows)
	}
	b.rows = rowTask{dst: dst, x: x, ids: rows}
	b.eachRow(b.operation.gather, len(rows), x.Cols/2)
}

func (b *backend) gatherRows(_ *scratch, first, last int) {
	t := &b.rows
	for i := first; i < last; i++ {
		copy(row(t.dst, i), row(t.x, int(t.ids[i])))
	}
}
