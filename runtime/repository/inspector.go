package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/ledger"
)

// digests are remembered by the identity of files.
var digests = ledger.Kind{File: "digests", What: "digests", Max: 1000, Good: func(s string) bool { return len(s) == 64 }}

// inspector reads the files of models in the background, one model at a time, once each: it computes their sha256, which it remembers
// under the identity of their files, and looks for blocks of weights that are infinite or not a number. A model that has one
// is reported to fail. What is remembered was found sound, so it is not read again, unless it is suspected.
//
// It reads by read calls, so that a file that is cut gives an error and no fault. After each piece it rests, three times as
// long as the piece took: it takes a quarter of the disk and of one processor at most. While requests are at work it takes a sixteenth, unless
// the model is suspected.
type inspector struct {
	store *ledger.Ledger
	log   *slog.Logger
	fail  func(*Model, error)
	busy  func() bool   // requests are at work
	wake  chan struct{} // one message: the queue has grown

	mu      sync.Mutex
	queue   []*Model
	working *Model
	giveUp  context.CancelFunc // of working
	gone    chan struct{}      // closed when working is not read any more
}

func newInspector(dir *os.Root, log *slog.Logger, fail func(*Model, error), busy func() bool) *inspector {
	return &inspector{store: ledger.Open(dir, digests, log), log: log, fail: fail, busy: busy, wake: make(chan struct{}, 1)}
}

// add gives a model its digest at once if it is remembered, and else queues the model.
func (d *inspector) add(m *Model) {
	digest, remembered := d.store.Get(m.file.Identity().Key())
	d.mu.Lock()
	defer d.mu.Unlock()
	m.inspected = true
	if remembered && !m.Builtin {
		m.digest.Store(&digest)
		return
	}
	d.queue = append(d.queue, m)
	d.signal()
}

func (d *inspector) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// suspect puts a model first that gave a value which is no number, unless its weights are known to be sound: then they overflow on
// some prompts, and only those fail.
func (d *inspector) suspect(m *Model) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.suspected.Store(true)
	if !m.inspected || m.sound.Load() || d.working == m || len(d.queue) > 0 && d.queue[0] == m {
		return
	}
	d.queue = slices.DeleteFunc(d.queue, func(x *Model) bool { return x == m })
	d.queue = slices.Insert(d.queue, 0, m)
	d.signal()
}

// forget gives up a model and returns when its file is not read any more.
func (d *inspector) forget(m *Model) {
	d.mu.Lock()
	m.inspected = false
	d.queue = slices.DeleteFunc(d.queue, func(x *Model) bool { return x == m })
	if d.working != m {
		d.mu.Unlock()
		return
	}
	d.giveUp()
	gone := d.gone
	d.mu.Unlock()
	<-gone
}

// next takes a model off the queue, or nil. The context it returns ends when the model is given up.
func (d *inspector) next(ctx context.Context) (context.Context, *Model) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil, nil
	}
	d.working, d.queue = d.queue[0], d.queue[1:]
	ctx, d.giveUp = context.WithCancel(ctx)
	d.gone = make(chan struct{})
	return ctx, d.working
}

func (d *inspector) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.giveUp()
	d.working = nil
	close(d.gone)
}

// storeRetry is how long digests that could not be written wait for the next try.
const storeRetry = 3 * time.Second

// run works until ctx ends.
func (d *inspector) run(ctx context.Context) {
	retry := time.NewTicker(storeRetry)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
			d.store.Flush()
			continue
		case <-d.wake:
		}
		for work, m := d.next(ctx); m != nil; work, m = d.next(ctx) {
			d.work(work, m, func() int { return d.rests(m) })
			d.done()
		}
	}
}

// hastenTime is how long a model that goes may be read for its digest: some 10 GB that lie in memory.
const hastenTime = 10 * time.Second

// hasten has the digest known of a model that is not read any more and whose engine is about to close, where it has pages to leave: they are known by
// the digest, and would be lost. The end of the repository does not end it.
func (d *inspector) hasten(m *Model) {
	if _, known := m.Digest(); known || m.Engine == nil || !m.Engine.Keeps() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hastenTime)
	defer cancel()
	d.work(ctx, m, noRests)
}

func (d *inspector) work(ctx context.Context, m *Model, rests func() int) {
	digest, err := d.read(ctx, m, rests)
	switch {
	case err == nil:
		m.digest.Store(&digest)
		m.sound.Store(true)
		if !m.Builtin { // a file in memory has no identity that lasts
			d.store.Put(m.file.Identity().Key(), digest)
		}
	case errors.Is(err, gguf.ErrDamaged):
		damage := fmt.Errorf("%w: %w", engine.ErrWeights, err)
		m.damage.Store(&damage)
		d.fail(m, damage)
	case ctx.Err() == nil:
		d.log.Warn("no digest of the model", "model", m.Name, "generation", m.Generation, "reason", err)
	}
}

// Rests behind a piece, in times that it took. What is read beside a step costs it more than its share of the processors, as the threads of a step
// wait for the one that lost its core: a quarter of one of two made steps longer by a sixth.
const (
	quietRests = 3
	busyRests  = 15
)

func (d *inspector) rests(m *Model) int {
	if m.suspected.Load() || !d.busy() {
		return quietRests
	}
	return busyRests
}

// noRests is for who is waited for.
func noRests() int { return 0 }

// pieceBytes is what is read, hashed and looked at in one go: a fifth of a millisecond's work, so that a step's thread which loses its core to it has
// it back before it counts as late.
const pieceBytes = 256 << 10

// read reads all files of a model and returns the digest of the model. After each piece it rests as many times as long as that took as rests says then. The
// error is one that is gguf.ErrDamaged where weights are no numbers.
func (d *inspector) read(ctx context.Context, m *Model, rests func() int) (string, error) {
	files := m.file.Identity().Files
	sums := make([]string, len(files))
	piece := make([]byte, pieceBytes)
	for i, f := range files {
		h, check := sha256.New(), m.file.CheckWeights(i)
		for off := int64(0); off < f.Size; {
			began := time.Now()
			n, err := m.file.ReadAt(i, piece[:min(pieceBytes, f.Size-off)], off)
			if err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			if n == 0 {
				break // the file was cut, which Changed tells below
			}
			h.Write(piece[:n])
			if _, err := check.Write(piece[:n]); err != nil {
				if changed := m.file.Changed(); changed != nil {
					return "", changed // what was found is not the model any more
				}
				return "", err
			}
			off += int64(n)
			if !pause(ctx, time.Duration(rests())*time.Since(began)) {
				return "", ctx.Err()
			}
		}
		sums[i] = hex.EncodeToString(h.Sum(nil))
	}
	if err := m.file.Changed(); err != nil {
		return "", err
	}
	if len(sums) == 1 {
		return sums[0], nil
	}
	all := sha256.New()
	for _, s := range sums {
		all.Write([]byte(s))
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// pause rests for d; it is false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
