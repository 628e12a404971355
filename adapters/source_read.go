package adapters

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

// Read reads the adapter for a base of an architecture with these targets in one pass over the file of weights, front to back, and hands over
// each change when its tensors were read, several at once from this goroutine and others; what a change holds is good until Add returns. It
// returns the sha256, in hex, of all that was read. The error names what does not fit, the first five of it, or is the first of Add's, in the order of the file; then
// the rest is not read. Beside the values it holds the bytes of changes of which some tensors are still to come, and of a few more. Each goroutine calls
// rest behind each of its pieces of work, with the time that it took; nil: none does.
func (s *Source) Read(arch string, targets []models.Target, to Taker, rest func(took time.Duration)) (digest string, err error) {
	pieces, err := s.match(arch, targets)
	if err != nil {
		return "", err
	}
	order := inFile(pieces)
	read := make(chan *tensors, 1)
	problems := make([]error, len(pieces)) // in the order in which their last tensors were read
	buffers := make(buffers, 8)
	var failed atomic.Bool
	if rest == nil {
		rest = func(time.Duration) {}
	}
	deliver := func(t *tensors, values *[4][]float32) {
		if problems[t.number] = t.deliver(values, to); problems[t.number] != nil {
			failed.Store(true)
		}
		for _, raw := range t.raw {
			buffers.put(raw)
		}
	}
	var decoders sync.WaitGroup
	processors := runtime.NumCPU()
	if !s.DoRA { // beside whose sums reading and hashing is nothing
		processors = max(1, processors-1)
	}
	for range min(runtime.GOMAXPROCS(0), processors, len(pieces)) {
		decoders.Go(func() {
			var values [4][]float32
			for t := range read {
				began := time.Now()
				deliver(t, &values)
				rest(time.Since(began))
			}
		})
	}
	r := s.reader()
	number := 0
	var values [4][]float32
	for _, t := range order {
		began := time.Now()
		raw := buffers.get(t.typ.RowBytes(int(t.elements())))
		if err = r.read(t.tensor, raw); err != nil || failed.Load() {
			break
		}
		if t.of.add(t.tensor, raw) {
			t.of.number = number
			number++
			select {
			case read <- t.of:
			default: // decoders have enough to do, and to wait for them would leave a processor idle
				deliver(t.of, &values)
			}
		}
		rest(time.Since(began))
	}
	close(read)
	decoders.Wait()
	for _, problem := range problems {
		if problem == nil {
			continue
		}
		if r.unchanged(s) != nil {
			break // what is wrong may be what was being written
		}
		return "", problem
	}
	if err == nil {
		err = r.skipTo(s.id.Size)
	}
	if err != nil {
		return "", err
	}
	return r.digest(s)
}

// tensors are those of one piece, as they are read.
type tensors struct {
	*piece
	number  int // in the order in which pieces were whole
	missing int
	raw     [4][]byte // of A, B, magnitude and bias; nil where there is none
}

// add takes the bytes of a tensor and says whether it was the last.
func (t *tensors) add(which *tensor, raw []byte) bool {
	for i, part := range t.all() {
		if part == which {
			t.raw[i] = raw
		}
	}
	t.missing--
	return t.missing == 0
}

// deliver decodes the tensors into values, which it may make larger, and hands the change over.
func (t *tensors) deliver(values *[4][]float32, to Taker) error {
	var decoded [4][]float32
	for i, part := range t.all() {
		if part == nil {
			continue
		}
		values[i] = slices.Grow(values[i][:0], int(part.elements()))[:part.elements()]
		to.Decode(part.typ, values[i], t.raw[i])
		decoded[i] = values[i]
	}
	d := t.delta(decoded)
	err := to.Add(&d)
	if err == nil {
		return nil
	}
	for i, part := range t.all() { // a reason that the file shows says more
		if slices.ContainsFunc(decoded[i], func(x float32) bool { return x-x != 0 }) {
			return refuse(ErrFormat, "tensor %q has elements that are infinite or not a number", part.name)
		}
	}
	return err
}

// located is a tensor and the piece that it is of.
type located struct {
	*tensor
	of *tensors
}

// inFile lists the tensors of pieces in the order in which they lie in the file.
func inFile(pieces []piece) (order []located) {
	for i := range pieces {
		of := &tensors{piece: &pieces[i]}
		for _, t := range of.tensors() {
			order = append(order, located{t, of})
			of.missing++
		}
	}
	slices.SortFunc(order, func(a, b located) int { return int(min(max(a.offset-b.offset, -1), 1)) })
	return order
}

// buffers keeps some memory to be used again.
type buffers chan []byte

func (b buffers) get(n int) []byte {
	select {
	case old := <-b:
		if cap(old) >= n {
			return old[:n]
		}
	default:
	}
	return make([]byte, n)
}

func (b buffers) put(buffer []byte) {
	if buffer == nil {
		return
	}
	select {
	case b <- buffer:
	default:
	}
}

// reader walks through the file of weights.
type reader struct {
	src io.Reader // writes what it reads to sum
	sum hash.Hash
	at  int64
}

func (s *Source) reader() *reader {
	sum := sha256.New()
	sum.Write(s.config)
	return &reader{src: io.TeeReader(io.NewSectionReader(s.weights, 0, s.id.Size), sum), sum: sum}
}

func (r *reader) skipTo(offset int64) error {
	n, err := io.CopyN(io.Discard, r.src, offset-r.at)
	r.at += n
	return r.told(err)
}

// told names the reason why less was read than the file had.
func (r *reader) told(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(ErrChanged, "the file of weights was cut to %d bytes while it was read", r.at)
	}
	return fmt.Errorf("adapters: reading weights: %w", err)
}

// read fills raw with the bytes of a tensor that does not begin before what was read.
func (r *reader) read(t *tensor, raw []byte) error {
	if err := r.skipTo(t.offset); err != nil {
		return err
	}
	n, err := io.ReadFull(r.src, raw)
	r.at += int64(n)
	return r.told(err)
}

// digest ends the walk: the file must still be the one that was opened.
func (r *reader) digest(s *Source) (string, error) {
	if err := r.unchanged(s); err != nil {
		return "", err
	}
	return hex.EncodeToString(r.sum.Sum(nil)), nil
}

// unchanged says whether the file is the one that was opened.
func (r *reader) unchanged(s *Source) error {
	now, err := gguf.IdentityOf(s.weights)
	if err != nil {
		return err
	}
	// The time of change is left out: a rename over the file and an unlink change it, and not the content.
	if now.Size != s.id.Size || now.ModTime != s.id.ModTime {
		return refuse(ErrChanged, "the file of weights was written while it was read")
	}
	return nil
}
