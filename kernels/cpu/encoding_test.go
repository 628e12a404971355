package cpu

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoForeignEncodings looks for what a level's own processors do not execute. A machine that has AVX-512 runs every line of avx2,
// those that the assembler could only encode for AVX-512 too: a seventeenth register once ended weftd by SIGILL on machines
// that have AVX2 alone, and no test on a larger machine saw it.
func TestNoForeignEncodings(t *testing.T) {
	evex := regexp.MustCompile(`\b(?:[XY](?:1[6-9]|2\d|3[01])|Z\d+|K[0-7])\b|\.BCST|\bV(?:MOVDQU(?:8|16|32|64)|MOVDQA(?:32|64)|PTERNLOG[DQ]|PERM[BW]|PERM[IT]2\w+|CVTUDQ2PS|PMULLQ|PABSQ|PSRAQ|PDPBUSDS?|PDPWSSDS?|RNDSCALEP[SD]|PMOVM2\w|PBROADCAST[BWDQ]\s+(?:[ABCD][XL]|[SD]I|R\d+)\b)`)
	for _, level := range []string{"avx2", "avxvnni"} {
		path := filepath.Join(level, "impl_amd64.s")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if code, _, _ := strings.Cut(line, "//"); evex.MatchString(code) {
				t.Errorf("%s:%d: only AVX-512 has this: %s", path, i+1, strings.TrimSpace(line))
			}
		}
	}
}
