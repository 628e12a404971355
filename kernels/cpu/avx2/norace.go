//go:build !race && amd64 && !noasm

package avx2

func reads[T any]([]T)  {}
func writes[T any]([]T) {}

func writesApart[T any]([]T, int, int) {}
