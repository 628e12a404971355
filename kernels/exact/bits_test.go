package exact

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// goldenBits is the digest of TestBits, the same on every architecture. A change of it is a change of the numerics
// version (docs/numerics.md).
const goldenBits = 0xbe673c89d8c306f4

// TestBits digests results over a fixed set of arguments, so that an architecture which rounds or fuses differently shows.
func TestBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	digest := fnv.New64a()
	put := func(v float64) {
		b := math.Float64bits(v)
		if v != v {
			b = 0x7ff8 << 48
		}
		var raw [8]byte
		for i := range raw {
			raw[i] = byte(b >> (8 * i))
		}
		digest.Write(raw[:])
	}
	uniform := func(limit float64) float64 { return (rng.Float64() - 0.5) * limit }
	for range 20_000 {
		put(float64(FMA32(anyFloat32(rng), anyFloat32(rng), anyFloat32(rng))))
		put(float64(FMA32(float32(uniform(2)), float32(uniform(2)), float32(uniform(2)))))
		put(float64(Exp32(float32(uniform(200)))))
		put(Exp(uniform(1500)))
		put(Exp(uniform(2)))
		put(Tanh(uniform(3)))
		put(Log(rng.Float64()))
		put(Log(anyPositive(rng)))
		put(Sin(uniform(1e6)))
		put(Cos(anyPositive(rng)))
		put(Pow(10000, -rng.Float64()))
		put(Pow(anyPositive(rng), uniform(3)))
	}
	if got := digest.Sum64(); got != goldenBits {
		t.Errorf("results digest to %#x, want %#x", got, uint64(goldenBits))
	}
}
