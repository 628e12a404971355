package scheduler

import "github.com/weft-run/weft/runtime/kvcache"

// Turn says that keys and values from position From on are those of another identity, whose Root is To.
type Turn struct {
	From int
	To   kvcache.Key
}

// Part is what one sequence does in a step. Its slices belong to the scheduler and are valid until Update.
type Part struct {
	ID     SeqID
	Pos    int     // position of the first row
	Tokens []int32 // tokens of the rows
	Pages  []int32 // page table
	Reused int     // tokens before Pos that were not computed for the sequence but found; only in its first part
	// The rows [ScoreFrom, ScoreTo) of the part want logits because the caller asked for the prompt's: those of row r speak
	// about the prompt token at position Pos+r+1.
	ScoreFrom, ScoreTo int
	// Sample says that the last row's logits give the next token. It is never one of the rows to score.
	Sample bool
	// Drafts are how many of the last rows are guesses at what follows: then the row before them and each of them want logits. The
	// logits of a row count where the guesses up to it are what was sampled.
	Drafts int
}

// SampleRows is how many of the last rows have logits that may give a token.
func (p *Part) SampleRows() int {
	if !p.Sample {
		return 0
	}
	return 1 + p.Drafts
}

// Step is what to compute next: parts that lack one token first, in order of arrival, then chunks of prompts, the poorest caller's first.
type Step struct {
	Parts      []Part
	Rows       int
	LogitRows  int
	DecodeRows int // rows of parts that lacked one token
	DraftRows  int // rows that are guesses
	Preempted  int // sequences that gave up their pages for this step
	// Copies are made in this order before anything is computed.
	Copies []kvcache.Copy
}

// Sampled is a token that was chosen for a part with Sample set.
type Sampled struct {
	ID    SeqID
	Token int32
}
