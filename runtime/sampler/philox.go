package sampler

import "math/bits"

// philox is Philox2x64 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): a bijection of the
// counter for each key. Chance by counter instead of by call is what makes a token depend on seed and position alone.
func philox(key, counter0, counter1 uint64) (uint64, uint64) {
	const (
		multiplier = 0xD2B74407B1CE6E93
		weyl       = 0x9E3779B97F4A7C15
	)
	for range 10 {
		high, low := bits.Mul64(multiplier, counter0)
		counter0, counter1 = high^key^counter1, low
		key += weyl
	}
	return counter0, counter1
}

// uniform returns a number in [0, 1) with 53 bits that is fixed by seed and position.
func uniform(seed uint64, position int) float64 {
	x, _ := philox(seed, uint64(position), 0)
	return float64(x>>11) * (1.0 / (1 << 53))
}
