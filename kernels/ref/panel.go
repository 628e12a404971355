package ref

import (
	"encoding/binary"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
)

// PanelRows is the number of weight rows that a panel holds side by side.
const PanelRows = 16

// Panel is PanelRows rows of quantized weights, unpacked once to meet many rows of activations. Entry [i][r][k] of Q is
// weight 2i+k of row r, its sub-block scale multiplied in; Mins likewise for the minima of each 16 weights. D and M hold
// the scales of block b of row r at [b][r]. Rows that the matrix does not have are zero.
type Panel struct {
	Q    []int16   // [Cols/2][PanelRows][2]
	Mins []int16   // [Cols/32][PanelRows][2]; unused in formats without minima
	D    []float32 // [blocks][PanelRows]
	M    []float32 // [blocks][PanelRows]; unused in formats without minima

	// Bytes holds the weights in place of Q where they are multiplied as bytes: entry [i][r][k] is weight 4i+k of row r,
	// with an offset that makes it unsigned and without the scale of its sub-block, which Scales has for each 16 weights.
	Bytes  []uint8 // [Cols/4][PanelRows][4]
	Scales []int8  // [Cols/16][PanelRows]

	// Pairs holds the scales of sub-blocks in place of Scales where they are multiplied in pairs of 16 bits, each twice, in
	// the order of sub-blocks. Rest is room for the last rows of a matrix, filled up to PanelRows.
	Pairs []int16 // [Cols/16][PanelRows][2]
	Rest  []byte
}

// UnpackPanel sets p to rows rows of weights of cols columns.
func UnpackPanel(t quant.Type, p *Panel, w []byte, rows, cols int) {
	info := t.Info()
	size := t.RowBytes(cols)
	minima := t.HasMinima()
	if rows < PanelRows {
		clear(p.Q[:PanelRows*cols])
		clear(p.Mins[:PanelRows*cols/16])
		clear(p.D[:PanelRows*cols/info.BlockLen])
		clear(p.M[:PanelRows*cols/info.BlockLen])
	}
	var b quant.Integers
	for r := range rows {
		row := w[r*size : (r+1)*size]
		for i := range cols / info.BlockLen {
			b.Unpack(t, row[i*info.BlockBytes:(i+1)*info.BlockBytes])
			p.D[i*PanelRows+r] = b.D
			spread(p.Q[i*info.BlockLen*PanelRows:], b.Q[:info.BlockLen], r)
			if minima {
				p.M[i*PanelRows+r] = b.M
				spread(p.Mins[i*info.BlockLen/16*PanelRows:], b.Mins[:info.BlockLen/16], r)
			}
		}
	}
}

// spread writes src as the pairs of row r.
func spread(dst, src []int16, r int) {
	for i := 0; i < len(src); i += 2 {
		pair := dst[i*PanelRows+2*r:]
		pair[0], pair[1] = src[i], src[i+1]
	}
}

// MulPanel sets dst[t*stride+r] to the product of row t of x, which must be wide, with row r of p, for all PanelRows rows.
// The result is that of RowsQuant.
func MulPanel(dst []float32, stride int, p *Panel, x *Quants, minima bool) {
	blocks := x.Cols / x.BlockLen
	for t := range len(x.Scale) / blocks {
		row := x.Rows(t, 1)
		var acc [PanelRows]float32
		for b, dx := range row.Scale {
			sum := mulPairs(p.Q[b*x.BlockLen*PanelRows:], row.Wide[b*x.BlockLen:(b+1)*x.BlockLen])
			for r, d := range p.D[b*PanelRows : (b+1)*PanelRows] {
				acc[r] = exact.FMA32(float32(d*dx), float32(sum[r]), acc[r])
			}
			if minima {
				n := x.BlockLen / 16
				sum = mulPairs(p.Mins[b*n*PanelRows:], row.Sums[b*n:(b+1)*n])
				for r, m := range p.M[b*PanelRows : (b+1)*PanelRows] {
					acc[r] = exact.FMA32(float32(m*dx), float32(sum[r]), acc[r])
				}
			}
		}
		copy(dst[t*stride:], acc[:])
	}
}

