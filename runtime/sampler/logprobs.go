package sampler

import (
	"math"

	"github.com/weft-run/weft/kernels/exact"
)

// Logprob is a token with the natural logarithm of its probability.
type Logprob struct {
	ID      int32
	Logprob float64
}

// Logprobs returns the logprob of chosen under the model's own distribution (no temperature, penalty or bias) and appends the
// top best tokens to dst, best first, ties by the lower id.
func Logprobs(logits []float32, chosen int32, top int, dst []Logprob) (float64, []Logprob) {
	best := logits[argmax(logits)]
	return logprobs(logits, best, sumExp(logits, best, 1, nil), chosen, top, dst)
}

// logprobs is Logprobs with the largest logit and the sum of exp(logit - best) known.
func logprobs(logits []float32, best float32, sum float64, chosen int32, top int, dst []Logprob) (float64, []Logprob) {
	normalizer := exact.Log(sum)
	of := func(id int32) float64 { return float64(logits[id]) - float64(best) - normalizer }
	first := len(dst)
	dst = appendBest(dst, logits, top)
	for i := range dst[first:] {
		dst[first+i].Logprob = of(dst[first+i].ID)
	}
	return of(chosen), dst
}

// appendBest appends the ids of the k largest logits, largest first, ties by the lower id. It is made for small k: a linear
// scan that rarely finds something to insert.
func appendBest(dst []Logprob, logits []float32, k int) []Logprob {
	first := len(dst)
	k = min(k, len(logits))
	if k <= 0 {
		return dst
	}
	least := float32(math.Inf(-1)) // the smallest logit of a full list
	for id, x := range logits {
		full := len(dst)-first == k
		if full && !(x > least) {
			continue
		}
		if !full {
			dst = append(dst, Logprob{})
		}
		at := len(dst) - 1
		for at > first && logits[dst[at-1].ID] < x {
			dst[at] = dst[at-1]
			at--
		}
		dst[at] = Logprob{ID: int32(id)}
		least = logits[dst[len(dst)-1].ID]
	}
	return dst
}

// argmax returns the index of the largest logit, the lowest one of equals. A NaN is never the largest.
func argmax(logits []float32) int {
	at, best := 0, float32(math.Inf(-1))
	i := 0
	for rest := logits; len(rest) >= 4; rest = rest[4:] { // a larger one is rare: four are asked at once
		x := (*[4]float32)(rest)
		if x[0] > best || x[1] > best || x[2] > best || x[3] > best {
			for j, v := range x {
				if v > best {
					at, best = i+j, v
				}
			}
		}
		i += 4
	}
	for ; i < len(logits); i++ {
		if logits[i] > best {
			at, best = i, logits[i]
		}
	}
	return at
}

// Finite says whether no logit is infinite or NaN. It is asked for every row, so it is the cheapest that was found (a quarter of the
// time that a look at each exponent takes): what is finite gives zero times zero, and anything else gives NaN, which no sum
// loses again.
func Finite(logits []float32) bool {
	var a, b, c, d float32
	for len(logits) >= 4 {
		x := (*[4]float32)(logits)
		a += float32(x[0] * 0)
		b += float32(x[1] * 0)
		c += float32(x[2] * 0)
		d += float32(x[3] * 0)
		logits = logits[4:]
	}
	for _, x := range logits {
		a += float32(x * 0)
	}
	return a+b+c+d == 0
}

// sumStride is how many logits lie between two running sums that sumExp keeps.
const sumStride = 256

// sumExp adds exp((logit - best) * inverse) in float64, in index order. Where sums is not nil it receives the running sum
// before every sumStride-th logit, so that one who searches for a point of the running sum need not start again.
func sumExp(logits []float32, best float32, inverse float64, sums []float64) float64 {
	total, offset := 0.0, float64(best)
	for i, x := range logits {
		if sums != nil && i%sumStride == 0 {
			sums[i/sumStride] = total
		}
		total += exact.Exp(float64((float64(x) - offset) * inverse))
	}
	return total
}
