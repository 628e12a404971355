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
	turn   *turn
	onTurn bool // between the first operation of a step and Sync

	rows    rowTask // its operations wait for the next one
	project projectTask
	shrink  shrinking
	attend  attendTask

	mapped [][]byte // the memory of large buffers
}

func newBackend(d *Device, model string) *backend {
	b := &backend{device: d, table: d.table, turn: d.turns.open(model)}
	b.rows.b, b.project.b, b.shrink.b, b.attend.b = b, b, b, b
	b.rows.ops = make([]rowOp, 0, mostRowOps)
	return b
}

// buffer is a kernels.Buffer.
type buffer struct {
	data []float32
}

func (b *buffer) Len() int { return len(b.data) }

// mappedFrom is from how many elements on a buffer has memory of its own.
const mappedFrom = 1 << 17

// NewBuffer takes a large buffer from the system, as caches are, until Close: the heap would clear it whole, 40 ms of a processor for the scratch
// of an engine beside the steps of another. So its pages come as they are used, and decoding uses few of them.
func (b *backend) NewBuffer(n int) kernels.Buffer {
	if n >= mappedFrom {
		const behind = 64 // so that a vector load which begins at the last element does not fault
		if memory, err := reserve(4*int64(n) + behind); err == nil {
			b.mapped = append(b.mapped, memory)
			return &buffer{data: unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(memory))), n)}
		}
	}
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

// begin takes the device's turn at the first operation of a step, and runs what waits.
func (b *backend) begin() {
	b.takeTurn()
	b.flush()
}

func (b *backend) takeTurn() {
	if !b.onTurn {
		b.device.turns.take(b.turn)
		b.onTurn = true
	}
}

// Beside says, between two steps, whether another Backend of the same model shares the workers with this one.
func (b *backend) Beside() bool { return b.device.turns.beside(b.turn) }

// Sync ends the step: every operation but those that wait has run already.
func (b *backend) Sync() error {
	if !b.onTurn {
		return nil
	}
	b.flush()
	err := b.device.pool.takeFault()
	b.onTurn = false
	b.device.turns.give(b.turn)
	return err
}

// Close ends a step that was left open, drops what waits, and gives large buffers back; the others are left to the garbage collector.
func (b *backend) Close() {
	b.rows.drop()
	_ = b.Sync()
	b.device.turns.leave(b.turn)
	for _, memory := range b.mapped {
		release(memory)
	}
	b.mapped = nil
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

func (b *backend) Embed(dst kernels.Matrix, table kernels.Tensor, ids []int32, changes []kernels.LowRank) {
	if kernels.Invariants {
		kernels.CheckEmbed(dst, table, ids, changes)
	}
	b.eachRow(rowOp{run: embedRows, dst: dst, weight: table, ids: ids, changes: changes}, len(ids), table.Cols)
}

func embedRows(b *backend, o *rowOp, s *scratch, first, last int) {
	size := o.weight.Type.RowBytes(o.weight.Cols)
	for i := first; i < last; i++ {
		id := int(o.ids[i])
		quant.Decode(o.weight.Type, row(o.dst, i), o.weight.Data[id*size:(id+1)*size])
	}
	for i := range o.changes {
		b.changeEmbedding(o, &o.changes[i], s, first, last)
	}
}

func (b *backend) RMSNorm(dst, x kernels.Matrix, weight kernels.Tensor, eps float32) {
	if kernels.Invariants {
		kernels.CheckRMSNorm(dst, x, weight)
	}
	b.later(rowOp{run: normRows, dst: dst, x: x, weight: weight, eps: eps}, x.Rows, x.Cols)
}

func normRows(b *backend, o *rowOp, s *scratch, first, last int) {
	weight := floats(&o.weight, &s.weight)
	for i := first; i < last; i++ {
		b.table.rmsNorm(row(o.dst, i), row(o.x, i), weight, o.eps)
	}
}

func (b *backend) RotaryAngles(dst kernels.Matrix, positions []int32, freqs []float64, scale float32) {
	if kernels.Invariants {
		kernels.CheckRotaryAngles(dst, positions, freqs)
	}
	b.eachRow(rowOp{run: angleRows, dst: dst, ids: positions, freqs: freqs, scale: scale}, len(positions), 128*len(freqs))
}

func angleRows(_ *backend, o *rowOp, _ *scratch, first, last int) {
	for i := first; i < last; i++ {
		ref.Angles(row(o.dst, i), o.ids[i], o.freqs, o.scale)
	}
}

func (b *backend) Rotate(x, angles kernels.Matrix, headDim int, pairing kernels.Pairing) {
	if kernels.Invariants {
		kernels.CheckRotate(x, angles, headDim)
	}
	b.later(rowOp{run: rotateRows, dst: x, x: angles, headDim: headDim, pairing: pairing}, x.Rows, x.Cols)
}

func rotateRows(b *backend, o *rowOp, _ *scratch, first, last int) {
	rotate := b.table.rotateAdjacent
	if o.pairing == kernels.PairHalves {
		rotate = b.table.rotateHalves
	}
	n := o.x.Cols / 2
	for i := first; i < last; i++ {
		x, angles := row(o.dst, i), row(o.x, i)
		cos, sin := angles[:n], angles[n:]
		for h := 0; h+o.headDim <= len(x); h += o.headDim {
			rotate(x[h:h+2*n], cos, sin)
		}
	}
}

func (b *backend) SiluMul(dst, gate, up kernels.Matrix) {
	if kernels.Invariants {
		kernels.CheckSame("SiluMul", dst, gate, up)
	}
	b.later(rowOp{run: siluMulRows, dst: dst, x: gate, y: up}, dst.Rows, 2*dst.Cols)
}

func siluMulRows(b *backend, o *rowOp, _ *scratch, first, last int) {
	for i := first; i < last; i++ {
		b.table.siluMul(row(o.dst, i), row(o.x, i), row(o.y, i))
	}
}

func (b *backend) Add(dst, x kernels.Matrix) {
	if kernels.Invariants {
		kernels.CheckSame("Add", dst, x)
	}
	b.later(rowOp{run: addRows, dst: dst, x: x}, dst.Rows, dst.Cols/2)
}

func addRows(b *backend, o *rowOp, _ *scratch, first, last int) {
	for i := first; i < last; i++ {
		b.table.add(row(o.dst, i), row(o.x, i))
	}
}

func (b *backend) GatherRows(dst, x kernels.Matrix, rows []int32) {
	if kernels.Invariants {
		kernels.CheckGatherRows(dst, x, rows)
	}
	b.begin() // it reads other rows of x than it writes of dst
	b.eachRow(rowOp{run: gatherRows, dst: dst, x: x, ids: rows}, len(rows), x.Cols/2)
}

func gatherRows(_ *backend, o *rowOp, _ *scratch, first, last int) {
	for i := first; i < last; i++ {
		copy(row(o.dst, i), row(o.x, int(o.ids[i])))
	}
}
