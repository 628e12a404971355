package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVEXBytes compares every choice of three registers with GNU as.
func TestVEXBytes(t *testing.T) {
	if _, err := exec.LookPath("as"); err != nil {
		t.Skip("LOUD: skipped: GNU as for x86 is not installed (Debian: binutils)")
	}
	var source strings.Builder
	var want []byte
	for name, opcode := range map[string]uint8{"vpdpbusd": vpdpbusd, "vpdpwssd": vpdpwssd} {
		for i := range 16 * 16 * 16 {
			b, a, sum := uint8(i&15), uint8(i>>4&15), uint8(i>>8)
			fmt.Fprintf(&source, "{vex} %s %%ymm%d, %%ymm%d, %%ymm%d\n", name, b, a, sum)
			code := vexBytes(opcode, b, a, sum)
			want = append(want, code[:]...)
		}
	}
	dir := t.TempDir()
	object, code := filepath.Join(dir, "o"), filepath.Join(dir, "code")
	as := exec.Command("as", "--64", "-o", object, "-")
	as.Stdin = strings.NewReader(source.String())
	if out, err := as.CombinedOutput(); err != nil {
		t.Skipf("LOUD: skipped: as does not assemble AVX-VNNI: %v\n%s", err, out)
	}
	if out, err := exec.Command("objcopy", "-O", "binary", "-j", ".text", object, code).CombinedOutput(); err != nil {
		t.Fatalf("objcopy: %v\n%s", err, out)
	}
	got, err := os.ReadFile(code)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("GNU as makes other bytes")
	}
}
