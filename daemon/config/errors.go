package config

import "errors"

var (
	// ErrUnknown says that a key, flag or variable is not one of ours. The message names the nearest one that is.
	ErrUnknown = errors.New("unknown")
	// ErrValue says that a setting has a value of the wrong type or outside its limits.
	ErrValue = errors.New("bad value")
	// ErrVersion says that a file was written for another version of the configuration.
	ErrVersion = errors.New("version not understood")
	// ErrUnavailable says that a key is known but what it asks for is not in this version of the program.
	ErrUnavailable = errors.New("not available in this version")
)
