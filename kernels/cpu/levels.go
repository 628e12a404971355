package cpu

import (
	"golang.org/x/sys/cpu"

	"github.com/weft-run/weft/kernels/cpu/avx2"
	"github.com/weft-run/weft/kernels/cpu/avx512"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// levels is the ladder, slowest first.
var levels = []level{
	{name: "ref", usable: func() bool { return true }, overlay: overlayRef},
	{name: "avx2", usable: hasAVX2, overlay: overlayAVX2},
	{name: "avx512", usable: hasAVX512, overlay: overlayAVX512},
}

func hasAVX2() bool {
	return avx2.Built && cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
}

// overlayAVX2 sets what kernels/cpu/avx2 has: for some formats kernels of their own, for the others one way through 16 bits.
func overlayAVX2(t *table) {
	t.quantize, t.widen = avx2.Quantize, avx2.Widen
	t.rmsNorm, t.siluMul, t.add = avx2.RMSNorm, avx2.SiluMul, avx2.Add
	t.rotateAdjacent, t.rotateHalves = avx2.RotateAdjacent, avx2.RotateHalves
	t.scores, t.weights, t.mix = avx2.Scores, avx2.Weights, avx2.Mix
	t.halvesToFloats, t.floatsToHalves = avx2.HalvesToFloats, avx2.FloatsToHalves
	t.prefetch, t.mulFloats = avx2.Prefetch, avx2.MulFloats
	t.limits = limits{
		read: avx2.LimitRead, bytes: avx2.LimitBytes, bytesTurn: avx2.LimitBytesTurn, bytesBy: "VPMADDUBSW",
		floats: avx2.LimitFloats, floatsTurn: avx2.LimitFloatsTurn, floatsBy: "VFMADD231PS (256 bits)",
	}
	for typ, p := range t.products {
		if p.form == ref.Float {
			continue
		}
		minima := typ.HasMinima()
		p.rowsQuant, p.wideRows = func(dst []float32, w []byte, x *ref.Quants) { avx2.RowsWide(typ, dst, w, x) }, true
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { avx2.UnpackPanel(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			avx2.MulPanel(dst, stride, panel, x, minima)
		}
	}
	for typ, rows := range map[quant.Type]func(dst []float32, w []byte, x []float32){
		quant.F32: avx2.RowsF32, quant.F16: avx2.RowsF16, quant.BF16: avx2.RowsBF16,
	} {
		t.products[typ].rowsFloat = rows
	}
	t.products[quant.F16].decode, t.products[quant.BF16].decode = avx2.DecodeF16, avx2.DecodeBF16
	for typ, rows := range map[quant.Type]func(dst []float32, w []byte, x *ref.Quants){
		quant.Q8_0: avx2.RowsQ8_0, quant.Q4_0: avx2.RowsQ4_0, quant.Q4_1: avx2.RowsQ4_1,
	} {
		t.products[typ].rowsQuant, t.products[typ].wideRows = rows, false
	}
	for typ, unpack := range map[quant.Type]func(p *ref.Panel, w []byte, rows, cols int){
		quant.Q4_0: avx2.UnpackQ4_0, quant.Q4_1: avx2.UnpackQ4_1,
	} {
		p, minima := t.products[typ], typ.HasMinima()
		p.unpack, p.widePanels = unpack, false
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			avx2.MulNibbles(dst, stride, panel, x, minima)
		}
	}
}

// hasAVX512 asks for AVX2 too: the level lies on top of it.
func hasAVX512() bool {
	x := &cpu.X86
	return avx512.Built && hasAVX2() &&
		x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ && x.HasAVX512VNNI
}

// overlayAVX512 sets the quantized products: by panels of bytes from two rows of activations on.
func overlayAVX512(t *table) {
	t.limits.bytes, t.limits.bytesTurn, t.limits.bytesBy = avx512.LimitBytes, avx512.LimitBytesTurn, "VPDPBUSD"
	t.scores, t.weights = avx512.Scores, avx512.Weights
	t.mix = func(acc, p, values []float32, dim, first, last int, corrections []float32) {
		if dim%16 == 0 {
			avx512.Mix(acc, p, values, dim, first, last, corrections)
		} else {
			avx2.Mix(acc, p, values, dim, first, last, corrections)
		}
	}
	for typ, p := range t.products {
		if p.form == ref.Float {
			continue
		}
		p.tiles, p.widePanels, p.wideRows, p.panelFrom = true, false, false, 2
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { avx512.UnpackBytes(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			avx512.MulBytes(typ, dst, stride, panel, x)
		}
		switch typ {
		case quant.Q4_0, quant.Q4_1, quant.Q8_0:
			// AVX2's eight rows a turn are faster for one row of activations: 162 to 146 tokens/s, SmolLM2-135M Q4_1 on Zen 4.
		default:
			p.rowsQuant = func(dst []float32, w []byte, x *ref.Quants) { avx512.RowsQuant(typ, dst, w, x) }
		}
	}
}
