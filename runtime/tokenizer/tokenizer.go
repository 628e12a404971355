// Package tokenizer turns text into token ids and back with the vocabulary a GGUF file carries: SentencePiece ("llama"),
// byte pair encoding over bytes ("gpt2") or characters (a few models), WordPiece ("bert") and Unigram ("t5"). It knows no chat template, no stop string and
// no model: what is decoded is what the ids say.
//
// Text is bytes, UTF-8 as a rule; any byte sequence is encoded without an error. Time is linear in the text but for a
// logarithm (a run of one megabyte of one letter included). A Tokenizer is immutable and may be used by any number of
// goroutines at once; a StreamDecoder belongs to one.
package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/weft-run/weft/runtime/gguf"
)

// Tokenizer is one vocabulary with its rules.
type Tokenizer struct {
	vocab
	special  *specialSet
	scan     scanner // nil: SentencePiece, which has no pre-tokenizer, or stages
	stages   []stage // instead of scan
	classes  *classTable
	pairs    *pairTable       // BPE: which pairs merge; nil for SentencePiece
	byteSyms [256]int32       // byte-level BPE: the symbol of each byte; the others: of each ASCII character, or -1
	charSyms map[string]int32 // BPE over characters: the symbols of those that are no token
	spmRanks []int32          // SentencePiece: the place of each token's score among all, the highest first
	enc      encoder          // WordPiece and Unigram, which do not merge; nil for the others

	normalizeNFC bool // the text is brought to NFC first
	ignoreMerges bool // a word that is a token is that token, whatever the merges say
	spacePrefix  bool // a space goes before the text (SentencePiece and Unigram: after each special token too), and Decode takes it away
	// bridges says of each byte whether a piece has it before a space: elsewhere SentencePiece, and BPE that writes spaces as it
	// does, can take a text apart before spaces, as no merge reaches over.
	bridges [256]bool

	crossings *crossings // takes long words apart; nil where they are few

	newlines  bool // a word of newlines that is a token is that token
	alwaysBOS bool // add_bos_token false is not believed
	lowercase bool
	spaceless bool // whitespace is left out

	words wordCache // the ids of words that came lately

	mostBytes int // of text that one token can stand for; 0: there is no bound

	scratch sync.Pool // *merger
}

// encoder is a model that turns text between two special tokens into ids by itself.
type encoder interface {
	encode(text string, out []int32) []int32
}

// EncodeOptions says what Encode does beside splitting text into pieces. The zero value encodes plain text: nothing is
// added, and the text of a special token is text like any other.
type EncodeOptions struct {
	// ParseSpecial recognizes control tokens by their text. Never set it for text from outside that was not rendered by a
	// chat template: "<|im_end|>" in it would end the turn.
	ParseSpecial bool
	// AddSpecial adds BOS and EOS as the model's own rule says (add_bos_token, add_eos_token).
	AddSpecial bool
	// AddBOS and AddEOS add the token whatever the rule says, if the model has one.
	AddBOS, AddEOS bool
}

// New makes a tokenizer of a file's metadata. It refuses what it cannot do exactly, naming it.
func New(m gguf.Metadata) (*Tokenizer, error) {
	model, err := m.Str(keyModel, "")
	if err != nil {
		return nil, err
	}
	if model == "" {
		return nil, fmt.Errorf("%w: key %q is absent", ErrVocabulary, keyModel)
	}
	t := &Tokenizer{}
	t.scratch.New = func() any { return new(merger) }
	var pre preTokenizer
	var init func() error
	switch model {
	case modelSPM:
		init = func() error { return t.initSPM(m) }
	case modelBPE, modelGemma4, modelWhitespace:
		if pre, err = preOf(m, model); err != nil {
			return nil, err
		}
		model = modelBPE
		init = func() error { return t.initBPE(m, pre) }
	case modelWordPiece:
		init = func() error { return t.initWordPiece(m) }
	case modelUnigram:
		init = func() error { return t.initUnigram(m) }
	default:
		return nil, fmt.Errorf("%w: %s is %q; known are %q, %q, %q, %q, %q and %q", ErrUnsupported, keyModel, model,
			modelSPM, modelBPE, modelWordPiece, modelUnigram, modelGemma4, modelWhitespace)
	}
	t.plain, t.spaceSign = pre.plain, pre.spaceSign
	if err := t.vocab.read(m, model); err != nil {
		return nil, err
	}
	if err := init(); err != nil {
		return nil, err
	}
	if err := t.readSpecialIDs(m); err != nil {
		return nil, err
	}
	if t.special, err = newSpecialSet(&t.vocab, m); err != nil {
		return nil, err
	}
	t.words = newWordCache(len(t.texts))
	t.mostBytes = t.longest()
	return t, nil
}

