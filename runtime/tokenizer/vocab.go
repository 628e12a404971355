package tokenizer

import (
	"fmt"
	"math"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
)

// The metadata keys this package reads.
const (
	keyModel       = "tokenizer.ggml.model"
	keyPre         = "tokenizer.ggml.pre"
	keyTokens      = "tokenizer.ggml.tokens"
	keyScores      = "tokenizer.ggml.scores"
	keyTypes       = "tokenizer.ggml.token_type"
	keyMerges      = "tokenizer.ggml.merges"
	keyBOS         = "tokenizer.ggml.bos_token_id"
	keyEOS         = "tokenizer.ggml.eos_token_id"
	keyUnknown     = "tokenizer.ggml.unknown_token_id"
	keyAddBOS      = "tokenizer.ggml.add_bos_token"
	keyAddEOS      = "tokenizer.ggml.add_eos_token"
	keySpacePrefix = "tokenizer.ggml.add_space_prefix"

	// WordPiece
	keyCLS          = "tokenizer.ggml.cls_token_id"
	keySEP          = "tokenizer.ggml.seperator_token_id" // so spelled in the format
	keyLowercase    = "tokenizer.ggml.normalizer.lowercase"
	keyStripAccents = "tokenizer.ggml.normalizer.strip_accents"

	// Unigram
	keyMergeSpaces = "tokenizer.ggml.remove_extra_whitespaces"
	keyCharsmap    = "tokenizer.ggml.precompiled_charsmap"

	modelSPM       = "llama"
	modelBPE       = "gpt2"
	modelWordPiece = "bert"
	modelUnigram   = "t5"

	// Both are byte pair encoding over characters, each with a pre-tokenizer of its own.
	modelGemma4     = "gemma4"
	modelWhitespace = "whitespace"
)

// Limits of a vocabulary, far above any in use (262,144 tokens, the longest piece a few hundred bytes).
const (
	maxTokens       = 1 << 22
	maxPieceBytes   = 1 << 16
	maxSpecialBytes = 1 << 10 // a special token; the search for them is bounded by text times this
	maxMerges       = 1 << 23
)

// attr is what a token is, a set of bits.
type attr uint16

const (
	attrNormal attr = 1 << iota
	attrUnknown
	attrControl
	attrUserDefined
	attrUnused
	attrByte
	attrEOG
	attrLStrip // whitespace before the token belongs to it
	attrRStrip // whitespace behind the token belongs to it
)

// Token types as the file numbers them; 0 is undefined.
var typeAttrs = [...]attr{0, attrNormal, attrUnknown, attrControl, attrUserDefined, attrUnused, attrByte}

// spmSpace is how SentencePiece writes a space (U+2581).
const spmSpace = "▁"

// vocab is the table of tokens and the ids with a role.
type vocab struct {
	model     string
	plain     bool // BPE over characters: pieces are spelled as they are
	spaceSign bool // and a space as U+2581

	texts   []string         // as the file spells them
	arena   string           // the bytes of all pieces, one behind the other
	ends    []uint32         // where the piece of each token ends in arena
	attrs   []attr           // of each token
	scores  []float32        // SentencePiece and Unigram: of each token
	ids     map[string]int32 // text, as the file spells it -> id
	byPiece pieceTable       // bytes -> id, of the tokens that text may become
	byteIDs [256]int32       // SentencePiece, Unigram and BPE over characters: the token that stands for a byte, or -1

	maxPiece int // bytes of the longest piece in byPiece

	bos, eos, unknown int32 // -1: there is none
	addBOS, addEOS    bool
	eog               []int32 // ascending
}

func (v *vocab) valid(id int32) bool { return uint(id) < uint(len(v.texts)) }

func (v *vocab) piece(id int32) string {
	start := uint32(0)
	if id > 0 {
		start = v.ends[id-1]
	}
	return v.arena[start:v.ends[id]]
}

// fromText says whether plain text may become this token. A control token never comes from text that merely spells it.
func (a attr) fromText() bool { return a&(attrControl|attrUnknown|attrByte) == 0 }

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrVocabulary}, args...)...)
}

