package api

import (
	"encoding/json"
	"time"
)

// States of a model, in the order in which it goes through them.
const (
	StateSeen     = "seen"     // some of its files are there, and others are missing
	StateSettling = "settling" // its files are there, and have not been still for long enough
	StateChecking = "checking" // it is read and loaded up to its first token, or in line for that
	StateServing  = "serving"  // answers requests
	StateRefused  = "refused"  // cannot be served, or has lost its weights; Reason says why
	StateUnloaded = "unloaded" // gave its memory back, or found none; the next request that names it has it loaded
	StateRetiring = "retiring" // replaced or removed, still answering old requests
)

// Status is the answer of GET /weft/v1/status.
type Status struct {
	Version   string        `json:"version"`
	State     string        `json:"state"` // "starting", "ready", "draining"
	PID       int           `json:"pid"`
	Started   time.Time     `json:"started"`
	Uptime    float64       `json:"uptime_ms"`
	Numerics  string        `json:"numerics"`
	CPU       CPU           `json:"cpu"`
	Memory    Memory        `json:"memory"`
	Requests  Requests      `json:"requests"`
	DataDir   string        `json:"data_dir,omitempty"`
	Listeners []string      `json:"listeners,omitempty"`
	Caller    Caller        `json:"caller"`
	Models    []ModelStatus `json:"models"`
}

// CPU says how the daemon computes.
type CPU struct {
	Level   string `json:"level"` // "ref", "avx2", ...
	Threads int    `json:"threads"`
}

// Memory is what the models may hold and do hold, in bytes.
type Memory struct {
	Budget   int64 `json:"budget_bytes"`
	Resident int64 `json:"resident_bytes"`
}

// Requests counts completions.
type Requests struct {
	Running int `json:"running"`
	Queued  int `json:"queued"`
}

// Caller is who the daemon takes the caller for.
type Caller struct {
	Network string `json:"network"`       // "unix" or "tcp"
	UID     *int   `json:"uid,omitempty"` // on the Unix socket
	GID     *int   `json:"gid,omitempty"`
	PID     *int   `json:"pid,omitempty"`
	Admin   bool   `json:"admin"`
}

// ModelStatuses is the answer of GET /weft/v1/models.
type ModelStatuses struct {
	Models []ModelStatus `json:"models"`
}

// ModelStatus is one model as the daemon knows it, served or not.
type ModelStatus struct {
	Name         string   `json:"name"`
	Aliases      []string `json:"aliases,omitempty"`
	State        string   `json:"state"`
	Pinned       bool     `json:"pinned,omitempty"` // not unloaded unasked
	Reason       string   `json:"reason,omitempty"` // why it is not served; beside serving, why newer content is not
	Next         string   `json:"next,omitempty"`   // beside serving, the state of newer content under the name
	BuiltIn      bool     `json:"built_in,omitempty"`
	Files        []string `json:"files,omitempty"`
	Bytes        int64    `json:"bytes"`
	Generation   uint64   `json:"generation,omitempty"`
	Architecture string   `json:"architecture,omitempty"`
	Quantization string   `json:"quantization,omitempty"`
	Parameters   int64    `json:"parameters,omitempty"`
	Context      int      `json:"context_tokens,omitempty"` // of one sequence, as served
	KVType       string   `json:"kv_type,omitempty"`        // of the cache, as served
	Template     string   `json:"template,omitempty"`       // where the chat template comes from: "file", "settings", "fallback NAME"; or why there is none
	HeaderDigest string   `json:"header_digest,omitempty"`
	Digest       string   `json:"digest,omitempty"` // "sha256:..." or "pending"
	Resident     int64    `json:"resident_bytes,omitempty"`

	Seen        *time.Time `json:"seen,omitempty"`
	Served      *time.Time `json:"served,omitempty"`
	SeenToReady float64    `json:"seen_to_ready_ms,omitempty"` // from the file's arrival, or from when it was asked for again, to the first token it could give
	Used        *time.Time `json:"used,omitempty"`             // when a request wanted it last or let it go, or it came into service

	LastRefusal string     `json:"last_refusal,omitempty"` // why what lay there was not taken into service the last time that it was not
	LastRefused *time.Time `json:"last_refused,omitempty"`

	Running    int `json:"running"`
	Queued     int `json:"queued"`
	PagesUsed  int `json:"pages_used"`
	PagesKept  int `json:"pages_kept"` // held by no request, kept for one that begins alike
	PagesTotal int `json:"pages_total"`

	Preempted uint64 `json:"preemptions,omitempty"` // times that a sequence gave its pages up to another and was computed again

	Drafted  uint64 `json:"drafted_tokens,omitempty"`  // guesses at tokens to come that were computed
	Accepted uint64 `json:"accepted_tokens,omitempty"` // of these, those that were right

	Draft           string `json:"draft,omitempty"`                 // the model that guesses for it, by its settings
	DraftNote       string `json:"draft_note,omitempty"`            // why that guesses nothing
	DraftedByModel  uint64 `json:"draft_drafted_tokens,omitempty"`  // of drafted_tokens, those that it guessed
	AcceptedByModel uint64 `json:"draft_accepted_tokens,omitempty"` // of accepted_tokens, those that it guessed
}