// mulPairs returns the exact integer products of x with the pairs of each row.
func mulPairs(pairs, x []int16) (sum [PanelRows]int32) {
	for i := 0; i < len(x); i += 2 {
		x0, x1 := int32(x[i]), int32(x[i+1])
		p := pairs[i*PanelRows : i*PanelRows+2*PanelRows]
		for r := range sum {
			sum[r] += int32(p[2*r])*x0 + int32(p[2*r+1])*x1
		}
	}
	return sum
}

// UnpackNibbles sets p to rows rows of weights of Q4_0 or Q4_1, by their nibbles.
func UnpackNibbles(t quant.Type, p *Panel, w []byte, rows, cols int) {
	info := t.Info()
	size := t.RowBytes(cols)
	if rows < PanelRows {
		clear(p.Bytes[:PanelRows*cols])
		clear(p.D[:PanelRows*cols/info.BlockLen])
		clear(p.M[:PanelRows*cols/info.BlockLen])
	}
	for r := range rows {
		row := w[r*size : (r+1)*size]
		for b := range cols / info.BlockLen {
			block := row[b*info.BlockBytes : (b+1)*info.BlockBytes]
			p.D[b*PanelRows+r] = quant.F16ToF32(binary.LittleEndian.Uint16(block))
			if t == quant.Q4_1 {
				p.M[b*PanelRows+r] = quant.F16ToF32(binary.LittleEndian.Uint16(block[2:]))
			}
			for i, q := range block[info.BlockBytes-16:] {
				at := (32*b+i)/4*4*PanelRows + 4*r + i%4
				p.Bytes[at] = q & 15
				p.Bytes[at+16*PanelRows] = q >> 4
			}
		}
	}
}

// MulNibbles is MulPanel for a panel of nibbles of Q4_0 or, with minima, of Q4_1.
func MulNibbles(dst []float32, stride int, p *Panel, x *Quants, minima bool) {
	blocks := x.Cols / 32
	for t := range len(x.Scale) / blocks {
		row := x.Rows(t, 1)
		var acc [PanelRows]float32
		for b, dx := range row.Scale {
			sum := int32(row.Sums[2*b]) + int32(row.Sums[2*b+1])
			dots := mulFours(p.Bytes[b*32*PanelRows:], row.Q[32*b:32*b+32])
			for r, d := range p.D[b*PanelRows : (b+1)*PanelRows] {
				if !minima {
					acc[r] = exact.FMA32(float32(d*dx), float32(dots[r]-8*sum), acc[r])
					continue
				}
				acc[r] = exact.FMA32(float32(d*dx), float32(dots[r]), acc[r])
				acc[r] = exact.FMA32(float32(p.M[b*PanelRows+r]*dx), float32(sum), acc[r])
			}
		}
		copy(dst[t*stride:], acc[:])
	}
}

// mulFours returns the exact integer products of x with the fours of each row.
func mulFours(fours []uint8, x []int8) (sum [PanelRows]int32) {
	for i := 0; i < len(x); i += 4 {
		x0, x1, x2, x3 := int32(x[i]), int32(x[i+1]), int32(x[i+2]), int32(x[i+3])
		f := fours[i*PanelRows : i*PanelRows+4*PanelRows]
		for r := range sum {
			q := f[4*r : 4*r+4]
			sum[r] += int32(q[0])*x0 + int32(q[1])*x1 + int32(q[2])*x2 + int32(q[3])*x3
		}
	}
	return sum
}

// MulFloats sets dst[t*stride+r] to Dot of row t of x and row r of w, for all rows of both, which have cols columns.
func MulFloats(dst []float32, stride int, w []float32, x []float32, cols int) {
	for t := range len(x) / cols {
		for r := range len(w) / cols {
			dst[t*stride+r] = Dot(w[r*cols:(r+1)*cols], x[t*cols:(t+1)*cols])
		}
	}
}

// Whole returns the weights of a panel: w, or, where these are the last rows of a matrix, a copy in Rest filled up with zeros
// to size bytes.
func (p *Panel) Whole(w []byte, size int) []byte {
	if len(w) == size {
		return w
	}
	if cap(p.Rest) < size {
		p.Rest = make([]byte, size)
	}
	p.Rest = p.Rest[:size]
	clear(p.Rest[copy(p.Rest, w):])
	return p.Rest
}
