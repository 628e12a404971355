// Command _gen writes the assembly of kernels/cpu/avx2, avxvnni and avx512. Run it by `go run .` in this folder; it
// takes no arguments. README.md says what each kernel does and what was tried.
package main

import (
	"flag"
	"log"
	"os"
	"os/exec"
	"strings"

	. "github.com/mmcloughlin/avo/build"
)

// levels are the packages to write, each in a process of its own because avo keeps one file in global variables.
var levels = map[string]func(){
	"avx2": func() {
		rows()
		laneSupers(false)
		rowsFloat()
		mulWide()
		eightUnpacking()
		fourProducts()
		fewFours()
		mulFloats()
		mulFloats64()
		activations()
		packing()
		elementwise()
		attention()
		cacheQuants()
		limits()
		lowRank()
	},
	"avxvnni":      func() { vnniProducts(false) },
	"avxvnni/evex": func() { vnniProducts(true) },
	"avx512": func() {
		byteUnpacking()
		byteProducts()
		laneSupers(true)
		lanePacked()
		fewRows()
		wideFloats()
		attention512()
		attentionPaged512()
		cacheQuants512()
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
	// The tag evex replaces the assembly of a package by a variant of it.
	name := os.Args[1]
	pkg, variant, _ := strings.Cut(name, "/")
	constraint, suffix := "amd64,!noasm", ""
	if variant != "" {
		constraint, suffix = constraint+","+variant, "_"+variant
	} else if levels[name+"/evex"] != nil {
		constraint += ",!evex"
	}
	for flagName, value := range map[string]string{
		"out": "../cpu/" + pkg + "/impl" + suffix + "_amd64.s", "stubs": "../cpu/" + pkg + "/stubs" + suffix + ".go", "pkg": pkg,
	} {
		if err := flag.Set(flagName, value); err != nil {
			log.Fatal(err)
		}
	}
	generate := levels[name]
	os.Args = []string{"main"} // avo names the command in what it writes
	ConstraintExpr(constraint)
	generate()
	Generate()
}
