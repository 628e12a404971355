package api

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// What marks a receipt, and the version of its fields that this package writes and reads.
const (
	ReceiptObject  = "weft.receipt"
	ReceiptVersion = 1
)

// MaxReceiptTokens bounds the prompt tokens of all receipts of one answer together, and the tokens of a receipt that is read: what has
// more fits no body.
const MaxReceiptTokens = 1 << 21

// DigestPending stands where a digest is not known yet.
const DigestPending = "pending"

// Receipt is all that decides one choice of an answer, and the tokens it came to: who has the files can compute it again and compare.
// It is no signature: it says what was computed, not who did. All of its fields are always there, but for those marked.
type Receipt struct {
	Object       string          `json:"object"` // "weft.receipt"
	Version      int             `json:"version"`
	Weft         string          `json:"weft"` // version of the daemon that made it
	Numerics     string          `json:"numerics"`
	Base         Base            `json:"base"`
	Adapters     []Adapter       `json:"adapters"` // in the order of application
	KVType       string          `json:"kv_type"`
	Prompt       []int32         `json:"prompt_token_ids"`
	Sampling     ReceiptSampling `json:"sampling"`
	Output       []int32         `json:"token_ids"` // every token that was sampled: those of a stop string and the one that ended the text too
	FinishReason string          `json:"finish_reason"`
}

// ReceiptSampling says how the tokens were chosen, with everything that the request left open filled in.
type ReceiptSampling struct {
	Temperature       float64           `json:"temperature"`
	TopP              float64           `json:"top_p"`
	TopK              int               `json:"top_k"`
	MinP              float64           `json:"min_p"`
	TypicalP          float64           `json:"typical_p"`
	RepetitionPenalty float64           `json:"repetition_penalty"`
	RepeatLastN       int               `json:"repeat_last_n"`
	FrequencyPenalty  float64           `json:"frequency_penalty"`
	PresencePenalty   float64           `json:"presence_penalty"`
	LogitBias         map[int32]float32 `json:"logit_bias,omitempty"` // absent: none
	Seed              uint64            `json:"seed"`                 // of this choice
	MaxTokens         int               `json:"max_tokens"`           // the context where it was made counted in; 0: the prompt alone
	Stop              Stops             `json:"stop,omitempty"`       // absent: none
	IgnoreEOS         bool              `json:"ignore_eos"`
}

// VerifyRequest is the body of POST /weft/v1/verify.
type VerifyRequest struct {
	Receipt Receipt `json:"receipt"`
	// Model computes with the model of this name, whatever its file; "": with a file that has the receipt's digest.
	Model string `json:"model,omitempty"`
}

// Verification is its answer.
type Verification struct {
	Equal  bool `json:"equal"`
	Tokens int  `json:"tokens"` // of the answer that were computed again and are the receipt's
	// Difference is where the two part first.
	Difference *Difference `json:"difference,omitempty"`
	// Notes say what is other here than where the receipt was made, and so may explain a difference.
	Notes  []string `json:"notes,omitempty"`
	KVType string   `json:"kv_type"`
	Weft   *Info    `json:"weft"` // what computed it again
}

// Difference is the first place where a receipt and what was computed are not the same.
type Difference struct {
	Index    int     `json:"index"` // of the token in the answer, from 0
	Receipt  Outcome `json:"receipt"`
	Computed Outcome `json:"computed"`
}

// Outcome is what an answer has at one place: a token, or its end.
type Outcome struct {
	ID           *int32 `json:"id,omitempty"`
	Text         string `json:"text,omitempty"` // the token's
	FinishReason string `json:"finish_reason,omitempty"`
}

// DecodeVerify reads and checks the body of POST /weft/v1/verify. A receipt with a field that this version does not know is refused: it
// may be one that changes the answer.
func (l Limits) DecodeVerify(body []byte) (*VerifyRequest, error) {
	r := new(VerifyRequest)
	found := false
	err := l.decode(body, table{
		"model": text(&r.Model, MaxNameBytes),
		"receipt": func(path string, v value) error {
			found = true
			return l.receipt(&r.Receipt)(path, v)
		},
	}, nil)
	if err == nil && !found {
		err = &FieldError{Field: "receipt", Want: "a receipt"}
	}
	return r, err
}

