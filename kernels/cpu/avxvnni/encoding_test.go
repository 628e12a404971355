package avxvnni

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// encoded is an instruction of the generated file that is written as bytes, its mnemonic above them.
var encoded = regexp.MustCompile(`// (VPDP\w+) Y(\d+), Y(\d+), Y(\d+)\n((?:\s+BYTE\s+\$0x[0-9a-f]+\n)+)`)

// TestEncoding gives the mnemonics of the generated file to GNU as and compares every byte.
func TestEncoding(t *testing.T) {
	if _, err := exec.LookPath("as"); err != nil {
		t.Skip("LOUD: skipped: GNU as for x86 is not installed (Debian: binutils)")
	}
	text, err := os.ReadFile("impl_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	var want []byte
	found := encoded.FindAllSubmatch(text, -1)
	for _, m := range found {
		// AT&T syntax has the order of Go's.
		source.WriteString("{vex} " + strings.ToLower(string(m[1])) + " %ymm" + string(m[2]) + ", %ymm" + string(m[3]) + ", %ymm" + string(m[4]) + "\n")
		for _, word := range strings.Fields(strings.ReplaceAll(string(m[5]), "BYTE", "")) {
			code, err := strconv.ParseUint(strings.TrimPrefix(word, "$"), 0, 8)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, byte(code))
		}
	}
	if len(found) == 0 || len(found) != bytes.Count(text, []byte("// VPDP")) || len(want) != bytes.Count(text, []byte("BYTE ")) {
		t.Fatalf("%d instructions of %d bytes found: not all that the file has", len(found), len(want))
	}
	if got := assemble(t, source.String()); !bytes.Equal(got, want) {
		t.Fatalf("GNU as makes %d bytes of these %d instructions that differ from the %d written", len(got), len(found), len(want))
	}
	t.Logf("%d instructions", len(found))
}

// assemble returns the machine code of some lines.
func assemble(t *testing.T, source string) []byte {
	t.Helper()
	dir := t.TempDir()
	object, code := filepath.Join(dir, "o"), filepath.Join(dir, "code")
	as := exec.Command("as", "--64", "-o", object, "-")
	as.Stdin = strings.NewReader(source)
	if out, err := as.CombinedOutput(); err != nil {
		t.Skipf("LOUD: skipped: as does not assemble AVX-VNNI for x86-64: %v\n%s", err, out)
	}
	if out, err := exec.Command("objcopy", "-O", "binary", "-j", ".text", object, code).CombinedOutput(); err != nil {
		t.Fatalf("objcopy: %v\n%s", err, out)
	}
	b, err := os.ReadFile(code)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
