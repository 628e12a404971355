//go:build amd64 && !noasm

package avxvnni

// LimitBytesTurn is what a turn of LimitBytes counts, in multiply-adds.
const LimitBytesTurn = 384

// LimitBytes does turns times LimitBytesTurn multiply-adds of bytes in registers.
func LimitBytes(turns int) { limitBytes(turns) }
