package ref

import "github.com/weft-run/weft/kernels/quant"

// Quarter is the number of positions of a tile that lie in one piece in pages of every size.
const Quarter = 16

// PagedTile is a tile of a cache where it lies, quarter by quarter: the tokens from At on of a page of Tokens, whose keys
// and values of one head are Keys and Values.
type PagedTile struct {
	Keys, Values [Tile / Quarter][]byte
	At           [Tile / Quarter]int
	Tokens       int
}

// Places are where something of each quarter of a tile begins: for assembly.
type Places [Tile / Quarter]*byte

// KeyHalves returns where the keys begin in a cache of F16.
func (t *PagedTile) KeyHalves() (at Places) {
	for i, keys := range t.Keys {
		at[i] = &keys[2*t.At[i]]
	}
	return at
}

// KeyQuants returns where the scales of the keys begin in a quantized cache, and their quants.
func (t *PagedTile) KeyQuants() (at [2]Places) {
	for i, keys := range t.Keys {
		at[0][i], at[1][i] = &keys[2*t.At[i]], &keys[2*t.Tokens+t.At[i]]
	}
	return at
}

// ValuePlaces returns where the values begin, each of size bytes.
func (t *PagedTile) ValuePlaces(size int) (at Places) {
	for i, values := range t.Values {
		at[i] = &values[t.At[i]*size]
	}
	return at
}

// ScoresPaged is Scores with the keys of a tile of a cache of type t: F16, Q8_0 or Q4_0.
func ScoresPaged(t quant.Type, dst, q []float32, tile *PagedTile, dim int, scale float32) {
	keys, page := make([]float32, dim*Tile), make([]float32, dim*tile.Tokens)
	for i, src := range tile.Keys {
		src = src[:tile.Tokens*t.RowBytes(dim)]
		if t == quant.F16 {
			quant.Decode(t, page, src)
		} else {
			LoadKeyQuants(t, page, tile.Tokens, src, tile.Tokens)
		}
		for d := range dim {
			copy(keys[d*Tile+i*Quarter:][:Quarter], page[d*tile.Tokens+tile.At[i]:])
		}
	}
	Scores(dst, q, keys, dim, scale)
}

// MixPaged is Mix with the values of a tile of a cache of type t.
func MixPaged(t quant.Type, acc, p []float32, tile *PagedTile, dim, first, last int, corrections []float32) {
	values, size := make([]float32, Tile*dim), t.RowBytes(dim)
	for i, src := range tile.Values {
		quant.Decode(t, values[i*Quarter*dim:][:Quarter*dim], src[tile.At[i]*size:][:Quarter*size])
	}
	Mix(acc, p, values, dim, first, last, corrections)
}
