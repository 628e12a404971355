package jinja

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are templates that want more than there is (H19).
func hostile() map[string]string {
	return map[string]string{
		"loop in loop":   strings.Repeat("{% for i in range(100000) %}", 4) + "x" + strings.Repeat("{% endfor %}", 4),
		"silent loops":   strings.Repeat("{% for i in range(100000) %}", 2) + strings.Repeat("{% endfor %}", 2),
		"long range":     "{{ range(1000000000)|list|length }}",
		"recursion":      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"two macros":     "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
		"branching":      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
		"recursive loop": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"doubling":       "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"doubling list":  "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"doubling tree":  "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
		"tree to json":   "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}",
		"equal trees":    "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
		"repeat":         "{{ 'x' * 1000000000000 }}",
		"repeat list":    "{{ [1] * 1000000000000 }}",
		"padding":        "{{ 'x'.ljust(1000000000000) }}",
		"zfill":          "{{ 'x'.zfill(1000000000000) }}",
		"indent":         "{{ 'x\ny'|indent(1000000000000) }}",
		"json indent":    "{{ [[[1]]]|tojson(indent=1000000000000) }}",
		"replace":        "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(50) %}{% set ns.s = ns.s.replace('x', 'xxxxxxxxxxxxxxxx') %}{% endfor %}",
		"join":           "{% set ns = namespace(s='x') %}{% for i in range(50) %}{% set ns.s = [ns.s, ns.s, ns.s]|join(ns.s) %}{% endfor %}",
		"format width":   "{{ '%999999999s' % 'x' }}",
		"power":          "{{ 2 ** 100000000 }}",
		"modulo":         "{{ 5 % 0 }}",
		"itself":         "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
		"itself to json": "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns|tojson }}",
		"brackets":       "{{ " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + " }}",
		"nots":           "{{ " + strings.Repeat("not ", 100_000) + "1 }}",
		"signs":          "{{ " + strings.Repeat("-", 100_000) + "1 }}",
		"conditions":     "{{ " + strings.Repeat("1 if 1 else ", 100_000) + "1 }}",
		"sum of many":    "{{ 1" + strings.Repeat(" + 1", 200_000) + " }}",
		"many filters":   "{{ 1" + strings.Repeat("|string", 100_000) + " }}",
		"many items":     "{{ x" + strings.Repeat("[0]", 200_000) + " }}",
		"many ifs":       strings.Repeat("{% if 1 %}", 60_000) + strings.Repeat("{% endif %}", 60_000),
		"long body":      "{% for i in range(100000) %}" + strings.Repeat("{% set a = 1 %}", 10_000) + "{% endfor %}",
		"captured":       "{% set x %}{% for i in range(100000) %}" + strings.Repeat("x", 500_000) + "{% endfor %}{% endset %}",
		"long literal":   "{% for i in range(100000) %}{% set a = [" + strings.Repeat("1,", 10_000) + "] %}{% endfor %}",
		"long caller":    "{% macro f() %}{% for i in range(100000) %}{{ caller() }}{% endfor %}{% endmacro %}{% call f() %}" + strings.Repeat("x", 500_000) + "{% endcall %}",
		"too long":       strings.Repeat("x", MaxSourceBytes+1),
		"sets of loops":  strings.Repeat("{% set a %}", 150) + "{{ 'x' * 100000000 }}" + strings.Repeat("{% endset %}", 150),
		"list repeated":  "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s * 2 %}{% endfor %}",
		"many large":     "{% for i in range(100000) %}{{ 'x' * 100000000 }}{% endfor %}",
		"filter width":   "{{ 'x'|center(1000000000000) }}{{ 'x'|indent(999999999999, true) }}",
		"percent width":  "{{ '%999999999d' % 1 }}{{ '%*d' % (999999999, 1) }}{{ '%.999999999f' % 1.0 }}",
		"format method":  "{{ '{:>999999999}'.format('x') }}",
		"format many":    "{{ ('{0}' * 10000000).format('x' * 100000) }}",
		"batch fill":     "{{ [1]|batch(1000000000000, 'x')|list }}",
		"slice fill":     "{{ [1]|slice(1000000000000, 'x')|list }}",
		"tabs":           "{{ ('\t' * 1000)|replace('\t', 'x').expandtabs(1000000000) }}{{ '\t'.expandtabs(99999999999) }}",
		"characters":     "{% for i in range(1000) %}{% set a = ('x' * 10000000)|list %}{% endfor %}",
		"split bomb":     "{% for i in range(1000) %}{% set a = ('x ' * 10000000).split() %}{% endfor %}",
		"sorting":        "{% for i in range(1000) %}{% set a = range(100000)|sort(reverse=true) %}{% endfor %}",
		"tuples as keys": "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1} }}",
		"sum of lists":   "{% set x = [1] * 1000 %}{% for i in range(100000) %}{% set y = [x, x, x, x, x, x, x, x]|sum(start=[]) %}{% endfor %}",
		"huge integer":   "{{ 9**9**9**9 }}{{ " + strings.Repeat("9", 100_000) + " }}",
		"huge exponent":  "{{ 1e999999999 * 1e999999999 }}{{ 10 ** 1000000000000 }}",
		"calls itself":   "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{% call f() %}x{% endcall %}",
		"default calls":  "{% macro f(a=f) %}{{ a() }}{% endmacro %}{{ f() }}",
		"through spaces": "{% set ns = namespace() %}{% macro f() %}{{ ns.f() }}{% endmacro %}{% set ns.f = f %}{{ f() }}",
		"filter chain":   "{% filter upper" + strings.Repeat("|upper", 100_000) + " %}x{% endfilter %}",
		"open brackets":  "{{ " + strings.Repeat("[", 100_000),
		"open blocks":    strings.Repeat("{% for a in b %}", 60_000),
		"open tags":      strings.Repeat("{{ ", 300_000),
		"open comments":  strings.Repeat("{# ", 300_000),
		"raw blocks":     strings.Repeat("{% raw %}", 100_000),
		"dashes":         strings.Repeat("{%-", 300_000),
		"spaces":         "{{ 1" + strings.Repeat(" ", 1_000_000) + "}",
		"escapes":        "{{ '" + strings.Repeat("\\", 900_001) + "' }}",
		"targets":        "{% set " + strings.Repeat("(", 100_000) + "a" + strings.Repeat(")", 100_000) + " = 1 %}",
		"adjacent texts": "{{ " + strings.Repeat("'' ", 330_000) + "[0 }}",
		"dotted filter":  "{{ 1|a" + strings.Repeat(".a", 500_000) + " }}",
		"parameters":     "{% macro f(" + strings.Repeat("a,", 200_000) + "b) %}{% endmacro %}{{ f(" + strings.Repeat("c=1,", 100_000) + "d=1) }}",
		"escaping":       "{{ ('&' * 100000000)|e }}",
		"quoting":        "{{ ['\x01' * 100000000] }}",
		"json quoting":   "{{ ('\x01' * 100000000)|tojson }}",
		"strip":          "{{ ('x' * 10000000).strip('y' * 10000000 ~ 'x') }}",
		"globals":        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
		"through self":   "{{ self.__init__.__globals__ }}{{ self._TemplateReference__context.x }}",
		"through range":  "{{ range.__self__.__builtins__ }}",
		"through macros": "{% macro f() %}{% endmacro %}{{ f.__globals__['x'] }}",
		"through map":    "{{ ['']|map(attribute='__class__')|map(attribute='__mro__')|list }}",
		"through format": "{{ '{0.__class__.__mro__}'.format('') }}",
	}
}

