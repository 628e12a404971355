package engine

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestSharingHammer lets users of three domains ask for the same few prompts on an engine with few pages and a disk, in every way that touches
// pages which others hold: choices that fork a prompt, cancels, deadlines, slow readers whose pages are taken away, sessions that are read back, and
// an administrator who drops what is kept. What the fake model says depends on every token before, as it lies in the cache. So each answer that
// differs is a page that another wrote, and each that comes is a page that was not lost. Builds with invariants check after every step
// that each page is free, kept, or held by whom it is counted for, and by one domain.
func TestSharingHammer(t *testing.T) {
	sharingHammer(t, 6, func(round int) bool { return round < 40 })
}

// TestLongSharingHammer goes on for the time in WEFT_LONG.
func TestLongSharingHammer(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("WEFT_LONG"))
	if err != nil {
		t.Skip("set WEFT_LONG to a duration")
	}
	end := time.Now().Add(length)
	sharingHammer(t, 12, func(int) bool { return time.Now().Before(end) })
}

func sharingHammer(t *testing.T, clients int, goOn func(round int) bool) {
	const contextLen = 160
	f := newFake(t, func(c *Config) {
		c.ContextLen, c.PageTokens, c.MaxBatch, c.Pages, c.MaxQueue = contextLen, 16, 4, 14, 2*clients
		c.StreamTokens, c.ReadTimeout, c.StepTokens = 4, time.Minute, 48
		c.Spill = spillTo(openStore(t, t.TempDir()))
	})
	domains := []string{"one\x00", "one\x00salt", "two\x00"}
	var asking, dropping sync.WaitGroup
	for c := range clients {
		asking.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 3))
			for round := 0; goOn(round); round++ {
				shareWith(t, f, r, domains[r.IntN(len(domains))])
			}
		})
	}
	done := make(chan struct{})
	dropped := 0
	dropping.Go(func() {
		r := rand.New(rand.NewPCG(99, 3))
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			which := domains[r.IntN(len(domains))]
			n, err := f.DropCache(testContext(t), func(domain string) bool { return domain == which })
			if err != nil {
				t.Error(err)
				return
			}
			dropped += n
		}
	})
	asking.Wait()
	close(done)
	dropping.Wait()
	eventually(t, "an empty engine", func() bool { s := f.Stats(); return s.Queue+s.Running+s.PagesUsed == 0 })
	if err := f.call(testContext(t), func() {
		if err := f.loop.scheduler.Check(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	before, err := f.Cache(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.DropCache(testContext(t), func(string) bool { return true })
	if err != nil || n != before.Kept {
		t.Errorf("%d pages dropped at the end, %v; %d were kept", n, err, before.Kept)
	}
	after, err := f.Cache(testContext(t))
	if err != nil || after.Held+after.Kept+after.Shared+after.Tokens+len(after.Domains) != 0 {
		t.Errorf("at the end %+v, %v", after, err)
	}
	if before.Found.Hits == 0 || dropped == 0 || f.Stats().Preempted == 0 {
		t.Errorf("nothing was put to the test: %+v, %d dropped, %+v", before.Found, dropped, f.Stats())
	}
	t.Logf("%+v, %d pages dropped, %d preemptions", before.Found, dropped, f.Stats().Preempted)
}

// shareWith asks for one to three choices of a prompt that others ask for too, and treats each in one of the ways that clients have.
func shareWith(t *testing.T, f fake, r *rand.Rand, domain string) {
	// Two prompts that begin alike, of lengths that fill pages and that do not.
	req := Request{
		Prompt: prompt(20+r.IntN(80), 5), MaxTokens: 1 + r.IntN(40), IgnoreEOS: true, Sampling: greedy(), Domain: domain, Caller: domain[:3],
		Class: Class(r.IntN(2)),
	}
	if r.IntN(2) == 0 {
		req.Prompt[len(req.Prompt)-1-r.IntN(10)] = 9
	}
	if r.IntN(3) == 0 {
		req.Session = "tea"
	}
	if r.IntN(6) == 0 {
		req.Deadline = time.Now().Add(time.Duration(r.IntN(2000)) * time.Microsecond)
	}
	want, _ := expect(req.Prompt, req.MaxTokens, f.Context(), true)
	var streams []*Stream
	for range 1 + r.IntN(3) {
		s, err := f.Submit(req)
		if full := (*QueueFullError)(nil); errors.As(err, &full) {
			break
		}
		if err != nil {
			t.Error(err)
			return
		}
		streams = append(streams, s)
		req.Behind = streams[0]
	}
	var reading sync.WaitGroup
	for i, s := range streams {
		leaves := 1 << 20
		if r.IntN(4) == 0 {
			leaves = r.IntN(len(want) + 1)
		}
		dawdles := r.IntN(3) == 0
		reading.Go(func() {
			var got []int32
			for len(got) < leaves {
				token, err := s.Next(testContext(t))
				if err != nil {
					if whole := errors.Is(err, io.EOF) && len(got) == len(want); !whole && !errors.Is(err, ErrDeadline) {
						t.Errorf("choice %d ends with %v after %d of %d tokens", i, err, len(got), len(want))
					}
					break
				}
				got = append(got, token.ID)
				if dawdles && len(got)%4 == 0 {
					<-time.After(100 * time.Microsecond)
				}
			}
			s.Cancel()
			if !slices.Equal(got, want[:min(len(got), len(want))]) {
				t.Errorf("choice %d of a prompt of %d tokens is %v, alone %v", i, len(req.Prompt), got, want)
			}
		})
	}
	reading.Wait()
}
