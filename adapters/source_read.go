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

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
)

// readAll reads the tensors of all pieces in one pass over the file, front to back, and hashes what it passes, while other goroutines decode what
// was read. Beside the values it holds the bytes of one tensor for each of them and one more.
func (s *Source) readAll(pieces []piece) (map[*tensor][]float32, string, error) {
	var order []*tensor
	for _, p := range pieces {
		order = append(order, p.part.tensors()...)
	}
	slices.SortFunc(order, func(a, b *tensor) int { return int(min(max(a.offset-b.offset, -1), 1)) })
	values, problems := make([][]float32, len(order)), make([]error, len(order))
	type job struct {
		number int
		raw    []byte
	}
	jobs := make(chan job)
	var failed atomic.Bool
	var decoders sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), runtime.NumCPU(), len(order)) {
		decoders.Go(func() {
			for j := range jobs {
				values[j.number], problems[j.number] = order[j.number].decode(j.raw)
				if problems[j.number] != nil {
					failed.Store(true)
				}
			}
		})
	}
	r := s.reader()
	var err error
	for i, t := range order {
		var raw []byte
		if raw, err = r.read(t); err != nil || failed.Load() {
			break
		}
		jobs <- job{i, raw}
	}
	close(jobs)
	decoders.Wait()
	for _, problem := range problems { // those of what comes first in the file are told
		if problem != nil {
			return nil, "", problem
		}
	}
	if err == nil {
		err = r.skipTo(s.id.Size)
	}
	if err != nil {
		return nil, "", err
	}
	byTensor := make(map[*tensor][]float32, len(order))
	for i, t := range order {
		byTensor[t] = values[i]
	}
	digest, err := r.digest(s)
	return byTensor, digest, err
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

// read returns the bytes of a tensor that does not begin before what was read.
func (r *reader) read(t *tensor) ([]byte, error) {
	if err := r.skipTo(t.offset); err != nil {
		return nil, err
	}
	raw := make([]byte, t.typ.RowBytes(int(t.elements())))
	n, err := io.ReadFull(r.src, raw)
	r.at += int64(n)
	return raw, r.told(err)
}

// decode returns the values of a tensor. One that is infinite or not a number refuses it.
func (t *tensor) decode(raw []byte) ([]float32, error) {
	out := make([]float32, t.elements())
	quant.Decode(t.typ, out, raw)
	for _, x := range out {
		if x-x != 0 {
			return nil, refuse(ErrFormat, "tensor %q has elements that are infinite or not a number", t.name)
		}
	}
	return out, nil
}

// digest ends the walk: the file must still be the one that was opened.
func (r *reader) digest(s *Source) (string, error) {
	now, err := gguf.IdentityOf(s.weights)
	if err != nil {
		return "", err
	}
	// The time of change is left out: a rename over the file and an unlink change it, and not the content.
	if now.Size != s.id.Size || now.ModTime != s.id.ModTime {
		return "", refuse(ErrChanged, "the file of weights was written while it was read")
	}
	return hex.EncodeToString(r.sum.Sum(nil)), nil
}
