package engine

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/weft-run/weft/daemon/builtin"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
)

// answer is all that a request can tell.
type answer struct {
	Tokens []sampler.Token
	Prompt []PromptToken
	Finish string
	Logits []uint64 // a hash of each sampled row's bits, by position
}

// devices holds one CPU device for each level and number of threads.
type devices struct {
	mu   sync.Mutex
	open map[cpu.Options]*cpu.Device

	seeds, tokens, adapted int // seeds done, sampled tokens that were compared, and those of them that adapters changed
}

func newDevices(t *testing.T) *devices {
	d := &devices{open: map[cpu.Options]*cpu.Device{}}
	t.Cleanup(func() {
		for _, device := range d.open {
			device.Close()
		}
	})
	return d
}

func (d *devices) get(t *testing.T, o cpu.Options) *cpu.Device {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[o] == nil {
		device, err := cpu.NewDevice(o)
		if err != nil {
			t.Fatal(err)
		}
		d.open[o] = device
	}
	return d.open[o]
}

// count notes tokens that were compared.
func (d *devices) count(tokens int, adapted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens += tokens
	if adapted {
		d.adapted += tokens
	}
}

// load opens a model that lives as long as the test.
func load(t *testing.T, path string) models.Model {
	t.Helper()
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	m, err := models.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func builtinFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), builtin.Name+".gguf")
	if err := os.WriteFile(path, builtin.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tap returns a Request.Tap that hashes the logits' bits into list.
func tap(list *[]uint64) func(int, []float32) {
	return func(position int, logits []float32) {
		hash := uint64(position)
		for _, x := range logits {
			hash = (hash ^ uint64(math.Float32bits(x))) * 0x100000001B3
		}
		*list = append(*list, hash)
	}
}

// ask computes a request and reads it to the end; dawdle waits before each token.
func ask(t *testing.T, e *Engine, req Request, dawdle func()) answer {
	a, _ := askReused(t, e, req, dawdle, func(*Stream) {})
	return a
}

// askReused is ask for a request whose stream others want to stand behind. It returns how many tokens were found in the cache.
func askReused(t *testing.T, e *Engine, req Request, dawdle func(), submitted func(*Stream)) (a answer, reused int) {
	req.Tap = tap(&a.Logits)
	s, err := e.Submit(req)
	submitted(s)
	if err != nil {
		t.Error(err)
		return a, 0
	}
	ctx := testContext(t)
	for {
		dawdle()
		token, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Error(err)
			return a, 0
		}
		a.Tokens = append(a.Tokens, token)
	}
	if a.Prompt, err = s.Prompt(ctx); err != nil {
		t.Error(err)
	}
	a.Finish = s.Result().FinishReason
	return a, s.Result().ReusedTokens
}
