package cpu

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"
)

// Roofline is what the machine was seen to do at most, all threads of a Device together: a step that reads weights or
// multiplies them cannot be faster (Williams, Waterman and Patterson, 2009). Rates are a second.
type Roofline struct {
	ReadBytes float64 // bytes read from memory
	Bytes     float64 // multiply-adds of 8-bit integers, in registers
	Floats    float64 // multiply-adds of float32, in registers
	// BytesBy and FloatsBy name the instructions that did it: the level's own, or "plain Go".
	BytesBy, FloatsBy string
}

// limits are the loops of a level that a Roofline is measured with. A level that has faster instructions than the one below it
// sets them anew.
type limits struct {
	read                  func(memory []byte)
	bytes, floats         func(turns int)
	bytesTurn, floatsTurn int // multiply-adds of a turn
	bytesBy, floatsBy     string
}

var plainLimits = limits{
	read: readPlain, bytes: bytesPlain, floats: floatsPlain, bytesTurn: plainTurn, floatsTurn: plainTurn, bytesBy: "plain Go", floatsBy: "plain Go",
}

const (
	// rooflineMemory is far more than caches hold: a slice of a server's third level has 32 MB, the largest whole one some 300 MB,
	// of which a buffer read in turns finds nothing again.
	rooflineMemory = 256 << 20
	rooflinePiece  = 1 << 20
	// rooflineTime is how long each limit is measured: the best of many rounds of a millisecond or two, for others use the
	// machine too.
	rooflineTime   = 150 * time.Millisecond
	rooflineRounds = 8
	rooflinePieces = 64                    // of memory in a round
	rooflineChunk  = 10 * time.Microsecond // the least length of a chunk in registers
	rooflineChunks = 64                    // for each thread in a round
)

// Roofline measures the limits in about half a second. It takes the device's turn.
func (d *Device) Roofline() (Roofline, error) {
	mine := d.turns.open("")
	d.turns.take(mine)
	defer d.turns.give(mine)
	l := &d.table.limits
	r := Roofline{BytesBy: l.bytesBy, FloatsBy: l.floatsBy}
	r.Bytes = d.registerLimit(l.bytes) * float64(l.bytesTurn)
	r.Floats = d.registerLimit(l.floats) * float64(l.floatsTurn)

	memory, err := reserve(rooflineMemory)
	if err != nil {
		return r, err
	}
	defer release(memory)
	const pieces = rooflineMemory / rooflinePiece
	piece := func(i int) []byte { return memory[i*rooflinePiece : (i+1)*rooflinePiece] }
	// A page that was never written is the same page of zeros for all.
	d.pool.dispatch(loopTask(func(i int) { touch(piece(i)) }), pieces)
	first := 0 // where a round begins
	round := best(rooflineRounds, rooflineTime, func() {
		d.pool.dispatch(loopTask(func(i int) { l.read(piece((first + i) % pieces)) }), rooflinePieces)
		first += rooflinePieces
	})
	r.ReadBytes = rooflinePieces * rooflinePiece / round.Seconds()
	return r, nil
}

// registerLimit returns the turns of f a second.
func (d *Device) registerLimit(f func(turns int)) float64 {
	// The best of a few: a thread that lost its core must not end the search.
	turns := 1
	for best(4, 0, func() { f(turns) }) < rooflineChunk {
		turns *= 2
	}
	chunks := rooflineChunks * d.threads
	round := best(rooflineRounds, rooflineTime, func() { d.pool.dispatch(loopTask(func(int) { f(turns) }), chunks) })
	return float64(turns) * float64(chunks) / round.Seconds()
}

// best returns the shortest time that f took, of as many calls as asked for and as fill the time.
func best(calls int, fill time.Duration, f func()) time.Duration {
	least := time.Duration(math.MaxInt64)
	began := time.Now()
	for n := 0; n < calls || time.Since(began) < fill; n++ {
		start := time.Now()
		f()
		least = min(least, max(time.Since(start), 1))
	}
	return least
}

// loopTask calls a function for each chunk.
type loopTask func(chunk int)

func (f loopTask) run(_ *scratch, chunk int) { f(chunk) }

func (loopTask) tensorAt(uintptr) (string, bool) { return "", false }

// touch writes to every page.
func touch(memory []byte) {
	for i := 0; i < len(memory); i += 512 {
		memory[i] = byte(i >> 9)
	}
}

// sink keeps the compiler from leaving out what nobody reads.
var sink atomic.Uint64

// readPlain adds up memory.
func readPlain(memory []byte) {
	var a, b, c, d uint64
	for ; len(memory) >= 32; memory = memory[32:] {
		m := (*[32]byte)(memory)
		a += binary.LittleEndian.Uint64(m[0:])
		b += binary.LittleEndian.Uint64(m[8:])
		c += binary.LittleEndian.Uint64(m[16:])
		d += binary.LittleEndian.Uint64(m[24:])
	}
	sink.Store(a + b + c + d)
}

// plainTurn is the number of multiply-adds in a turn of bytesPlain and of floatsPlain.
const plainTurn = 4

func bytesPlain(turns int) {
	var a, b, c, d int32
	for i := range turns {
		x := int32(int8(i))
		a += x * int32(int8(i+1))
		b += x * int32(int8(i+2))
		c += x * int32(int8(i+3))
		d += x * int32(int8(i+4))
	}
	sink.Store(uint64(a + b + c + d))
}

func floatsPlain(turns int) {
	var a, b, c, d float32
	x := float32(1)
	for range turns {
		a += float32(x * 1.5)
		b += float32(x * 2.5)
		c += float32(x * 3.5)
		d += float32(x * 4.5)
		x = -x
	}
	sink.Store(uint64(math.Float32bits(a + b + c + d)))
}
