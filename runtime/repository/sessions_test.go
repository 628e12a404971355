package repository

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/pagestore"
)

// TestSessionsOutlastUnloading: what a session leaves is on disk when its model is loaded again, and the answers are the same to the bit.
func TestSessionsOutlastUnloading(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, keepsSessions(dir))
	b.put("a", modeltest.Spec{Context: 2200})
	b.sync()
	b.digest("a")
	cold, reused := b.talk()
	if reused != 0 {
		t.Fatalf("%d tokens were found before there were any", reused)
	}
	for range 2 {
		must(t, b.Unload("a"))
		must(t, b.Load(t.Context(), "a"))
		b.talkAgain(cold)
	}
}

// TestSessionsOutlastAnUnknownDigest: on disk pages are known by the digest of the model, and beside requests a large one is read for minutes.
func TestSessionsOutlastAnUnknownDigest(t *testing.T) {
	for _, how := range []struct {
		name string
		ends func(b *bench) *bench // b, or the one that follows
	}{
		{"unloaded", func(b *bench) *bench {
			must(t, b.Unload("a"))
			must(t, b.Load(t.Context(), "a"))
			return b
		}},
		{"unloaded and closed at once", func(b *bench) *bench {
			must(t, b.Unload("a"))
			b.Close()
			return nil
		}},
		{"closed", func(b *bench) *bench {
			b.Close()
			return nil
		}},
		{"closed while it is held", func(b *bench) *bench {
			l := b.acquire("a")
			b.Close()
			l.Release()
			return nil
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			keeps := t.TempDir()
			start := func() *bench {
				b := newBench(t, keepsSessions(keeps))
				b.put("a", modeltest.Spec{Context: 2200})
				b.sync()
				b.digest("a")
				return b
			}
			b := start()
			// As it is while the file is being read.
			l := b.acquire("a")
			b.inspector.forget(l.Model)
			l.digest.Store(nil)
			l.Release()
			answer, _ := b.talk()
			if b = how.ends(b); b == nil {
				b = start()
			}
			b.talkAgain(answer)
		})
	}
}

func keepsSessions(dir string) func(*Options) {
	store := pagestore.Open(pagestore.Options{Dir: func() (*os.Root, error) { return os.OpenRoot(dir) }, Quota: 1 << 30, MaxAge: time.Hour})
	return func(o *Options) { o.Spill = engine.Spill{Store: store, Numerics: 1} }
}

// talk asks model a in a session and returns what follows and how many tokens of the prompt were found.
func (b *bench) talk() ([]int32, int) {
	b.t.Helper()
	l := b.acquire("a")
	defer l.Release()
	r := request(7, 12)
	r.Prompt, r.Session, r.Caller = make([]int32, 2000), "talk", "me"
	for i := range r.Prompt {
		r.Prompt[i] = int32(10 + i*i%80)
	}
	s, err := l.Engine.Submit(r)
	must(b.t, err)
	tokens, err := drain(b.t, s)
	must(b.t, err)
	return tokens, s.Result().ReusedTokens
}

// talkAgain talks, and wants the answer that was given before and all whole pages found.
func (b *bench) talkAgain(before []int32) {
	b.t.Helper()
	answer, reused := b.talk()
	if want := 1999 / 16 * 16; reused != want || !slices.Equal(before, answer) {
		b.t.Errorf("%d tokens were found on disk, want %d; answers %v and %v", reused, want, before, answer)
	}
}
