package main

import (
	"fmt"
	"strings"
)

// printReport prints what was found for people.
func (a *app) printReport(r *report) error {
	var rows [][]cell
	line := func(name, format string, args ...any) {
		rows = append(rows, []cell{styled(name, bold), word(fmt.Sprintf(format, args...))})
	}
	for i, f := range r.Files {
		if i == 0 {
			line("file", "%s", f)
		} else {
			line("", "%s", f)
		}
	}
	line("size", "%s, GGUF version %d", bytesText(r.Bytes), r.Version)
	line("kind", "%s", r.Kind)
	if r.Name != "" {
		line("name", "%s", r.Name)
	}
	line("family", "%s", orDash(r.Architecture))
	if r.Parameters > 0 {
		line("parameters", "%s", countText(int64(r.Parameters)))
	}
	for i, t := range r.Types {
		name := "types"
		if i > 0 {
			name = ""
		}
		note := ""
		if !t.Computable {
			note = ", not computed by this version"
		}
		line(name, "%s: %d tensors, %s%s", t.Type, t.Tensors, bytesText(int64(t.Bytes)), note)
	}
	if s := r.Shape; s != nil {
		line("context", "%d tokens", s.Context)
		line("shape", "%d layers of width %d, feed-forward %d", s.Layers, s.Width, s.FFN)
		line("attention", "%d heads of %d, %d of keys and values", s.Heads, s.HeadDim, s.KVHeads)
	}
	if v := r.Vocabulary; v != nil {
		kind := v.Model
		if v.Pre != "" {
			kind += ", pre-tokenizer " + v.Pre
		}
		line("vocabulary", "%d tokens, %s", v.Tokens, orDash(kind))
	}
	template := "none"
	if r.ChatTemplate {
		template = "in the file"
	}
	line("template", "%s", template)
	if m := r.Memory; m != nil {
		line("memory", "%s of weights, mapped; cache %s per token, %s for a full context (f16)",
			bytesText(int64(m.Weights)), bytesText(int64(m.CachePerToken)), bytesText(int64(m.CacheFull)))
	}
	line("header", "%s", r.HeaderDigest)
	for i, reason := range r.Refusals {
		name := "refused"
		if i > 0 {
			name = ""
		}
		rows = append(rows, []cell{styled(name, red), word(reason)})
	}
	if len(r.Refusals) == 0 {
		rows = append(rows, []cell{styled("served", green), word("yes: nothing speaks against it, but the memory it takes")})
	}
	if err := a.table(nil, rows); err != nil {
		return err
	}
	if err := a.printKeys(r.Keys); err != nil {
		return err
	}
	return a.printTensors(r.Tensors)
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
