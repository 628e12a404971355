package cpu

import (
	"runtime"

	"golang.org/x/sys/cpu"

	"github.com/weft-run/weft/kernels/cpu/neon"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// ladder is the levels of the architecture that this program is built for.
var ladder = func() []level {
	if runtime.GOARCH == "arm64" {
		return append(levels[:1:1], armLevels...)
	}
	return levels
}()

// armLevels is the ladder of arm64, above ref.
var armLevels = []level{
	{name: "neon", usable: func() bool { return neon.Built }, overlay: overlayNEON},
	{name: "neondot", usable: hasNEONDot, overlay: overlayNEONDot},
	{name: "neoni8mm", usable: func() bool { return hasNEONDot() && cpu.ARM64.HasI8MM }, overlay: overlayNEONMatrix},
}

func hasNEONDot() bool { return neon.Built && cpu.ARM64.HasASIMDDP }

// overlayNEON sets what every arm64 processor can run.
func overlayNEON(t *table) {
	t.quantize, t.widen = neon.Quantize, neon.Widen
	t.rmsNorm, t.siluMul, t.add = neon.RMSNorm, neon.SiluMul, neon.Add
	t.rotateAdjacent, t.rotateHalves = neon.RotateAdjacent, neon.RotateHalves
	t.scores, t.weights, t.mix = neon.Scores, neon.Weights, neon.Mix
	t.halvesToFloats, t.floatsToHalves = neon.HalvesToFloats, neon.FloatsToHalves
	t.coders[quant.Q8_0] = &coder{encode: neon.EncodeQ8_0, keys: neon.LoadKeysQ8_0, values: neon.DecodeQ8_0}
	t.coders[quant.Q4_0] = &coder{encode: neon.EncodeQ4_0, keys: neon.LoadKeysQ4_0, values: neon.DecodeQ4_0}
	t.prefetch, t.mulFloats, t.expand = neon.Prefetch, neon.MulFloats, neon.Expand
	t.shrink = func(t []float32, a []byte, x []float32, scale float32, _ []byte) {
		neon.RowsF16(t, a, x)
		ref.Scale(t, scale)
	}
	for typ, p := range t.products {
		if p.form == ref.Float {
			continue
		}
		minima := typ.HasMinima()
		p.rowsQuant, p.wideRows = func(dst []float32, w []byte, x *ref.Quants) { neon.RowsWide(typ, dst, w, x) }, true
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { neon.UnpackPanel(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			neon.MulPanel(dst, stride, panel, x, minima)
		}
	}
	for typ, rows := range map[quant.Type]func(dst []float32, w []byte, x []float32){
		quant.F32: neon.RowsF32, quant.F16: neon.RowsF16, quant.BF16: neon.RowsBF16,
	} {
		t.products[typ].rowsFloat = rows
	}
	t.products[quant.F16].decode, t.products[quant.BF16].decode = neon.DecodeF16, neon.DecodeBF16
	t.setRows(neon.RowsQ4_0, neon.RowsQ4_1, neon.RowsQ8_0)
	t.setBytes(neon.MulNibbles, quant.Q4_0, quant.Q4_1)
}

func overlayNEONDot(t *table) {
	t.setRows(neon.RowsQ4_0Dot, neon.RowsQ4_1Dot, neon.RowsQ8_0Dot)
	t.setBytes(neon.MulDot, quant.Q4_0, quant.Q4_1, quant.Q8_0)
}

func overlayNEONMatrix(t *table) {
	t.setBytes(neon.MulMatrix, quant.Q4_0, quant.Q4_1, quant.Q8_0)
}

// setRows sets the products of the formats with row kernels of their own.
func (t *table) setRows(q4_0, q4_1, q8_0 func(dst []float32, w []byte, x *ref.Quants)) {
	for typ, rows := range map[quant.Type]func(dst []float32, w []byte, x *ref.Quants){
		quant.Q4_0: q4_0, quant.Q4_1: q4_1, quant.Q8_0: q8_0,
	} {
		t.products[typ].rowsQuant, t.products[typ].wideRows = rows, false
	}
}

// setBytes sets the product of panels of bytes for some formats.
func (t *table) setBytes(mul func(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants), types ...quant.Type) {
	for _, typ := range types {
		p := t.products[typ]
		p.widePanels = false
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { neon.UnpackBytes(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) { mul(typ, dst, stride, panel, x) }
	}
}