func (l Limits) receipt(r *Receipt) setter {
	return func(path string, v value) error {
		if !v.isObject() {
			return &FieldError{Field: path, Want: "an object", Got: v.String()}
		}
		path += "."
		// What it is comes first: of another version, the other fields may mean something else.
		var version *int
		head := table{"object": text(&r.Object, MaxNameBytes), "version": integer(&version, 0, MaxTokens)}
		switch err := head.read(path, v, nil); {
		case err != nil:
			return err
		case r.Object != ReceiptObject:
			return &FieldError{Field: path + "object", Want: strconv.Quote(ReceiptObject), Got: strconv.Quote(shorten(r.Object))}
		case version == nil:
			return &FieldError{Field: path + "version", Want: "a number"}
		case *version != ReceiptVersion:
			return &FieldError{Field: path + "version", Want: fmt.Sprintf("%d, the version that this program reads", ReceiptVersion), Got: strconv.Itoa(*version)}
		}
		r.Version = *version
		head["weft"] = text(&r.Weft, MaxNameBytes)
		head["numerics"] = text(&r.Numerics, MaxNameBytes)
		head["base"] = base(&r.Base)
		head["adapters"] = receiptAdapters(&r.Adapters)
		head["kv_type"] = text(&r.KVType, MaxNameBytes)
		head["prompt_token_ids"] = tokenIDs(&r.Prompt)
		head["sampling"] = l.receiptSampling(&r.Sampling)
		head["token_ids"] = tokenIDs(&r.Output)
		head["finish_reason"] = text(&r.FinishReason, MaxNameBytes)
		if err := head.readAll(path, v); err != nil {
			return err
		}
		switch all := len(r.Prompt) + len(r.Output); {
		case len(r.Prompt) == 0:
			return &FieldError{Field: path + "prompt_token_ids", Want: "at least one token id", Got: "none"}
		case all > MaxReceiptTokens:
			return &FieldError{Field: path + "token_ids", Want: fmt.Sprintf("at most %d tokens with the prompt's", MaxReceiptTokens), Got: strconv.Itoa(all)}
		case len(r.Output) > r.Sampling.MaxTokens:
			return &FieldError{Field: path + "token_ids", Want: fmt.Sprintf("at most max_tokens, %d", r.Sampling.MaxTokens), Got: strconv.Itoa(len(r.Output))}
		case r.FinishReason != FinishStop && r.FinishReason != FinishLength:
			return &FieldError{Field: path + "finish_reason", Want: `"stop" or "length"`, Got: strconv.Quote(shorten(r.FinishReason))}
		}
		return nil
	}
}

func (l Limits) receiptSampling(s *ReceiptSampling) setter {
	return func(path string, v value) error {
		if !v.isObject() {
			return &FieldError{Field: path, Want: "an object", Got: v.String()}
		}
		return table{
			"temperature":        exactly(&s.Temperature, 0, 100),
			"top_p":              exactly(&s.TopP, 0, 1),
			"top_k":              whole(&s.TopK, -1, MaxTokens),
			"min_p":              exactly(&s.MinP, 0, 1),
			"typical_p":          exactly(&s.TypicalP, 0, 1),
			"repetition_penalty": exactly(&s.RepetitionPenalty, 0.001, 1000),
			"repeat_last_n":      whole(&s.RepeatLastN, -1, MaxTokens),
			"frequency_penalty":  exactly(&s.FrequencyPenalty, -2, 2),
			"presence_penalty":   exactly(&s.PresencePenalty, -2, 2),
			"logit_bias":         l.logitBias(&s.LogitBias),
			"seed":               unsigned(&s.Seed),
			"max_tokens":         whole(&s.MaxTokens, 0, MaxTokens),
			"stop":               l.stops(&s.Stop),
			"ignore_eos":         boolean(&s.IgnoreEOS),
		}.readAll(path+".", v, "logit_bias", "stop")
	}
}

func base(b *Base) setter {
	return func(path string, v value) error {
		if !v.isObject() {
			return &FieldError{Field: path, Want: "an object", Got: v.String()}
		}
		return table{
			"name":          text(&b.Name, MaxNameBytes),
			"digest":        digest(&b.Digest),
			"header_digest": digest(&b.HeaderDigest),
			"generation":    unsigned(&b.Generation),
		}.readAll(path+".", v)
	}
}

