//go:build amd64 && !noasm

package avx2

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// wideUnpackers are the unpacking of the formats that have no MulBytes: their panels are of 16-bit integers.
var wideUnpackers = map[quant.Type]func(panel, pairs, mins *int16, d, m *float32, w *byte, blocks int){
	quant.Q8_0: unpackWideQ8_0, quant.IQ4_NL: unpackWideIQ4_NL, quant.IQ4_XS: unpackWideIQ4_XS,
}

// UnpackPanel is ref.UnpackPanel for the formats that have no MulBytes.
func UnpackPanel(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	info, half := t.Info(), 8*t.RowBytes(cols)
	reads(w)
	w = p.Whole(w[:rows*t.RowBytes(cols)], 2*half)
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
