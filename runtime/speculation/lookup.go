package speculation

const (
	// gram is how many tokens at the end of a sequence must be found again before anything is guessed; close behind a wrong guess it is one.
	gram = 2
	// candidates is how many of the last places where they stand are looked at, compared how many tokens of each at most.
	candidates, compared = 16, 64
	// maxHistory bounds the memory of a Lookup to 16 bytes for each of so many tokens.
	maxHistory = 1 << 14
	// near is how many tokens from a wrong guess on are looked at for the place where a text goes on.
	near = 8
	// levels are the classes of how many tokens before a guess agree: 1, 2, 3 to 4, 5 to 8, 9 to 16, more.
	levels = 6
	// forgetAfter is how many guesses of a class count before their weight is halved.
	forgetAfter = 32
	// untried is how often guesses of the lowest class are supposed to be right before any was seen, and supposed is how many guesses
	// count what is supposed of a class. A few wrong ones soon outweigh it.
	untried, supposed = 0.3, 2
)

// Lookup guesses that a sequence repeats itself: it finds the place where its last tokens stood before, prompt included, and
// reads on from there (prompt lookup; Saxena, 2023), for as long as what comes is what stood there. Of several places it takes
// the one with the longest common past, of equals the latest. Where there is none, it looks for the last token close behind its last
// wrong guess.
//
// It also keeps account of how often its guesses were right, whether or not anybody computed them: that costs nothing, and tells
// what they are worth before the first is paid for.
//
// Invariant: at is 0, or the length tokens before at are the last length tokens of all.
type Lookup struct {
	tokens []int32 // the last tokens of the sequence, in memory that does not grow
	before []int32 // by position: the place before with the same hash of the gram that ends there, -1 for none
	latest []int32 // by hash: the latest such place
	at     int     // the place of the guess at the next token; 0: there is none
	length int
	lost   int // the place of the last wrong guess; 0: there was none

	right, all [levels]float32 // guesses by class
}

// NewLookup returns the Lookup of a sequence that begins with a prompt and has at most limit tokens.
func NewLookup(prompt []int32, limit int) *Lookup {
	size := min(max(limit, len(prompt), 2*gram), maxHistory)
	slots := 16
	for slots < size {
		slots *= 2
	}
	l := &Lookup{tokens: make([]int32, 0, size), before: make([]int32, size), latest: make([]int32, slots)}
	l.restart(prompt[max(0, len(prompt)-size):])
	l.find()
	return l
}

// restart begins anew with tokens as all that is known.
func (l *Lookup) restart(tokens []int32) {
	for i := range l.latest {
		l.latest[i] = -1
	}
	l.tokens = l.tokens[:0]
	for _, token := range tokens {
		l.append(token)
	}
}

// append puts a token behind the others and its gram into the index.
func (l *Lookup) append(token int32) {
	n := len(l.tokens)
	l.tokens = append(l.tokens, token)
	if n+1 < gram {
		return
	}
	slot := l.slot()
	l.before[n], *slot = *slot, int32(n)
}

// slot is the place in latest for the last gram.
func (l *Lookup) slot() *int32 {
	n := len(l.tokens)
	hash := uint64(uint32(l.tokens[n-2]))<<32 | uint64(uint32(l.tokens[n-1]))
	hash *= 0x9E3779B97F4A7C15
	return &l.latest[int(hash>>32)&(len(l.latest)-1)]
}

// Add takes the next token of the sequence in.
func (l *Lookup) Add(token int32) {
	held := false
	if l.at > 0 {
		c := class(l.length)
		held = l.tokens[l.at] == token
		if l.all[c]++; held {
			l.right[c]++
		} else {
			l.lost = l.at
		}
		if l.all[c] >= forgetAfter {
			l.all[c], l.right[c] = l.all[c]/2, l.right[c]/2
		}
	}
	if len(l.tokens) == cap(l.tokens) {
		// Half of the past is let go. What stood there is found again where it stands a second time.
		l.restart(l.tokens[len(l.tokens)/2:])
		held, l.lost = false, 0
	}
	l.append(token)
	if held {
		l.at++
		l.length++
		return
	}
	l.find()
}

// find looks for the place where the last tokens stood before.
func (l *Lookup) find() {
	l.at, l.length = 0, 0
	n := len(l.tokens)
	if n < gram {
		return
	}
	place := l.before[n-1]
	for range candidates {
		if place < 0 {
			break
		}
		common := 0
		for common < compared && common <= int(place) && l.tokens[int(place)-common] == l.tokens[n-1-common] {
			common++
		}
		if common >= gram && common > l.length {
			l.at, l.length = int(place)+1, common
		}
		place = l.before[place]
	}
	if l.at > 0 || l.lost == 0 {
		return
	}
	// A copy that changes a word or leaves a few out goes on close to where it left.
	for place := l.lost; place < min(l.lost+near, n-1); place++ {
		if l.tokens[place] == l.tokens[n-1] {
			l.at, l.length = place+1, 1
			return
		}
	}
}

// Guess appends n guesses at the next tokens to dst; none where nothing was found. Where the place reaches the end of what is
// known, the sequence is taken to go round.
func (l *Lookup) Guess(dst []int32, n int) []int32 {
	if l.at == 0 {
		return dst
	}
	period := len(l.tokens) - l.at
	for i := range n {
		dst = append(dst, l.tokens[l.at+i%period])
	}
	return dst
}

// Trust is the chance that the guess behind ahead right ones is right too, as this sequence has shown, and 0 where there is no
// guess. A class of which little was seen is taken for the class below.
func (l *Lookup) Trust(ahead int) float64 {
	if l.at == 0 {
		return 0
	}
	trust := untried
	for c := range class(l.length+ahead) + 1 {
		trust = (float64(l.right[c]) + float64(supposed*trust)) / (float64(l.all[c]) + supposed)
	}
	return trust
}

// class is the class of a guess that so many agreeing tokens stand before.
func class(length int) int {
	c := 0
	for limit := 1; c < levels-1 && length > limit; limit *= 2 {
		c++
	}
	return c
}
