package sampler

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// randomLogits are bell-shaped like a model's; some are equal, so that ties are seen.
func randomLogits(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(math.Round(r.NormFloat64()*300) / 100)
	}
	return logits
}

// reference is the chain again, written from its documentation with sorts and the math package. It returns the
// probability of each token.
func reference(p Params, logits []float32, prompt, output []int32) []float64 {
	z := make([]float64, len(logits))
	for i, x := range logits {
		z[i] = float64(x)
	}
	all := append(slices.Clone(prompt), output...)
	from := 0
	if p.PenaltyLastN >= 0 {
		from = max(0, len(all)-p.PenaltyLastN)
	}
	seen, written := map[int32]bool{}, map[int32]int{}
	for i, id := range all[from:] {
		seen[id] = true
		if from+i >= len(prompt) {
			written[id]++
		}
	}
	for id := range seen {
		if z[id] > 0 {
			z[id] /= p.RepetitionPenalty
		} else {
			z[id] *= p.RepetitionPenalty
		}
	}
	for id, n := range written {
		z[id] -= float64(n)*p.FrequencyPenalty + p.PresencePenalty
	}
	for id := range seen {
		z[id] = float64(float32(z[id]))
	}
	for id, b := range p.LogitBias {
		z[id] = float64(float32(z[id] + float64(b)))
	}
	best := slices.Max(z)
	type token struct {
		id   int
		w, d float64
	}
	var tokens []token
	for id, x := range z {
		d := (x - best) * (1 / p.Temperature)
		tokens = append(tokens, token{id, math.Exp(d), d})
	}
	mass := func() (sum float64) {
		for _, t := range tokens {
			sum += t.w
		}
		return sum
	}
	order := func(before func(a, b token) float64) {
		slices.SortStableFunc(tokens, func(a, b token) int {
			switch d := before(a, b); {
			case d < 0:
				return -1
			case d > 0:
				return 1
			}
			return a.id - b.id
		})
	}
	first := func(enough float64) {
		sum := 0.0
		for i, t := range tokens {
			if sum += t.w; sum >= enough {
				tokens = tokens[:i+1]
				return
			}
		}
	}
	order(func(a, b token) float64 { return b.d - a.d })
	if p.TopK > 0 && p.TopK < len(tokens) {
		tokens = tokens[:p.TopK]
	}
	if p.Typical < 1 {
		sum, entropy := mass(), 0.0
		for _, t := range tokens {
			if q := t.w / sum; q > 0 {
				entropy -= q * math.Log(q)
			}
		}
		surprise := func(t token) float64 { return math.Abs(math.Log(sum) - t.d - entropy) }
		order(func(a, b token) float64 {
			if d := surprise(a) - surprise(b); math.Abs(d) > 1e-9 {
				return d
			}
			return 0
		})
		first(p.Typical * sum)
		order(func(a, b token) float64 { return b.d - a.d })
	}
	if p.TopP < 1 {
		first(p.TopP * mass())
	}
	if p.MinP > 0 {
		least := p.MinP * tokens[0].w
		tokens = slices.DeleteFunc(tokens, func(t token) bool { return t.w < least })
	}
	probability := make([]float64, len(logits))
	sum := mass()
	for _, t := range tokens {
		probability[t.id] = t.w / sum
	}
	return probability
}

// distributionOf measures the sampler's distribution without chance: the length of the set of u that gives each token.
// Tokens are drawn in index order, so the borders between them are found by bisection.
func distributionOf(s *Sampler, logits []float32) []float64 {
	s.cut(logits, argmax(logits))
	d := s.left
	probability := make([]float64, len(logits))
	low, at, last := 0.0, d.at(0), d.at(math.Nextafter(1, 0))
	for at != last {
		a, b := low, 1.0 // at(a) is at, at(b) a later one
		for b-a > 1e-13 {
			if mid := (a + b) / 2; d.at(mid) == at {
				a = mid
			} else {
				b = mid
			}
		}
		probability[at] = b - low
		low, at = b, d.at(b)
	}
	probability[at] = 1 - low
	return probability
}

