package scheduler

import "errors"

var (
	// ErrConfig says that a scheduler cannot work with a configuration.
	ErrConfig = errors.New("no such schedule")
	// ErrLength says that a prompt does not fit the context.
	ErrLength = errors.New("the prompt does not fit")
)
