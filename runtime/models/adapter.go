package models

// Target is a weight that an adapter may change, as a model has it.
type Target struct {
	Name string // of its tensor, without ".weight": "blk.0.attn_q", "token_embd", "output"
	// Layer is the first layer whose keys and values the change reaches; Layers for what comes behind the last.
	Layer      int
	Rows, Cols int // outputs and inputs; of token_embd Vocab and Width
	// PairHeads is the number of heads whose rows the file has in the order of adjacent rotated pairs, where the checkpoint that it was
	// converted from has halves; 0: rows are in the checkpoint's order.
	PairHeads int
	Bias      []float32 // [Rows], what the base adds itself; nil: nothing. Shared, not to be written
}

// Delta is what an adapter changes of one target: y = W x + Scale * B (A x), and what PEFT adds to that.
type Delta struct {
	Target string // the Target's Name
	Rank   int    // 0: there is a Bias alone
	// A is [Rank, Cols] and B is [Rows, Rank], row after row, their rows in the order of the base's own tensor. Of token_embd, whose
	// inputs are ids, A is [Rank, Rows] and B is [Cols, Rank].
	A, B  []float32
	Scale float32 // alpha / rank, or alpha / sqrt(rank)
	// Magnitude, of DoRA, is [Rows]: row i of the changed weight is scaled to this length (Liu et al., 2024).
	Magnitude []float32
	// Bias is [Rows], what the adapter's bias has more than the base's own: added to y whole, at any scale but 0; nil: none.
	Bias []float32
}

// AdapterSpec is an adapter as plain data, whatever file it came from.
type AdapterSpec struct {
	Digest string // sha256 of its files' content, in hex
	Deltas []Delta
	// Invocation are the tokens at whose last occurrence in the prompt an activated adapter (aLoRA) begins to change anything, the first of
	// them included; without an occurrence it changes nothing. nil: all tokens are changed.
	Invocation []int32
}
