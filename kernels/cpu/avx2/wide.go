//go:build amd64 && !noasm

package avx2

import (
	"unsafe"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// The way of the formats without a kernel of their own: blocks are unpacked to 16-bit integers, then met with the
// activations in 16 bits.

// integersSize is the distance of the blocks of several rows.
const integersSize = int(unsafe.Sizeof(quant.Integers{}))

// unpack is b.Unpack.
func unpack(t quant.Type, b *quant.Integers, src []byte) {
	b.UnpackScales(t, src)
	q, scales := &b.Q[0], &b.Scales[0]
	switch t {
	case quant.Q8_0:
		widen(q, (*int8)(unsafe.Pointer(&src[2:34][0])), 32)
	case quant.Q5_0:
		unpackFifths(q, scales, &src[6:22][0], &src[2], 16)
	case quant.Q5_1:
		unpackFifths(q, scales, &src[8:24][0], &src[4], 0)
	case quant.Q2_K:
		unpackQ2_K(q, scales, &src[16:80][0])
	case quant.Q3_K:
		unpackQ3_K(q, scales, &src[0], &src[32:96][0])
	case quant.Q4_K:
		unpackQ4_K(q, scales, &src[16:144][0])
	case quant.Q5_K:
		unpackQ5_K(q, scales, &src[16], &src[48:176][0])
	case quant.Q6_K:
		unpackQ6_K(q, scales, &src[0], &src[128:192][0])
	case quant.IQ4_NL:
		unpackCodebook(q, scales, &src[2:18][0], codes(t), 1)
	case quant.MXFP4:
		unpackCodebook(q, scales, &src[1:17][0], codes(t), 1)
	case quant.IQ4_XS:
		unpackCodebook(q, scales, &src[8:136][0], codes(t), 8)
	default:
		b.Unpack(t, src)
	}
}

func codes(t quant.Type) *byte {
	return (*byte)(unsafe.Pointer(&t.Codebook()[0]))
}

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
			unpack(t, b, w[r*size+i*info.BlockBytes:r*size+(i+1)*info.BlockBytes])
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

// wideUnpackers are the unpacking of the formats that have no MulBytes.
var wideUnpackers = map[quant.Type]func(panel, pairs, mins *int16, d, m *float32, w *byte, blocks int){
	quant.Q8_0: unpackWideQ8_0, quant.IQ4_NL: unpackWideIQ4_NL, quant.IQ4_XS: unpackWideIQ4_XS,
}

// UnpackPanel is ref.UnpackPanel for the formats that have no MulBytes.
func UnpackPanel(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	info, half := t.Info(), 8*t.RowBytes(cols)
	reads(w)
	w = sixteenRows(p, w[:rows*t.RowBytes(cols)], 2*half)
	writes(p.Q[:cols*ref.PanelRows])
	unpack := wideUnpackers[t]
	unpack(&p.Q[0], &p.Pairs[0], &p.Mins[0], &p.D[0], &p.M[0], &w[0], cols/info.BlockLen)
	unpack(&p.Q[16], &p.Pairs[16], &p.Mins[16], &p.D[8], &p.M[8], &w[half], cols/info.BlockLen)
}

// MulPanel is ref.MulPanel for formats without minima. x must be wide.
func MulPanel(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	blocks := x.Cols / x.BlockLen
	count := len(x.Scale) / blocks
	if count == 0 {
		return
	}
	markPanel(dst, stride, count)
	reads(p.Q[:x.Cols*ref.PanelRows])
	reads(x.Wide)
	mulWide(&dst[0], 4*stride, &p.Q[0], &p.D[0], blocks, x.BlockLen, &x.Wide[0], &x.Scale[0], count)
}
