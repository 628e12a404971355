package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

const (
	hammerNames    = 20
	hammerContents = 24
	hammerClients  = 16
	hammerTokens   = 40
	hammerHands    = 4 // each of which alone changes every fourth name, so that no two write into one file
)

// contractCodes are the failures that a client may meet while models come, go and are damaged.
var contractCodes = []string{api.CodeModelNotFound, api.CodeModelRefused, api.CodeWeightsLost, api.CodeQueueFull}

// TestLongHammer drops, replaces, truncates, overwrites, moves and removes the files of 20 models at random, in every way that people
// do, under 16 clients. What holds: each answer's digest names a file that existed and its tokens are that file's; a request
// fails only in the ways that the contract names; and afterwards every name serves what lies there, and nothing is left behind. It
// runs for WEFT_HAMMER, and for a second without.
func TestLongHammer(t *testing.T) {
	duration := time.Second
	if text := os.Getenv("WEFT_HAMMER"); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		must(t, err)
	} else if testing.Short() {
		t.Skip("runs for seconds")
	}
	before := resources(t)
	l := startLive(t, liveSettings(dataDir(t)))
	h := &hammer{live: l, byHeader: map[string]*content{}}
	h.learn()

	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var all sync.WaitGroup
	for i := range hammerClients {
		all.Go(func() {
			client := api.NewClient(api.Host{Socket: l.cfg.Listen[0].Address})
			defer client.Close()
			rng := rand.New(rand.NewPCG(uint64(i), 21))
			for ctx.Err() == nil && !t.Failed() {
				if err := h.visit(client, rng); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	for i := range hammerHands {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 22))
			for ctx.Err() == nil && !t.Failed() {
				h.change(rng, i)
				select {
				case <-time.After(time.Duration(rng.IntN(60)) * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
	h.wholeAgain()
	l.client.Close()
	if err := l.stop(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	var failures strings.Builder
	for i, code := range contractCodes {
		fmt.Fprintf(&failures, ", %d %s", h.failed[i].Load(), code)
	}
	t.Logf("%d answers, %d changes of files%s", h.answers.Load(), h.changes.Load(), failures.String())
	if h.answers.Load() == 0 || strings.Contains(l.log.String(), "BUG") {
		t.Error("no answer, or a mistake of ours in the log")
	}
	l.until("everything to be given back", func() bool { return resources(t).within(before) })
}

// hammer is a daemon whose files are hammered.
type hammer struct {
	*live
	contents [][]byte
	byHeader map[string]*content // by header digest, as answers tell it; read-only after learn
	answers  atomic.Int64
	changes  atomic.Int64
	failed   [4]atomic.Int64 // by the place of the code in contractCodes
}

// content is what a file may hold, and what it answers.
type content struct {
	digest string // of all bytes
	tokens []int32
}

// learn asks each content for its answer before anything is hammered.
func (h *hammer) learn() {
	h.t.Helper()
	name := func(i int) string { return fmt.Sprintf("learn%d", i) }
	for i := range hammerContents {
		h.contents = append(h.contents, modeltest.Tiny(modeltest.Spec{Seed: uint64(i), Name: fmt.Sprintf("content %02d", i), Layers: 1}))
		h.rename(name(i)+".gguf", h.contents[i])
	}
	for i, data := range h.contents {
		tokens, by := h.ask(name(i), hammerTokens)
		h.byHeader[by.HeaderDigest] = &content{fmt.Sprintf("sha256:%x", sha256.Sum256(data)), tokens}
		must(h.t, os.Remove(h.path(name(i)+".gguf")))
	}
	if len(h.byHeader) != hammerContents {
		h.t.Fatalf("%d contents have %d header digests", hammerContents, len(h.byHeader))
	}
}

// change does something to the file of one of a hand's names. Whoever writes into a file first empties it, so that no file ever holds the
// beginning of one content and the end of another.
func (h *hammer) change(rng *rand.Rand, hand int) {
	name := func() string {
		return h.path(fmt.Sprintf("h%02d.gguf", rng.IntN(hammerNames/hammerHands)*hammerHands+hand))
	}
	path, data := name(), h.contents[rng.IntN(hammerContents)]
	hidden := filepath.Join(h.cfg.ModelsDir, fmt.Sprintf(".hand%d", hand))
	h.changes.Add(1)
	switch rng.IntN(12) {
	case 0:
		_ = os.Remove(path)
	case 1:
		_ = os.Truncate(path, int64(rng.IntN(len(data))))
	case 2: // as cp does
		_ = os.WriteFile(path, data, 0o600)
	case 3: // as a slow writer does
		f, err := os.Create(path)
		if err != nil {
			return
		}
		for part := range slices.Chunk(data, len(data)/3+1) {
			_, _ = f.Write(part)
			<-time.After(time.Duration(rng.IntN(120)) * time.Millisecond)
		}
		_ = f.Close()
	case 4: // a rename away
		_ = os.Rename(path, name())
	case 5:
		_ = unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, name(), unix.RENAME_EXCHANGE)
	case 6:
		_ = os.WriteFile(path, data[:rng.IntN(len(data))], 0o600)
	case 7: // old times, as cp -p and rsync -t leave them
		_ = os.WriteFile(hidden, data, 0o600)
		_ = os.Chtimes(hidden, time.Time{}, time.Unix(1e9, rng.Int64N(1e9)))
		_ = os.Rename(hidden, path)
	default:
		_ = os.WriteFile(hidden, data, 0o600)
		_ = os.Rename(hidden, path)
	}
}

// visit is one request. The error says what the contract does not allow.
func (h *hammer) visit(client *api.Client, rng *rand.Rand) error {
	name, n := fmt.Sprintf("h%02d", rng.IntN(hammerNames)), 1+rng.IntN(hammerTokens)
	ids, by, err := h.answer(client, rng, request(name, n))
	var no *api.Error
	switch {
	case err == nil:
	case errors.As(err, &no) && no.Code != nil && slices.Contains(contractCodes, *no.Code):
		h.failed[slices.Index(contractCodes, *no.Code)].Add(1)
		return nil
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
	known := h.byHeader[by.HeaderDigest]
	switch {
	case known == nil:
		return fmt.Errorf("%s: the answer names the header %s, which no file had", name, by.HeaderDigest)
	case by.Digest != "pending" && by.Digest != known.digest:
		return fmt.Errorf("%s: the answer names the digest %s beside the header of %s", name, by.Digest, known.digest)
	case !slices.Equal(ids, known.tokens[:n]):
		return fmt.Errorf("%s: %d tokens %v, want those of %s: %v", name, n, ids, known.digest, known.tokens[:n])
	}
	h.answers.Add(1)
	return nil
}

// answer reads a request's answer, streamed in half of the cases.
func (h *hammer) answer(client *api.Client, rng *rand.Rand, r api.CompletionRequest) ([]int32, *api.Base, error) {
	if rng.IntN(2) == 0 {
		c, err := client.Complete(context.Background(), r)
		if err != nil {
			return nil, nil, err
		}
		return c.Choices[0].TokenIDs, &c.Weft.Base, nil
	}
	s, err := client.CompleteStream(context.Background(), r)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	ids, info, err := rest(s)
	if err != nil {
		return nil, nil, err
	}
	if info == nil {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return ids, &info.Base, nil
}

// wholeAgain puts a whole file under every name; each must be served, whatever was done to it.
func (h *hammer) wholeAgain() {
	h.t.Helper()
	for i := range hammerNames {
		h.rename(fmt.Sprintf("h%02d.gguf", i), h.contents[i])
	}
	for i := range hammerNames {
		name := fmt.Sprintf("h%02d", i)
		want := fmt.Sprintf("sha256:%x", sha256.Sum256(h.contents[i]))
		h.until(name+" to be served", func() bool {
			m, _ := h.model(name)
			return m.State == api.StateServing && m.Reason == "" && m.Digest == want
		})
		ids, by := h.ask(name, hammerTokens)
		if known := h.byHeader[by.HeaderDigest]; known == nil || known.digest != want || !slices.Equal(ids, known.tokens) {
			h.t.Errorf("in the end %s answers %v as %+v", name, ids, by)
		}
	}
}

// TestLongThousandModels drops a thousand models at once, which is more than the budget has room for, and takes them away. Each is served,
// or unloaded for want of memory and back when it is asked for; meanwhile and afterwards the first one answers. Without WEFT_HAMMER they are
// a hundred.
func TestLongThousandModels(t *testing.T) {
	n := 100
	if os.Getenv("WEFT_HAMMER") != "" {
		n = 1000
	} else if testing.Short() {
		t.Skip("loads many models")
	}
	cfg := liveSettings(dataDir(t))
	cfg.MemoryBudget.Bytes = int64(n) * 800 << 10
	l := startLive(t, cfg)
	data := modeltest.Tiny(modeltest.Spec{Layers: 1})
	l.rename("first.gguf", data)
	want, _ := l.ask("first", 20)
	must(t, os.Mkdir(l.path(".all"), 0o755))
	name := func(i int) string { return fmt.Sprintf("m%03d.gguf", i) }
	for i := range n {
		l.write(".all/"+name(i), data)
	}
	for i := range n {
		must(t, os.Rename(l.path(".all/"+name(i)), l.path(name(i))))
	}
	var served, unloaded int
	var waits string // one that is unloaded
	l.until("all to be served or unloaded", func() bool {
		if got, _ := l.ask("first", 20); !slices.Equal(got, want) {
			t.Fatal("the first model answers otherwise")
		}
		all, err := l.client.ModelStatuses(context.Background())
		must(t, err)
		served, unloaded = 0, 0
		for _, m := range all.Models {
			switch {
			case m.State == api.StateServing:
				served++
			case m.State == api.StateUnloaded && m.Reason != "":
				unloaded++
				if strings.HasPrefix(m.Name, "m") {
					waits = m.Name
				}
			}
		}
		return served+unloaded == n+2 // the first and the built-in one
	})
	t.Logf("%d models are served, %d unloaded for want of memory", served, unloaded)
	if served < n/3 || unloaded == 0 {
		t.Errorf("%d are served, %d unloaded", served, unloaded)
	}
	if got, _ := l.ask(waits, 20); !slices.Equal(got, want) {
		t.Errorf("%s, which was unloaded, answers otherwise", waits)
	}
	for i := range n {
		must(t, os.Remove(l.path(name(i))))
	}
	l.until("all to be gone", func() bool {
		all, err := l.client.ModelStatuses(context.Background())
		must(t, err)
		return len(all.Models) == 2
	})
}
