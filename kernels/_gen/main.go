// Command _gen writes the assembly of kernels/cpu/avx2 and kernels/cpu/avx512. Run it by `go run .` in this folder; it
// takes no arguments. README.md says what each kernel does and what was tried.
package main

import (
	"flag"
	"log"
	"os"
	"os/exec"

	. "github.com/mmcloughlin/avo/build"
)

// levels are the packages to write, each in a process of its own because avo keeps one file in global variables.
var levels = map[string]func(){
	"avx2": func() {
		rows()
		rowsFloat()
		unpack()
		panels()
		mulFloats()
		activations()
		elementwise()
		attention()
		limits()
	},
	"avx512": func() {
		byteUnpacking()
		byteProducts()
		byteRows()
		attention512()
		limitDots()
	},
}

func main() {
	if len(os.Args) == 1 {
		for name := range levels {
			self := exec.Command(os.Args[0], name)
			self.Stdout, self.Stderr = os.Stdout, os.Stderr
			if err := self.Run(); err != nil {
				log.Fatal(err)
			}
		}
		return
	}
	name := os.Args[1]
	for flagName, value := range map[string]string{
		"out": "../cpu/" + name + "/impl_amd64.s", "stubs": "../cpu/" + name + "/stubs.go", "pkg": name,
	} {
		if err := flag.Set(flagName, value); err != nil {
			log.Fatal(err)
		}
	}
	os.Args = []string{"main"} // avo names the command in what it writes
	ConstraintExpr("amd64,!noasm")
	levels[name]()
	Generate()
}
