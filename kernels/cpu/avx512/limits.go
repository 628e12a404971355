//go:build amd64 && !noasm

package avx512

// LimitBytesTurn is what a turn of LimitBytes counts, in multiply-adds.
const LimitBytesTurn = 768

// LimitBytes does turns times LimitBytesTurn multiply-adds of bytes in registers.
func LimitBytes(turns int) { limitBytes(turns) }
