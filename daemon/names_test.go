package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server"
)

// fakeCatalogue knows some names.
type fakeCatalogue struct{ models, adapters []string }

func (c fakeCatalogue) HasModel(name string) bool   { return slices.Contains(c.models, name) }
func (c fakeCatalogue) HasAdapter(name string) bool { return slices.Contains(c.adapters, name) }

func (c fakeCatalogue) AdapterOf(id int) (string, bool) {
	if id >= len(c.adapters) {
		return "", false
	}
	return c.adapters[id], true
}

// say writes what a request asks for as one line.
func (w wanted) say() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", w.base)
	for _, p := range w.picks {
		fmt.Fprintf(&b, " %s@%v", p.name, p.scale)
	}
	if !w.said {
		b.WriteString(" or as it is set")
	}
	return b.String()
}

var weird = fakeCatalogue{
	models:   []string{"m", "m+a", "m@2", "n"},
	adapters: []string{"a", "b", "a+b", "b@0.5", "x@y", "n"},
}

func TestNamesAreResolved(t *testing.T) {
	for name, want := range map[string]string{
		"n":            `"n" or as it is set`, // a model before an adapter
		"m":            `"m" or as it is set`,
		"a":            `"" a@1`,
		"a@0.5":        `"" a@0.5`,
		"b@0.5":        `"" b@0.5@1`, // exact names first
		"b@0.5@2":      `"" b@0.5@2`,
		"m+a":          `"m+a" or as it is set`,
		"m+b":          `"m" b@1`,
		"m+a+b":        `"m+a" b@1`, // the longest base
		"m+b+a":        `"m" b@1 a@1`,
		"n+a+b":        `"n" a+b@1`, // the longest adapter
		"n+a@1+b":      `"n" a@1 b@1`,
		"n+a+b@-2e-1":  `"n" a+b@-0.2`,
		"m@2+a":        `"m@2" a@1`,
		"n+x@y@0.25":   `"n" x@y@0.25`,
		"n+none":       `"n"`,
		"n+a@0":        `"n"`,
		"n+a@0+b":      `"n" b@1`,
		"gone":         `"gone" or as it is set`,
		"gone+a":       `"gone" a@1`,
		"n+gone":       `"n" gone@1`,
		"n+gone@0.5+a": `"n" gone@0.5 a@1`,
		"n+":           `"n" @1`,
		"+a":           `"" a@1`,
		"":             `"" or as it is set`,
	} {
		w, err := resolve(server.Wanted{Model: name}, weird)
		if err != nil || w.say() != want {
			t.Errorf("%q is %s (%v), want %s", name, w.say(), err, want)
		}
	}
}

func TestAdaptersInTheBodyAreResolved(t *testing.T) {
	half := 0.5
	for _, c := range []struct {
		is   server.Wanted
		want string
	}{
		{server.Wanted{Model: "n", Adapters: []api.AdapterChoice{{Name: "a"}, {Name: "b@0.5", Scale: &half}}}, `"n" a@1 b@0.5@0.5`},
		{server.Wanted{Model: "n", Adapters: []api.AdapterChoice{}}, `"n"`},
		{server.Wanted{Model: "n", LoRA: []api.LoRAChoice{{ID: 0, Scale: 0}, {ID: 1, Scale: 0.5}}}, `"n" b@0.5`},
		{server.Wanted{Model: "n", LoRA: []api.LoRAChoice{}}, `"n"`},
	} {
		w, err := resolve(c.is, weird)
		if err != nil || w.say() != c.want {
			t.Errorf("%+v is %s (%v), want %s", c.is, w.say(), err, c.want)
		}
	}
}

// TestH31HostileScalesAreRefused: a scale is a plain decimal number within bounds, and a stack has an end.
func TestH31HostileScalesAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"n+a@":                           "a scale from",
		"n+a@inf":                        "a scale from",
		"n+a@nan":                        "a scale from",
		"n+a@0x1p-2":                     "a scale from",
		"n+a@1e999":                      "a scale from",
		"n+a@-101":                       "a scale from",
		"n+a@1_0":                        "a scale from",
		"n+a@0.5@":                       "a scale from",
		"n+b+b":                          "each adapter once",
		"n+" + strings.Repeat("q+", 240): "each adapter once",
		"n+q1+q2+q3+q4+q5+q6+q7+q8+q9+r1+r2+r3+r4+r5+r6+r7+r8": "at most 16",
	} {
		_, err := resolve(server.Wanted{Model: name}, weird)
		var field *api.FieldError
		if !errors.As(err, &field) || field.Field != "model" || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q in it", name, err, want)
		}
	}
	for _, w := range []server.Wanted{
		{Model: "n+a", Adapters: []api.AdapterChoice{{Name: "b"}}},
		{Model: "n", Adapters: []api.AdapterChoice{{Name: "b"}}, LoRA: []api.LoRAChoice{{}}},
		{Model: "n", LoRA: []api.LoRAChoice{{ID: 99, Scale: 1}}},
		{Model: "n", Adapters: []api.AdapterChoice{{Name: "b"}, {Name: "b"}}},
	} {
		if _, err := resolve(w, weird); !errors.As(err, new(*api.FieldError)) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// FuzzNames: whatever a request calls its model, it is resolved or refused, quickly, and never to a scale that is no number.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"m+a@0.5+b@0.3", "a+b@1", "+@+@", "m+none", "n+x@y@-0", strings.Repeat("a+", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) > api.MaxNameBytes {
			return
		}
		w, err := resolve(server.Wanted{Model: name}, weird)
		if err != nil {
			return
		}
		for _, p := range w.picks {
			if !(p.scale >= -api.MaxAdapterScale && p.scale <= api.MaxAdapterScale) || p.scale == 0 {
				t.Errorf("%q has the scale %v", name, p.scale)
			}
		}
		if len(w.picks) > api.MaxAdapters {
			t.Errorf("%q has %d adapters", name, len(w.picks))
		}
	})
}
