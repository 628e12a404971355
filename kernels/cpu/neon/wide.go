//go:build arm64 && !noasm

package neon

import (
	"unsafe"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// The way of the formats without a kernel of their own: blocks are unpacked to 16-bit integers, by Go, then met with the
// activations in 16 bits.

// integersSize is the distance of the blocks of several rows.
const integersSize = int(unsafe.Sizeof(quant.Integers{}))

// RowsWide is ref.RowsQuant for any format. x must be wide.
func RowsWide(t quant.Type, dst []float32, w []byte, x *ref.Quants) {
	size := t.RowBytes(x.Cols)
	if len(dst) < 8 {
		ref.RowsQuant(t, dst, w, x)
		return
	}
	reads(x.Wide)
	for first := 0; first < len(dst); first += 8 {
		first = min(first, len(dst)-8) // the last rows perhaps twice, with the same bits
		eightRowsWide(t, (*[8]float32)(dst[first:]), w[first*size:(first+8)*size], x)
	}
}

func eightRowsWide(t quant.Type, dst *[8]float32, w []byte, x *ref.Quants) {
	var blocks [8]quant.Integers
	var d, m [8]float32
	info := t.Info()
	n, size := info.BlockLen, len(w)/8
	minima := t.HasMinima()
	*dst = [8]float32{}
	for i := range x.Scale {
		for r := range blocks {
			b := &blocks[r]
			b.Unpack(t, w[r*size+i*info.BlockBytes:r*size+(i+1)*info.BlockBytes])
			d[r], m[r] = b.D, b.M
		}
		dotRows(&dst[0], &blocks[0].Q[0], integersSize, &x.Wide[i*n], n, &d[0], &x.Scale[i])
		switch {
		case !minima:
		case n == 256:
			dotRows(&dst[0], &blocks[0].Mins[0], integersSize, &x.Sums[16*i], 16, &m[0], &x.Scale[i])
		default: // the minima are all 1
			sum := float32(int32(x.Sums[2*i]) + int32(x.Sums[2*i+1]))
			for r := range dst {
				dst[r] = exact.FMA32(float32(m[r]*x.Scale[i]), sum, dst[r])
			}
		}
	}
}

// UnpackPanel is ref.UnpackPanel.
func UnpackPanel(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	if rows < ref.PanelRows {
		ref.UnpackPanel(t, p, w, rows, cols)
		return
	}
	info := t.Info()
	size := t.RowBytes(cols)
	minima := t.HasMinima()
	n := info.BlockLen
	writes(p.Q[:cols*ref.PanelRows])
	var blocks [ref.PanelRows]quant.Integers
	for i := range cols / n {
		for r := range blocks {
			b := &blocks[r]
			b.Unpack(t, w[r*size+i*info.BlockBytes:r*size+(i+1)*info.BlockBytes])
			p.D[i*ref.PanelRows+r] = b.D
			p.M[i*ref.PanelRows+r] = b.M
		}
		interleave(&p.Q[i*n*ref.PanelRows], &blocks[0].Q[0], integersSize, n/2)
		switch {
		case !minima:
		case n == 256:
			interleave(&p.Mins[i*16*ref.PanelRows], &blocks[0].Mins[0], integersSize, 8)
		default:
			line := p.Mins[i*2*ref.PanelRows : (i+1)*2*ref.PanelRows]
			for r := range blocks {
				line[2*r], line[2*r+1] = blocks[r].Mins[0], blocks[r].Mins[1]
			}
		}
	}
}

// MulPanel is ref.MulPanel.
func MulPanel(dst []float32, stride int, p *ref.Panel, x *ref.Quants, minima bool) {
	blocks := x.Cols / x.BlockLen
	count := len(x.Scale) / blocks
	markPanel(dst, stride, count)
	reads(p.Q[:x.Cols*ref.PanelRows])
	reads(x.Wide)
	four, one := mulWide4, mulWide1
	if minima {
		four, one = mulWideMinima4, mulWideMinima1
	}
	for t := 0; t < count; {
		kernel, n := one, 1
		if t+4 <= count {
			kernel, n = four, 4
		}
		kernel(&dst[t*stride], 4*stride, &p.Q[0], &p.Mins[0], &p.D[0], &p.M[0], blocks, x.BlockLen,
			&x.Wide[t*x.Cols], &x.Scale[t*blocks], &x.Sums[t*x.Cols/16])
		t += n
	}
}

// markPanel also panics when dst is too short for what the assembly writes.
func markPanel(dst []float32, stride, count int) {
	for t := range count {
		writes(dst[t*stride : t*stride+ref.PanelRows])
	}
}
