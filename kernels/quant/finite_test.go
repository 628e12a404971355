package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestH18NonFiniteIsWhatDecodeSays holds NonFinite to its definition: blocks of random bytes, in which damaged scales are as likely
// as any, and each block with every half of it made infinite and not a number in turn.
func TestH18NonFiniteIsWhatDecodeSays(t *testing.T) {
	random := rand.New(rand.NewPCG(18, 18))
	for _, kind := range Computable() {
		t.Run(kind.String(), func(t *testing.T) {
			info := kind.Info()
			found := 0
			check := func(src []byte) {
				t.Helper()
				weights := make([]float32, len(src)/info.BlockBytes*info.BlockLen)
				Decode(kind, weights, src)
				want := slices.IndexFunc(weights, func(w float32) bool {
					return math.IsNaN(float64(w)) || math.IsInf(float64(w), 0)
				})
				if want >= 0 {
					want /= info.BlockLen
					found++
				}
				if got := NonFinite(kind, src); got != want {
					t.Fatalf("block %d of % x, want %d", got, src, want)
				}
			}
			for range 3000 {
				src := make([]byte, (1+random.IntN(3))*info.BlockBytes)
				for i := range src {
					src[i] = byte(random.Uint32())
				}
				check(src)
			}
			for at := 0; at+1 < info.BlockBytes; at++ {
				for _, h := range []uint16{0x7c00, 0xfc00, 0x7e00, 0x7c01, 0x7f80, 0x7bff, 0xffff} {
					src := make([]byte, 2*info.BlockBytes)
					src[info.BlockBytes+at], src[info.BlockBytes+at+1] = byte(h), byte(h>>8)
					check(src)
				}
			}
			if found == 0 {
				t.Error("no damaged block was tried")
			}
			if NonFinite(kind, nil) != -1 {
				t.Error("nothing is not finite")
			}
		})
	}
}

func BenchmarkNonFinite(b *testing.B) {
	for _, kind := range []Type{F32, F16, Q4_0, Q4_1, Q4_K, Q6_K} {
		b.Run(kind.String(), func(b *testing.B) {
			src := make([]byte, 1<<20/kind.Info().BlockBytes*kind.Info().BlockBytes)
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				NonFinite(kind, src)
			}
		})
	}
}
