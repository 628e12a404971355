package adapters

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

// stormBases is one base that is replaced all the time.
type stormBases struct {
	generation atomic.Uint64
	leases     atomic.Int64
}

func (s *stormBases) info() BaseInfo {
	n := s.generation.Load()
	return BaseInfo{Name: "m", Generation: n, Digest: fmt.Sprint("h", n%3)}
}
func (s *stormBases) Serving() []BaseInfo { return []BaseInfo{s.info()} }
func (s *stormBases) Idle() bool          { return rand.IntN(2) == 0 }

func (s *stormBases) MakeWay(context.Context, time.Duration) {}

func (s *stormBases) Ready() bool { return true }

func (s *stormBases) Lease(context.Context, string) (Base, error) {
	s.leases.Add(1)
	return &stormBase{of: s, info: s.info()}, nil
}

type stormBase struct {
	of   *stormBases
	info BaseInfo
}

func (b *stormBase) Info() BaseInfo { return b.info }
func (b *stormBase) Release()       { b.of.leases.Add(-1) }

func (b *stormBase) Bind() Binder { return stormBinder{b.info.Generation} }

func (b *stormBase) Probe(_ context.Context, a Bound, _ []int32) ([]float32, error) {
	if a != nil {
		return []float32{2}, nil
	}
	return []float32{1}, nil
}

// stormBinder knows its base.
type stormBinder struct{ base uint64 }

func (stormBinder) Decode(quant.Type, []float32, []byte) {}

func (stormBinder) Add(*models.Delta) error { return nil }

func (b stormBinder) Bound(digest string, _ []int32) (Bound, error) {
	return stormBound{digest: digest, base: b.base}, nil
}

// stormBound knows what it was made of.
type stormBound struct {
	digest string
	base   uint64
}

func (stormBound) Bytes() int64 { return 10 }

// stormFiles is the adapters folder: by name, the version that lies there.
type stormFiles struct {
	mu  sync.Mutex
	has map[string]int
}

func (f *stormFiles) version(name string) (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.has[name]
	return v, ok
}

func (f *stormFiles) origins() []Origin {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Origin
	for name, v := range f.has {
		all = append(all, Origin{Name: name, Files: []File{{Path: name, Identity: gguf.FileIdentity{Inode: uint64(v)}}}})
	}
	return all
}

func contentOf(name string, version int) string {
	d := fmt.Sprintf("%s%d", name, version)
	return d + strings.Repeat("-", 64-len(d))
}

type stormContent struct {
	of   *stormFiles
	name string
}

func (c stormContent) about() *About       { return &About{Rank: 1, Targets: 1} }
func (c stormContent) fits(BaseInfo) error { return nil }
func (c stormContent) close()              {}

func (c stormContent) invocation() []int32 { return nil }

func (c stormContent) load(BaseInfo, Taker, func(time.Duration)) (string, error) {
	v, ok := c.of.version(c.name)
	if !ok {
		return "", errors.New("gone")
	}
	if v%5 == 0 {
		return "", errors.New("its weights are cut")
	}
	return contentOf(c.name, v), nil
}

// TestHammer (H26) replaces and removes adapters and their base while requests lease them: each lease is whole, of a generation that was published
// with just that content, on just the base that it was asked for; and at the end nothing is held.
func TestHammer(t *testing.T) {
	t.Parallel()
	const names, requests = 6, 8
	files := &stormFiles{has: map[string]int{}}
	bases := &stormBases{}
	bases.generation.Store(1)
	r := newRegistry(Options{Bases: bases, Budget: 35})
	r.open = func(o *Origin) (content, error) {
		if _, ok := files.version(o.Name); !ok {
			return nil, errors.New("gone")
		}
		return stormContent{files, o.Name}, nil
	}
	r.worker.Go(r.run)
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { // the folder
		for v := 1; ctx.Err() == nil; v++ {
			name := fmt.Sprint("a", rand.IntN(names))
			files.mu.Lock()
			if rand.IntN(8) == 0 {
				delete(files.has, name)
			} else {
				files.has[name] = v
			}
			files.mu.Unlock()
			r.Sync(files.origins())
			pause(ctx, time.Millisecond)
		}
	})
	all.Go(func() { // the base
		for ctx.Err() == nil {
			bases.generation.Add(1)
			r.Rebase()
			pause(ctx, 3*time.Millisecond)
		}
	})
	var mu sync.Mutex
	content := map[uint64]string{} // by generation
	leased, refused := 0, 0
	for range requests {
		all.Go(func() {
			for ctx.Err() == nil {
				base, _ := bases.Lease(ctx, "m")
				l, err := r.Acquire(ctx, fmt.Sprint("a", rand.IntN(names)), base)
				mu.Lock()
				if err != nil {
					refused++
				} else {
					leased++
					b := l.Adapter.(stormBound)
					if known, ok := content[l.Generation]; ok && known != l.Digest {
						t.Errorf("generation %d was %s and is %s", l.Generation, known, l.Digest)
					}
					content[l.Generation] = l.Digest
					if b.digest != l.Digest || b.base != base.Info().Generation {
						t.Errorf("lease of %s on base %d is %s on %d", l.Digest, base.Info().Generation, b.digest, b.base)
					}
				}
				mu.Unlock()
				r.List()
				if l != nil {
					if rand.IntN(4) == 0 {
						pause(ctx, time.Millisecond)
					}
					l.Release()
				}
				base.Release()
			}
		})
	}
	all.Wait()
	r.Sync(nil)
	r.Close()
	t.Logf("%d leases of %d generations, %d refusals", leased, len(content), refused)
	if leased == 0 || len(content) < 2 {
		t.Error("nothing was leased")
	}
	if resident, _ := r.Memory(); resident != 0 || len(r.List()) != 0 || bases.leases.Load() != 0 {
		t.Errorf("%d bytes, %v and %d leases on bases are left", resident, r.List(), bases.leases.Load())
	}
}

// pause lets others run for a while.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// A lease is given back once.
func TestLeaseIsReleasedOnce(t *testing.T) {
	t.Parallel()
	r := newRegistry(Options{Bases: &fakeBases{}})
	g := &generation{leases: 1}
	l := &Lease{r: r, b: &binding{of: g, leases: 1}}
	l.Release()
	defer func() {
		if recover() == nil {
			t.Error("the second release went through")
		}
	}()
	l.Release()
}
