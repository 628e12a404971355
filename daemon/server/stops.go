package server

// A stopMatcher finds the first stop string in a text that comes in pieces, and holds back just as much of the text as may still turn
// out to be the beginning of one. What it lets through does not depend on where the pieces were cut: the text is read byte by byte,
// the stop string that is complete first wins, and of several that end on one byte the longest.
//
// It runs one automaton for each stop string (Knuth, Morris, Pratt, 1977), so hostile stop strings cost no more than their number
// for each byte.
type stopMatcher struct {
	stops   []stopString
	matched []int32 // for each stop string: length of its longest prefix that the text so far ends with
	held    []byte  // text not let through yet
}

// A stopString is one stop string made ready. It is not changed any more: all choices of a request share it.
type stopString struct {
	text    string
	failure []int32 // failure[i]: length of the longest proper prefix of text[:i+1] that is its suffix too
}

// makeStops makes stop strings ready; each takes five bytes of memory for each of its own.
func makeStops(texts []string) []stopString {
	stops := make([]stopString, 0, len(texts))
	for _, s := range texts {
		failure := make([]int32, len(s))
		for i, k := 1, int32(0); i < len(s); i++ {
			for k > 0 && s[i] != s[k] {
				k = failure[k-1]
			}
			if s[i] == s[k] {
				k++
			}
			failure[i] = k
		}
		stops = append(stops, stopString{text: s, failure: failure})
	}
	return stops
}

func newStopMatcher(stops []stopString) *stopMatcher {
	return &stopMatcher{stops: stops, matched: make([]int32, len(stops))}
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
			m.matched[s] = stop.next(m.matched[s], piece[i])
			if int(m.matched[s]) == len(stop.text) {
				longest = max(longest, len(stop.text))
			}
		}
		if longest > 0 {
			return string(m.held[:len(m.held)-longest]), true
		}
	}
	keep := 0
	for _, n := range m.matched {
		keep = max(keep, int(n))
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

// next returns how much of the stop string is matched after one more byte. Before it, the stop string was not complete.
func (s *stopString) next(matched int32, c byte) int32 {
	for matched > 0 && s.text[matched] != c {
		matched = s.failure[matched-1]
	}
	if s.text[matched] == c {
		matched++
	}
	return matched
}
