package chat

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

func mustNew(t testing.TB, source string) *Template {
	t.Helper()
	tmpl, err := New(source, Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// The template kept in testdata is the one the model carries.
func TestSmolLM2CarriesItsTemplate(t *testing.T) {
	f, err := gguf.Open(modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"), gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Meta().Str("tokenizer.chat_template", "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/templates/smollm2.jinja")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the model carries %q", got)
	}
}

func TestFallback(t *testing.T) {
	tmpl, err := Fallback(ChatML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.Render(Input{Messages: []any{map[string]any{"role": "user", "content": "hi"}}, AddGenerationPrompt: true})
	if want := "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if tmpl.Name() != "chatml" {
		t.Errorf("it calls itself %q", tmpl.Name())
	}
	if _, err := Fallback("nope", Options{}); !errors.Is(err, ErrUnknownTemplate) {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestErrorsNameTemplateLineAndReason(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"parse", "a\nb {{ 1 + }}", `"test": line 2: unexpected the end of the tag`},
		{"statement", "a\n\n{% bogus %}", `"test": line 3: unknown statement 'bogus'`},
		{"include", "{% include 'x' %}", `the statement 'include' is not available: a chat template stands alone`},
		{"filter", "\n{{ 1|nope }}", `"test": line 2: no filter named 'nope'`},
		{"unclosed", "\n\n{% if true %}x", `"test":`},
		{"run", "x\n{{ messages[0].content + none }}", `"test": line 2: unsupported operand`},
		{"multi-line", "{{ 1\n\n\n}}\n{{ 'a' + 1 }}", `"test": line 5: can only concatenate str (not "int") to str`},
		{"nested", "{% for m in messages %}\n{% if true %}\n{{ none.x.y }}\n{% endif %}{% endfor %}", `"test": line 3:`},
		{"method", "{{ messages.append(1) }}", "access to attribute 'append' of 'list' object is unsafe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, err := New(c.source, Options{Name: "test"})
			if err == nil {
				_, err = tmpl.Render(Input{Messages: []any{map[string]any{"content": 1}}})
			}
			if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestRaiseException(t *testing.T) {
	_, err := mustNew(t, "a\n{% if true %}\n{{ raise_exception('no ' ~ 1) }}{% endif %}").Render(Input{})
	var raised *RaisedError
	if !errors.As(err, &raised) {
		t.Fatalf("got %v", err)
	}
	if *raised != (RaisedError{"test", 3, "no 1"}) {
		t.Errorf("got %+v", *raised)
	}
}

func TestLineEndings(t *testing.T) {
	got, err := mustNew(t, "a\r\n{% if true %}\r\nb\r{{ 'x' }}{% endif %}\r\n").Render(Input{})
	if got != "a\nb\nx" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestStrftime(t *testing.T) {
	at := time.Date(2026, 3, 7, 9, 5, 2, 42_000, time.UTC)
	// The expectations are Python's.
	for format, want := range map[string]string{
		"%d %b %Y": "07 Mar 2026", "%B %d, %Y": "March 07, 2026", "%Y-%m-%d %H:%M:%S.%f": "2026-03-07 09:05:02.000042",
		"%A %a %p %I %j": "Saturday Sat AM 09 066", "%-d/%-m %e": "7/3  7", "%U %W %V %G %u %w": "09 09 10 2026 6 6",
		"%c|%x|%X|%D|%F|%T|%R": "Sat Mar  7 09:05:02 2026|03/07/26|09:05:02|03/07/26|2026-03-07|09:05:02|09:05",
		"100%% %y%n%t%z%Z|":    "100% 26\n\t|", "%": "%",
	} {
		if got := strftime(at, format); got != want {
			t.Errorf("%q gives %q, want %q", format, got, want)
		}
	}
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
		"{{ raise_exception.x is defined }}{{ range.Name is defined }}":                                                                "FalseFalse",
	} {
		got, err := mustNew(t, source).Render(Input{Extra: map[string]any{"x": obj}})
		if got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	for _, v := range []any{struct{ A int }{1}, time.Now(), func() {}, []int{1}, map[int]string{}, os.Stdout} {
		if _, err := mustNew(t, "x").Render(Input{Extra: map[string]any{"v": v}}); err == nil {
			t.Errorf("a %T is given to the template", v)
		}
	}
}

// No template costs more than its budget.
func TestHostileTemplates(t *testing.T) {
	for name, source := range map[string]string{
		"loop in loop":    strings.Repeat("{% for i in range(100000) %}", 4) + "x" + strings.Repeat("{% endfor %}", 4),
		"silent loops":    strings.Repeat("{% for i in range(100000) %}", 2) + strings.Repeat("{% endfor %}", 2),
		"long range":      "{{ range(1000000000)|list|length }}",
		"recursion":       "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"two macros":      "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
		"branching":       "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
		"recursive loop":  "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"doubling":        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"doubling list":   "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"doubling tree":   "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
		"tree to json":    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}",
		"equal trees":     "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
		"repeat":          "{{ 'x' * 1000000000000 }}",
		"repeat list":     "{{ [1] * 1000000000000 }}",
		"padding":         "{{ 'x'.ljust(1000000000000) }}",
		"zfill":           "{{ 'x'.zfill(1000000000000) }}",
		"indent":          "{{ 'x\ny'|indent(1000000000000) }}",
		"json indent":     "{{ [[[1]]]|tojson(indent=1000000000000) }}",
		"replace":         "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(50) %}{% set ns.s = ns.s.replace('x', 'xxxxxxxxxxxxxxxx') %}{% endfor %}",
		"join":            "{% set ns = namespace(s='x') %}{% for i in range(50) %}{% set ns.s = [ns.s, ns.s, ns.s]|join(ns.s) %}{% endfor %}",
		"format width":    "{{ '%999999999s' % 'x' }}",
		"power":           "{{ 2 ** 100000000 }}",
		"modulo":          "{{ 5 % 0 }}",
		"itself":          "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
		"itself to json":  "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns|tojson }}",
		"itself compared": "{% set a = namespace() %}{% set a.x = a %}{% set b = namespace() %}{% set b.x = b %}{{ a == b }}",
		"brackets":        "{{ " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + " }}",
		"nots":            "{{ " + strings.Repeat("not ", 100_000) + "1 }}",
		"signs":           "{{ " + strings.Repeat("-", 100_000) + "1 }}",
		"conditions":      "{{ " + strings.Repeat("1 if 1 else ", 100_000) + "1 }}",
		"sum of many":     "{{ 1" + strings.Repeat(" + 1", 200_000) + " }}",
		"many filters":    "{{ 1" + strings.Repeat("|string", 100_000) + " }}",
		"many items":      "{{ x" + strings.Repeat("[0]", 200_000) + " }}",
		"many ifs":        strings.Repeat("{% if 1 %}", 60_000) + strings.Repeat("{% endif %}", 60_000),
		"long body":       "{% for i in range(100000) %}" + strings.Repeat("{% set a = 1 %}", 10_000) + "{% endfor %}",
		"captured":        "{% set x %}{% for i in range(100000) %}" + strings.Repeat("x", 500_000) + "{% endfor %}{% endset %}",
		"long literal":    "{% for i in range(100000) %}{% set a = [" + strings.Repeat("1,", 10_000) + "] %}{% endfor %}",
		"long caller":     "{% macro f() %}{% for i in range(100000) %}{{ caller() }}{% endfor %}{% endmacro %}{% call f() %}" + strings.Repeat("x", 500_000) + "{% endcall %}",
		"too long":        strings.Repeat("x", MaxSourceBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl, err := New(source, Options{})
			if err == nil {
				tmpl.steps = 100_000 // the real budget takes seconds to spend
				_, err = tmpl.Render(Input{})
			}
			if !errors.Is(err, ErrBudget) && !errors.Is(err, ErrTemplate) {
				t.Errorf("got the error %v", err)
			}
		})
	}
}

// The budget is that of a conversation of ten thousand messages.
func TestLongConversation(t *testing.T) {
	in := Input{AddGenerationPrompt: true}
	for range 5000 {
		in.Messages = append(in.Messages, map[string]any{"role": "user", "content": "What is it?"}, map[string]any{"role": "assistant", "content": "It is this."})
	}
	for _, name := range []string{"smollm2", "qwen25"} {
		if _, err := loadTemplate(t, name).Render(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A loop left early leaves nothing behind.
func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	tmpl := mustNew(t, "{% for i in range(1000) %}{% break %}{% endfor %}")
	for range 50 {
		if _, err := tmpl.Render(Input{}); err != nil {
			t.Fatal(err)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// One template renders in many goroutines at once, each its own conversation.
func TestConcurrentRenderings(t *testing.T) {
	tmpl := loadTemplate(t, "qwen3")
	in := loadConversations(t)["tool_turns"].input(t)
	want, err := tmpl.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if got, err := tmpl.Render(in); got != want || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseJSON(t *testing.T) {
	v, err := ParseJSON([]byte(`{"b": 1, "a": [1.0, 12345678901234567890, true, null, "é", {}], "b": 2}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustNew(t, "{{ v|tojson }}").Render(Input{Extra: map[string]any{"v": v}})
	if want := `{"b": 2, "a": [1.0, 1.2345678901234567e+19, true, null, "é", {}]}`; got != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{"", "{", "[1,]", "1 2", strings.Repeat("[", 1000) + strings.Repeat("]", 1000)} {
		if _, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

// FuzzTemplate holds that no template panics, hangs or gives an error of another kind.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"{% for m in messages %}{{ m.role + ': ' + (m.content if m.content is string else '') }}{% endfor %}",
		"{%- set ns = namespace(a=1) -%}{% macro f(x, y=2) %}{{ x[1:] }}{% endmacro %}{{ f('abc') }}",
		"{% raw %}{{ x }}{% endraw %}{# c #}{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join(', ') }}",
		"{{ {'a': [1, none, 1.5]}|tojson(indent=2) }}{{ 'x' * 3 ~ 4 // 3 }}",
	} {
		f.Add(seed)
	}
	messages := []any{map[string]any{"role": "user", "content": "hé"}, map[string]any{"role": "assistant", "content": nil}}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := New(source, Options{})
		if err == nil {
			tmpl.steps = 10_000
			_, err = tmpl.Render(Input{Messages: messages})
		}
		var raised *RaisedError
		if err != nil && !errors.Is(err, ErrTemplate) && !errors.Is(err, ErrBudget) && !errors.As(err, &raised) {
			t.Errorf("the error %v is of no known kind", err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	for _, name := range []string{"smollm2", "qwen3", "llama31"} {
		for _, turns := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/%d", name, turns), func(b *testing.B) {
				tmpl := loadTemplate(b, name)
				in := Input{AddGenerationPrompt: true}
				for range turns {
					in.Messages = append(in.Messages, map[string]any{"role": "user", "content": "What is it?"}, map[string]any{"role": "assistant", "content": "It is this."})
				}
				for b.Loop() {
					if _, err := tmpl.Render(in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
