package api

// What marks a receipt, and the version of its fields that this package writes and reads.
const (
	ReceiptObject  = "weft.receipt"
	ReceiptVersion = 1
)

// MaxReceiptTokens bounds the prompt tokens of all receipts of one answer together, and the tokens of a receipt that is read: what has
// more fits no body.
const MaxReceiptTokens = 1 << 21

// DigestPending stands where a digest is not known yet.
const DigestPending = "pending"

// Receipt is all that decides one choice of an answer, and the tokens it came to: who has the files can compute it again and compare.
// It is no signature: it says what was computed, not who did. All of its fields are always there, but for those marked.
type Receipt struct {
	Object       string          `json:"object"` // "weft.receipt"
	Version      int             `json:"version"`
	Weft         string          `json:"weft"` // version of the daemon that made it
	Numerics     string          `json:"numerics"`
	Base         Base            `json:"base"`
	Adapters     []Adapter       `json:"adapters"` // in the order of application
	KVType       string          `json:"kv_type"`
	Prompt       []int32         `json:"prompt_token_ids"`
	Sampling     ReceiptSampling `json:"sampling"`
	Output       []int32         `json:"token_ids"` // every token that was sampled: those of a stop string and the one that ended the text too
	FinishReason string          `json:"finish_reason"`
}

// ReceiptSampling says how the tokens were chosen, with everything that the request left open filled in.
type ReceiptSampling struct {
	Temperature       float64           `json:"temperature"`
	TopP              float64           `json:"top_p"`
	TopK              int               `json:"top_k"`
	MinP              float64           `json:"min_p"`
	TypicalP          float64           `json:"typical_p"`
	RepetitionPenalty float64           `json:"repetition_penalty"`
	RepeatLastN       int               `json:"repeat_last_n"`
	FrequencyPenalty  float64           `json:"frequency_penalty"`
	PresencePenalty   float64           `json:"presence_penalty"`
	LogitBias         map[int32]float32 `json:"logit_bias,omitempty"` // absent: none
	Seed              uint64            `json:"seed"`                 // of this choice
	MaxTokens         int               `json:"max_tokens"`           // the context where it was made counted in; 0: the prompt alone
	Stop              Stops             `json:"stop,omitempty"`       // absent: none
	IgnoreEOS         bool              `json:"ignore_eos"`
}

// VerifyRequest is the body of POST /weft/v1/verify.
type VerifyRequest struct {
	Receipt Receipt `json:"receipt"`
	// Model computes with the model of this name, whatever its file; "": with a file that has the receipt's digest.
	Model string `json:"model,omitempty"`
}

// Verification is its answer.
type Verification struct {
	Equal  bool `json:"equal"`
	Tokens int  `json:"tokens"` // of the answer that were computed again and are the receipt's
	// Difference is where the two part first.
	Difference *Difference `json:"difference,omitempty"`
	// Notes say what is other here than where the receipt was made, and so may explain a difference.
	Notes  []string `json:"notes,omitempty"`
	KVType string   `json:"kv_type"`
	Weft   *Info    `json:"weft"` // what computed it again
}

// Difference is the first place where a receipt and what was computed are not the same.
type Difference struct {
	Index    int     `json:"index"` // of the token in the answer, from 0
	Receipt  Outcome `json:"receipt"`
	Computed Outcome `json:"computed"`
}

// Outcome is what an answer has at one place: a token, or its end.
type Outcome struct {
	ID           *int32 `json:"id,omitempty"`
	Text         string `json:"text,omitempty"` // the token's
	FinishReason string `json:"finish_reason,omitempty"`
}
