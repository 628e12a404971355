package jinja

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

// differences are the cases in which a template is not rendered as Jinja2 renders it, and why: each is refused.
var differences = map[string]string{
	"{{ '\\N{BULLET}' }}":        "characters by name: a table of a megabyte that no template uses",
	"{{ text.encode('utf-8') }}": "bytes: no value of that type",
}

// Every template must render as Jinja2 renders it, or fail where Jinja2 fails, but for the differences that are known.
func TestLikeJinja2(t *testing.T) {
	vars, cases := loadCases(t)
	if len(cases) < 200 {
		t.Fatalf("only %d cases", len(cases))
	}
	left := maps.Clone(differences)
	for _, c := range cases {
		tmpl, err := Parse(c.Template)
		var got string
		if err == nil {
			got, err = tmpl.Render(t.Context(), DefaultLimits(), vars, nil)
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