// No template costs more than its limits, whatever it says: it ends with an error, after work that is bounded. The work is counted, in
// bytes that were made on the way; a template that goes on without making any would end by the limit of the test run.
func TestHostileTemplates(t *testing.T) {
	const mostMade = 512 << 20 // the costliest makes two fifths of it
	for name, source := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			tmpl, err := Parse(source)
			if err == nil {
				limits := DefaultLimits()
				limits.Steps /= 20
				_, err = tmpl.Render(t.Context(), limits, nil, nil)
			}
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it rendered")
			}
			if s := err.Error(); len(s) > 300 {
				t.Errorf("the error has %d bytes: %.300s", len(s), s)
			}
			made := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d MiB in all: %v", made>>20, err)
			if made > mostMade {
				t.Errorf("it made %d MiB, at most %d are in bounds", made>>20, mostMade>>20)
			}
			if held := int64(after.Sys) - int64(before.Sys); held > 1<<30 {
				t.Errorf("the process grew by %d MiB", held>>20)
			}
		})
	}
}

// A context ends a rendering that is within its limits: from there on it takes no more steps than lie between two looks at the context.
func TestContextStopsARendering(t *testing.T) {
	tmpl, err := Parse(strings.Repeat("{% for i in range(100000) %}", 4) + "{{ turn() }}" + strings.Repeat("{% endfor %}", 4))
	if err != nil {
		t.Fatal(err)
	}
	limits := DefaultLimits()
	limits.Steps = 1 << 60
	why := errors.New("the reader left")
	ctx, cancel := context.WithCancelCause(t.Context())
	const leaves = 5000 // the turn at which it does
	turns := 0
	_, err = tmpl.Render(ctx, limits, nil, map[string]Func{"turn": func([]string) (string, error) {
		if turns++; turns == leaves {
			cancel(why)
		}
		return "", nil
	}})
	if !errors.Is(err, ErrStopped) || !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if turns < leaves || turns > leaves+lookEvery {
		t.Errorf("it went on for %d turns, at most %d are between two looks", turns-leaves, lookEvery)
	}
}

