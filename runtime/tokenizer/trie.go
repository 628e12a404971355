package tokenizer

import (
	"bytes"
	"slices"
	"strings"
)

// byteTrie finds the pieces that a text begins with. Nodes stand in the order of a breadth-first walk, so that the children
// of a node are neighbours and one array of places tells where they begin and end.
type byteTrie struct {
	labels []byte // of each node: the byte that leads to it
	nodes  []trieNode
}

type trieNode struct {
	id    int32 // the token that ends there, or -1
	first int32 // its first child; that of the next node ends its children
}

// trieRoot is the node that every walk begins with.
const trieRoot = 0

// trieEntry is one piece with its token.
type trieEntry struct {
	text string
	id   int32
}

// newByteTrie makes a trie of entries, which it sorts. Of equal texts the lowest id counts. The nodes are at most one for each
// byte of the texts.
func newByteTrie(entries []trieEntry) *byteTrie {
	slices.SortFunc(entries, func(a, b trieEntry) int {
		if d := strings.Compare(a.text, b.text); d != 0 {
			return d
		}
		return int(a.id) - int(b.id)
	})
	// Each node stands for a range of entries that share its bytes.
	type span struct{ from, to, depth int32 }
	t := &byteTrie{labels: []byte{0}}
	spans := []span{{0, int32(len(entries)), 0}}
	for n := 0; n < len(spans); n++ {
		s := spans[n]
		id := int32(-1)
		for s.from < s.to && len(entries[s.from].text) == int(s.depth) {
			if id < 0 {
				id = entries[s.from].id
			}
			s.from++
		}
		t.nodes = append(t.nodes, trieNode{id, int32(len(spans))})
		for s.from < s.to {
			label := entries[s.from].text[s.depth]
			to := s.from + 1
			for to < s.to && entries[to].text[s.depth] == label {
				to++
			}
			t.labels = append(t.labels, label)
			spans = append(spans, span{s.from, to, s.depth + 1})
			s.from = to
		}
	}
	t.nodes = append(t.nodes, trieNode{-1, int32(len(spans))})
	return t
}

// child returns the node that a byte leads to, or -1.
func (t *byteTrie) child(node int32, b byte) int32 {
	look(1)
	from, to := t.nodes[node].first, t.nodes[node+1].first
	if to-from <= 4 { // most nodes have one child or none
		for ; from < to; from++ {
			if t.labels[from] == b {
				return from
			}
		}
		return -1
	}
	if at := bytes.IndexByte(t.labels[from:to], b); at >= 0 {
		return from + int32(at)
	}
	return -1
}

// longest returns the longest piece that text begins with and its length, or a length of 0.
func (t *byteTrie) longest(text []byte) (id int32, n int) {
	id = -1
	node := int32(trieRoot)
	for i, b := range text {
		if node = t.child(node, b); node < 0 {
			break
		}
		if found := t.nodes[node].id; found >= 0 {
			id, n = found, i+1
		}
	}
	return id, n
}
