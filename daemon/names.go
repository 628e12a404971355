package daemon

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server"
)

// noAdapters, in the place of adapters in a name, is the base alone, whatever its settings say.
const noAdapters = "none"

// pick is one adapter that a request wants.
type pick struct {
	name  string
	scale float64
}

// wanted is what a request asks for: a base, "" where the adapters alone say which, and adapters in the order of their application.
type wanted struct {
	base  string
	picks []pick
	said  bool // the request says which adapters, or that there are none: the base's default is not asked
}

// catalogue knows the names that there are. A name may hold any of the signs by which names are put together.
type catalogue interface {
	HasModel(name string) bool
	HasAdapter(name string) bool
	AdapterOf(id int) (name string, ok bool)
}

// resolve reads what a request asks for. What is not there is not its matter: the name comes back as it is.
func resolve(w server.Wanted, c catalogue) (wanted, error) {
	name := resolveName(w.Model, c)
	var picks []pick
	switch {
	case w.Adapters != nil && w.LoRA != nil:
		return wanted{}, &api.FieldError{Field: "lora", Want: "either adapters or lora", Got: "both"}
	case w.Adapters != nil:
		for _, a := range w.Adapters {
			scale := 1.0
			if a.Scale != nil {
				scale = *a.Scale
			}
			picks = append(picks, pick{a.Name, scale})
		}
	case w.LoRA != nil:
		for i, l := range w.LoRA {
			adapter, ok := c.AdapterOf(l.ID)
			if !ok {
				return wanted{}, &api.FieldError{Field: fmt.Sprintf("lora[%d].id", i), Want: "the id of an adapter in /weft/v1/adapters", Got: strconv.Itoa(l.ID)}
			}
			picks = append(picks, pick{adapter, l.Scale})
		}
	default:
		err := name.check()
		return name, err
	}
	if name.said {
		return wanted{}, &api.FieldError{Field: "model", Want: "adapters in the model's name or in a field of their own", Got: "both"}
	}
	name.picks, name.said = picks, true
	err := name.check()
	return name, err
}

// check refuses what no set of adapters can be, and takes out those that are switched off.
func (w *wanted) check() error {
	for i, p := range w.picks {
		if !(math.Abs(p.scale) <= api.MaxAdapterScale) {
			return &api.FieldError{
				Field: "model", Want: fmt.Sprintf("a scale from -%d to %d behind @", api.MaxAdapterScale, api.MaxAdapterScale),
				Got: fmt.Sprintf("%v for adapter %.80q", p.scale, p.name),
			}
		}
		if slices.ContainsFunc(w.picks[:i], func(q pick) bool { return q.name == p.name }) {
			return &api.FieldError{Field: "model", Want: "each adapter once", Got: fmt.Sprintf("%.80q twice", p.name)}
		}
	}
	w.picks = slices.DeleteFunc(w.picks, func(p pick) bool { return p.scale == 0 })
	if len(w.picks) > api.MaxAdapters {
		return &api.FieldError{Field: "model", Want: fmt.Sprintf("at most %d adapters", api.MaxAdapters), Got: strconv.Itoa(len(w.picks))}
	}
	return nil
}

// resolveName splits a name: exact names first, then the longest base before a "+", then what begins with an adapter.
func resolveName(name string, c catalogue) wanted {
	switch {
	case c.HasModel(name):
		return wanted{base: name}
	case c.HasAdapter(name):
		return wanted{picks: []pick{{name, 1}}, said: true}
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '+' && c.HasModel(name[:i]) {
			return wanted{base: name[:i], picks: resolveStack(name[i+1:], c), said: true}
		}
	}
	if picks := resolveStack(name, c); len(picks) > 0 && c.HasAdapter(picks[0].name) {
		return wanted{picks: picks, said: true}
	}
	// Nothing of this is there. What looks like a base is what will be missed first.
	if head, rest, ok := strings.Cut(name, "+"); ok {
		return wanted{base: head, picks: resolveStack(rest, c), said: true}
	}
	return wanted{base: name}
}

// resolveStack splits "A@0.7+B@0.3". Of each adapter the longest name that is there counts.
func resolveStack(stack string, c catalogue) []pick {
	if stack == noAdapters && !c.HasAdapter(noAdapters) {
		return nil
	}
	var picks []pick
	for rest, more := stack, true; more && len(picks) <= api.MaxAdapters; {
		var p pick
		p, rest, more = cutPick(rest, c)
		picks = append(picks, p)
	}
	return picks
}

// cutPick takes the first adapter off a stack. A scale that is none is NaN, for check to refuse.
func cutPick(stack string, c catalogue) (p pick, rest string, more bool) {
	for end := len(stack); end > 0; end-- {
		if end < len(stack) && stack[end] != '+' {
			continue
		}
		if p, ok := readPick(stack[:end]); c.HasAdapter(stack[:end]) {
			p = pick{stack[:end], 1}
			return p, strings.TrimPrefix(stack[end:], "+"), end < len(stack)
		} else if ok && c.HasAdapter(p.name) {
			return p, strings.TrimPrefix(stack[end:], "+"), end < len(stack)
		}
	}
	head, rest, more := strings.Cut(stack, "+")
	if p, ok := readPick(head); ok {
		return p, rest, more
	}
	return pick{head, 1}, rest, more
}

// readPick reads "A@0.5". It is false where there is no scale.
func readPick(s string) (pick, bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || strings.Contains(s[at:], "+") {
		return pick{}, false
	}
	text := s[at+1:]
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.-eE") != "" { // nor what else ParseFloat reads: hexadecimal, inf, underscores
		scale = math.NaN()
	}
	return pick{s[:at], scale}, true
}
