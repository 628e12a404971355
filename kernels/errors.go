package kernels

import "errors"

// ErrFault says that memory mapped from a file could not be read: the file was truncated, or its disk failed.
var ErrFault = errors.New("kernels: mapped weights could not be read")

// ErrLayout says that a key/value cache of the wanted layout cannot be made.
var ErrLayout = errors.New("kernels: no such key/value cache")