// TestChain compares whole distributions with the reference for settings that use each link, alone and together.
func TestChain(t *testing.T) {
	settings := map[string]func(*Params){
		"plain":       func(*Params) {},
		"cool":        func(p *Params) { p.Temperature = 0.3 },
		"hot":         func(p *Params) { p.Temperature = 5 },
		"top-k":       func(p *Params) { p.TopK = 7 },
		"top-k 1":     func(p *Params) { p.TopK = 1 },
		"top-p":       func(p *Params) { p.TopP = 0.83 },
		"top-p 0":     func(p *Params) { p.TopP = 0 },
		"top-p small": func(p *Params) { p.TopP = 0.01 },
		"top-p most":  func(p *Params) { p.TopP = 0.9999; p.Temperature = 8 },
		"min-p":       func(p *Params) { p.MinP = 0.05 },
		"min-p 1":     func(p *Params) { p.MinP = 1 },
		"typical":     func(p *Params) { p.Typical = 0.4 },
		"typical hot": func(p *Params) { p.Typical = 0.97; p.Temperature = 3 },
		"all cuts":    func(p *Params) { p.TopK, p.Typical, p.TopP, p.MinP, p.Temperature = 90, 0.95, 0.9, 0.02, 0.8 },
		"k and p":     func(p *Params) { p.TopK, p.TopP = 40, 0.9 },
		"typical p":   func(p *Params) { p.Typical, p.TopP, p.MinP = 0.8, 0.7, 0.3 },
	}
	sizes := []int{1, 257, 2, 50, 255, 256, 600}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for name, set := range settings {
		for _, n := range sizes {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				p := Default()
				set(&p)
				logits := randomLogits(uint64(n), n)
				compare(t, distributionOf(New(p, n), logits), reference(p, logits, nil, nil))
			})
		}
	}
}

func compare(t *testing.T, got, want []float64) {
	t.Helper()
	sum := 0.0
	for id := range got {
		sum += got[id]
		if math.Abs(got[id]-want[id]) > 1e-11 {
			t.Fatalf("token %d has probability %g, want %g", id, got[id], want[id])
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Fatalf("probabilities sum to %g", sum)
	}
}

// TestPenalties runs a sampler along a fixed output and compares its distribution at every step with the reference.
func TestPenalties(t *testing.T) {
	const n = 40
	for name, set := range map[string]func(*Params){
		"repetition": func(p *Params) { p.RepetitionPenalty = 1.3 },
		"reward":     func(p *Params) { p.RepetitionPenalty = 0.7 },
		"frequency":  func(p *Params) { p.FrequencyPenalty = 0.5 },
		"presence":   func(p *Params) { p.PresencePenalty = -1.5 },
		"all":        func(p *Params) { p.RepetitionPenalty, p.FrequencyPenalty, p.PresencePenalty = 1.1, 0.3, 0.2 },
		"window":     func(p *Params) { p.RepetitionPenalty, p.FrequencyPenalty, p.PenaltyLastN = 1.2, 0.4, 5 },
		"window 1":   func(p *Params) { p.RepetitionPenalty, p.PresencePenalty, p.PenaltyLastN = 1.2, 0.4, 1 },
		"none":       func(p *Params) { p.RepetitionPenalty, p.PenaltyLastN = 1.2, 0 },
		"bias":       func(p *Params) { p.LogitBias = map[int32]float32{0: 100, 7: -100, 8: 1.5} },
		"bias too":   func(p *Params) { p.LogitBias, p.RepetitionPenalty = map[int32]float32{3: 2.5, 8: -3}, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			p := Default()
			set(&p)
			logits := randomLogits(9, n)
			before := slices.Clone(logits)
			prompt := []int32{3, 3, 8, 1}
			var output []int32
			s := New(p, n)
			s.Prime(prompt)
			for step := range 12 {
				want := reference(p, logits, prompt, output)
				id := s.Sample(logits, 4+step).ID
				if !slices.Equal(logits, before) {
					t.Fatal("the logits are not what they were")
				}
				// The draw follows from the reference's probabilities and the documented chance.
				if u := uniform(p.Seed, 4+step); want[id] == 0 || !within(want, id, u) {
					t.Fatalf("step %d: token %d drawn at %g, not what the reference gives", step, id, u)
				}
				output = append(output, id)
			}
		})
	}
}

