package api

// Finish reasons of a choice.
const (
	FinishStop   = "stop"   // the model ended its text, or a stop string was reached
	FinishLength = "length" // max_tokens, or the context, was reached
)

// ModelList is the answer of GET /v1/models.
type ModelList struct {
	Object string  `json:"object"` // "list"
	Data   []Model `json:"data"`
}

// Model is one entry of ModelList and the answer of GET /v1/models/{id}.
type Model struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // "model"
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	// MaxModelLen is the context in tokens, under the name that vLLM gives it.
	MaxModelLen int `json:"max_model_len,omitempty"`
	// Parent is, of an adapter, the base that it is for, as vLLM has it.
	Parent string `json:"parent,omitempty"`
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int           `json:"prompt_tokens"`
	CompletionTokens int           `json:"completion_tokens"`
	TotalTokens      int           `json:"total_tokens"`
	PromptDetails    PromptDetails `json:"prompt_tokens_details"`
}

// PromptDetails says how much of the prompt was not computed anew.
type PromptDetails struct {
	CachedTokens int `json:"cached_tokens"`
}

// ChatCompletion is the answer of a chat completion that is not streamed.
type ChatCompletion struct {
	ID                string       `json:"id"`
	Object            string       `json:"object"` // "chat.completion"
	Created           int64        `json:"created"`
	Model             string       `json:"model"`
	Choices           []ChatChoice `json:"choices"`
	Usage             *Usage       `json:"usage"`
	SystemFingerprint string       `json:"system_fingerprint"`
	PromptTokenIDs    []int32      `json:"prompt_token_ids,omitempty"`
	Weft              *Info        `json:"weft"`
}

// ChatChoice is one choice of a ChatCompletion.
type ChatChoice struct {
	Index        int           `json:"index"`
	Message      Reply         `json:"message"`
	Logprobs     *ChatLogprobs `json:"logprobs"`
	FinishReason string        `json:"finish_reason"`
	TokenIDs     []int32       `json:"token_ids,omitempty"`
}

// Reply is the message of a choice.
type Reply struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

// ChatChunk is one event of a streamed chat completion.
type ChatChunk struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"` // "chat.completion.chunk"
	Created           int64             `json:"created"`
	Model             string            `json:"model"`
	Choices           []ChatChunkChoice `json:"choices"`
	Usage             *Usage            `json:"usage,omitempty"`
	SystemFingerprint string            `json:"system_fingerprint"`
	PromptTokenIDs    []int32           `json:"prompt_token_ids,omitempty"`
	Weft              *Info             `json:"weft,omitempty"` // in the last chunk
}

// ChatChunkChoice is what one chunk adds to one choice.
type ChatChunkChoice struct {
	Index        int           `json:"index"`
	Delta        Delta         `json:"delta"`
	Logprobs     *ChatLogprobs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"`
	TokenIDs     []int32       `json:"token_ids,omitempty"`
}

// Delta is a piece of a reply: the role in the first chunk of a choice, text in the others, nothing in the last.
type Delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

// ChatLogprobs are the log probabilities of a chat choice's tokens.
type ChatLogprobs struct {
	Content []ChatLogprob `json:"content"`
	Refusal []ChatLogprob `json:"refusal"`
}

// ChatLogprob is one generated token with its alternatives.
type ChatLogprob struct {
	TokenLogprob
	Top []TokenLogprob `json:"top_logprobs"`
}

// TokenLogprob is a token's text, its natural logarithm of probability, and its bytes, which the text cannot always show.
type TokenLogprob struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// Completion is the answer of a text completion, whole or one event of its stream.
type Completion struct {
	ID                string             `json:"id"`
	Object            string             `json:"object"` // "text_completion"
	Created           int64              `json:"created"`
	Model             string             `json:"model"`
	Choices           []CompletionChoice `json:"choices"`
	Usage             *Usage             `json:"usage,omitempty"`
	SystemFingerprint string             `json:"system_fingerprint"`
	Weft              *Info              `json:"weft,omitempty"` // in a stream: in the last chunk
}

// CompletionChoice is one choice of a Completion, or what one chunk adds to it.
type CompletionChoice struct {
	Index          int                 `json:"index"`
	Text           string              `json:"text"`
	Logprobs       *CompletionLogprobs `json:"logprobs"`
	FinishReason   *string             `json:"finish_reason"`
	TokenIDs       []int32             `json:"token_ids,omitempty"`
	PromptTokenIDs []int32             `json:"prompt_token_ids,omitempty"`
}

// CompletionLogprobs are the log probabilities of a text completion's tokens, one entry of each list for each token. The first
// token of an echoed prompt has no probability: its entries are null.
type CompletionLogprobs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogprobs []*float64           `json:"token_logprobs"`
	TopLogprobs   []map[string]float64 `json:"top_logprobs"`
	TextOffset    []int                `json:"text_offset"` // in Unicode code points from the start of the choice's text
}

// Info says what produced an answer: enough to compute it again elsewhere, given the prompt, which only a Receipt holds.
type Info struct {
	Base           Base      `json:"base"`
	Adapters       []Adapter `json:"adapters"`
	Numerics       string    `json:"numerics"`
	Seed           uint64    `json:"seed"` // of choice 0; choice i of a prompt is sampled with seed+i
	ReusedTokens   int       `json:"reused_tokens"`
	DraftedTokens  int       `json:"drafted_tokens,omitempty"`  // guesses at tokens to come that were computed
	AcceptedTokens int       `json:"accepted_tokens,omitempty"` // of these, those that were right: each saved a step
	Timings        Timings   `json:"timings"`
	Ignored        []string  `json:"ignored,omitempty"`
	RequestID      string    `json:"request_id,omitempty"`
	ContextLength  int       `json:"context_length,omitempty"`
	FinishDetail   string    `json:"finish_detail,omitempty"` // "context full" where it was that, and not max_tokens, that a choice's "length" means
	Template       string    `json:"template,omitempty"`      // of a chat, where the model has none of its own: "fallback chatml"
	// Receipt is there where the request asked for it and has one choice; Receipts, one for each choice, where it has several.
	Receipt  *Receipt  `json:"receipt,omitempty"`
	Receipts []Receipt `json:"receipts,omitempty"`
}

// Base identifies the base model that computed an answer.
type Base struct {
	Name         string `json:"name"`
	Digest       string `json:"digest"`        // "sha256:..." of the whole content, or "pending" while it is being computed
	HeaderDigest string `json:"header_digest"` // "sha256:..." of the file's header, known at once
	Generation   uint64 `json:"generation"`
}

// Adapter identifies one adapter that was applied.
type Adapter struct {
	Name       string  `json:"name"`
	Digest     string  `json:"digest"`
	Scale      float64 `json:"scale"`
	Generation uint64  `json:"generation"`
}

// Timings of a request, in milliseconds. Of several choices, the slowest of each.
type Timings struct {
	Queue      float64 `json:"queue_ms"`       // waiting before the first step
	Prefill    float64 `json:"prefill_ms"`     // from the first step to the first token
	FirstToken float64 `json:"first_token_ms"` // from arrival to the first token
	Total      float64 `json:"total_ms"`
}
