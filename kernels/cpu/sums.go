package cpu

import (
	"unsafe"

	"github.com/weft-run/weft/kernels/quant"
)

// What follows is no operation of a step: it runs at once, on the goroutine that calls, beside whatever the workers do.

// mostSums bounds a call of mulFloats64, in multiply-adds, as maxCall does for products.
const mostSums = 1 << 20

// MulFloats64 sets dst[t*stride+r] to the product in float64 of row t of x and row r of w, of cols columns each (ref.MulFloats64).
func (d *Device) MulFloats64(dst []float64, stride int, w, x []float32, cols int) {
	const most = 4 // rows of x in a call, as many as share what is loaded of w
	step := max(2, mostSums/(most*cols)&^1)
	rows, count := len(w)/cols, len(x)/cols
	for t := 0; t < count; t += most {
		some := x[t*cols : min(t+most, count)*cols]
		for r := 0; r < rows; r += step {
			d.table.mulFloats64(dst[t*stride+r:], stride, w[r*cols:min(r+step, rows)*cols], some, cols)
		}
	}
}

// Calm says that work of this process that took the workers' cores is over: those that rest for want of a core come back.
func (d *Device) Calm() { d.pool.calm.Store(true) }

// mostValues bounds a call that converts values.
const mostValues = 1 << 17

// Decode sets dst to the values of src: quant.Decode.
func (d *Device) Decode(t quant.Type, dst []float32, src []byte) {
	p := d.table.products[t]
	if p == nil || p.decode == nil {
		quant.Decode(t, dst, src)
		return
	}
	for size := t.RowBytes(mostValues); len(dst) > mostValues; dst, src = dst[mostValues:], src[size:] {
		p.decode(dst[:mostValues], src[:size])
	}
	p.decode(dst, src)
}

// PutF16 writes the halves nearest to from's values, little-endian: 2*len(from) bytes.
func (d *Device) PutF16(to []byte, from []float32) {
	halves, ok := asHalves(to[:2*len(from)])
	if !ok {
		quant.Encode(quant.F16, to[:2*len(from)], from)
		return
	}
	for ; len(from) > mostValues; from, halves = from[mostValues:], halves[mostValues:] {
		d.table.floatsToHalves(halves[:mostValues], from[:mostValues])
	}
	d.table.floatsToHalves(halves, from)
}

// asHalves is memory of little-endian halves as such, where this machine has them so, there.
func asHalves(memory []byte) ([]uint16, bool) {
	p := unsafe.Pointer(unsafe.SliceData(memory))
	if !littleEndian || uintptr(p)%2 != 0 {
		return nil, false
	}
	return unsafe.Slice((*uint16)(p), len(memory)/2), true
}
