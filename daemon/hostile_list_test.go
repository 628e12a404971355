package daemon

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// numbers are the hostile inputs that this version must hold against and that docs/hostile-inputs.md lists.
var numbers = []string{
	"H01", "H02", "H03", "H04", "H05", "H06", "H07", "H08", "H09", "H10", "H11", "H12", "H13", "H14", "H15", "H16", "H17", "H18",
	"H19", "H20", "H21", "H22", "H23", "H24", "H25", "H26", "H27", "H28", "H29", "H30", "H31", "H33", "H34", "H35", "H36",
	"H38", "H39", "H40",
}

// TestHostileInputsAreListed holds docs/hostile-inputs.md: every number has a row, every test that a row names is there, and the
// tests of the row's packages name the number.
func TestHostileInputsAreListed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "hostile-inputs.md"))
	must(t, err)
	quoted := regexp.MustCompile("`([^`]+)`")
	names := func(cell string) (list []string) {
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			list = append(list, m[1])
		}
		return list
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 7 && regexp.MustCompile(`^ H\d\d $`).MatchString(cells[1]) {
			rows[strings.TrimSpace(cells[1])] = cells
		}
	}
	for _, number := range numbers {
		row := rows[number]
		if row == nil {
			t.Errorf("%s has no row in docs/hostile-inputs.md", number)
			continue
		}
		var source strings.Builder
		packages, tests := names(row[4]), names(row[5])
		if len(packages) == 0 || len(tests) == 0 {
			t.Errorf("%s: the row names no package or no test", number)
		}
		for _, p := range packages {
			files, err := filepath.Glob(filepath.Join("..", p, "*_test.go"))
			must(t, err)
			for _, f := range files {
				text, err := os.ReadFile(f)
				must(t, err)
				source.Write(text)
			}
		}
		for _, test := range tests {
			if !strings.Contains(source.String(), "func "+test+"(t *testing.T)") {
				t.Errorf("%s: there is no %s in %q", number, test, packages)
			}
		}
		if !regexp.MustCompile(number + `\D`).MatchString(source.String()) {
			t.Errorf("%s: no test of %q names it", number, packages)
		}
	}
}
