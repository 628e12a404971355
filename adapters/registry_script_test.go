package adapters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

// fakeBases are models without weights.
type fakeBases struct {
	serving []BaseInfo
	busy    bool
	way     time.Duration // behind which way was made
	young   bool          // not all models have been looked at
	coming  []BaseInfo    // come into service, the last ones to be looked at, behind the next look at what serves
	leases  int
	probes  int
}

func (f *fakeBases) Serving() []BaseInfo {
	now := slices.Clone(f.serving)
	if f.coming != nil {
		f.serving, f.coming, f.young = append(f.serving, f.coming...), nil, false
	}
	return now
}

func (f *fakeBases) Idle() bool { return !f.busy }

func (f *fakeBases) MakeWay(_ context.Context, took time.Duration) { f.way += took }

func (f *fakeBases) Ready() bool { return !f.young }

func (f *fakeBases) Lease(_ context.Context, name string) (Base, error) {
	for i, b := range f.serving {
		if b.Name == name {
			f.leases++
			if b.Unloaded { // it comes back
				f.serving[i].Unloaded, f.serving[i].Generation = false, 100
				b = f.serving[i]
			}
			return &fakeBase{b, f}, nil
		}
	}
	return nil, fmt.Errorf("no model %q", name)
}

type fakeBase struct {
	info BaseInfo
	of   *fakeBases
}

func (b *fakeBase) Info() BaseInfo { return b.info }
func (b *fakeBase) Release()       { b.of.leases-- }

func (b *fakeBase) Bind() Binder { return &fakeBinder{} }

// fakeBinder keeps what fakeContent has to say.
type fakeBinder struct{ bound fakeBound }

func (b *fakeBinder) Decode(quant.Type, []float32, []byte) {}

func (b *fakeBinder) Add(d *models.Delta) error {
	b.bound = fakeBound{difference: d.Scale, bytes: int64(d.Rank)}
	return nil
}

func (b *fakeBinder) Bound(string, []int32) (Bound, error) { return b.bound, nil }

func (b *fakeBase) Probe(_ context.Context, a Bound, _ []int32) ([]float32, error) {
	b.of.probes++
	logits := []float32{3, 4}
	if a != nil {
		if d := a.(fakeBound).difference; math.IsInf(float64(d), 0) {
			return nil, fmt.Errorf("%w: not a number", ErrUntestable)
		} else {
			logits[0] += d
		}
	}
	return logits, nil
}

// fakeBound is bound content: it changes one logit.
type fakeBound struct {
	difference float32
	bytes      int64
}

func (b fakeBound) Bytes() int64 { return b.bytes }

// fakeContent is what lies in fake files: words such as "fits=h1,h2".
type fakeContent struct {
	words map[string]string
}

func (c *fakeContent) about() *About {
	return &About{Format: PEFT, Rank: 8, Targets: 1, DoRA: c.words["dora"] != "", BaseName: c.words["name"]}
}

func (c *fakeContent) fits(b BaseInfo) error {
	if slices.Contains(strings.Split(c.words["fits"], ","), b.Digest) {
		return nil
	}
	return errors.New("blk.0.attn_q has other shapes")
}

func (c *fakeContent) invocation() []int32 { return nil }

func (c *fakeContent) load(_ BaseInfo, to Taker, rest func(time.Duration)) (string, error) {
	rest(3 * time.Second)
	if c.words["broken"] != "" {
		return "", errors.New("its weights are cut")
	}
	difference, size := float32(5), 10
	if d, err := strconv.ParseFloat(c.words["change"], 32); err == nil {
		difference = float32(d)
	}
	if n, err := strconv.Atoi(c.words["bytes"]); err == nil {
		size = n
	}
	digest := c.words["digest"]
	return digest + strings.Repeat("0", 64-len(digest)), to.Add(&models.Delta{Rank: size, Scale: difference})
}

func (c *fakeContent) close() {}

// script is one registry that a text script drives, with fake files and fake bases.
type script struct {
	t      *testing.T
	r      *Registry
	state  *os.Root
	log    bytes.Buffer
	clock  time.Time
	budget int64
	bases  fakeBases
	files  map[string]map[string]string // what lies there, by name
	leases map[string]*Lease
}

func TestScripts(t *testing.T) {
	modeltest.Scripts(t, "testdata/registry/*.txt", func(t *testing.T) func([]string) string {
		state, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { state.Close() })
		s := &script{t: t, state: state, clock: time.Unix(1e9, 0), files: map[string]map[string]string{}, leases: map[string]*Lease{}}
		s.start()
		return s.command
	})
}

func (s *script) start() {
	plain := slog.NewTextHandler(&s.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == "digest" {
			return slog.Attr{}
		}
		return a
	}})
	s.r = newRegistry(Options{Bases: &s.bases, Budget: s.budget, Settle: time.Second, StateDir: s.state, Log: slog.New(plain)})
	s.r.now = func() time.Time { return s.clock }
	s.r.open = func(o *Origin) (content, error) {
		words := s.files[o.Name]
		if words["unreadable"] != "" {
			return nil, errors.New("it is no adapter")
		}
		if words["trouble"] != "" {
			return nil, &os.PathError{Op: "open", Path: o.Name, Err: syscall.EMFILE}
		}
		return &fakeContent{words: words}, nil
	}
}