// within says whether u falls to id when the tokens lie side by side in index order.
func within(probability []float64, id int32, u float64) bool {
	before := 0.0
	for _, p := range probability[:id] {
		before += p
	}
	return u >= before-1e-9 && u < before+probability[id]+1e-9
}

func TestGreedyTakesTheLowestOfEquals(t *testing.T) {
	p := Default()
	p.Temperature = 0
	s := New(p, 6)
	if id := s.Sample([]float32{-3, 2, 5, 5, 1, 5}, 0).ID; id != 2 {
		t.Errorf("token %d", id)
	}
	p.RepetitionPenalty = 2
	s = New(p, 6)
	for i, want := range []int32{2, 3, 5, 2} {
		if id := s.Sample([]float32{-3, 2, 5, 5, 1, 5}, i).ID; id != want {
			t.Errorf("step %d: token %d, want %d", i, id, want)
		}
	}
}

// TestTopKTies: of equal logits those with the lower ids stay.
func TestTopKTies(t *testing.T) {
	p := Default()
	p.TopK = 3
	got := distributionOf(New(p, 8), []float32{1, 2, 1, 2, 2, 1, 2, 2})
	compare(t, got, []float64{0, 1. / 3, 0, 1. / 3, 1. / 3, 0, 0, 0})
}

// TestTopPTies: a flat distribution is cut by id, and one that is all but certain at its best token.
func TestTopPTies(t *testing.T) {
	p := Default()
	p.TopP = 0.5
	compare(t, distributionOf(New(p, 8), make([]float32, 8)), []float64{0.25, 0.25, 0.25, 0.25, 0, 0, 0, 0})
	compare(t, distributionOf(New(p, 3), []float32{-200, 0, -300}), []float64{0, 1, 0})
}

func TestSameSeedSamePositionSameToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 600).Draw(t, "vocabulary")
		logits := randomLogits(rapid.Uint64().Draw(t, "logits"), n)
		p := Default()
		p.Seed = rapid.Uint64().Draw(t, "seed")
		p.Temperature = rapid.Float64Range(0.1, 3).Draw(t, "temperature")
		p.TopP = rapid.Float64Range(0, 1).Draw(t, "top-p")
		p.TopK = rapid.IntRange(-1, n+1).Draw(t, "top-k")
		p.MinP = rapid.Float64Range(0, 0.5).Draw(t, "min-p")
		position := rapid.IntRange(0, 1<<20).Draw(t, "position")
		want := New(p, n).Sample(logits, position).ID
		// A sampler that did other things before gives the same: nothing but seed and position is chance.
		s := New(p, n)
		for i := range rapid.IntRange(0, 5).Draw(t, "earlier") {
			s.Sample(randomLogits(uint64(i), n), i)
		}
		if got := s.Sample(logits, position).ID; got != want {
			t.Fatalf("token %d after other calls, %d alone", got, want)
		}
		if p := reference(p, logits, nil, nil); p[want] == 0 {
			t.Fatalf("token %d was cut", want)
		}
	})
}