// read takes the table of tokens from the metadata and checks it.
func (v *vocab) read(m gguf.Metadata, model string) error {
	v.model = model
	var err error
	if v.texts, err = m.Strings(keyTokens); err != nil {
		return err
	}
	n := len(v.texts)
	if n == 0 {
		return malformed("key %q is absent or empty", keyTokens)
	}
	if n > maxTokens {
		return malformed("%s has %d tokens, at most %d are allowed", keyTokens, n, maxTokens)
	}
	types, err := m.I32s(keyTypes)
	if err != nil {
		return err
	}
	if m.Has(keyTypes) && len(types) != n {
		return malformed("%s has %d entries for %d tokens", keyTypes, len(types), n)
	}
	if err := v.readScores(m); err != nil {
		return err
	}
	v.attrs = make([]attr, n)
	v.ids = make(map[string]int32, n)
	for i, text := range v.texts {
		if len(text) > maxPieceBytes {
			return malformed("token %d is %d bytes long, at most %d are allowed", i, len(text), maxPieceBytes)
		}
		v.attrs[i] = attrNormal
		if types != nil {
			if types[i] < 0 || int(types[i]) >= len(typeAttrs) {
				return malformed("%s of token %d (%q) is %d, known are 0 to %d", keyTypes, i, text, types[i], len(typeAttrs)-1)
			}
			v.attrs[i] = typeAttrs[types[i]]
		}
		if text == "" {
			continue // an unused row of the embedding: no text becomes it, and it decodes to nothing
		}
		if other, dup := v.ids[text]; dup {
			return malformed("tokens %d and %d are both %q", other, i, text)
		}
		v.ids[text] = int32(i)
	}
	v.classifySpecial(m)
	return v.decodePieces()
}

func (v *vocab) readScores(m gguf.Metadata) error {
	val, ok := m.Get(keyScores)
	if !ok {
		return nil
	}
	n := len(v.texts)
	if ints, isInts := val.Any().([]int32); isInts {
		v.scores = make([]float32, len(ints))
		for i, s := range ints {
			v.scores[i] = float32(s)
		}
	} else {
		var err error
		if v.scores, err = m.F32s(keyScores); err != nil {
			return err
		}
	}
	if len(v.scores) != n {
		return malformed("%s has %d entries for %d tokens", keyScores, len(v.scores), n)
	}
	for i, s := range v.scores {
		if math.IsNaN(float64(s)) {
			return malformed("%s of token %d (%q) is not a number", keyScores, i, v.texts[i])
		}
	}
	return nil
}

// decodePieces works out the bytes of every token and indexes those that text may become.
func (v *vocab) decodePieces() error {
	total := 0
	for _, text := range v.texts {
		total += len(text)
	}
	if total > math.MaxUint32 {
		return malformed("%s has %d bytes of text, at most %d are allowed", keyTokens, total, uint32(math.MaxUint32))
	}
	arena := make([]byte, 0, total)
	v.ends = make([]uint32, len(v.texts))
	alphabet := newAlphabet()
	for i, text := range v.texts {
		a := v.attrs[i]
		switch {
		case a&attrByte != 0:
			b, ok := parseByteToken(text)
			if !ok {
				return malformed("token %d (%q) is of type byte, want <0x00> to <0xFF>", i, text)
			}
			arena = append(arena, b)
		case a&(attrControl|attrUnknown|attrUserDefined) != 0:
			arena = append(arena, text...)
		case v.model == modelWordPiece:
			if head, ok := strings.CutPrefix(text, spmSpace); ok {
				arena = append(arena, ' ')
				text = head
			}
			arena = append(arena, text...)
		case v.plain && !v.spaceSign:
			arena = append(arena, text...)
		case v.model == modelSPM || v.model == modelUnigram || v.spaceSign:
			arena = append(arena, strings.ReplaceAll(text, spmSpace, " ")...)
		default:
			arena = alphabet.appendBytes(arena, text)
		}
		v.ends[i] = uint32(len(arena))
	}
	v.arena = string(arena)

	if v.model == modelSPM || v.model == modelBPE {
		v.indexPieces(alphabet)
	}
	for b := range v.byteIDs {
		v.byteIDs[b] = -1
		if id, ok := v.ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			v.byteIDs[b] = id
		}
	}
	return nil
}

// indexPieces fills byPiece for the models that merge.
func (v *vocab) indexPieces(alphabet *alphabet) {
	v.byPiece = newPieceTable(v)
	for i := range v.texts {
		id := int32(i)
		piece := v.piece(id)
		if piece == "" || !v.attrs[i].fromText() || (v.model == modelSPM || v.spaceSign) && strings.Contains(v.texts[i], " ") {
			continue // SentencePiece never sees a bare space: such a piece matches nothing
		}
		if v.model == modelBPE && !v.plain && v.attrs[i]&attrUserDefined != 0 && !alphabet.covers(v.texts[i]) {
			continue // found in the text as it stands, before any merging
		}
		if v.byPiece.add(id) { // of two spellings of the same bytes the first one wins, as its merges come first
			v.maxPiece = max(v.maxPiece, len(piece))
		}
	}
}

// parseByteToken reads "<0x0A>".
func parseByteToken(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	hi, lo := strings.IndexByte(hexDigits, text[3]), strings.IndexByte(hexDigits, text[4])
	if hi < 0 || lo < 0 {
		return 0, false
	}
	return byte(hi<<4 | lo), true
}

const hexDigits = "0123456789ABCDEF"
