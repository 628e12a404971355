package kvcache

import "github.com/weft-run/weft/kernels"

// Sees returns the position from which on the row at pos reads the cache where it sees window positions, its own included, or all where window is 0:
// whole tiles are read, and what lies before the window in the first is masked.
func Sees(window, pos int) int {
	if window == 0 {
		return 0
	}
	return max(0, pos+1-window) &^ (kernels.TileTokens - 1)
}

// WindowPages is how many pages hold all that step rows, one after the other, see through a window.
func WindowPages(window, step, pageTokens int) int {
	return (window+step+kernels.TileTokens+pageTokens-1)/pageTokens + 1
}
