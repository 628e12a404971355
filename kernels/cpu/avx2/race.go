//go:build race && amd64 && !noasm

package avx2

import (
	"runtime"
	"unsafe"
)

// reads tells the race detector, which cannot look into assembly, that s is read.
func reads[T any](s []T) {
	if len(s) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(s)), len(s)*int(unsafe.Sizeof(s[0])))
	}
}

// writes tells the race detector that s is written.
func writes[T any](s []T) {
	if len(s) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(s)), len(s)*int(unsafe.Sizeof(s[0])))
	}
}

// writesApart tells the race detector that every n elements of s are written that begin apart from each other.
func writesApart[T any](s []T, n, apart int) {
	for ; len(s) > apart; s = s[apart:] {
		writes(s[:n])
	}
	writes(s)
}