// TokenizeRequest is the body of POST /weft/v1/tokenize.
type TokenizeRequest struct {
	Model        string `json:"model"`
	Text         string `json:"text"`
	AddSpecial   *bool  `json:"add_special,omitempty"`   // BOS and EOS by the model's own rule; default true
	ParseSpecial bool   `json:"parse_special,omitempty"` // text such as <|im_end|> becomes its token
	Pieces       bool   `json:"pieces,omitempty"`
}

// TokenizeResponse is its answer.
type TokenizeResponse struct {
	Model  string   `json:"model"`
	Tokens []int32  `json:"tokens"`
	Count  int      `json:"count"`
	Pieces []string `json:"pieces,omitempty"`
}

// DetokenizeRequest is the body of POST /weft/v1/detokenize.
type DetokenizeRequest struct {
	Model  string  `json:"model"`
	Tokens []int32 `json:"tokens"`
}

// DetokenizeResponse is its answer.
type DetokenizeResponse struct {
	Model string `json:"model"`
	Text  string `json:"text"`
}

// RenderRequest is the body of POST /weft/v1/render: a chat to be rendered and not answered.
type RenderRequest struct {
	Model               string            `json:"model"`
	Messages            []Message         `json:"messages"`
	Tools               []json.RawMessage `json:"tools,omitempty"`
	AddGenerationPrompt *bool             `json:"add_generation_prompt,omitempty"` // default true
	TemplateArguments   map[string]any    `json:"chat_template_kwargs,omitempty"`
}

// RenderResponse is its answer: the text, and the token ids that a chat completion would prefill.
type RenderResponse struct {
	Model  string  `json:"model"`
	Text   string  `json:"text"`
	Tokens []int32 `json:"tokens"`
	// Template names the template where the model has none of its own: "fallback chatml".
	Template string `json:"template,omitempty"`
}

// PerplexityRequest is the body of POST /weft/v1/perplexity. Exactly one of Text and Tokens is given.
type PerplexityRequest struct {
	Model  string  `json:"model"`
	Text   string  `json:"text,omitempty"`
	Tokens []int32 `json:"tokens,omitempty"`
	Window int     `json:"window,omitempty"` // tokens of each window; 0: the model's context

	// Ignored names the fields of the body that Weft does not know. Filled by DecodePerplexity.
	Ignored []string `json:"-"`
}

// PerplexityResponse is its answer. Every token but the first of each window is scored given those before it in its window.
type PerplexityResponse struct {
	Model      string  `json:"model"`
	Perplexity float64 `json:"perplexity"`
	MeanNLL    float64 `json:"mean_nll"` // natural logarithm
	Tokens     int     `json:"tokens"`
	Scored     int     `json:"scored"`
	Windows    int     `json:"windows"`
	Window     int     `json:"window"`
	Weft       *Info   `json:"weft"`
}

// Version is the answer of GET /version.
type Version struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"` // "linux/amd64"
	Numerics string `json:"numerics"`
}

// Health is the answer of GET /healthz and /readyz.
type Health struct {
	Status string `json:"status"` // "ok", "starting", "draining"
}

// Stored is the answer of PUT /weft/v1/models/NAME: the file lies in the models folder; whether it can be served shows in its
// ModelStatus a moment later.
type Stored struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}
