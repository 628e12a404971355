package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/weft-run/weft/daemon/api"
)

// fileNotFoundError says that nothing in service has a digest that a receipt names.
type fileNotFoundError struct {
	what, name, digest string
}

func (e *fileNotFoundError) Error() string {
	return fmt.Sprintf("no %s in service has the digest %s (where the receipt was made it was called %q): put that file into the folder, or name another model to compute with",
		e.what, e.digest, e.name)
}

// errParted ends a computation whose outcome has been decided.
var errParted = errors.New("server: the receipt and what is computed have parted")

// handleVerify computes a receipt's answer again and compares.
func (s *Server) handleVerify(w http.ResponseWriter, r *http.Request, rec *record) error {
	body, err := s.readBody(w, r, rec)
	if err != nil {
		return err
	}
	req, err := s.o.Limits.DecodeVerify(body)
	if err != nil {
		return err
	}
	s.leave(rec)
	model, notes, err := s.acquireFor(r.Context(), rec, req)
	if err != nil {
		return err
	}
	defer model.Release()
	receipt := &req.Receipt
	if err := checkTokens(model, "receipt.prompt_token_ids", receipt.Prompt); err != nil {
		return err
	}
	j := &job{
		model: model, prompts: [][]int32{receipt.Prompt}, n: 1, stops: makeStops(receipt.Sampling.Stop), request: receiptRequest(&receipt.Sampling),
		salt: rand.Text(), // in a domain of its own, so that all of it is computed and nothing found in the cache
	}
	if err := j.request.Sampling.Validate(model.Tokenizer.Size()); err != nil {
		return err
	}
	out := &api.Verification{KVType: model.KVType}
	timings, err := s.generate(r.Context(), rec, j, func(ev event) error { return follow(out, receipt, model, ev) })
	if err != nil && !errors.Is(err, errParted) {
		return err
	}
	out.Equal = out.Difference == nil
	out.Notes = append(notes, s.otherwise(receipt, model)...)
	out.Weft = s.info(r.Context(), j, rec, timings, nil)
	return s.writeJSON(w, http.StatusOK, out)
}

// follow compares the next event with a receipt, and ends the computation where the two part.
func follow(out *api.Verification, receipt *api.Receipt, model *Model, ev event) error {
	have, want := api.Outcome{FinishReason: ev.finish}, api.Outcome{FinishReason: receipt.FinishReason}
	name := func(id int32) api.Outcome {
		return api.Outcome{ID: &id, Text: pieces{model: model}.text(id)}
	}
	ended := out.Tokens == len(receipt.Output)
	switch {
	case ev.token != nil && !ended && ev.token.ID == receipt.Output[out.Tokens]:
		out.Tokens++
		return nil
	case ev.token != nil:
		have = name(ev.token.ID)
	case ev.finish == "" || ended && ev.finish == receipt.FinishReason:
		return nil
	}
	if !ended {
		want = name(receipt.Output[out.Tokens])
	}
	out.Difference = &api.Difference{Index: out.Tokens, Receipt: want, Computed: have}
	return errParted
}

// acquireFor leases what a receipt is to be computed with: by digest, whatever the files are called here, or the model that the request
// names. The notes say what is not as the receipt has it.
func (s *Server) acquireFor(ctx context.Context, rec *record, req *api.VerifyRequest) (*Model, []string, error) {
	receipt := &req.Receipt
	want := Wanted{Model: req.Model, Adapters: []api.AdapterChoice{}}
	if want.Model == "" {
		name, err := s.found(ctx, func() (string, error) { return s.modelOf(&receipt.Base) })
		if err != nil {
			return nil, nil, err
		}
		want.Model = name
	}
	for _, a := range receipt.Adapters {
		name, err := s.found(ctx, func() (string, error) { return s.adapterOf(&a) })
		if err != nil {
			return nil, nil, err
		}
		want.Adapters = append(want.Adapters, api.AdapterChoice{Name: name, Scale: &a.Scale})
	}
	model, err := s.acquire(ctx, rec, want)
	if err != nil {
		return nil, nil, err
	}
	// The lease may be of a generation that came since: what it holds decides.
	wait, cancel := context.WithTimeout(ctx, digestPatience)
	defer cancel()
	digest := model.Digest(wait)
	var notes []string
	switch {
	case digest == receipt.Base.Digest && digest != api.DigestPending:
	case req.Model == "" && digest != api.DigestPending && receipt.Base.Digest != api.DigestPending:
		err = &fileNotFoundError{"model", receipt.Base.Name, receipt.Base.Digest}
	case digest == api.DigestPending || receipt.Base.Digest == api.DigestPending:
		notes = append(notes, fmt.Sprintf("the files were compared by their headers alone: a digest is pending (the receipt has %s, the model here %s)", receipt.Base.Digest, digest))
	default:
		notes = append(notes, fmt.Sprintf("another base: the receipt is of %s, the model here is %s", receipt.Base.Digest, digest))
	}
	for i, a := range model.Adapters {
		if err == nil && a.Digest != receipt.Adapters[i].Digest {
			err = &fileNotFoundError{"adapter", receipt.Adapters[i].Name, receipt.Adapters[i].Digest}
		}
	}
	if err != nil {
		model.Release()
		return nil, nil, err
	}
	return model, notes, nil
}

