package speculation

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestGuessesStandBehindTheSamePast: what is guessed first stood behind the same last tokens before, and the rest follows there.
func TestGuessesStandBehindTheSamePast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.Int32Range(0, 5)
		all := rapid.SliceOfN(token, 1, 40).Draw(t, "prompt")
		l := NewLookup(all, len(all)+rapid.IntRange(0, 60).Draw(t, "room"))
		for _, next := range rapid.SliceOfN(token, 0, 60).Draw(t, "completion") {
			all = append(all, next)
			l.Add(next)
			guesses := l.Guess(nil, 5)
			if len(l.tokens) > len(all) || !slices.Equal(l.tokens, all[len(all)-len(l.tokens):]) {
				t.Fatalf("holds %v of %v", l.tokens, all)
			}
			if l.at == 0 {
				if len(guesses) > 0 || l.Trust(0) != 0 {
					t.Fatalf("%v guessed from nowhere", guesses)
				}
				continue
			}
			n := len(l.tokens)
			if common := min(l.length, l.at); common < 1 || !slices.Equal(l.tokens[l.at-common:l.at], l.tokens[n-common:]) {
				t.Fatalf("place %d of %v: the last %d tokens are not the same", l.at, l.tokens, common)
			}
			for i, guess := range guesses {
				if want := slices.Concat(l.tokens, guesses)[l.at+i]; guess != want {
					t.Fatalf("guesses %v at place %d of %v", guesses, l.at, l.tokens)
				}
			}
			for ahead := range 20 {
				if trust := l.Trust(ahead); !(trust >= 0 && trust < 1) {
					t.Fatalf("trust %v", trust)
				}
			}
		}
	})
}

func TestLookup(t *testing.T) {
	for name, c := range map[string]struct{ prompt, completion, want []int32 }{
		"nothing before":        {[]int32{1, 2, 3}, []int32{4, 5}, nil},
		"one token is no past":  {[]int32{1, 2, 3}, []int32{9, 2}, nil},
		"a copy":                {[]int32{1, 2, 3, 4, 5, 6}, []int32{9, 1, 2}, []int32{3, 4, 5}},
		"at once":               {[]int32{1, 2, 3, 4, 1, 2}, nil, []int32{3, 4, 1}},
		"the longest past":      {[]int32{7, 1, 2, 3, 8, 1, 2, 4, 5}, []int32{7, 1, 2}, []int32{3, 8, 1}},
		"of equals the latest":  {[]int32{7, 1, 2, 3, 8, 1, 2, 4, 5}, []int32{9, 1, 2}, []int32{4, 5, 9}},
		"a word left out":       {[]int32{1, 2, 3, 4, 5, 6, 7, 8}, []int32{9, 2, 3, 5}, []int32{6, 7, 8}},
		"another word":          {[]int32{1, 2, 3, 4, 5, 6, 7, 8}, []int32{9, 2, 3, 11, 5}, []int32{6, 7, 8}},
		"a word put in":         {[]int32{1, 2, 3, 4, 5, 6, 7, 8}, []int32{9, 2, 3, 11, 4}, []int32{5, 6, 7}},
		"far from where it was": {[]int32{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15}, []int32{9, 2, 3, 14}, nil},
		"round and round":       {[]int32{1, 2, 1, 2}, []int32{1, 2}, []int32{1, 2, 1}},
		"a copy that leaves":    {[]int32{1, 2, 3, 4, 5, 6, 7, 8}, []int32{1, 2, 3, 9, 5, 6}, []int32{7, 8, 1}},
	} {
		l := NewLookup(c.prompt, 64)
		for _, token := range c.completion {
			l.Add(token)
		}
		if got := l.Guess(nil, 3); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A sequence longer than what is remembered goes on, in the memory that it has.
func TestLookupForgets(t *testing.T) {
	prompt := make([]int32, maxHistory+100)
	for i := range prompt {
		prompt[i] = int32(i)
	}
	l := NewLookup(prompt, 4*maxHistory)
	memory := 4 * (cap(l.tokens) + cap(l.before) + cap(l.latest))
	if memory > 16*maxHistory {
		t.Errorf("%d bytes for %d tokens", memory, maxHistory)
	}
	next := 0
	add := func() {
		l.Add(prompt[maxHistory+next%100])
		next++
	}
	if n := testing.AllocsPerRun(2*maxHistory, add); n != 0 {
		t.Errorf("%v allocations for a token", n)
	}
	if got := l.Guess(nil, 1); len(got) == 0 || got[0] != prompt[maxHistory+next%100] {
		t.Errorf("guessed %v behind %d", got, prompt[maxHistory+(next-1)%100])
	}
}

// Trust is earned: the first guesses of a sequence are worth a try and no more, and a copy is soon trusted far ahead.
func TestTrust(t *testing.T) {
	prompt := make([]int32, 100)
	for i := range prompt {
		prompt[i] = int32(i)
	}
	l := NewLookup(prompt, 200)
	l.Add(10)
	l.Add(11)
	if trust := l.Trust(0); trust != untried {
		t.Errorf("trust %v before anything was tried", trust)
	}
	for _, token := range prompt[12:50] {
		l.Add(token)
	}
	if trust := l.Trust(0); trust < 0.9 {
		t.Errorf("trust %v after 38 right guesses", trust)
	}
	for other := int32(200); other < 204; other++ {
		for _, token := range []int32{60, 61, other} { // two tokens lead on, and mislead
			l.Add(token)
		}
	}
	l.Add(60)
	l.Add(61)
	if trust := l.Trust(0); trust > 0.5 {
		t.Errorf("trust %v in what was wrong", trust)
	}
}
