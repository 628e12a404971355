package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every encoded instruction of the generated file is what an assembler makes of the mnemonic beside it. It needs
// binutils for aarch64 (Debian: binutils-aarch64-linux-gnu) and is skipped where they are missing.
func TestEncodings(t *testing.T) {
	for _, tool := range []string{"aarch64-linux-gnu-as", "aarch64-linux-gnu-objcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("LOUD: skipped: %s is not installed", tool)
		}
	}
	text, err := os.ReadFile("../../cpu/neon/impl_arm64.s")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`WORD \$0x([0-9a-f]{8}) *// (.*)`).FindAllStringSubmatch(string(text), -1)
	if strings.Count(string(text), "WORD") != len(words) || len(words) == 0 {
		t.Fatalf("%d words have a mnemonic, of %d", len(words), strings.Count(string(text), "WORD"))
	}
	source := bytes.NewBufferString(".arch armv8.6-a\n")
	for _, w := range words {
		fmt.Fprintln(source, w[2])
	}
	dir := t.TempDir()
	object, binaryFile := filepath.Join(dir, "o"), filepath.Join(dir, "bin")
	as := exec.Command("aarch64-linux-gnu-as", "-o", object, "-")
	as.Stdin = source
	if out, err := as.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("aarch64-linux-gnu-objcopy", "-O", "binary", object, binaryFile).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	code, err := os.ReadFile(binaryFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(code) != 4*len(words) {
		t.Fatalf("%d bytes of code for %d words", len(code), len(words))
	}
	for i, w := range words {
		if got := fmt.Sprintf("%08x", binary.LittleEndian.Uint32(code[4*i:])); got != w[1] {
			t.Errorf("%s is %s, not %s", w[2], got, w[1])
		}
	}
}