// TestTopPIsSmallest: what top-p leaves has the mass, and no longer without its least token.
func TestTopPIsSmallest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "vocabulary")
		logits := randomLogits(rapid.Uint64().Draw(t, "logits"), n)
		p := rapid.Float64Range(0, 0.999).Draw(t, "top-p")
		d := distribution{logits: logits, best: logits[argmax(logits)], inverse: rapid.Float64Range(0.1, 10).Draw(t, "inverse")}
		d.topP(p)
		total := sumExp(logits, d.best, d.inverse, nil)
		mass, least := 0.0, math.Inf(1)
		for _, c := range d.kept {
			mass += c.weight
			least = min(least, c.weight)
		}
		if mass < p*total*(1-1e-12) || len(d.kept) > 1 && mass-least > p*total*(1+1e-12) {
			t.Fatalf("mass %g of %g, least %g, want %g", mass, total, least, p*total)
		}
	})
}

// TestChanceIsUniform draws from a known distribution with a fixed run of seeds and positions and holds chi-square against
// its 99.9 % limit.
func TestChanceIsUniform(t *testing.T) {
	logits := []float32{0, 1, 2, 0.5, -1, 1.5, 0, 0.25}
	want := reference(Default(), logits, nil, nil)
	for name, at := range map[string]func(i int) (seed uint64, position int){
		"positions": func(i int) (uint64, int) { return 42, i },
		"seeds":     func(i int) (uint64, int) { return uint64(i), 17 },
		"diagonal":  func(i int) (uint64, int) { return uint64(i) << 32, i },
	} {
		t.Run(name, func(t *testing.T) {
			const draws = 20000
			counts := make([]float64, len(logits))
			for i := range draws {
				seed, position := at(i)
				p := Default()
				p.Seed = seed
				counts[New(p, len(logits)).Sample(logits, position).ID]++
			}
			chi := 0.0
			for id, n := range counts {
				expected := want[id] * draws
				chi += (n - expected) * (n - expected) / expected
			}
			if chi > 24.3 { // 7 degrees of freedom
				t.Errorf("chi-square %.1f", chi)
			}
		})
	}
}

// TestPhilox holds the known answers of Random123, the authors' library.
func TestPhilox(t *testing.T) {
	const ones = math.MaxUint64
	for _, c := range []struct{ key, counter0, counter1, want0, want1 uint64 }{
		{0, 0, 0, 0xca00a0459843d731, 0x66c24222c9a845b5},
		{ones, ones, ones, 0x65b021d60cd8310f, 0x4d02f3222f86df20},
		{0xa4093822299f31d0, 0x243f6a8885a308d3, 0x13198a2e03707344, 0x0a5e742c2997341c, 0xb0f883d38000de5d},
	} {
		if a, b := philox(c.key, c.counter0, c.counter1); a != c.want0 || b != c.want1 {
			t.Errorf("philox(%x, %x, %x) = %x, %x, want %x, %x", c.key, c.counter0, c.counter1, a, b, c.want0, c.want1)
		}
	}
}

func TestLogprobs(t *testing.T) {
	logits := randomLogits(5, 500)
	want := reference(Default(), logits, nil, nil)
	for _, top := range []int{0, 1, 10, 500, 600} {
		p := Default()
		p.Temperature, p.TopLogprobs, p.LogitBias = 0, top, map[int32]float32{77: 100}
		token := New(p, 500).Sample(logits, 3)
		if token.ID != 77 {
			t.Fatalf("token %d, want the biased one", token.ID)
		}
		if d := token.Logprob - math.Log(want[77]); math.Abs(d) > 1e-12 {
			t.Errorf("the logprob is off by %g: it is of the distribution before the bias", d)
		}
		if len(token.Top) != min(top, 500) {
			t.Fatalf("%d best tokens, want %d", len(token.Top), top)
		}
		for i, l := range token.Top {
			if math.Abs(l.Logprob-math.Log(want[l.ID])) > 1e-12 {
				t.Errorf("token %d: logprob %g, want %g", l.ID, l.Logprob, math.Log(want[l.ID]))
			}
			if i == 0 {
				continue
			}
			b := token.Top[i-1]
			if b.Logprob < l.Logprob || logits[b.ID] == logits[l.ID] && b.ID > l.ID {
				t.Errorf("place %d: token %d stands before %d", i, b.ID, l.ID)
			}
		}
		chosen, list := Logprobs(logits, 77, top, nil)
		if chosen != token.Logprob || !slices.Equal(list, token.Top) && top > 0 {
			t.Error("Logprobs differs from Sample")
		}
	}
}

