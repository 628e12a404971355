package tokenizer

import "github.com/weft-run/weft/runtime/gguf"

// eogTexts are the pieces that end a generation wherever they occur, whatever type the file gives them. Files seldom name
// more than one end token by key, and converters have often marked these as plain text; the list is the field's.
var eogTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>",
	"<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
	"<｜end▁of▁sentence｜>", "[e~[",
}

// fillTexts are tokens of fill-in-the-middle training. The three with ends set end a generation: a model that writes
// one has left the text asked for. Of each row the first that the vocabulary has counts.
var fillTexts = []struct {
	key   string
	ends  bool
	texts []string
}{
	{"tokenizer.ggml.fim_pre_token_id", false, []string{"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"}},
	{"tokenizer.ggml.fim_suf_token_id", false, []string{"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"}},
	{"tokenizer.ggml.fim_mid_token_id", false, []string{"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"}},
	{"tokenizer.ggml.fim_pad_token_id", true, []string{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
	{"tokenizer.ggml.fim_rep_token_id", true, []string{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
	{"tokenizer.ggml.fim_sep_token_id", true, []string{"<|file_sep|>"}},
}

// classifySpecial marks the tokens that their text makes special, before it is settled which tokens text may become.
func (v *vocab) classifySpecial(m gguf.Metadata) {
	for _, text := range eogTexts {
		id, ok := v.ids[text]
		if !ok || text == "</s>" && v.model == modelBPE && m.Has(keyTypes) && v.attrs[id] == attrNormal {
			continue // where no converter marked it, it is HTML's tag: so in Qwen's vocabulary
		}
		v.attrs[id] |= attrControl | attrEOG
	}
	for _, f := range fillTexts {
		if m.Has(f.key) {
			continue // the file says which it is
		}
		for _, text := range f.texts {
			if id, ok := v.ids[text]; ok {
				v.attrs[id] |= attrControl
				if f.ends {
					v.attrs[id] |= attrEOG
				}
				break
			}
		}
	}
	// Where a model has these channels, "<|end|>" ends a message and "</s>" is plain text; neither ends the turn.
	set := func(text string, to attr, needs ...string) {
		id, ok := v.ids[text]
		for _, n := range needs {
			_, there := v.ids[n]
			ok = ok && there
		}
		if ok {
			v.attrs[id] = to
		}
	}
	set("<|end|>", attrUserDefined, "<|return|>", "<|call|>")
	set("<|end|>", attrUserDefined, "<|calls|>", "<|flush|>")
	set("</s>", attrNormal, "<|tool_response>")
	for _, text := range []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"} {
		set(text, attrUserDefined) // their text is wanted in the output
	}
}

// readSpecialIDs takes the ids with a role from the metadata. An id outside the vocabulary is an error: a file that says
// so is not the one its author tested.
func (t *Tokenizer) readSpecialIDs(m gguf.Metadata) error {
	read := func(key string, def int32) (int32, error) {
		if !m.Has(key) {
			if !t.valid(def) {
				def = -1
			}
			return def, nil
		}
		id, err := m.Uint(key, 0)
		if err != nil {
			return -1, err
		}
		if id >= uint64(len(t.texts)) {
			return -1, malformed("%s is %d, the vocabulary has %d tokens", key, id, len(t.texts))
		}
		return int32(id), nil
	}
	// These places are convention; a byte-level vocabulary has none.
	bos, eos, unknown := int32(-1), int32(-1), int32(-1)
	var err error
	switch t.model {
	case modelSPM:
		unknown, bos, eos = 0, 1, 2
	case modelUnigram:
		eos, unknown = 1, 2
	case modelWordPiece:
		// [CLS] and [SEP] stand around a text as BOS and EOS do elsewhere.
		unknown = 100
		if bos, err = read(keyCLS, 101); err != nil {
			return err
		}
		if eos, err = read(keySEP, 102); err != nil {
			return err
		}
	}
	if t.bos, err = read(keyBOS, bos); err != nil {
		return err
	}
	if t.model == modelWordPiece && m.Has(keySEP) {
		t.eos = eos // even where the file has another end token
	} else if t.eos, err = read(keyEOS, eos); err != nil {
		return err
	}
	if t.unknown, err = read(keyUnknown, unknown); err != nil {
		return err
	}
	ends := []int32{t.eos}
	for _, key := range []string{"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"} {
		id, err := read(key, -1)
		if err != nil {
			return err
		}
		ends = append(ends, id)
	}
	for _, f := range fillTexts {
		id, err := read(f.key, -1)
		if err != nil {
			return err
		}
		if f.ends {
			ends = append(ends, id)
		}
	}
	for _, id := range ends {
		if id >= 0 {
			t.attrs[id] |= attrEOG
		}
	}
	for id, a := range t.attrs {
		if a&attrEOG != 0 {
			t.eog = append(t.eog, int32(id))
		}
	}
	return t.readAddRules(m)
}

func (t *Tokenizer) readAddRules(m gguf.Metadata) error {
	var err error
	if t.addBOS, err = m.Bool(keyAddBOS, t.addBOS); err != nil {
		return err
	}
	if t.addEOS, err = m.Bool(keyAddEOS, t.addEOS); err != nil {
		return err
	}
	t.addBOS = t.addBOS || t.alwaysBOS
	if t.model == modelWordPiece {
		t.addBOS, t.addEOS = true, true // whatever the keys say: BERT saw no text without them
		return nil
	}
	if m.Has(keyAddBOS) && t.addBOS && t.bos < 0 {
		return malformed("%s is true and %s is absent", keyAddBOS, keyBOS)
	}
	if m.Has(keyAddEOS) && t.addEOS && t.eos < 0 {
		return malformed("%s is true and %s is absent", keyAddEOS, keyEOS)
	}
	return nil
}
