// Command _gen writes the assembly of kernels/cpu/avx2. Run it by `go run .` in this folder; it takes no arguments.
// README.md says what each kernel does and what was tried.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	for name, value := range map[string]string{
		"out": "../cpu/avx2/impl_amd64.s", "stubs": "../cpu/avx2/stubs.go", "pkg": "avx2",
	} {
		if err := flag.Set(name, value); err != nil {
			log.Fatal(err)
		}
	}
	ConstraintExpr("amd64,!noasm")
	rows()
	rowsFloat()
	unpack()
	panels()
	mulFloats()
	activations()
	elementwise()
	attention()
	limits()
	Generate()
}