func render(t *testing.T, source string, vars map[string]any) (string, error) {
	t.Helper()
	tmpl, err := Parse(source)
	if err != nil {
		return "", err
	}
	return tmpl.Render(t.Context(), DefaultLimits(), vars, nil)
}

// What a template can reach is the conversation and nothing of Go.
func TestValuesHaveNoInside(t *testing.T) {
	obj, err := ParseJSON([]byte(`{"Pairs": 1, "get": 2, "a": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"{{ x.Pairs }}{{ x['Pairs'] }}{{ x['get'] }}": "112",
		"{{ x.Keys is defined }}{{ x.String is defined }}{{ x.a.Len is defined }}{{ x.a.Swap is defined }}{{ [1].String is defined }}": "FalseFalseFalseFalseFalse",
		"{{ none.String is defined }}{{ 'a'.Len is defined }}{{ loop is defined }}{{ self.x is defined }}":                             "FalseFalseFalseFalse",
		"{% for i in [1] %}{{ loop.GetAttribute is defined }}{{ loop.PrevItem is defined }}{% endfor %}":                               "FalseFalse",
		"{{ x.a.__class__ is defined }}{{ ''.__class__ is defined }}":                                                                  "FalseFalse",
		"{{ cycler.x is defined }}{{ range.Name is defined }}{{ ''|attr('__class__')|attr('__mro__') }}":                               "FalseFalse",
	} {
		got, err := render(t, source, map[string]any{"x": obj})
		if got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	for _, v := range []any{struct{ A int }{1}, time.Now(), func() {}, []int{1}, map[int]string{}, os.Stdout} {
		if _, err := render(t, "x", map[string]any{"v": v}); err == nil {
			t.Errorf("a %T is given to the template", v)
		}
	}
}

// FuzzTemplate holds that no template panics, hangs or gives an error of another kind.
func FuzzTemplate(f *testing.F) {
	_, cases := loadCases(f)
	for _, c := range cases {
		f.Add(c.Template)
	}
	vars := map[string]any{"messages": []any{map[string]any{"role": "user", "content": "hé"}, map[string]any{"role": "assistant", "content": nil}}}
	limits := Limits{Steps: 10_000, TextBytes: 1 << 20, OutputBytes: 1 << 16, Depth: 200}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Parse(source)
		if err == nil {
			_, err = tmpl.Render(t.Context(), limits, vars, nil)
		}
		var located *Error
		if err != nil && !errors.As(err, &located) && len(source) <= MaxSourceBytes {
			t.Errorf("the error %v names no line", err)
		}
	})
}
