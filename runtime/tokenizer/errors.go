package tokenizer

import "errors"

// The classes of errors New returns, besides those of a metadata getter.
var (
	// ErrVocabulary says that the vocabulary breaks a rule or a limit.
	ErrVocabulary = errors.New("tokenizer: vocabulary is malformed")
	// ErrUnsupported says that the vocabulary names a model or a pre-tokenizer that Weft does not have. Guessing one would
	// give almost the right tokens, which is worse than none.
	ErrUnsupported = errors.New("tokenizer: vocabulary is not supported")
)
