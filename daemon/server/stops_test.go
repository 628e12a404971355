package server

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStopMatcher(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		stops  []string
		pieces []string
		want   []string // what each push lets through, then the flush where nothing was found
		found  bool
	}{
		{"none", nil, []string{"a", "b"}, []string{"a", "b", ""}, false},
		{"inside a piece", []string{"b"}, []string{"abc"}, []string{"a"}, true},
		{"across pieces", []string{"Lily"}, []string{"named Li", "ly."}, []string{"named ", ""}, true},
		{"held, then let go", []string{"Lily"}, []string{"Li", "on"}, []string{"", "Lion", ""}, false},
		{"held to the end", []string{"\n\n"}, []string{"a\n"}, []string{"a", "\n"}, false},
		{"overlapping itself", []string{"aab"}, []string{"aa", "a", "b"}, []string{"", "a", ""}, true},
		{"the first to end wins", []string{"abcd", "bc"}, []string{"abcd"}, []string{"a"}, true},
		{"of two ending together the longest", []string{"c", "abc"}, []string{"xabc"}, []string{"x"}, true},
		{"a letter of three bytes", []string{"€"}, []string{"5 €"}, []string{"5 "}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newStopMatcher(makeStops(c.stops))
			var got []string
			found := false
			for _, p := range c.pieces {
				var out string
				out, found = m.push(p)
				got = append(got, out)
				if found {
					break
				}
			}
			if !found {
				got = append(got, m.flush())
			}
			if found != c.found || strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, found %v; want %q, %v", got, found, c.want, c.found)
			}
		})
	}
}

// TestStopMatcherSplits holds that the cuts between pieces change nothing, and that nothing but what a plain search would cut away is
// missing from the output.
func TestStopMatcherSplits(t *testing.T) {
	t.Parallel()
	letters := rapid.StringOfN(rapid.RuneFrom([]rune("aab€")), 0, 40, -1)
	stop := rapid.StringOfN(rapid.RuneFrom([]rune("aab€")), 1, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		text := letters.Draw(t, "text")
		stops := rapid.SliceOfN(stop, 0, 3).Draw(t, "stops")
		want, wantFound := plainStop(text, stops)

		m := newStopMatcher(makeStops(stops))
		var got strings.Builder
		found := false
		for rest := text; rest != "" && !found; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			var out string
			out, found = m.push(rest[:n])
			got.WriteString(out)
			rest = rest[n:]
			if !strings.HasPrefix(want, got.String()) {
				t.Fatalf("let %q through, the answer is %q", got.String(), want)
			}
		}
		if !found {
			got.WriteString(m.flush())
		}
		if got.String() != want || found != wantFound {
			t.Fatalf("got %q, %v; want %q, %v", got.String(), found, want, wantFound)
		}
	})
}

// plainStop is the definition: of all stop strings in the text the one that ends first, and of those the longest.
func plainStop(text string, stops []string) (string, bool) {
	for end := 1; end <= len(text); end++ {
		longest := 0
		for _, s := range stops {
			if strings.HasSuffix(text[:end], s) {
				longest = max(longest, len(s))
			}
		}
		if longest > 0 {
			return text[:end-longest], true
		}
	}
	return text, false
}
