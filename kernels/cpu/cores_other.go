//go:build !linux

package cpu

func newCores(int) cores { return anyCores{} }
