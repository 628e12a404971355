package avx512

import (
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

func TestCacheReaders(t *testing.T) {
	for typ, f := range map[quant.Type]func(dst []float32, stride int, page []byte, tokens int){
		quant.Q8_0: LoadKeysQ8_0, quant.Q4_0: LoadKeysQ4_0,
	} {
		t.Run(typ.String(), func(t *testing.T) {
			need(t)
			kerneltest.TestLoadKeyQuants(t, typ, f)
		})
	}
	for typ, f := range map[quant.Type]func(dst []float32, src []byte){quant.Q8_0: DecodeQ8_0, quant.Q4_0: DecodeQ4_0} {
		t.Run(typ.String()+"/values", func(t *testing.T) {
			need(t)
			kerneltest.TestDecodeQuants(t, typ, f)
		})
	}
}

func TestPagedTiles(t *testing.T) {
	for typ, f := range map[quant.Type]func(dst, q []float32, tile, next *ref.PagedTile, room []float32, dim int, scale float32){
		quant.F16: ScoresHalves, quant.Q8_0: ScoresQ8_0, quant.Q4_0: ScoresQ4_0,
	} {
		t.Run(typ.String()+"/scores", func(t *testing.T) {
			need(t)
			kerneltest.TestScoresPaged(t, typ, f)
		})
	}
	for typ, f := range map[quant.Type]func(acc, p []float32, tile, next *ref.PagedTile, room []float32, dim, first, last int, corrections []float32){
		quant.F16: MixHalves, quant.Q8_0: MixQ8_0, quant.Q4_0: MixQ4_0,
	} {
		t.Run(typ.String()+"/mix", func(t *testing.T) {
			need(t)
			kerneltest.TestMixPaged(t, typ, f)
		})
	}
}
