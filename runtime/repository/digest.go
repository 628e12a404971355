package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// digests computes the sha256 of models in the background, one at a time, and remembers them under the identity of their files.
// It reads by read calls, so that a file that is cut gives an error and no fault, and rests three times as long as it works.
type digests struct {
	store *digestStore
	log   *slog.Logger
	wake  chan struct{} // one message: the queue has grown

	mu      sync.Mutex
	queue   []*Model
	working *Model
	giveUp  context.CancelFunc // of working
	gone    chan struct{}      // closed when working is not read any more
}

func newDigests(dir *os.Root, log *slog.Logger) *digests {
	return &digests{store: openDigestStore(dir, log), log: log, wake: make(chan struct{}, 1)}
}

// add gives a model its digest at once if it is remembered, and else queues it.
func (d *digests) add(m *Model) {
	if digest, ok := d.store.get(m.file.Identity().Key()); ok && !m.Builtin {
		m.digest.Store(&digest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, m)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// forget gives up a model and returns when its file is not read any more.
func (d *digests) forget(m *Model) {
	d.mu.Lock()
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
func (d *digests) next(ctx context.Context) (context.Context, *Model) {
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

func (d *digests) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.giveUp()
	d.working = nil
	close(d.gone)
}

// storeRetry is how long digests that could not be written wait for the next try.
const storeRetry = 3 * time.Second

// run works until ctx ends.
func (d *digests) run(ctx context.Context) {
	retry := time.NewTicker(storeRetry)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
			d.store.retry()
			continue
		case <-d.wake:
		}
		for work, m := d.next(ctx); m != nil; work, m = d.next(ctx) {
			d.work(work, m)
			d.done()
		}
	}
}

func (d *digests) work(ctx context.Context, m *Model) {
	digest, err := d.compute(ctx, m)
	switch {
	case err == nil:
		m.digest.Store(&digest)
		if !m.Builtin { // a file in memory has no identity that lasts
			d.store.put(m.file.Identity().Key(), digest)
		}
	case ctx.Err() == nil:
		d.log.Warn("no digest of the model", "model", m.Name, "generation", m.Generation, "reason", err)
	}
}

// pieceBytes is what is read and hashed in one go, about a millisecond's work.
const pieceBytes = 1 << 20

// compute reads all files of a model.
func (d *digests) compute(ctx context.Context, m *Model) (string, error) {
	files := m.file.Identity().Files
	sums := make([]string, len(files))
	piece := make([]byte, pieceBytes)
	for i, f := range files {
		h := sha256.New()
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
			off += int64(n)
			if !pause(ctx, 3*time.Since(began)) {
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
