package ref

// Quarter is the number of positions of a tile that lie in one piece in pages of every size.
const Quarter = 16

// HalfTile is a tile of a cache of halves where it lies, quarter by quarter. Keys lie across, that of position j and
// element d at d*Stride+j of its quarter; values along, at j*dim+d.
type HalfTile struct {
	Keys, Values [Tile / Quarter][]uint16
	Stride       int
}

// ScoresHalves is Scores with the keys of a tile of halves.
func ScoresHalves(dst, q []float32, t *HalfTile, dim int, scale float32) {
	keys := make([]float32, dim*Tile)
	for i, quarter := range t.Keys {
		for d := range dim {
			HalvesToFloats(keys[d*Tile+i*Quarter:], Quarter, quarter[d*t.Stride:][:Quarter], Quarter)
		}
	}
	Scores(dst, q, keys, dim, scale)
}

// MixHalves is Mix with the values of a tile of halves.
func MixHalves(acc, p []float32, t *HalfTile, dim, first, last int, corrections []float32) {
	values := make([]float32, Tile*dim)
	for i, quarter := range t.Values {
		HalvesToFloats(values[i*Quarter*dim:], dim, quarter[:Quarter*dim], dim)
	}
	Mix(acc, p, values, dim, first, last, corrections)
}
