//go:build amd64 && !noasm

package avx2

import (
	"unsafe"

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
			unpack(t, b, w[r*size+i*info.BlockBytes:r*size+(i+1)*info.BlockBytes])
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
