package scheduler

// Class says what kind of reader waits for a sequence.
type Class uint8

// The classes, in the order in which sequences of one caller go.
const (
	Interactive Class = iota // somebody reads along
	Batch                    // nobody does: it may wait
)

func (c Class) String() string {
	if c == Batch {
		return "batch"
	}
	return "interactive"
}