func receiptAdapters(dst *[]Adapter) setter {
	return func(path string, v value) error {
		if !v.isArray() {
			return &FieldError{Field: path, Want: "an array of adapters", Got: v.String()}
		}
		*dst = []Adapter{}
		for i, e := range v.elements() {
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i == MaxAdapters:
				return &FieldError{Field: path, Want: fmt.Sprintf("at most %d adapters", MaxAdapters), Got: "more"}
			case !e.isObject():
				return &FieldError{Field: at, Want: "an object", Got: e.String()}
			}
			var a Adapter
			err := table{
				"name":       text(&a.Name, MaxNameBytes),
				"digest":     digest(&a.Digest),
				"scale":      exactly(&a.Scale, -MaxAdapterScale, MaxAdapterScale),
				"generation": unsigned(&a.Generation),
			}.readAll(at+".", e)
			if err != nil {
				return err
			}
			*dst = append(*dst, a)
		}
		return nil
	}
}

// readAll is read for an object that must have every field of the table, but for the optional ones, and none besides.
func (t table) readAll(prefix string, v value, optional ...string) error {
	var foreign []string
	if err := t.read(prefix, v, &foreign); err != nil {
		return err
	}
	if foreign != nil {
		return &FieldError{Field: foreign[0], Want: "only fields that this version knows", Got: "another"}
	}
	there := make(map[string]bool)
	for name, member := range v.members() {
		there[name] = !member.isNull()
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if !there[name] && !slices.Contains(optional, name) {
			return &FieldError{Field: prefix + name, Want: "it in every receipt"}
		}
	}
	return nil
}

var digestForm = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|` + DigestPending + `)$`)

func digest(dst *string) setter {
	return func(path string, v value) error {
		if err := text(dst, MaxNameBytes)(path, v); err != nil {
			return err
		}
		if !digestForm.MatchString(*dst) {
			return &FieldError{Field: path, Want: `"sha256:" and 64 hexadecimal digits`, Got: strconv.Quote(shorten(*dst))}
		}
		return nil
	}
}

// exactly is number for a field that is always there.
func exactly(dst *float64, low, high float64) setter {
	return func(path string, v value) error {
		p := new(float64)
		err := number(&p, low, high)(path, v)
		*dst = *p
		return err
	}
}

// whole is integer for a field that is always there.
func whole(dst *int, low, high int64) setter {
	return func(path string, v value) error {
		n, err := v.integer(path, low, high)
		*dst = int(n)
		return err
	}
}

// unsigned reads a whole number of 64 bits, written without fraction and exponent.
func unsigned(dst *uint64) setter {
	return func(path string, v value) error {
		n, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil {
			return &FieldError{Field: path, Want: "a whole number from 0 to 18446744073709551615", Got: v.String()}
		}
		*dst = n
		return nil
	}
}

// ParseReceipts reads what a file of receipts holds: a receipt, or a whole answer or the last chunk of a stream with the receipts of its
// choices. Errors are those of DecodeVerify.
func (l Limits) ParseReceipts(file []byte) ([]Receipt, error) {
	v, err := l.parse(file)
	if err != nil {
		return nil, err
	}
	var object string
	var answer value
	err = table{
		"object": text(&object, MaxNameBytes),
		"weft": func(_ string, v value) error {
			answer = v
			return nil
		},
	}.read("", v, nil)
	if err != nil {
		return nil, err
	}
	one := func(path string, v value) ([]Receipt, error) {
		list := make([]Receipt, 1)
		return list, l.receipt(&list[0])(path, v)
	}
	if object == ReceiptObject {
		return one("receipt", v)
	}
	var list []Receipt
	if answer != nil && answer.isObject() {
		err = table{
			"receipt": func(path string, v value) error {
				list, err = one(path, v)
				return err
			},
			"receipts": func(path string, v value) error {
				if !v.isArray() {
					return &FieldError{Field: path, Want: "an array of receipts", Got: v.String()}
				}
				for i, e := range v.elements() {
					if i == l.Choices {
						return &FieldError{Field: path, Want: fmt.Sprintf("at most %d receipts", l.Choices), Got: "more"}
					}
					r, err := one(fmt.Sprintf("%s[%d]", path, i), e)
					if err != nil {
						return err
					}
					list = append(list, r...)
				}
				return nil
			},
		}.read("weft.", answer, nil)
	}
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%w: neither a receipt nor an answer that has one; ask with \"receipt\": true", ErrBody)
	}
	return list, err
}
