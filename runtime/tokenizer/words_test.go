package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A key holds all of a word: no byte of it, nor its length, can change and the key stay.
func TestKeysHoldTheWord(t *testing.T) {
	seen := map[[3]uint64]map[int]string{}
	enter := func(word string) {
		k := keyOf(word)
		if seen[k.words] == nil {
			seen[k.words] = map[int]string{}
		}
		if other, ok := seen[k.words][k.bytes]; ok && other != word {
			t.Fatalf("%q and %q have one key", other, word)
		}
		seen[k.words][k.bytes] = word
	}
	for n := 1; n <= maxCachedBytes; n++ {
		for at := range n {
			for b := range 256 {
				word := bytes.Repeat([]byte{'x'}, n)
				word[at] = byte(b)
				enter(string(word))
			}
		}
	}
}

func wordIDs(word string) []int32 {
	var ids []int32
	for i := range 1 + len(word)%(maxCachedIDs+1) {
		ids = append(ids, int32(word[i%len(word)])<<16+int32(i)-3)
	}
	return ids
}

// What is found is what was kept, behind what was there before; words of too many ids are not kept, and the newest always is.
func TestWordCache(t *testing.T) {
	c := newWordCache(8)
	size := len(c.entries)
	for i := range 20 * size {
		word := strings.Repeat("w", i%20) + fmt.Sprint(i%(3*size))
		k, want := keyOf(word), wordIDs(word)
		c.keep(&k, want)
		got, ok := c.find(&k, []int32{7})
		if ok != (len(want) <= maxCachedIDs) || ok && !slices.Equal(got, append([]int32{7}, want...)) || !ok && !slices.Equal(got, []int32{7}) {
			t.Fatalf("%q: %v %v, want %v", word, got, ok, want)
		}
	}
	if len(c.entries) != size {
		t.Errorf("%d entries, at first %d", len(c.entries), size)
	}
}

// Readers and writers of one place never see a word with the ids of another.
func TestWordCacheHammer(t *testing.T) {
	c := wordCache{make([]wordEntry, 2), 64}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 20000 {
				word := fmt.Sprint(i % 7)
				k, want := keyOf(word), wordIDs(word)
				if got, ok := c.find(&k, nil); ok && !slices.Equal(got, want) {
					t.Errorf("%q: %v, want %v", word, got, want)
					return
				}
				c.keep(&k, want)
			}
		})
	}
	all.Wait()
}
