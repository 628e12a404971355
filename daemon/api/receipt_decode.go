package api

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

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
