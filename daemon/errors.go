package daemon

import "errors"

var (
	// ErrUsage says that a command line makes no sense.
	ErrUsage = errors.New("usage")
	// ErrInUse says that another daemon has the folder or the socket.
	ErrInUse = errors.New("in use by another daemon")
)
