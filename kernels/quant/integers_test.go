package quant

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The integers of a block and its decoded weights are the same numbers, up to the roundings of Decode.
func TestIntegersAreTheWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, typ := range Computable() {
		info := typ.Info()
		if info.BlockLen == 1 {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			weights, block := make([]float32, info.BlockLen), make([]byte, info.BlockBytes)
			for range 200 {
				for i := range block {
					block[i] = byte(r.Uint32())
				}
				Decode(typ, weights, block)
				var b Integers
				b.Unpack(typ, block)
				for i, got := range weights {
					d, m := float64(b.D)*float64(b.Q[i]), float64(b.M)*float64(b.Mins[i/16])
					want := d + m
					if !(math.Abs(d)+math.Abs(m) < math.MaxFloat32/2) {
						continue
					}
					if math.Abs(float64(got)-want) > 2e-7*(math.Abs(d)+math.Abs(m))+0x1p-126 {
						t.Fatalf("weight %d is %v, its integers say %v", i, got, want)
					}
				}
			}
		})
	}
}

func TestIntegersRefuseFloats(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	new(Integers).Unpack(F32, make([]byte, 4))
}
