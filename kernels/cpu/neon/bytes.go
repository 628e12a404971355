//go:build arm64 && !noasm

package neon

import (
	"encoding/binary"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// The formats whose weights are met as bytes: Q4_0, Q4_1 and Q8_0.

// rowsKernel is the assembly of a quantized format for one row of activations.
type rowsKernel func(dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16)

// RowsQ4_0 is ref.RowsQuant for Q4_0.
func RowsQ4_0(dst []float32, w []byte, x *ref.Quants) { rowsQuant(rowsQ4_0, quant.Q4_0, dst, w, x) }

// RowsQ4_1 is ref.RowsQuant for Q4_1.
func RowsQ4_1(dst []float32, w []byte, x *ref.Quants) { rowsQuant(rowsQ4_1, quant.Q4_1, dst, w, x) }

// RowsQ8_0 is ref.RowsQuant for Q8_0.
func RowsQ8_0(dst []float32, w []byte, x *ref.Quants) { rowsQuant(rowsQ8_0, quant.Q8_0, dst, w, x) }

// RowsQ4_0Dot is RowsQ4_0 with FEAT_DotProd.
func RowsQ4_0Dot(dst []float32, w []byte, x *ref.Quants) {
	rowsQuant(rowsQ4_0Dot, quant.Q4_0, dst, w, x)
}

// RowsQ4_1Dot is RowsQ4_1 with FEAT_DotProd.
func RowsQ4_1Dot(dst []float32, w []byte, x *ref.Quants) {
	rowsQuant(rowsQ4_1Dot, quant.Q4_1, dst, w, x)
}

// RowsQ8_0Dot is RowsQ8_0 with FEAT_DotProd.
func RowsQ8_0Dot(dst []float32, w []byte, x *ref.Quants) {
	rowsQuant(rowsQ8_0Dot, quant.Q8_0, dst, w, x)
}

func rowsQuant(kernel rowsKernel, t quant.Type, dst []float32, w []byte, x *ref.Quants) {
	size := t.RowBytes(x.Cols)
	if len(dst) < 8 {
		ref.RowsQuant(t, dst, w, x)
		return
	}
	writes(dst)
	reads(w[:len(dst)*size])
	reads(x.Q)
	reads(x.Scale)
	reads(x.Sums)
	call := func(first, groups int) {
		kernel(&dst[first], &w[first*size], groups, len(x.Scale), &x.Q[0], &x.Scale[0], &x.Sums[0])
	}
	call(0, len(dst)/8)
	if len(dst)%8 > 0 {
		call(len(dst)-8, 1) // some rows twice, with the same bits
	}
}

// UnpackBytes is ref.UnpackNibbles for Q4_0 and Q4_1; the signed bytes of Q8_0 become a panel of the same shape.
func UnpackBytes(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	if t != quant.Q8_0 {
		ref.UnpackNibbles(t, p, w, rows, cols)
		return
	}
	size := t.RowBytes(cols)
	if rows < ref.PanelRows {
		clear(p.Bytes[:cols*ref.PanelRows])
		clear(p.D[:cols/32*ref.PanelRows])
	}
	for r := range rows {
		row := w[r*size : (r+1)*size]
		for b := range cols / 32 {
			block := row[34*b : 34*b+34]
			p.D[b*ref.PanelRows+r] = quant.F16ToF32(binary.LittleEndian.Uint16(block))
			out := p.Bytes[32*b*ref.PanelRows+4*r:]
			for i := range 8 {
				copy(out[4*i*ref.PanelRows:4*i*ref.PanelRows+4], block[2+4*i:6+4*i])
			}
		}
	}
}

// panelKernel is the assembly of a product of a panel of bytes with a fixed number of rows of activations.
type panelKernel func(dst *float32, dstStride int, panel *uint8, d, m *float32, blocks int, q *int8, scale *float32, sums *int16)

// step is a kernel and the number of rows of activations that it takes.
type step struct {
	kernel panelKernel
	rows   int
}

// MulNibbles is ref.MulNibbles for Q4_0 and Q4_1.
func MulNibbles(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	if t == quant.Q4_1 {
		mulBytes(dst, stride, p, x, step{mulNibblesQ4_1_2, 2}, step{mulNibblesQ4_1_1, 1})
		return
	}
	mulBytes(dst, stride, p, x, step{mulNibblesQ4_0_2, 2}, step{mulNibblesQ4_0_1, 1})
}

// MulDot multiplies a panel that UnpackBytes made with FEAT_DotProd: ref.MulPanel.
func MulDot(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	mulBytes(dst, stride, p, x, dots(t)...)
}

// MulMatrix is MulDot with FEAT_I8MM too.
func MulMatrix(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	first := step{mulMatrix4, 4}
	switch t {
	case quant.Q4_0:
		first.kernel = mulMatrixQ4_0_4
	case quant.Q4_1:
		first.kernel = mulMatrixQ4_1_4
	}
	mulBytes(dst, stride, p, x, first, dots(t)[1])
}

func dots(t quant.Type) []step {
	switch t {
	case quant.Q4_0:
		return []step{{mulDotQ4_0_4, 4}, {mulDotQ4_0_1, 1}}
	case quant.Q4_1:
		return []step{{mulDotQ4_1_4, 4}, {mulDotQ4_1_1, 1}}
	}
	return []step{{mulDot4, 4}, {mulDot1, 1}}
}

// mulBytes walks over the rows of activations, by the largest step first.
func mulBytes(dst []float32, stride int, p *ref.Panel, x *ref.Quants, steps ...step) {
	blocks := x.Cols / 32
	count := len(x.Scale) / blocks
	markPanel(dst, stride, count)
	reads(p.Bytes[:x.Cols*ref.PanelRows])
	reads(x.Q)
	t := 0
	for _, s := range steps {
		for ; t+s.rows <= count; t += s.rows {
			s.kernel(&dst[t*stride], 4*stride, &p.Bytes[0], &p.D[0], &p.M[0], blocks,
				&x.Q[t*x.Cols], &x.Scale[t*blocks], &x.Sums[t*x.Cols/16])
		}
	}
}