func TestFinite(t *testing.T) {
	for n := range 40 {
		logits := randomLogits(1, n)
		if !Finite(logits) {
			t.Fatalf("%d numbers are not finite", n)
		}
		for at := range n {
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				was := logits[at]
				logits[at] = float32(bad)
				if Finite(logits) {
					t.Fatalf("%v at %d of %d is finite", bad, at, n)
				}
				logits[at] = was
			}
		}
	}
}

// TestNotFinite: whatever the logits are, a token of the vocabulary comes back, and soon.
func TestNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	rows := [][]float32{
		{nan, nan, nan},
		{nan, 1, 2},
		{1, nan, 2},
		{inf, 1, 2},
		{inf, inf, inf},
		{-inf, -inf, -inf},
		{-inf, 1, -inf},
		{nan, inf, -inf},
		{math.MaxFloat32, -math.MaxFloat32, 0},
	}
	for _, logits := range rows {
		for _, p := range []Params{
			{Temperature: 0},
			{Temperature: 1},
			{Temperature: 1e-5},
			{Temperature: 1, TopK: 2},
			{Temperature: 2, TopP: 0.5},
			{Temperature: 1, Typical: 0.5},
			{Temperature: 1, MinP: 0.1},
			{Temperature: 1, TopK: 2, Typical: 0.3, TopP: 0.3, MinP: 0.3},
			{Temperature: 1, TopLogprobs: 3, RepetitionPenalty: 2},
		} {
			d := Default()
			d.Temperature, d.TopK, d.MinP, d.TopLogprobs = p.Temperature, p.TopK, p.MinP, p.TopLogprobs
			if p.TopP != 0 {
				d.TopP = p.TopP
			}
			if p.Typical != 0 {
				d.Typical = p.Typical
			}
			s := New(d, 3)
			for i := range 3 {
				if id := s.Sample(slices.Clone(logits), i).ID; id < 0 || id > 2 {
					t.Errorf("%v with %+v: token %d", logits, d, id)
				}
			}
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	if err := Default().Validate(10); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for field, set := range map[string]func(*Params){
		"temperature":        func(p *Params) { p.Temperature = -1 },
		"typical_p":          func(p *Params) { p.Typical = 0 },
		"top_p":              func(p *Params) { p.TopP = nan },
		"min_p":              func(p *Params) { p.MinP = 1.5 },
		"top_k":              func(p *Params) { p.TopK = -2 },
		"repetition_penalty": func(p *Params) { p.RepetitionPenalty = 0 },
		"frequency_penalty":  func(p *Params) { p.FrequencyPenalty = math.Inf(1) },
		"presence_penalty":   func(p *Params) { p.PresencePenalty = -3 },
		"repeat_last_n":      func(p *Params) { p.PenaltyLastN = -2 },
		"top_logprobs":       func(p *Params) { p.TopLogprobs = 1 << 20 },
		"logit_bias":         func(p *Params) { p.LogitBias = map[int32]float32{10: 1, 11: 2} },
	} {
		p := Default()
		set(&p)
		var e *FieldError
		if err := p.Validate(10); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for _, bias := range []map[int32]float32{{-1: 0}, {3: 101}, {3: float32(nan)}} {
		p := Default()
		p.LogitBias = bias
		if p.Validate(10) == nil {
			t.Errorf("bias %v is accepted", bias)
		}
	}
}

func TestSampleDoesNotAllocate(t *testing.T) {
	logits := randomLogits(3, 5000)
	for name, set := range map[string]func(*Params){
		"greedy":    func(p *Params) { p.Temperature = 0; p.TopLogprobs = 0 },
		"plain":     func(*Params) {},
		"cuts":      func(p *Params) { p.TopK, p.TopP, p.MinP, p.Typical = 100, 0.9, 0.05, 0.9 },
		"top-p":     func(p *Params) { p.TopP = 0.95 },
		"typical":   func(p *Params) { p.Typical = 0.9 },
		"penalties": func(p *Params) { p.RepetitionPenalty, p.PenaltyLastN, p.LogitBias = 1.1, 64, map[int32]float32{5: 3} },
	} {
		p := Default()
		set(&p)
		s := New(p, len(logits))
		position := 0
		for range 200 {
			s.Sample(logits, position)
			position++
		}
		if n := testing.AllocsPerRun(100, func() {
			s.Sample(logits, position)
			position++
		}); n != 0 {
			t.Errorf("%s: %g allocations a token", name, n)
		}
	}
}

func BenchmarkSample(b *testing.B) {
	logits := randomLogits(4, 128256)
	for name, set := range map[string]func(*Params){
		"greedy":  func(p *Params) { p.Temperature = 0 },
		"plain":   func(*Params) {},
		"top-k":   func(p *Params) { p.TopK = 40 },
		"top-p":   func(p *Params) { p.TopP = 0.95 },
		"min-p":   func(p *Params) { p.MinP = 0.05 },
		"typical": func(p *Params) { p.Typical = 0.95 },
		"logprob": func(p *Params) { p.Temperature, p.TopLogprobs = 0, 20 },
	} {
		b.Run(name, func(b *testing.B) {
			p := Default()
			set(&p)
			s := New(p, len(logits))
			for i := range b.N {
				s.Sample(logits, i)
			}
		})
	}
	b.Run("finite", func(b *testing.B) {
		for range b.N {
			Finite(logits)
		}
	})
}

// TestBits holds tokens and the bits of logprobs, which every platform gives.
func TestBits(t *testing.T) {
	logits := make([]float32, 4096)
	for i := range logits {
		x, _ := philox(11, uint64(i), 0)
		logits[i] = float32(int32(x>>40)-1<<23) * (12.0 / (1 << 23))
	}
	p := Default()
	p.Temperature, p.TopP, p.Typical, p.MinP, p.RepetitionPenalty, p.TopLogprobs = 1.7, 0.95, 0.97, 0.001, 1.1, 3
	p.Seed = 5
	s := New(p, len(logits))
	sum := sha256.New()
	for position := range 200 {
		token := s.Sample(logits, position)
		fmt.Fprintln(sum, token.ID, math.Float64bits(token.Logprob))
		for _, l := range token.Top {
			fmt.Fprintln(sum, l.ID, math.Float64bits(l.Logprob))
		}
	}
	const want = "a04ca5c420bb20d45ef5b39f6ffe91dedd2dcc884da8bf30733062a1d06a1b04"
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != want {
		t.Errorf("sha256 of tokens and logprobs %s, want %s", got, want)
	}
}

// TestArgmax holds argmax, which asks four logits at once, against a search one by one: of all lengths, with equals and with NaN.
func TestArgmax(t *testing.T) {
	nan, below := float32(math.NaN()), float32(math.Inf(-1))
	values := []float32{below, -1, 0, 2, 2, 3, nan}
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 70 {
		for range 200 {
			logits := make([]float32, n)
			for i := range logits {
				logits[i] = values[r.IntN(len(values))]
			}
			want, best := 0, below
			for i, x := range logits {
				if x > best {
					want, best = i, x
				}
			}
			if got := argmax(logits); got != want {
				t.Fatalf("argmax(%v) = %d, want %d", logits, got, want)
			}
		}
	}
}
