package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// TestLoadKeyQuants holds a level's decoding of a page of keys against ref.LoadKeyQuants, and that against quant.Decode.
func TestLoadKeyQuants(t *testing.T, typ quant.Type, f func(dst []float32, stride int, page []byte, tokens int)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range []int{32, 64, 96, 128} {
			for _, tokens := range []int{16, 32, 64} {
				keys := Weights(r, typ, k, tokens, dim)
				page, decoded, size := make([]byte, len(keys)), make([]float32, tokens*dim), typ.RowBytes(dim)
				for j := range tokens {
					ref.StoreKeyQuants(typ, page, tokens, j, keys[j*size:(j+1)*size])
				}
				quant.Decode(typ, decoded, keys)
				for _, stride := range []int{tokens, ref.Tile} {
					n := (dim-1)*stride + tokens
					want, _ := Guarded(n, 0, mark)
					ref.LoadKeyQuants(typ, want, stride, page, tokens)
					for j := range tokens {
						for d := range dim {
							if !Same(want[d*stride+j], decoded[j*dim+d]) {
								t.Fatalf("element %d of the key of token %d is %g, decoded %g", d, j, want[d*stride+j], decoded[j*dim+d])
							}
						}
					}
					got, check := Guarded(n, dim/32, mark)
					f(got, stride, shift(page, dim/32), tokens)
					what := fmt.Sprintf("%d keys of %d, rows %d apart, %s values", tokens, dim, stride, k)
					Equal(t, what, got, want)
					check(t, what)
				}
			}
		}
	}
	// Every scale with every code.
	const tokens = 16
	size := typ.Info().BlockBytes
	page := make([]byte, size*tokens)
	want, got := make([]float32, 32*tokens), make([]float32, 32*tokens)
	for h := 0; h < 1<<16; h += tokens {
		for j := range tokens {
			binary.LittleEndian.PutUint16(page[2*j:], uint16(h+j))
		}
		for i := 2 * tokens; i < len(page); i++ {
			page[i] = byte(r.Uint32())
		}
		ref.LoadKeyQuants(typ, want, tokens, page, tokens)
		f(got, tokens, page, tokens)
		Equal(t, fmt.Sprintf("scales from %#x on", h), got, want)
	}
}

// TestDecodeQuants holds a level's decoding of consecutive blocks against quant.Decode.
func TestDecodeQuants(t *testing.T, typ quant.Type, f func(dst []float32, src []byte)) {
	r := Rand()
	for _, k := range Kinds() {
		for blocks := range 40 {
			src := Weights(r, typ, k, 1, 32*blocks)
			want := make([]float32, 32*blocks)
			quant.Decode(typ, want, src)
			got, check := Guarded(len(want), blocks%9, mark)
			f(got, shift(src, blocks%5))
			what := fmt.Sprintf("%d blocks of %s values", blocks, k)
			Equal(t, what, got, want)
			check(t, what)
		}
	}
}

// TestEncode holds a level's encoder against quant.Encode.
func TestEncode(t *testing.T, typ quant.Type, f func(dst []byte, src []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for blocks := 1; blocks < 40; blocks++ {
			src := Floats(r, k, 32*blocks)
			encode(t, typ, fmt.Sprintf("%d blocks of %s values", blocks, k), f, src)
		}
	}
	// What decides: halves that are rounded, the largest with both signs, magnitudes at the ends, and blocks of one value.
	edges := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 127, -127, 63.5, -63.5, 0.49999997, -0.49999997, 1e-38, -1e-38, 1e-42,
		3e-36, 65504 * 127, 1e38, -1e38, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	}
	src := make([]float32, 32)
	for _, v := range edges {
		for i := range src {
			src[i] = v
		}
		encode(t, typ, fmt.Sprintf("a block of %g", v), f, src)
	}
	for n := range 4000 {
		least := edges[r.IntN(len(edges))]
		for i := range src {
			switch n % 3 {
			case 0: // of a few values
				src[i] = edges[r.IntN(len(edges)-3)]
			case 1: // halves of a step, in both types
				src[i] = float32(r.IntN(511)-255) / 2
			default:
				src[i] = float32(r.NormFloat64()) * least
			}
		}
		src[r.IntN(32)], src[r.IntN(32)] = least, -least
		encode(t, typ, fmt.Sprint(src), f, src)
	}
}

func encode(t *testing.T, typ quant.Type, what string, f func(dst []byte, src []float32), src []float32) {
	t.Helper()
	want := make([]byte, typ.RowBytes(len(src)))
	quant.Encode(typ, want, src)
	got, check := Guarded(len(want), len(src)/32%9, byte(0xa5))
	f(got, shift(src, len(src)/32%5))
	equal(t, what, got, want)
	check(t, what)
}
