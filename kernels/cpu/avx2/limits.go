//go:build amd64 && !noasm

package avx2

// What a turn of LimitBytes and of LimitFloats counts, in multiply-adds.
const (
	LimitBytesTurn  = 1024
	LimitFloatsTurn = 96
)

// LimitBytes does turns times LimitBytesTurn multiply-adds of bytes in registers.
func LimitBytes(turns int) { limitBytes(turns) }

// LimitFloats does turns times LimitFloatsTurn multiply-adds of float32 in registers.
func LimitFloats(turns int) { limitFloats(turns) }

// LimitRead reads memory, but for what is left behind whole pieces of 256 bytes.
func LimitRead(memory []byte) {
	if len(memory) >= 256 {
		reads(memory)
		limitRead(&memory[0], len(memory)/256)
	}
}
