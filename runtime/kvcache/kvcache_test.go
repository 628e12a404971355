package kvcache_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestScripts runs testdata: "new PAGES PAGETOKENS", "grow TABLE TOKENS", "release TABLE", "slots TABLE POS COUNT", "count",
// "match TABLE KEYS", "commit TABLE KEYS", "fork TABLE FROM TOKENS", "trim TABLE TOKENS", "lasting TABLE", "adopt KEYS [DOMAIN]", "find KEYS",
// "domain TABLE NAME", "at SECONDS", "began TABLE TOKENS", "usage", "without TABLE..." and "drop [DOMAIN]". A key is a letter. After each the accounting agrees with itself.
func TestScripts(t *testing.T) {
	modeltest.Scripts(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		var m *kvcache.Manager
		tables := map[string]*kvcache.Table{}
		return func(words []string) string {
			defer func() {
				if m == nil {
					return
				}
				if err := m.Check(slices.Collect(maps.Values(tables))); err != nil {
					t.Error(words, err)
				}
			}()
			number := func(i int) int {
				n, err := strconv.Atoi(words[i])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			table := func() *kvcache.Table {
				if tables[words[1]] == nil {
					tables[words[1]] = &kvcache.Table{}
				}
				return tables[words[1]]
			}
			switch words[0] {
			case "new":
				var err error
				if m, err = kvcache.New(number(1), number(2)); err != nil {
					return err.Error()
				}
			case "grow":
				ok := m.Grow(table(), number(2))
				return fmt.Sprintf("%v %v room %d", ok, table().Pages(), m.Room(table()))
			case "release":
				m.Release(table())
			case "slots":
				return fmt.Sprint(kvcache.Slots(nil, table().Pages(), m.PageTokens(), number(2), number(3)))
			case "count":
				return fmt.Sprintf("free %d used %d of %d, kept %d", m.Free(), m.Used(), m.Total(), m.Kept())
			case "match":
				var sees func(int) int
				if len(words) > 3 {
					window := number(3)
					sees = func(pos int) int { return kvcache.Sees(window, pos) }
				}
				tokens := m.Match(table(), keys(words[2]), sees)
				return fmt.Sprintf("%d tokens %v", tokens, table().Pages())
			case "commit":
				m.Commit(table(), keys(words[2]))
			case "slide":
				m.Slide(table(), number(2))
				return fmt.Sprint(table().Pages())
			case "trim":
				m.Trim(table(), number(2))
			case "domain":
				table().Domain = words[2]
			case "at":
				m.At(time.Duration(number(1)) * time.Second)
			case "began":
				m.Began(table(), number(2))
			case "usage":
				return usage(m)
			case "drop":
				return fmt.Sprint(m.Drop(func(domain string) bool { return len(words) == 1 || words[1] == domain }))
			case "without":
				var given []*kvcache.Table
				for _, name := range words[1:] {
					given = append(given, tables[name])
				}
				return fmt.Sprint(m.FreeWithout(given))
			case "giveback":
				return fmt.Sprint(m.GiveBack(len(words) > 1))
			case "lasting":
				table().Lasting = true
			case "adopt":
				var text []string
				for _, key := range keys(words[1]) {
					page, ok := m.Adopt(key, strings.Join(words[2:], " "))
					text = append(text, fmt.Sprint(page, " ", ok))
				}
				return strings.Join(text, ", ")
			case "find":
				var text []string
				for _, key := range keys(words[1]) {
					page, ok := m.Find(key)
					text = append(text, fmt.Sprint(page, " ", ok))
				}
				return strings.Join(text, ", ")
			case "fork":
				c, copied, ok := m.Fork(table(), tables[words[2]], number(3))
				text := fmt.Sprintf("%v %v", ok, table().Pages())
				if copied {
					text += fmt.Sprintf(" copy %d to %d", c.From, c.To)
				}
				return text
			default:
				t.Fatalf("unknown command %q", words[0])
			}
			return ""
		}
	})
}

// usage is a line for the pool and one for each of its domains.
func usage(m *kvcache.Manager) string {
	pool, domains := m.Usage()
	var text []string
	for _, u := range append([]kvcache.Usage{pool}, domains...) {
		text = append(text, fmt.Sprintf("%s held %d (shared %d), kept %d, known %d; %d hits, %d misses, %d tokens; at %v",
			cmp.Or(u.Domain, "-"), u.Held, u.Shared, u.Kept, u.Known, u.Found.Hits, u.Found.Misses, u.Found.Tokens, u.Used))
	}
	return strings.Join(text, "\n")
}

// keys are the Keys that a word's letters stand for.
func keys(word string) []kvcache.Key {
	var list []kvcache.Key
	for _, letter := range []byte(word) {
		list = append(list, kvcache.Key{letter})
	}
	return list
}