// Encode returns the token ids of a text.
func (t *Tokenizer) Encode(text string, o EncodeOptions) []int32 {
	out := make([]int32, 0, len(text)/3+4)
	if t.bos >= 0 && (o.AddBOS || o.AddSpecial && t.addBOS) {
		out = append(out, t.bos)
	}
	m := t.scratch.Get().(*merger)
	afterSpecial := true
	for len(text) > 0 {
		// Offsets inside a word are 32 bits wide; no request comes near this size.
		part := text[:min(len(text), maxTextBytes)]
		text = text[len(part):]
		for _, f := range t.special.partition(m, part, o.ParseSpecial) {
			if f.token >= 0 {
				out = append(out, f.token)
				afterSpecial = true
				continue
			}
			switch {
			case t.enc != nil:
				out = t.enc.encode(f.text, out)
			case t.pairs == nil:
				out = t.encodeSPM(m, f.text, afterSpecial, out)
			default:
				out = t.encodeBPE(m, f.text, out)
			}
			afterSpecial = false
		}
	}
	m.shrink()
	t.scratch.Put(m)
	if t.eos >= 0 && (o.AddEOS || o.AddSpecial && t.addEOS) {
		out = append(out, t.eos)
	}
	return out
}

const maxTextBytes = 1 << 30

func (t *Tokenizer) encodeBPE(m *merger, text string, out []int32) []int32 {
	if t.normalizeNFC && !norm.NFC.IsNormalString(text) {
		text = norm.NFC.String(text)
	}
	if t.spaceSign && strings.Contains(text, spmSpace) {
		text = strings.ReplaceAll(text, spmSpace, " ")
	}
	if t.lowercase {
		text = strings.Map(unicode.ToLower, strings.ReplaceAll(text, "İ", "i\u0307")) // the one whose small form is two characters
	}
	if t.stages != nil {
		return t.encodeStages(m, text, out)
	}
	for i := 0; i < len(text); {
		end := t.scan(t.classes, text, i)
		out = t.encodeWord(m, text[i:end], out)
		i = end
	}
	return out
}

func (t *Tokenizer) encodeSPM(m *merger, text string, afterSpecial bool, out []int32) []int32 {
	if strings.Contains(text, spmSpace) {
		text = strings.ReplaceAll(text, spmSpace, " ")
	}
	if t.spacePrefix && afterSpecial {
		end := t.wordEnd(text, 0) // the prefix joins the first word only, so that the whole text is not copied
		out = t.encodeWord(m, " "+text[:end], out)
		text = text[end:]
	}
	for i := 0; i < len(text); {
		end := t.wordEnd(text, i)
		out = t.encodeWord(m, text[i:end], out)
		i = end
	}
	return out
}

// wordEnd returns where the word that begins at i ends: spaces, then what is no space, up to the next space that no piece reaches
// over to.
func (t *Tokenizer) wordEnd(text string, i int) int {
	end := i
	for end < len(text) && text[end] == ' ' {
		end++
	}
	for end < len(text) && (text[end] != ' ' || text[end-1] == ' ' || t.bridges[text[end-1]]) {
		end++
	}
	look(end - i)
	return end
}

// Size returns the number of tokens.
func (t *Tokenizer) Size() int { return len(t.texts) }

// ID returns the token whose text, as the file spells it, is piece.
func (t *Tokenizer) ID(piece string) (int32, bool) {
	id, ok := t.ids[piece]
	return id, ok
}

// Piece returns the bytes a token stands for; a special token gives its text. It is nil for an id outside the vocabulary.
// A piece may be a part of a character.
func (t *Tokenizer) Piece(id int32) []byte {
	if !t.valid(id) {
		return nil
	}
	return []byte(t.piece(id))
}

// IsSpecial says whether a token is a control or the unknown token: one that is no part of the text.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return t.valid(id) && t.attrs[id]&(attrControl|attrUnknown) != 0
}

// IsEOG says whether a token ends a generation.
func (t *Tokenizer) IsEOG(id int32) bool { return t.valid(id) && t.attrs[id]&attrEOG != 0 }

// EOG returns the tokens that end a generation, in ascending order. The slice is the caller's.
func (t *Tokenizer) EOG() []int32 { return slices.Clone(t.eog) }

// BOS returns the token that begins a sequence, if there is one.
func (t *Tokenizer) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS returns the token that ends a sequence, if there is one.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// AddsBOS says whether the model's own rule puts BOS before a text.
func (t *Tokenizer) AddsBOS() bool { return t.addBOS && t.bos >= 0 }

// AddsEOS says whether the model's own rule puts EOS behind a text.
func (t *Tokenizer) AddsEOS() bool { return t.addEOS && t.eos >= 0 }
