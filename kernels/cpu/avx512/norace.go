//go:build !race && amd64 && !noasm

package avx512

func reads[T any]([]T)  {}
func writes[T any]([]T) {}
