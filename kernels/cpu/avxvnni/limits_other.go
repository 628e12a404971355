//go:build !amd64 || noasm

package avxvnni

// LimitBytesTurn is of a level that this build lacks: nothing calls LimitBytes.
const LimitBytesTurn = 0

// LimitBytes does nothing.
func LimitBytes(int) {}
