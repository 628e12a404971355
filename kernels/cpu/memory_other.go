//go:build !linux

package cpu

// reserve returns zeroed memory of n bytes.
func reserve(n int64) ([]byte, error) { return make([]byte, n), nil }

// release leaves memory of reserve to the garbage collector.
func release([]byte) {}

// discard leaves memory as it is.
func discard([]byte, int, int) {}
