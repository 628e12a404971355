//go:build !race && amd64 && !noasm

package avxvnni

func reads[T any]([]T)  {}
func writes[T any]([]T) {}
