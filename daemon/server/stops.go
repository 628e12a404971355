package server

// A stopMatcher finds the first stop string in a text that comes in pieces, and holds back just as much of the text as may still turn
// out to be the beginning of one. What it lets through does not depend on where the pieces were cut: the text is read byte by byte,
// the stop string that is complete first wins, and of several that end on one byte the longest.
//
// It runs one automaton for each stop string (Knuth, Morris, Pratt, 1977), so hostile stop strings cost no more than their number
// for each byte.
type stopMatcher struct {
	stops []stopString
	held  []byte // text not let through yet
}

type stopString struct {
	text    string
	failure []int // failure[i]: length of the longest proper prefix of text[:i+1] that is its suffix too
	matched int   // length of the longest prefix of text that the text so far ends with
}

func newStopMatcher(stops []string) *stopMatcher {
	m := new(stopMatcher)
	for _, s := range stops {
		failure := make([]int, len(s))
		for i, k := 1, 0; i < len(s); i++ {
			for k > 0 && s[i] != s[k] {
				k = failure[k-1]
			}
			if s[i] == s[k] {
				k++
			}
			failure[i] = k
		}
		m.stops = append(m.stops, stopString{text: s, failure: failure})
	}
	return m
}

// push takes the next piece and returns the text that may go out. found says that a stop string is complete: the text before it
// has then gone out, and the matcher is done.
func (m *stopMatcher) push(piece string) (out string, found bool) {
	if len(m.stops) == 0 {
		return piece, false
	}
	for i := range len(piece) {
		m.held = append(m.held, piece[i])
		longest := 0
		for s := range m.stops {
			stop := &m.stops[s]
			if stop.next(piece[i]) {
				longest = max(longest, len(stop.text))
			}
		}
		if longest > 0 {
			return string(m.held[:len(m.held)-longest]), true
		}
	}
	keep := 0
	for s := range m.stops {
		keep = max(keep, m.stops[s].matched)
	}
	cut := len(m.held) - keep
	out = string(m.held[:cut])
	m.held = append(m.held[:0], m.held[cut:]...)
	return out, false
}

// flush returns the rest: the text has ended, so nothing more can complete a stop string.
func (m *stopMatcher) flush() string {
	out := string(m.held)
	m.held = m.held[:0]
	return out
}

// next advances the automaton by one byte and says whether the stop string is complete.
func (s *stopString) next(c byte) bool {
	for s.matched > 0 && s.text[s.matched] != c {
		s.matched = s.failure[s.matched-1]
	}
	if s.text[s.matched] == c {
		s.matched++
	}
	return s.matched == len(s.text)
}