// command runs one line and returns what the log says, and what the line asks for.
func (s *script) command(words []string) string {
	out := s.run(words)
	log := strings.ReplaceAll(s.log.String(), "msg=", "log: ")
	s.log.Reset()
	return log + out
}

func (s *script) run(words []string) string {
	args := map[string]string{}
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			args[k] = strings.ReplaceAll(v, "_", " ")
		} else {
			args[w] = "yes"
		}
	}
	name := ""
	if len(words) > 1 {
		name = words[1]
	}
	switch words[0] {
	case "coming": // as base, behind the next look
		n, _ := strconv.ParseUint(args["generation"], 10, 64)
		s.bases.coming = []BaseInfo{{Name: name, Generation: n, Digest: args["digest"]}}
	case "base": // base NAME generation=N digest=D answers=A, or unloaded for generation
		s.bases.serving = slices.DeleteFunc(s.bases.serving, func(b BaseInfo) bool { return b.Name == name })
		if args["gone"] == "" {
			n, _ := strconv.ParseUint(args["generation"], 10, 64)
			s.bases.serving = append(s.bases.serving, BaseInfo{Name: name, Generation: n, Unloaded: args["unloaded"] != "", Digest: args["digest"], Answers: strings.Split(args["answers"], ",")})
		}
		s.r.Rebase()
	case "busy", "idle":
		s.bases.busy = words[0] == "busy"
	case "young", "ready":
		s.bases.young = words[0] == "young"
		s.r.Rebase()
	case "put": // put NAME files=K1,K2 and words of fakeContent
		s.files[name] = args
	case "remove":
		delete(s.files, name)
	case "sync":
		s.r.Sync(s.origins())
	case "work":
		for s.r.step() {
		}
	case "later":
		d, err := time.ParseDuration(name)
		if err != nil {
			s.t.Fatal(err)
		}
		s.clock = s.clock.Add(d)
	case "acquire": // acquire LEASE ADAPTER BASE
		return s.acquire(name, words[2], words[3])
	case "release":
		if s.leases[name] == nil {
			return "no such lease"
		}
		s.leases[name].Release()
		delete(s.leases, name)
	case "replaceable":
		n, _ := strconv.ParseUint(words[2], 10, 64)
		return said(s.r.Replaceable(name, n))
	case "pin":
		return said(s.r.Pin(name, true))
	case "giveback":
		return fmt.Sprint(s.r.GiveBack())
	case "unload":
		return said(s.r.Unload(name))
	case "test":
		return said(s.r.Test(context.Background(), name))
	case "budget":
		s.budget, _ = strconv.ParseInt(name, 10, 64)
		s.r.o.Budget = s.budget
	case "restart":
		s.r.digests.Flush()
		s.r.proofs.Flush()
		s.start()
	case "list":
		return s.list()
	case "probes":
		n := s.bases.probes
		s.bases.probes = 0
		return fmt.Sprintf("%d, %d leases on bases", n, s.bases.leases)
	default:
		s.t.Fatalf("no command %q", words[0])
	}
	return ""
}

func said(err error) string {
	if err == nil {
		return "yes"
	}
	return err.Error()
}

func (s *script) origins() []Origin {
	var all []Origin
	for name, words := range s.files {
		o := Origin{Name: name, Base: words["base"], Waiting: words["waiting"], Missing: words["missing"], Problem: words["problem"]}
		if words["alias"] != "" {
			o.Aliases = strings.Split(words["alias"], ",")
		}
		for i, key := range strings.Split(words["files"], ",") {
			inode, _ := strconv.ParseUint(key, 10, 64)
			o.Files = append(o.Files, File{Path: fmt.Sprintf("%s/%d", name, i+1), Identity: gguf.FileIdentity{Inode: inode}})
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Origin) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (s *script) acquire(as, adapter, base string) string {
	b, err := s.bases.Lease(s.t.Context(), base)
	if err != nil {
		return err.Error()
	}
	defer b.Release()
	// One goroutine alone would wait for itself: admission runs as soon as somebody waits.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if g, news, _ := s.r.findNow(adapter); g != nil {
		s.r.release(g)
	} else if news != nil {
		for s.r.step() {
		}
		cancel()
	}
	l, err := s.r.Acquire(ctx, adapter, b)
	if err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) && refused.Waiting {
			return err.Error() + " (about to be)"
		}
		return err.Error()
	}
	s.leases[as] = l
	return fmt.Sprintf("%s generation %d, content %s", l.Name, l.Generation, strings.TrimRight(l.Digest, "0"))
}

func (s *script) list() string {
	var out strings.Builder
	for _, st := range s.r.List() {
		fmt.Fprintf(&out, "%d %s %s", st.ID, st.Name, st.State)
		if st.Number != 0 {
			fmt.Fprintf(&out, " generation %d content %s", st.Number, strings.TrimRight(st.Digest, "0"))
		}
		for _, b := range st.Bases {
			fmt.Fprintf(&out, " on %s", b.Base.Name)
			if b.Difference != 0 {
				fmt.Fprintf(&out, " by %.3g", b.Difference)
			}
		}
		if st.Resident != 0 || st.Leases != 0 {
			fmt.Fprintf(&out, " (%d bytes, %d leases)", st.Resident, st.Leases)
		}
		if st.Next != "" || st.Reason != "" {
			fmt.Fprintf(&out, ": %s", strings.TrimPrefix(st.Next+" ", " ")+st.Reason)
		}
		out.WriteString("\n")
	}
	return out.String()
}
