package daemon

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// logitsHead opens a file of logits. All is little-endian; behind it lie the scored rows of each chunk as float32.
type logitsHead struct {
	Magic                [8]byte // logitsMagic
	Vocab, Chunk, Chunks uint32  // Chunk is in tokens
	_                    uint32
	Tokens               [sha256.Size]byte // of the ids of all chunks as int32
}

var logitsMagic = [8]byte([]byte("weftlog1"))

// logitsFiles are the files that --logits-out and --against name, while chunk after chunk is written and read.
type logitsFiles struct {
	out, against *os.File
	to           *bufio.Writer
	from         *bufio.Reader
	raw          []byte
	oracle       []float32
}

// openLogits opens them and compares what the oracle was made of.
func openLogits(p perplexityPlan, vocab int, chunks [][]int32) (_ *logitsFiles, err error) {
	head := logitsHead{Magic: logitsMagic, Vocab: uint32(vocab), Chunk: uint32(p.chunk), Chunks: uint32(len(chunks))}
	sum := sha256.New()
	for _, ids := range chunks {
		_ = binary.Write(sum, binary.LittleEndian, ids) // a hash takes everything
	}
	sum.Sum(head.Tokens[:0])
	f := new(logitsFiles)
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if p.against != "" {
		if f.against, err = os.Open(p.against); err != nil {
			return nil, err
		}
		f.from = bufio.NewReaderSize(f.against, 1<<20)
		var other logitsHead
		if err := binary.Read(f.from, binary.LittleEndian, &other); err != nil || other.Magic != logitsMagic {
			return nil, fmt.Errorf("%s is no file of logits; --logits-out writes one", p.against)
		}
		if other != head {
			return nil, fmt.Errorf("%s is of another text, vocabulary or chunk: it has %d chunks of %d tokens and a vocabulary of %d; here are %d of %d, and %d",
				p.against, other.Chunks, other.Chunk, other.Vocab, len(chunks), p.chunk, vocab)
		}
	}
	if p.out != "" {
		if f.out, err = os.OpenFile(p.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, err
		}
		f.to = bufio.NewWriterSize(f.out, 1<<20)
		if err := binary.Write(f.to, binary.LittleEndian, head); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// turn writes the logits of a chunk and returns those of the oracle, or nil. They are overwritten by the next call.
func (f *logitsFiles) turn(logits []float32) ([]float32, error) {
	f.raw = f.raw[:0]
	if f.to != nil {
		f.raw, _ = binary.Append(f.raw, binary.LittleEndian, logits) // a slice of float32 always fits
		if _, err := f.to.Write(f.raw); err != nil {
			return nil, err
		}
	}
	if f.from == nil {
		return nil, nil
	}
	if f.oracle == nil {
		f.oracle = make([]float32, len(logits))
	}
	f.raw = append(f.raw[:0], make([]byte, 4*len(logits))...)
	if _, err := io.ReadFull(f.from, f.raw); err != nil {
		return nil, fmt.Errorf("%s ends early: %w", f.against.Name(), err)
	}
	return f.oracle, binary.Read(bytes.NewReader(f.raw), binary.LittleEndian, f.oracle)
}

// finish makes the written file complete.
func (f *logitsFiles) finish() error {
	if f.to == nil {
		return nil
	}
	err := errors.Join(f.to.Flush(), f.out.Close())
	f.out = nil
	return err
}

// close closes what is open. A file that was not finished is removed.
func (f *logitsFiles) close() {
	if f.against != nil {
		_ = f.against.Close() // it was only read
	}
	if f.out != nil {
		_ = f.out.Close()
		_ = os.Remove(f.out.Name())
	}
}
