package parts

import "errors"

var (
	// ErrMismatch says that parts of one file do not belong together.
	ErrMismatch = errors.New("parts: parts of the model do not fit each other")
	// ErrSetting says that a model cannot be served with the settings given for it.
	ErrSetting = errors.New("parts: setting cannot be used")
)
