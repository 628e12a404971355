// Package sampler owns the choice of a token from a row of logits, and the probabilities that are reported with it. It knows
// no model, text or request; stop strings and end-of-generation tokens are its callers' business.
//
// The order of the chain, each link working on what the one before left:
//
//	penalties -> logit bias -> temperature -> top-k -> typical -> top-p -> min-p -> draw
//
// Penalties and bias come first because they change the distribution, temperature next because top-p and its kin are
// statements about the distribution that is drawn from (as OpenAI, Hugging Face and vLLM have it; llama.cpp has temperature
// last), and the cutting ones follow in llama.cpp's order. The repetition penalty looks at prompt and output, frequency and presence at the
// output alone, as OpenAI and vLLM define them; PenaltyLastN narrows all three to the last tokens, as in llama.cpp. A logit
// changed by penalty or bias is rounded to float32 once for each.
//
// A token depends on the logits, the tokens before it, the parameters and its position, on nothing else: chance is a
// function of seed and position, arithmetic is float64 in index order with kernels/exact, and ties go to the lower id. So the
// same request gives the same text in any batch and on any platform.
//
// A Sampler belongs to one sequence and one goroutine. After its first tokens it allocates only the list of Token.Top.
package sampler

import (
	"maps"
	"math"
	"slices"
)

// Token is one choice.
type Token struct {
	ID int32
	// Logprob is of the model's own distribution, before penalties, bias, temperature and cuts; 0 where none was asked for.
	Logprob float64
	// Top lists the best tokens of the same distribution, best first. The token owns it.
	Top []Logprob
}

// Sampler chooses the tokens of one sequence.
type Sampler struct {
	params    Params
	greedy    bool
	inverse   float64 // of the temperature
	biased    []int32 // ids of LogitBias, ascending
	penalties *penalties
	undo      []edit        // logits that were changed for the time of a call
	left      *distribution // nil where the sampler is greedy
}

// edit is a logit as it was before it was changed.
type edit struct {
	id  int32
	was float32
}

// New makes the sampler of a sequence. The parameters must be valid for the vocabulary.
func New(p Params, vocab int) *Sampler {
	s := &Sampler{params: p, greedy: p.Temperature < greedyBelow}
	if !s.greedy {
		s.inverse = 1 / p.Temperature
		s.left = &distribution{sums: make([]float64, (vocab+sumStride-1)/sumStride)}
	}
	s.biased = slices.Sorted(maps.Keys(p.LogitBias))
	if p.PenaltyLastN != 0 && (p.RepetitionPenalty != 1 || p.FrequencyPenalty != 0 || p.PresencePenalty != 0) {
		s.penalties = newPenalties(p, vocab)
	}
	return s
}

// Prime shows the prompt to the penalties. It is called once, before the first Sample.
func (s *Sampler) Prime(prompt []int32) {
	if s.penalties == nil {
		return
	}
	for _, id := range prompt {
		s.penalties.add(id, false)
	}
}

// Sample chooses the token at a position (the count of tokens before it) and remembers it for the penalties. The
// logits are changed during the call and hold the same bits after it. Where they are not all finite (see Finite), the result
// is some token of the vocabulary.
func (s *Sampler) Sample(logits []float32, position int) Token {
	var token Token
	best := argmax(logits)
	report := s.params.TopLogprobs >= 0
	sum := 0.0
	if report {
		sum = sumExp(logits, logits[best], 1, nil)
	}
	token.ID = s.choose(logits, best, position)
	if report {
		if n := min(s.params.TopLogprobs, len(logits)); n > 0 {
			token.Top = make([]Logprob, 0, n)
		}
		token.Logprob, token.Top = logprobs(logits, logits[best], sum, token.ID, s.params.TopLogprobs, token.Top)
	}
	if s.penalties != nil {
		s.penalties.add(token.ID, true)
	}
	return token
}

// choose runs the chain; best is the index of the largest logit before it.
func (s *Sampler) choose(logits []float32, best, position int) int32 {
	if s.penalties != nil {
		s.undo = s.penalties.apply(logits, s.undo)
	}
	for _, id := range s.biased {
		s.undo = append(s.undo, edit{id, logits[id]})
		logits[id] = float32(float64(logits[id]) + float64(s.params.LogitBias[id]))
	}
	if len(s.undo) > 0 {
		best = argmax(logits)
	}
	id := int32(best)
	if !s.greedy {
		id = s.draw(logits, best, uniform(s.params.Seed, position))
	}
	for i := len(s.undo) - 1; i >= 0; i-- { // backwards: a logit may have been changed twice
		logits[s.undo[i].id] = s.undo[i].was
	}
	s.undo = s.undo[:0]
	return id
}

// draw takes the token at which the running sum of the weights that the cuts left, in index order, passes u of their total.
func (s *Sampler) draw(logits []float32, best int, u float64) int32 {
	s.cut(logits, best)
	id := s.left.at(u)
	if id < 0 || math.IsNaN(s.left.total) {
		return int32(best)
	}
	return id
}

// cut applies temperature and cuts; best is the index of the largest logit.
func (s *Sampler) cut(logits []float32, best int) {
	d, p := s.left, &s.params
	d.reset(logits, logits[best], s.inverse)
	if p.TopK > 0 && p.TopK < len(logits) {
		d.topK(p.TopK)
	}
	if p.Typical < 1 {
		d.typical(p.Typical)
	}
	if p.TopP < 1 {
		d.topP(p.TopP)
	}
	if p.MinP > 0 {
		d.minP(p.MinP)
	}
}
