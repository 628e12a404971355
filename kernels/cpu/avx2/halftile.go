//go:build amd64 && !noasm

package avx2

import "github.com/weft-run/weft/kernels/ref"

// ScoresHalves is ref.ScoresHalves.
func ScoresHalves(dst, q []float32, t, next *ref.HalfTile, dim int, scale float32) {
	if dim%2 != 0 {
		ref.ScoresHalves(dst, q, t, dim, scale)
		return
	}
	n := len(q) / dim
	writes(dst[:n*ref.Tile])
	reads(q)
	var at, ahead [len(t.Keys)]*uint16
	for i, keys := range t.Keys {
		reads(keys[:(dim-1)*t.Stride+ref.Quarter])
		at[i], ahead[i] = &keys[0], &next.Keys[i][0]
	}
	scoresHalves(&dst[0], &q[0], &at[0], &ahead[0], n, dim, t.Stride, scale)
}

// MixHalves is ref.MixHalves.
func MixHalves(acc, p []float32, t, next *ref.HalfTile, dim, first, last int, corrections []float32) {
	if dim%16 != 0 {
		ref.MixHalves(acc, p, t, dim, first, last, corrections)
		return
	}
	n := len(corrections)
	writes(acc[:n*dim])
	reads(p[:n*ref.Tile])
	var at, ahead [len(t.Values)]*uint16
	for i, values := range t.Values {
		reads(values[:ref.Quarter*dim])
		at[i], ahead[i] = &values[0], &next.Values[i][0]
	}
	mixHalves(&acc[0], &p[0], &at[0], &ahead[0], n, dim, first, last, &corrections[0])
}
