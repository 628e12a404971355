package daemon

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/weft-run/weft/kernels/exact"
)

// scores are what was found at each scored position. Sums are of float64 in the order of positions, with exact's functions: the same
// figures on every machine.
type scores struct {
	surprise []float64 // -log of the probability of the token that came
	kl       []float64 // with an oracle
	same     int       // positions at which the oracle has the same best token
}

// add scores rows of logits with the tokens that came. oracle is nil or has as many rows.
func (s *scores) add(logits, oracle []float32, came []int32, vocab int) {
	rows := len(came)
	first := len(s.surprise)
	s.surprise = append(s.surprise, make([]float64, rows)...)
	if oracle != nil {
		s.kl = append(s.kl, make([]float64, rows)...)
	}
	same := make([]bool, rows)
	var group sync.WaitGroup
	workers := runtime.NumCPU()
	for w := range workers {
		group.Go(func() {
			for i := w; i < rows; i += workers {
				q := logits[i*vocab : (i+1)*vocab]
				total := logSum(q)
				s.surprise[first+i] = total - float64(q[came[i]])
				if oracle != nil {
					p := oracle[i*vocab : (i+1)*vocab]
					s.kl[first+i] = divergence(p, q, total)
					same[i] = best(p) == best(q)
				}
			}
		})
	}
	group.Wait()
	for _, yes := range same {
		if yes {
			s.same++
		}
	}
}

// logSum is the logarithm of the sum of all exp.
func logSum(logits []float32) float64 {
	most, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += exact.Exp(float64(x) - most)
	}
	return most + exact.Log(sum)
}

// divergence is the sum of P log(P/Q) over the vocabulary, with P the distribution of logits p, Q that of q; total is logSum(q).
func divergence(p, q []float32, total float64) float64 {
	own, sum := logSum(p), 0.0
	for i, x := range p {
		logP, logQ := float64(x)-own, float64(q[i])-total
		sum += float64(exact.Exp(logP) * (logP - logQ))
	}
	return sum
}

// best is the index of the largest, the first of equals.
func best(logits []float32) int {
	at := 0
	for i, x := range logits {
		if x > logits[at] {
			at = i
		}
	}
	return at
}

// mean returns the mean and its standard error.
func mean(list []float64) (mean, deviation float64) {
	n := float64(len(list))
	for _, x := range list {
		mean += x
	}
	mean /= n
	for _, x := range list {
		deviation += float64((x - mean) * (x - mean))
	}
	return mean, math.Sqrt(deviation / max(n-1, 1) / n)
}

func (s *scores) perplexity() (value, deviation float64) {
	m, e := mean(s.surprise)
	value = exact.Exp(m)
	return value, float64(value * e)
}

// divergence is nil without an oracle.
func (s *scores) divergence() *benchDivergence {
	if s.kl == nil {
		return nil
	}
	d := &benchDivergence{Most: slices.Max(s.kl), SameBest: float64(s.same) / float64(len(s.kl))}
	d.Mean, d.Error = mean(s.kl)
	return d
}
