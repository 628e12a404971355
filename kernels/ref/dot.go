package ref

import (
	"encoding/binary"
	"math"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
)

// Dot returns the float product of a and b: 16 lanes that start at zero, element k added to lane k mod 16 by one FMA, k
// ascending, the last lanes filled with zeros in both; then the lanes' sum.
func Dot(a, b []float32) float32 {
	var lane [Lanes]float32
	for len(a) >= Lanes {
		x, y := a[:Lanes], b[:Lanes]
		for i := range lane {
			lane[i] = exact.FMA32(x[i], y[i], lane[i])
		}
		a, b = a[Lanes:], b[Lanes:]
	}
	if len(a) > 0 {
		for i := range lane {
			var x, y float32
			if i < len(a) {
				x, y = a[i], b[i]
			}
			lane[i] = exact.FMA32(x, y, lane[i])
		}
	}
	return sumLanes(&lane)
}

// Dot64 returns the product of a and b in float64: four lanes that start at zero, element i added to lane i mod 4, i ascending; then the
// lanes, added from the left. A product of two float32 is exact in float64, so it is the same whether the addition is fused with it or not.
func Dot64(a, b []float32) float64 {
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		x, y := (*[4]float32)(a), (*[4]float32)(b)
		s0 += float64(x[0]) * float64(y[0])
		s1 += float64(x[1]) * float64(y[1])
		s2 += float64(x[2]) * float64(y[2])
		s3 += float64(x[3]) * float64(y[3])
		a, b = a[4:], b[4:]
	}
	lane := [4]float64{s0, s1, s2, s3}
	for i, x := range a {
		lane[i] += float64(x) * float64(b[i])
	}
	return lane[0] + lane[1] + lane[2] + lane[3]
}

// MulFloats64 is MulFloats by Dot64.
func MulFloats64(dst []float64, stride int, w, x []float32, cols int) {
	for t := range len(x) / cols {
		for r := range len(w) / cols {
			dst[t*stride+r] = Dot64(w[r*cols:(r+1)*cols], x[t*cols:(t+1)*cols])
		}
	}
}

// RowsFloat sets dst[r] to the float product of x with row r of the weights in w, of type F32, F16 or BF16.
func RowsFloat(t quant.Type, dst []float32, w []byte, x []float32) {
	size := t.RowBytes(len(x))
	for r := range dst {
		dst[r] = dotRow(t, w[r*size:(r+1)*size], x)
	}
}

// dotRow is Dot of a row of encoded weights and x.
func dotRow(t quant.Type, w []byte, x []float32) float32 {
	var lane [Lanes]float32
	for k := 0; k < len(x); k += Lanes {
		n := min(Lanes, len(x)-k)
		var a, b [Lanes]float32
		decodeFloats(t, a[:n], w, k)
		copy(b[:n], x[k:])
		for i := range lane {
			lane[i] = exact.FMA32(a[i], b[i], lane[i])
		}
	}
	return sumLanes(&lane)
}

// decodeFloats sets dst to the weights from number first on.
func decodeFloats(t quant.Type, dst []float32, w []byte, first int) {
	switch t {
	case quant.F32:
		w = w[4*first:]
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(w[4*i:]))
		}
	case quant.F16:
		w = w[2*first:]
		for i := range dst {
			dst[i] = quant.F16ToF32(binary.LittleEndian.Uint16(w[2*i:]))
		}
	case quant.BF16:
		w = w[2*first:]
		for i := range dst {
			dst[i] = quant.BF16ToF32(binary.LittleEndian.Uint16(w[2*i:]))
		}
	default:
		panic("BUG: ref: " + t.String() + " is not a float type")
	}
}

// RowsQuant sets dst[r] to the quantized product of the single row x with row r of the weights in w.
//
// Block by block, ascending, into one accumulator that starts at zero: the exact integer sum of weights times quants,
// as float32, times the rounded product of both scales, by one FMA; then, in formats with minima, the exact integer sum
// of minima times sums of quants the same way with the scale of the minima.
func RowsQuant(t quant.Type, dst []float32, w []byte, x *Quants) {
	info := t.Info()
	size := t.RowBytes(x.Cols)
	minima := t.HasMinima()
	var b quant.Integers
	for r := range dst {
		row := w[r*size : (r+1)*size]
		var acc float32
		for i, dx := range x.Scale {
			b.Unpack(t, row[i*info.BlockBytes:(i+1)*info.BlockBytes])
			dot := dotIntegers(b.Q[:info.BlockLen], x.Q[i*info.BlockLen:])
			acc = exact.FMA32(float32(b.D*dx), float32(dot), acc)
			if minima {
				n := info.BlockLen / 16
				acc = exact.FMA32(float32(b.M*dx), float32(dotSums(b.Mins[:n], x.Sums[i*n:])), acc)
			}
		}
		dst[r] = acc
	}
}

func dotIntegers(w []int16, x []int8) int32 {
	x = x[:len(w)]
	var sum int32
	for i, v := range w {
		sum += int32(v) * int32(x[i])
	}
	return sum
}

func dotSums(mins, sums []int16) int32 {
	sums = sums[:len(mins)]
	var sum int32
	for i, v := range mins {
		sum += int32(v) * int32(sums[i])
	}
	return sum
}
