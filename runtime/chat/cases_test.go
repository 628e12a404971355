package chat

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"testing"
)

type testCase struct {
	Template string
	Want     *string
	Error    *string
}

// loadCases reads what Jinja2 makes of the templates of testdata/cases.txt, and their variables.
func loadCases(t testing.TB) (map[string]any, []testCase) {
	t.Helper()
	f, err := os.Open("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatal("testdata/cases.jsonl is empty")
	}
	var head struct{ Vars map[string]json.RawMessage }
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	for name, raw := range head.Vars {
		if vars[name], err = ParseJSON(raw); err != nil {
			t.Fatal(err)
		}
	}
	var cases []testCase
	for lines.Scan() {
		var c testCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vars, cases
}

// differences are the cases in which a template is not rendered as Jinja2 renders it, and why. All but the first group are
// refused with an error that names what is missing.
var differences = map[string]string{
	"{{ (1, 2) }} {{ (1,) }} {{ () }}":         "the library has one type for lists and tuples",
	"{{ [1] == (1,) }}":                        "the same",
	"{{ '%s' % [1, 2] }}":                      "the same: % takes a list apart",
	"{{ range(3) }}":                           "a range is a list",
	"{{ messages|selectattr('role')|length }}": "filters give lists, not generators, and a list has a length",
	"{{ namespace()|tojson }}":                 "a namespace is a mapping",
	"{% set ns = namespace(b=2) %}{{ ns }}":    "the same",
	"{{ -0.0 }}":                               "negation is subtraction from zero",
	"{{ (1).real }}":                           "numbers have no attributes",
	"{{ '²'.isdigit() }}":                      "only decimal digits count",
	"{{ dict([['k', 'v']]) }}":                 "dict takes mappings and named arguments",
	"{% macro f(a, b=a) %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}": "a default of the library does not see the parameters before it",

	"{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }}":                                                        "varargs and kwargs",
	"{% macro each(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(v) each(numbers) %}({{ v }}){% endcall %}": "a call with parameters",
	"{% macro f() %}{{ caller(1) }}{% endmacro %}{% call(x) f() %}got {{ x }}{% endcall %}":                                           "a call with parameters",
	"{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}":                                                           "nested names of a loop",
	"{{ 'aBc'.swapcase() }}":                                             "a method no template uses",
	"{{ '{} and {}'.format(1, 'b') }}":                                   "str.format",
	"{{ text.encode('utf-8') }}":                                         "bytes",
	"{{ '%(a)s' % {'a': 1} }}":                                           "named fields of %",
	"{{ '%s, %s!'|format('Hello', 'World') }} {{ '%(x)s'|format(x=1) }}": "the filter format",
	"{{ 'upper' is filter }}":                                            "the tests filter and test",
	"{{ 'ab'|center(6) }}":                                               "the filter center",
	"{{ text|truncate(9) }}":                                             "the filter truncate",
	"{{ 1234|round(-2) }}":                                               "rounding to tens",
	"{{ messages[0]|attr('role') }}":                                     "the filter attr",
	"{{ '\\N{BULLET}' }}":                                                "characters by name",
	"{% for city, group in people|groupby('city') %}{{ city }}:{{ group|map(attribute='name')|join(',') }};{% endfor %}":      "the filter groupby",
	"{{ numbers|batch(2)|list }} {{ numbers|batch(2, 'x')|list }} {{ numbers|slice(2)|list }} {{ numbers|slice(2, 0)|list }}": "the filters batch and slice",
	"{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}":                                 "cycler",
	"{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}c":                                                                 "joiner",
}

// Every template must render as Jinja2 renders it, or fail where Jinja2 fails, but for the differences that are known.
func TestLikeJinja2(t *testing.T) {
	vars, cases := loadCases(t)
	if len(cases) < 200 {
		t.Fatalf("only %d cases", len(cases))
	}
	left := maps.Clone(differences)
	for _, c := range cases {
		tmpl, err := New(c.Template, Options{})
		var got string
		if err == nil {
			got, err = tmpl.Render(Input{Extra: vars})
		}
		same := c.Error != nil && err != nil || c.Want != nil && err == nil && got == *c.Want
		why, known := differences[c.Template]
		delete(left, c.Template)
		switch {
		case known && same:
			t.Errorf("%q renders as in Jinja2: it is no difference (%s)", c.Template, why)
		case known || same:
		case c.Error != nil:
			t.Errorf("%q\n got %q\nwant an error: %s", c.Template, got, *c.Error)
		case err != nil:
			t.Errorf("%q\n got the error %v\nwant %q", c.Template, err, *c.Want)
		default:
			t.Errorf("%q\n got %q\nwant %q", c.Template, got, *c.Want)
		}
	}
	for template := range left {
		t.Errorf("no case has the template %q of a difference", template)
	}
}
