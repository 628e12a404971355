package api

// Limits bounds a request's shape: memory and time before a model has seen it. What depends on the model (its context, its
// vocabulary) is checked by the server, which knows it. A limit that is passed is a FieldError that names the field, or wraps ErrBody
// where it concerns the body as a whole.
type Limits struct {
	Depth     int // nested arrays and objects in a body
	Text      int // bytes of one text: a prompt, a message's content, a part of it
	Messages  int // messages of one chat
	Parts     int // text parts of one message
	Tools     int // tools of one chat
	Prompts   int // prompts of one completion request
	N         int // choices for each prompt
	Choices   int // prompts times n
	Stops     int // stop strings
	StopBytes int // bytes of one stop string
	LogitBias int // entries of logit_bias
}

// DefaultLimits are far above what a client sends that means well, and far below what would hurt a small machine.
func DefaultLimits() Limits {
	return Limits{
		Depth:     64,
		Text:      16 << 20,
		Messages:  8192,
		Parts:     1024,
		Tools:     1024,
		Prompts:   256,
		N:         16,
		Choices:   256,
		Stops:     64,
		StopBytes: 1024,
		LogitBias: 4096,
	}
}
