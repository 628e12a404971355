package cpu

import (
	"golang.org/x/sys/cpu"

	"github.com/weft-run/weft/kernels/cpu/avx2"
	"github.com/weft-run/weft/kernels/cpu/avx512"
	"github.com/weft-run/weft/kernels/cpu/avxvnni"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// levels is the ladder, slowest first.
var levels = []level{
	{name: "ref", usable: func() bool { return true }, overlay: overlayRef},
	{name: "avx2", usable: hasAVX2, overlay: overlayAVX2},
	{name: "avxvnni", usable: hasAVXVNNI, overlay: overlayAVXVNNI},
	{name: "avx512", usable: hasAVX512, overlay: overlayAVX512},
}

func hasAVX2() bool {
	return avx2.Built && cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
}

// halvesUpTo and quantsUpTo are up to how many queries a tile of halves, or of quants, is met where it lies though each may see
// other positions of it and convert it again.
const (
	halvesUpTo = 16
	quantsUpTo = 8
)

// panelsOfEightFrom is the number of rows of activations from which on a panel of whole rows of weights pays, at the levels whose
// registers hold eight rows side by side; up to it they meet one block of the weights after the other, as it is unpacked.
const panelsOfEightFrom = 33

// overlayAVX2 sets what kernels/cpu/avx2 has: for some formats kernels of their own, for the others one way through 16 bits.
func overlayAVX2(t *table) {
	t.quantize, t.widen, t.pack = avx2.Quantize, avx2.Widen, avx2.Pack
	t.rmsNorm, t.siluMul, t.add = avx2.RMSNorm, avx2.SiluMul, avx2.Add
	t.rotateAdjacent, t.rotateHalves = avx2.RotateAdjacent, avx2.RotateHalves
	t.scores, t.weights, t.mix, t.merge = avx2.Scores, avx2.Weights, avx2.Mix, avx2.Merge
	t.divide = avx2.Divide
	t.halvesToFloats, t.floatsToHalves = avx2.HalvesToFloats, avx2.FloatsToHalves
	t.coders[quant.Q8_0] = &coder{encode: avx2.EncodeQ8_0, keys: avx2.LoadKeysQ8_0, values: avx2.DecodeQ8_0}
	t.coders[quant.Q4_0] = &coder{encode: avx2.EncodeQ4_0, keys: avx2.LoadKeysQ4_0, values: avx2.DecodeQ4_0}
	t.inPlace[quant.F16] = &inPlace{dims: 16, most: halvesUpTo, alike: true, scores: avx2.ScoresHalves, mix: avx2.MixHalves}
	t.inPlace[quant.Q8_0] = &inPlace{dims: 32, most: quantsUpTo, alike: true, scores: avx2.ScoresQ8_0, mix: avx2.MixQ8_0}
	t.inPlace[quant.Q4_0] = &inPlace{dims: 32, most: quantsUpTo, alike: true, scores: avx2.ScoresQ4_0, mix: avx2.MixQ4_0}
	t.prefetch, t.mulFloats = avx2.Prefetch, avx2.MulFloats
	t.shrink, t.expand = avx2.Shrink, avx2.Expand
	t.mulFloats64 = avx2.MulFloats64
	t.limits = limits{
		read: avx2.LimitRead, bytes: avx2.LimitBytes, bytesTurn: avx2.LimitBytesTurn, bytesBy: "VPMADDUBSW",
		floats: avx2.LimitFloats, floatsTurn: avx2.LimitFloatsTurn, floatsBy: "VFMADD231PS (256 bits)",
	}
	for typ, p := range t.products {
		if p.form == ref.Float {
			continue
		}
		p.rowsQuant = func(dst []float32, w []byte, x *ref.Quants) { avx2.RowsQuant(typ, dst, w, x) }
		p.fewFrom, p.fewFours, p.panelFrom = 2, true, panelsOfEightFrom
		if !avx2.HasBytes(typ) {
			p.fewFrom = 3 // two rows of activations one after the other take 0.7 to 0.9 of the time
		}
		p.few = func(dst []float32, stride int, w []byte, rows int, x *ref.Quants, ahead [][2]uintptr) {
			avx2.FewRows(typ, dst, stride, w, rows, x, ahead)
		}
		if !avx2.HasBytes(typ) {
			p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { avx2.UnpackPanel(typ, panel, w, rows, cols) }
			p.mul = avx2.MulPanel
			continue
		}
		p.widePanels, p.fours = false, true
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { avx2.UnpackBytes(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			avx2.MulBytes(typ, dst, stride, panel, x)
		}
	}
	for typ, rows := range map[quant.Type]func(dst []float32, w []byte, x []float32){
		quant.F32: avx2.RowsF32, quant.F16: avx2.RowsF16, quant.BF16: avx2.RowsBF16,
	} {
		t.products[typ].rowsFloat = rows
	}
	t.products[quant.F16].decode, t.products[quant.BF16].decode = avx2.DecodeF16, avx2.DecodeBF16
}

// hasAVXVNNI asks for AVX2 too: the level lies on top of it.
func hasAVXVNNI() bool {
	if avxvnni.EVEX {
		return avxvnni.Built && hasAVX2() && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI
	}
	return avxvnni.Built && hasAVX2() && cpu.X86.HasAVXVNNI
}

// overlayAVXVNNI sets the product of panels of bytes, for all quantized types.
func overlayAVXVNNI(t *table) {
	t.limits.bytes, t.limits.bytesTurn, t.limits.bytesBy = avxvnni.LimitBytes, avxvnni.LimitBytesTurn, "VPDPBUSD (256 bits)"
	for typ, p := range t.products {
		if p.form == ref.Float {
			continue
		}
		p.widePanels, p.fours = false, true
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { avx2.UnpackBytes(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			avxvnni.MulBytes(typ, dst, stride, panel, x)
		}
	}
}

// hasAVX512 asks for AVX2 too: the level lies on top of it.
func hasAVX512() bool {
	x := &cpu.X86
	return avx512.Built && hasAVX2() &&
		x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ && x.HasAVX512VNNI
}

// panelsOfBytesFrom and, for super-blocks, whose unpacking costs more, panelsOfSupersFrom is the number of rows of activations from which
// on unpacking weights to a panel costs less than meeting them in registers again for every sixteen rows.
const panelsOfBytesFrom, panelsOfSupersFrom = 17, 65

// overlayAVX512 sets the quantized products and attention. Where many queries see a tile alike they meet float32 too.
func overlayAVX512(t *table) {
	mixHalves := func(acc, p []float32, h, next *ref.PagedTile, room []float32, dim, first, last int, corrections []float32) {
		if len(corrections) == 1 { // which waits less for sums in narrower registers, twice as many
			avx2.MixHalves(acc, p, h, next, room, dim, first, last, corrections)
		} else {
			avx512.MixHalves(acc, p, h, next, room, dim, first, last, corrections)
		}
	}
	t.inPlace[quant.F16] = &inPlace{dims: 16, most: halvesUpTo, scores: avx512.ScoresHalves, mix: mixHalves}
	t.inPlace[quant.Q8_0] = &inPlace{dims: 32, most: quantsUpTo, scores: avx512.ScoresQ8_0, mix: avx512.MixQ8_0}
	t.inPlace[quant.Q4_0] = &inPlace{dims: 32, most: quantsUpTo, scores: avx512.ScoresQ4_0, mix: avx512.MixQ4_0}
	t.mulFloats = avx512.MulFloats
	t.limits.bytes, t.limits.bytesTurn, t.limits.bytesBy = avx512.LimitBytes, avx512.LimitBytesTurn, "VPDPBUSD"
	t.coders[quant.Q8_0].keys, t.coders[quant.Q8_0].values = avx512.LoadKeysQ8_0, avx512.DecodeQ8_0
	t.coders[quant.Q4_0].keys, t.coders[quant.Q4_0].values = avx512.LoadKeysQ4_0, avx512.DecodeQ4_0
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
		p.tiles, p.fours, p.widePanels, p.wideRows, p.panelFrom = true, false, false, false, panelsOfBytesFrom
		p.unpack = func(panel *ref.Panel, w []byte, rows, cols int) { avx512.UnpackBytes(typ, panel, w, rows, cols) }
		p.mul = func(dst []float32, stride int, panel *ref.Panel, x *ref.Quants) {
			avx512.MulBytes(typ, dst, stride, panel, x)
		}
		p.fewFrom, p.fewFours = 2, false
		p.few = func(dst []float32, stride int, w []byte, rows int, x *ref.Quants, ahead [][2]uintptr) {
			avx512.FewRows(typ, dst, stride, w, rows, x, ahead)
		}
		if p.form == ref.Supers {
			p.panelFrom = panelsOfSupersFrom
			// Others are read by avx2 as fast as memory allows.
			p.rowsQuant = func(dst []float32, w []byte, x *ref.Quants) { avx512.RowsQuant(typ, dst, w, x) }
		}
	}
}
