package kernels

import "errors"

// ErrFault says that memory mapped from a file could not be read: the file was truncated, or its disk failed.
var ErrFault = errors.New("kernels: mapped weights could not be read")
