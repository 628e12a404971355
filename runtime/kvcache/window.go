package kvcache

import "github.com/weft-run/weft/kernels"

// Sees returns the position from which on the row at pos reads the cache where it sees window positions, its own included, or all where window is 0.
func Sees(window, pos int) int {
	return kernels.Attention{Window: window}.Sees(pos)
}

// WindowPages is how many pages hold all that step rows, one after the other, see through a window.
func WindowPages(window, step, pageTokens int) int {
	return (window+step+kernels.TileTokens+pageTokens-1)/pageTokens + 1
}
