package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
)

// TestLongManyClients has 64 clients ask and cancel at random while a model is replaced again and again. Every answer must be the one
// that the request alone would have got, and afterwards no goroutine, mapping or descriptor may be left. It runs for
// WEFT_LONG, and for a second without.
func TestLongManyClients(t *testing.T) {
	duration := time.Second
	if text := os.Getenv("WEFT_LONG"); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		must(t, err)
	} else if testing.Short() {
		t.Skip("runs for a second")
	}
	const clients = 64
	before := resources(t)
	l := startLive(t, liveSettings(dataDir(t)))
	swap := [][]byte{tiny(1), tiny(2)}
	l.rename("m.gguf", swap[1])
	even, _ := l.ask("m", longest)
	l.rename("m.gguf", swap[0])
	var odd []int32
	l.until("the replacement", func() bool { odd, _ = l.ask("m", longest); return !slices.Equal(odd, even) })
	known := map[string][][]int32{"m": {odd, even}}
	for seed := range int64(seeds) {
		c, err := l.client.Complete(context.Background(), story(seed, longest))
		must(t, err)
		known[fmt.Sprint("stories260K", seed)] = [][]int32{c.Choices[0].TokenIDs}
	}

	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var done, cancelled, swaps atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			client := api.NewClient(api.Host{Socket: l.cfg.Listen[0].Address})
			defer client.Close()
			for ctx.Err() == nil && !t.Failed() {
				whole, err := visit(client, rng, known)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
				} else if whole {
					done.Add(1)
				} else {
					cancelled.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			l.rename("m.gguf", swap[swaps.Add(1)%2])
		case <-ctx.Done():
		}
	}
	all.Wait()
	l.client.Close()
	if err := l.stop(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	t.Logf("%d answers, %d cancelled, %d swaps", done.Load(), cancelled.Load(), swaps.Load())
	if done.Load() == 0 || strings.Contains(l.log.String(), "level=ERROR") {
		t.Errorf("no answer, or an error in the log")
	}
	l.until("everything to be given back", func() bool { return resources(t).within(before) })
}

const (
	longest = 60 // tokens
	seeds   = 8
)

// story asks the built-in model for a story that depends on the seed.
func story(seed int64, n int) api.CompletionRequest {
	return api.CompletionRequest{
		Model: "stories260K", Prompt: api.Text("Once upon a time"), MaxTokens: &n,
		Sampling: api.Sampling{Seed: &seed, IgnoreEOS: true, ReturnTokenIDs: true},
	}
}

// visit is one request. It says whether the answer came whole; a request that was cancelled did not, and is no error.
func visit(client *api.Client, rng *rand.Rand, known map[string][][]int32) (whole bool, err error) {
	n := 1 + rng.IntN(longest)
	r, key := request("m", n), "m"
	if rng.IntN(4) > 0 {
		seed := rng.Int64N(seeds)
		r, key = story(seed, n), fmt.Sprint("stories260K", seed)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	patience := rng.IntN(2 * longest) // chunks, in half of the cases more than there are
	var ids []int32
	if rng.IntN(2) == 0 {
		if patience < longest {
			defer time.AfterFunc(time.Duration(rng.IntN(20))*time.Millisecond, cancel).Stop()
		}
		c, err := client.Complete(ctx, r)
		if ctx.Err() != nil {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		ids = c.Choices[0].TokenIDs
	} else {
		s, err := client.CompleteStream(ctx, r)
		if err != nil {
			return false, err
		}
		defer s.Close()
		for chunk, err := range s.All() {
			if err != nil {
				return false, err
			}
			if len(chunk.Choices) > 0 {
				ids = append(ids, chunk.Choices[0].TokenIDs...)
			}
			if patience--; patience == 0 {
				return false, nil
			}
		}
	}
	if !slices.ContainsFunc(known[key], func(want []int32) bool { return slices.Equal(want[:n], ids) }) {
		return false, fmt.Errorf("%s: %d tokens %v, want one of %v", key, n, ids, known[key])
	}
	return true, nil
}

// held is what a process holds that can leak.
type held struct{ goroutines, descriptors, mappings int }

func (h held) within(limit held) bool {
	return h.goroutines <= limit.goroutines && h.descriptors <= limit.descriptors && h.mappings <= limit.mappings
}

// resources counts goroutines, open descriptors and mapped models.
func resources(t *testing.T) held {
	t.Helper()
	h := held{goroutines: runtime.NumGoroutine()}
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		// The runtime's own poller and the folder being read come and go.
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && !strings.Contains(to, "eventpoll") && !strings.Contains(to, "eventfd") {
			h.descriptors++
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, ".gguf") || strings.Contains(line, "memfd:") {
			h.mappings++
		}
	}
	return h
}