// findPatience is how long a file that a receipt names is waited for, while files are arriving.
const findPatience = 10 * time.Second

// found looks for a name again as long as something is arriving that may bear it.
func (s *Server) found(ctx context.Context, look func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, findPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		more := s.arriving() // asked first: what arrives between the two is then looked for again
		name, err := look()
		if err == nil || !more {
			return name, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", err
		}
	}
}

// arriving says whether there is a model or an adapter of which it is not known yet what it is. An adapter whose content was never read may
// wait for its base, which may have come this moment.
func (s *Server) arriving() bool {
	for _, m := range s.o.Models.List() {
		if m.State == api.StateSettling || m.State == api.StateChecking || m.Next == api.StateSettling || m.Next == api.StateChecking {
			return true
		}
	}
	for _, a := range s.adapters() {
		unread := a.Digest == "" && (a.State == api.StateParsed || a.State == api.StateChecked)
		if a.State == api.StateSettling || a.Next == api.StateSettling || unread {
			return true
		}
	}
	return false
}

// modelOf is the name of the model in service that a receipt's base is. While a digest is pending, headers are compared.
func (s *Server) modelOf(base *api.Base) (string, error) {
	byHeader := ""
	for _, m := range s.o.Models.List() {
		switch {
		case m.HeaderDigest == "": // nothing is known of what is in it
		case m.Digest == base.Digest && m.Digest != api.DigestPending:
			return m.Name, nil
		case m.HeaderDigest == base.HeaderDigest && (m.Digest == api.DigestPending || base.Digest == api.DigestPending):
			byHeader = m.Name
		}
	}
	if byHeader == "" {
		return "", &fileNotFoundError{"model", base.Name, base.Digest}
	}
	return byHeader, nil
}

// adapterOf is the name of the adapter that a receipt names: the one it has there, if its content is the same.
func (s *Server) adapterOf(a *api.Adapter) (string, error) {
	var names []string
	for _, have := range s.adapters() {
		if have.Digest == a.Digest || have.Digest == "" && have.Name == a.Name { // a digest that nobody has asked for yet is not known
			names = append(names, have.Name)
		}
	}
	switch {
	case slices.Contains(names, a.Name):
		return a.Name, nil
	case len(names) > 0:
		return names[0], nil
	}
	return "", &fileNotFoundError{"adapter", a.Name, a.Digest}
}

// otherwise says what here may make another answer of a receipt.
func (s *Server) otherwise(receipt *api.Receipt, model *Model) []string {
	var notes []string
	if s.o.Numerics != receipt.Numerics {
		notes = append(notes, fmt.Sprintf("another version of the numerics: the receipt has %s, this daemon %s; only equal versions give equal bits", receipt.Numerics, s.o.Numerics))
	}
	if model.KVType != receipt.KVType {
		notes = append(notes, fmt.Sprintf("another type of cache: the receipt has %s, the model here %s; set kv_type = %q in the model's settings", receipt.KVType, model.KVType, receipt.KVType))
	}
	if need := len(receipt.Prompt) + receipt.Sampling.MaxTokens; need > model.ContextLength {
		notes = append(notes, fmt.Sprintf("a shorter context: the answer may take %d tokens, the model here has %d", need, model.ContextLength))
	}
	return notes
}
