package api

import (
	"errors"
	"fmt"
	"time"
)

// ErrBody is wrapped by every error about a body that is not one JSON object.
var ErrBody = errors.New("api: body")

// FieldError says which field of a request is wrong, what was wanted and what was found. Field is a path such as
// `messages[2].content` or `logit_bias["17"]`.
type FieldError struct {
	Field string
	Want  string
	Got   string // empty where the field is absent
}

func (e *FieldError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("field %q is missing: want %s", e.Field, e.Want)
	}
	return fmt.Sprintf("field %q: want %s, got %s", e.Field, e.Want, e.Got)
}

// UnsupportedError refuses, by name, a field that Weft understands and cannot yet honour. Ignoring it would change the answer
// without a word.
type UnsupportedError struct {
	Field  string
	Reason string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("field %q: %s", e.Field, e.Reason)
}

// Error is an error in OpenAI's shape. The client returns it for every answer that is not a success; Status and RetryAfter come from
// the answer's head and are no part of the body.
type Error struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`

	Status     int           `json:"-"`
	RetryAfter time.Duration `json:"-"`
	RequestID  string        `json:"-"`
}

func (e *Error) Error() string { return e.Message }

// ErrorResponse is the body of an error, and the payload of the event that ends a stream which failed after it began.
type ErrorResponse struct {
	Error *Error `json:"error"`
}

// Types of Error, as OpenAI names them.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypePermission     = "permission_error"
	TypeNotFound       = "not_found_error"
	TypeRateLimit      = "rate_limit_error"
	TypeServer         = "server_error"
	TypeUnavailable    = "service_unavailable_error"
)

// Codes of Error: the word a program tests.
const (
	CodeInvalidBody     = "invalid_body"
	CodeInvalidValue    = "invalid_value"
	CodeUnsupported     = "unsupported_field"
	CodeModelNotFound   = "model_not_found"
	CodeModelRefused    = "model_refused"
	CodeNotFound        = "not_found"
	CodeFileNotFound    = "file_not_found"
	CodeMethod          = "method_not_allowed"
	CodeContextLength   = "context_length_exceeded"
	CodeBodyTooLarge    = "body_too_large"
	CodeQueueFull       = "queue_full"
	CodeStarting        = "starting"
	CodeClosing         = "closing"
	CodeWeightsLost     = "weights_lost"
	CodeNonFinite       = "non_finite"
	CodeForbidden       = "forbidden"
	CodeForeignHost     = "foreign_host"
	CodeForeignOrigin   = "foreign_origin"
	CodeTimeout         = "timeout"
	CodeDeadline        = "deadline_exceeded"
	CodeClientGone      = "client_gone"
	CodeSlowReader      = "slow_reader" // ends a stream of events whose reader fell behind
	CodeInternal        = "internal_error"
	CodeTemplate        = "template_error"
	CodeInsufficientMem = "insufficient_storage"
	CodeAdapterNotFound = "adapter_not_found"
	CodeAdapterRefused  = "adapter_refused"
	CodeAdapterUnfit    = "adapter_unfit"       // it is not for the base that is named, or cannot be used with the others
	CodeAdapterMemory   = "adapter_memory_full" // running requests hold all that adapters may take
	CodeStale           = "stale_generation"    // another one is published than the one to be replaced
)
