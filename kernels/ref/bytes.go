package ref

import (
	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
)

// byteOffset is what the bytes of a panel are above the weights of formats without minima; the others are unsigned.
const byteOffset = 128

// UnpackBytes sets p to rows rows of weights of cols columns, as bytes. In formats without minima, Mins holds -128 times
// the scales, so that with the sums of quants it takes the offset away.
func UnpackBytes(t quant.Type, p *Panel, w []byte, rows, cols int) {
	if rows < PanelRows {
		clear(p.Bytes[:PanelRows*cols])
		clear(p.Scales[:PanelRows*cols/16])
		clear(p.Mins[:PanelRows*cols/16])
		clear(p.D[:PanelRows*cols/t.Info().BlockLen])
		clear(p.M[:PanelRows*cols/t.Info().BlockLen])
	}
	info, size := t.Info(), t.RowBytes(cols)
	offset := int16(byteOffset)
	if t.HasMinima() {
		offset = 0
	}
	var b quant.Integers
	for r := range rows {
		for i := range cols / info.BlockLen {
			at := r*size + i*info.BlockBytes
			b.Unpack(t, w[at:at+info.BlockBytes])
			p.SetScales(t, &b, i, r)
			for k, v := range b.Q[:info.BlockLen] {
				if scale := b.Scales[k/16]; scale != 0 {
					v /= scale
				}
				k += i * info.BlockLen
				p.Bytes[k/4*4*PanelRows+4*r+k%4] = uint8(v + offset)
			}
		}
	}
}

// SetScales sets everything but Bytes for block i of row r.
func (p *Panel) SetScales(t quant.Type, b *quant.Integers, i, r int) {
	subs := t.Info().BlockLen / 16
	minima := t.HasMinima()
	p.D[i*PanelRows+r] = b.D
	if minima {
		p.M[i*PanelRows+r] = b.M
	}
	for s := range subs {
		at := i*subs + s
		p.Scales[at*PanelRows+r] = int8(b.Scales[s])
		m := -byteOffset * b.Scales[s]
		if minima {
			m = b.Mins[s]
		}
		p.Mins[at/2*2*PanelRows+2*r+at%2] = m
	}
}

// MulBytes is MulPanel for a panel of bytes. It reads the activations where they lie, not their tiles.
func MulBytes(dst []float32, stride int, p *Panel, x *Quants, minima bool) {
	blocks := x.Cols / x.BlockLen
	subs := x.BlockLen / 16
	for t := range len(x.Scale) / blocks {
		row := x.Rows(t, 1)
		var acc [PanelRows]float32
		for b, dx := range row.Scale {
			corrections := mulPairs(p.Mins[b*subs*PanelRows:], row.Sums[b*subs:(b+1)*subs])
			var sum [PanelRows]int32
			for s := b * subs; s < (b+1)*subs; s++ {
				dots := mulFours(p.Bytes[16*s*PanelRows:], row.Q[16*s:16*s+16])
				for r, scale := range p.Scales[s*PanelRows : (s+1)*PanelRows] {
					sum[r] += int32(scale) * dots[r]
				}
			}
			for r := range acc {
				if !minima {
					acc[r] = exact.FMA32(float32(p.D[b*PanelRows+r]*dx), float32(sum[r]+corrections[r]), acc[r])
					continue
				}
				acc[r] = exact.FMA32(float32(p.D[b*PanelRows+r]*dx), float32(sum[r]), acc[r])
				acc[r] = exact.FMA32(float32(p.M[b*PanelRows+r]*dx), float32(corrections[r]), acc[r])
			}
		}
		copy(dst[t*stride:], acc[:])
	}
}
