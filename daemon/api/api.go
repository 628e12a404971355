// Package api owns the words of Weft's HTTP interface: OpenAI's wire types and Weft's own, the decoding of requests with its
// checks and limits, the shape of errors, and the Go client over the Unix socket or TCP. It does not serve requests, load models
// or know what a token means; daemon/server does that with the types of this package.
//
// Units: durations on the wire are milliseconds as floating-point numbers and say so in their names (`_ms`); sizes are bytes;
// token counts are tokens. Values are plain data without locks: a decoded request belongs to whoever decoded it. A Client is safe
// for concurrent use; a Stream belongs to one goroutine.
//
// The package is stable for programs outside this module and imports the standard library alone.
package api

// Limits that belong to the protocol, or to what a log and an answer can bear, and that nobody sets; see Limits for the others.
const (
	MaxTopLogprobs   = 20      // alternatives for each token
	MaxNameBytes     = 512     // a model's name, a role, a user's name
	MaxIgnored       = 64      // names listed in weft.ignored
	MaxTokens        = 1 << 30 // any count of tokens
	MaxTokenID       = 1<<31 - 1
	maxQuotedBytes   = 48 // bytes of a refused value that an error quotes
	maxIgnoredLength = 64 // bytes of an ignored field's name that are listed
)

// Paths of the endpoints.
const (
	PathModels          = "/v1/models"
	PathChatCompletions = "/v1/chat/completions"
	PathCompletions     = "/v1/completions"
	PathStatus          = "/weft/v1/status"
	PathWeftModels      = "/weft/v1/models"
	PathEvents          = "/weft/v1/events"
	PathSessions        = "/weft/v1/sessions"
	PathCache           = "/weft/v1/cache"
	PathTokenize        = "/weft/v1/tokenize"
	PathDetokenize      = "/weft/v1/detokenize"
	PathRender          = "/weft/v1/render"
	PathPerplexity      = "/weft/v1/perplexity"
	PathVerify          = "/weft/v1/verify"
	PathHealth          = "/healthz"
	PathReady           = "/readyz"
	PathVersion         = "/version"
	PathMetrics         = "/metrics"
)