// TestKeysDiffer: whatever decides a page's content or who may see it changes its Key.
func TestKeysDiffer(t *testing.T) {
	base := kvcache.Identity{Base: "b", Numerics: 1, PageTokens: 32, Domain: "d", Adapters: []kvcache.AdapterUse{{Digest: "x", Scale: 1}, {Digest: "y", Scale: 2}}}
	same := base
	if base.Root() != same.Root() {
		t.Error("equal identities have two roots")
	}
	seen := map[kvcache.Key]string{base.Root(): "itself"}
	for name, change := range map[string]func(*kvcache.Identity){
		"base":           func(id *kvcache.Identity) { id.Base = "c" },
		"numerics":       func(id *kvcache.Identity) { id.Numerics = 2 },
		"type":           func(id *kvcache.Identity) { id.Type = kernels.CacheQ8_0 },
		"page":           func(id *kvcache.Identity) { id.PageTokens = 16 },
		"domain":         func(id *kvcache.Identity) { id.Domain = "" },
		"base to domain": func(id *kvcache.Identity) { id.Base, id.Domain = "", "bd" },
		"no adapter":     func(id *kvcache.Identity) { id.Adapters = nil },
		"one adapter":    func(id *kvcache.Identity) { id.Adapters = id.Adapters[:1] },
		"order":          func(id *kvcache.Identity) { id.Adapters = []kvcache.AdapterUse{id.Adapters[1], id.Adapters[0]} },
		"scale": func(id *kvcache.Identity) {
			id.Adapters = []kvcache.AdapterUse{{Digest: "x", Scale: 1}, {Digest: "y", Scale: 3}}
		},
	} {
		id := base
		change(&id)
		if other := seen[id.Root()]; other != "" {
			t.Errorf("%s has the root of %s", name, other)
		}
		seen[id.Root()] = name
	}
	a, b := make([]int32, 16), make([]int32, 16)
	b[15] = 1
	if root := base.Root(); root.Next(a) == root.Next(b) || root.Next(a).Next(a) == root.Next(a) {
		t.Error("other tokens, or others before them, have the same Key")
	}
}

// TestNoPageLeaksOrIsShared grows and releases tables at random: every page is free or in exactly one table, always.
func TestNoPageLeaksOrIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 40).Draw(t, "pages")
		pageTokens := rapid.SampledFrom([]int{16, 32, 64}).Draw(t, "pageTokens")
		m, err := kvcache.New(total, pageTokens)
		if err != nil {
			t.Fatal(err)
		}
		tables := make([]kvcache.Table, 4)
		for range rapid.IntRange(1, 60).Draw(t, "operations") {
			table := &tables[rapid.IntRange(0, len(tables)-1).Draw(t, "table")]
			before := slices.Clone(table.Pages())
			if rapid.Bool().Draw(t, "release") {
				m.Release(table)
				if len(table.Pages()) != 0 {
					t.Fatal("a released table is not empty")
				}
			} else {
				tokens := rapid.IntRange(0, total*pageTokens+20).Draw(t, "tokens")
				free := m.Free()
				ok := m.Grow(table, tokens)
				if fits := m.PagesFor(tokens)-len(before) <= free; ok != fits {
					t.Fatalf("Grow to %d tokens gave %v with %d pages free and %d held", tokens, ok, free, len(before))
				}
				if ok && m.Room(table) < tokens || !ok && !slices.Equal(before, table.Pages()) {
					t.Fatalf("Grow(%d) = %v left %v, was %v", tokens, ok, table.Pages(), before)
				}
				if !slices.Equal(before, table.Pages()[:len(before)]) {
					t.Fatal("growing moved pages")
				}
			}
			seen := map[int32]bool{}
			for i := range tables {
				for _, page := range tables[i].Pages() {
					if seen[page] || page < 0 || int(page) >= total {
						t.Fatalf("page %d is in two tables or does not exist", page)
					}
					seen[page] = true
				}
			}
			if m.Free()+len(seen) != total || m.Used() != len(seen) {
				t.Fatalf("%d free, %d used, %d in tables, %d in all", m.Free(), m.Used(), len(seen), total)
			}
		}
	})
}

func TestReleaseTwiceIsABug(t *testing.T) {
	m, err := kvcache.New(4, 16)
	if err != nil {
		t.Fatal(err)
	}
	var a kvcache.Table
	m.Grow(&a, 30)
	copied := a
	m.Release(&a)
	defer func() {
		if recover() == nil {
			t.Error("giving pages back twice did not panic")
		}
	}()
	m.Release(&copied)
}

func TestReservedTableGrowsWithoutAllocating(t *testing.T) {
	m, err := kvcache.New(64, 16)
	if err != nil {
		t.Fatal(err)
	}
	var a kvcache.Table
	m.Reserve(&a, 64*16)
	tokens := 0
	if n := testing.AllocsPerRun(50, func() { tokens += 16; m.Grow(&a, tokens) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type fakeBackend struct {
	kernels.Backend
	err error
}

type fakeCache struct {
	layout kernels.CacheLayout
	freed  *bool
}

func (c fakeCache) Layout() kernels.CacheLayout { return c.layout }
func (c fakeCache) Free()                       { *c.freed = true }
func (c fakeCache) Discard([]int32)             {}

func (b fakeBackend) NewCache(l kernels.CacheLayout) (kernels.Cache, error) {
	return fakeCache{l, new(bool)}, b.err
}

func TestStorage(t *testing.T) {
	layout := kernels.CacheLayout{Layers: 2, KVHeads: 1, HeadDim: 4, PageTokens: 16, Pages: 3}
	p, err := kvcache.NewPages(fakeBackend{}, layout)
	if err != nil {
		t.Fatal(err)
	}
	p.Free()
	if c, ok := p.Cache.(fakeCache); !ok || !*c.freed || c.layout != layout {
		t.Errorf("cache %+v", p.Cache)
	}
	noMemory := errors.New("no memory")
	if _, err := kvcache.NewPages(fakeBackend{err: noMemory}, layout); !errors.Is(err, noMemory) {
		t.Errorf("error %v does not wrap the backend's", err)
	}
}
