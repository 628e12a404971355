package kernels

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestCacheTypes(t *testing.T) {
	for _, typ := range CacheTypes() {
		if got, ok := ParseCacheType(typ.String()); !ok || got != typ {
			t.Errorf("%s parses to %s, %v", typ, got, ok)
		}
	}
	for _, name := range []string{"", "F16", "q5_0", "cache type 9"} {
		if got, ok := ParseCacheType(name); ok {
			t.Errorf("%q parses to %s", name, got)
		}
	}
}

func TestCacheLayoutBytes(t *testing.T) {
	const elements = 2 * 3 * 5 * 64 * 16 * 7 // keys and values
	for typ, want := range map[CacheType]int64{
		CacheF16: elements * 2, CacheF32: elements * 4, CacheQ8_0: elements / 32 * 34, CacheQ4_0: elements / 32 * 18,
	} {
		l := CacheLayout{Layers: 3, KVHeads: 5, HeadDim: 64, PageTokens: 16, Pages: 7, Type: typ}
		if got := l.Bytes(); got != want || l.Check() != nil {
			t.Errorf("%s: %d bytes, want %d; %v", typ, got, want, l.Check())
		}
	}
}

func TestCacheLayoutCheck(t *testing.T) {
	fits := CacheLayout{Layers: 1, KVHeads: 1, HeadDim: 64, PageTokens: 16, Pages: 1}
	for name, c := range map[string]struct {
		change func(l *CacheLayout)
		want   string // part of the message
	}{
		"odd page":         {func(l *CacheLayout) { l.PageTokens = 24 }, "pages of 24 tokens"},
		"unknown type":     {func(l *CacheLayout) { l.Type = 99 }, "cache type 99"},
		"parts of blocks":  {func(l *CacheLayout) { l.Type, l.HeadDim = CacheQ8_0, 80 }, "multiple of 32 elements, these have 80; use f16"},
		"negative":         {func(l *CacheLayout) { l.Pages = -1 }, "negative"},
		"past 64 bits":     {func(l *CacheLayout) { l.Pages, l.Layers = math.MaxInt, math.MaxInt }, "63 bits"},
		"past 63 bits":     {func(l *CacheLayout) { l.Pages = math.MaxInt / 1000 }, "63 bits"},
		"wraps to nothing": {func(l *CacheLayout) { l.Pages, l.Layers, l.KVHeads = 1<<31, 1<<31, 4 }, "63 bits"},
	} {
		l := fits
		c.change(&l)
		if err := l.Check(); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
