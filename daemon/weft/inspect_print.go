package main

import (
	"fmt"
	"strings"
)

// maxListed is how many files of a split set, and how many reasons, are printed; --json has them all.
const maxListed = 30

// printReport prints what was found for people.
func (a *app) printReport(r *report) error {
	var rows [][]cell
	line := func(name, format string, args ...any) {
		rows = append(rows, []cell{styled(name, bold), word(fmt.Sprintf(format, args...))})
	}
	list := func(name string, items []string, s style) {
		for i, item := range items {
			if i == maxListed {
				item = fmt.Sprintf("and %d more", len(items)-i)
			}
			rows = append(rows, []cell{styled(name, s), word(item)})
			name = ""
			if i == maxListed {
				break
			}
		}
	}
	if len(r.Files) == 0 {
		list("file", []string{r.Path}, bold)
	}
	list("file", r.Files, bold)
	list("missing", r.Missing, red)
	if r.Adapter != nil {
		line("size", "%s", bytesText(r.Bytes))
		printAdapter(r, line)
	} else if r.Version > 0 {
		line("size", "%s, GGUF version %d", bytesText(r.Bytes), r.Version)
		a.printContent(r, line)
	} else if len(r.Files) > 0 {
		line("size", "%s", bytesText(r.Bytes))
	}
	list("refused", r.Refusals, red)
	if r.Served {
		rows = append(rows, []cell{styled("served", green), word("yes: nothing in the headers speaks against it")})
	}
	if err := a.table(nil, rows); err != nil {
		return err
	}
	if err := a.printKeys(r.Keys); err != nil {
		return err
	}
	return a.printTensors(r.Tensors)
}

// printContent prints what a readable header says.
func (a *app) printContent(r *report, line func(name, format string, args ...any)) {
	line("kind", "%s", r.Kind)
	if r.Name != "" {
		line("name", "%s", r.Name)
	}
	line("family", "%s", orDash(r.Architecture))
	if r.Parameters > 0 {
		line("parameters", "%s", countText(int64(r.Parameters)))
	}
	name := "types"
	for _, t := range r.Types {
		note := ""
		if !t.Computable {
			note = ", not computed by this version"
		}
		line(name, "%s: %d tensors, %s%s", t.Type, t.Tensors, bytesText(int64(t.Bytes)), note)
		name = ""
	}
	if r.Context > 0 {
		line("context", "%d tokens", r.Context)
	}
	if s := r.Shape; s != nil {
		line("shape", "%d layers of width %d, feed-forward %d", s.Layers, s.Width, s.FFN)
		window := ""
		if s.Window > 0 {
			window = fmt.Sprintf("; a window of %d tokens", s.Window)
		}
		line("attention", "%d heads of %d, %d of keys and values%s", s.Heads, s.HeadDim, s.KVHeads, window)
	}
	if v := r.Vocabulary; v != nil {
		kind := orDash(v.Model)
		if v.Pre != "" {
			kind += ", pre-tokenizer " + v.Pre
		}
		if !v.Known {
			kind += ", not known to this version"
		}
		line("vocabulary", "%d tokens, %s", v.Tokens, kind)
	}
	if r.Kind != kindVocabulary {
		line("template", "%s", r.Template)
	}
	if m := r.Memory; m != nil {
		line("memory", "%s", m)
		most := ""
		if m.CacheTokens > 0 {
			most = fmt.Sprintf(" of %d at most", m.CacheTokens)
		}
		line("", "cache %s per token%s (%s), weights are mapped", bytesText(m.CachePerToken), most, m.CacheType)
	}
	if r.HeaderDigest != "" {
		line("header", "%s", r.HeaderDigest)
	}
}

// String says which template a chat is rendered with.
func (t *template) String() string {
	text := "none"
	switch {
	case t.Bytes > 0:
		text = "in the file, " + bytesText(int64(t.Bytes))
	case t.Fallback != "":
		text = fmt.Sprintf("none in the file; chats take %q", t.Fallback)
	}
	if t.Bytes > 0 && t.Problem != "" {
		text += "; not usable: " + t.Problem
	}
	if len(t.Named) > 0 {
		text += "; not used: " + strings.Join(t.Named, ", ")
	}
	return text
}

// String says what one sequence takes.
func (m *memory) String() string {
	text := fmt.Sprintf("%s for %d tokens: weights %s, cache %s, scratch %s",
		bytesText(m.Total), m.Context, bytesText(m.Weights), bytesText(m.Cache), bytesText(m.Scratch))
	if m.Asked > 0 {
		text += fmt.Sprintf(" (%d tokens are more than the model was made for)", m.Asked)
	}
	return text
}

func (a *app) printKeys(keys []key) error {
	if len(keys) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	var rows [][]cell
	for _, k := range keys {
		value := "..."
		if k.Value != nil {
			value = shorten(fmt.Sprint(k.Value), 100)
		}
		rows = append(rows, []cell{word(k.Key), word(k.Type), word(value)})
	}
	return a.table([]string{"KEY", "TYPE", "VALUE"}, rows)
}

func (a *app) printTensors(tensors []tensor) error {
	if len(tensors) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	var rows [][]cell
	for _, t := range tensors {
		dims := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(t.Dims)), " x "), "[]")
		rows = append(rows, []cell{word(t.Name), word(t.Type), word(dims), number(bytesText(int64(t.Bytes)))})
	}
	return a.table([]string{"TENSOR", "TYPE", "DIMENSIONS", "SIZE"}, rows)
}

// shorten cuts a text to n characters.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-3]) + "..."
}
