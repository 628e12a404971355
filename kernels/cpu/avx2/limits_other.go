//go:build !amd64 || noasm

package avx2

// The limits of a level that this build lacks: nothing calls them.
const (
	LimitBytesTurn  = 0
	LimitFloatsTurn = 0
)

// LimitBytes does nothing.
func LimitBytes(int) {}

// LimitFloats does nothing.
func LimitFloats(int) {}

// LimitRead does nothing.
func LimitRead([]byte) {}
