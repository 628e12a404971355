package config

import (
	"fmt"
	"slices"

	"github.com/agext/levenshtein"
)

// nearest returns the name in known that is closest to name; the first in order of the alphabet among equals.
func nearest(name string, known []string) string {
	sorted := slices.Sorted(slices.Values(known))
	best := ""
	bestDistance := 0
	for _, k := range sorted {
		if d := levenshtein.Distance(name, k, nil); best == "" || d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// unknown is the error for a name that is not in known. What is "key", "flag" or "variable".
func unknown(what, name string, known []string) error {
	return fmt.Errorf("%w %s %q; the nearest known one is %q", ErrUnknown, what, name, nearest(name, known))
}
