// Package near finds the names that somebody may have meant who wrote one that is not there. It knows nothing of what has the names.
package near

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// most is how many names are listed.
const most = 3

// maxLen bounds what is compared: no file has a longer name.
const maxLen = 256

// Names lists those of known that look like name, the nearest first: those that name begins or lies in, whatever the case, then those
// that differ in at most half of their letters. When none does, it lists what there is.
func Names(name string, known []string) []string {
	type candidate struct {
		name string
		far  int
	}
	all := make([]candidate, 0, len(known))
	looksLike := false
	within := strings.ToLower(name)
	for _, k := range known {
		far := len(k) + maxLen
		switch lower := strings.ToLower(k); {
		case len(name) > maxLen:
			// Levenshtein costs the product of the lengths, so monsters are not compared.
		case len(name) > 1 && strings.Contains(lower, within):
			far = strings.Index(lower, within)
		default:
			if d := levenshtein.Distance(name, k, nil); d <= max(len(name), len(k))/2 {
				far = d
			}
		}
		looksLike = looksLike || far < maxLen
		all = append(all, candidate{k, far})
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name)) })
	names := make([]string, 0, most)
	for _, c := range all[:min(len(all), most)] {
		if c.far < maxLen || !looksLike {
			names = append(names, c.name)
		}
	}
	return names
}
