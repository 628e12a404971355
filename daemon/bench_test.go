package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

const builtinFile = "builtin/stories260K-f32.gguf"

func TestBenchJSON(t *testing.T) {
	var out bytes.Buffer
	args := strings.Fields("-p 40 -n 3 -d 0,33 -b 1,4 -t 1,2 -r 2 -u 16 --json " + builtinFile)
	must(t, Bench(context.Background(), args, "", &out))
	var rows []struct {
		Test            string
		Threads         int
		Level           string
		Type            string
		Model           string
		Size            int64
		TokensPerSecond []float64 `json:"tokens_per_second"`
	}
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var tests []string
	for _, r := range rows {
		tests = append(tests, r.Test)
		if len(r.TokensPerSecond) != 2 || r.TokensPerSecond[0] <= 0 || r.Type != "F32" || r.Model != "stories260K" || r.Level == "" || r.Size == 0 {
			t.Errorf("row %+v", r)
		}
	}
	one := []string{"pp40", "tg3", "tg3x4", "pp40@33", "tg3@33", "tg3x4@33"}
	if d := cmp.Diff(append(one, one...), tests); d != "" {
		t.Error(d)
	}
	if rows[0].Threads != 1 || rows[6].Threads != 2 {
		t.Errorf("threads are %d, then %d", rows[0].Threads, rows[6].Threads)
	}
}

func TestBenchTables(t *testing.T) {
	for form, want := range map[string]string{"": "stories260K", "--markdown": "| stories260K | F32 | 1.0 MiB | f16 | 1 |"} {
		var out bytes.Buffer
		args := strings.Fields("-p 0 -n 2 -t 1 -r 1 " + form + " " + builtinFile)
		must(t, Bench(context.Background(), args, "ref", &out))
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "tg2") || strings.Contains(out.String(), "pp") {
			t.Errorf("%s prints\n%s", form, out.String())
		}
	}
}

func TestBenchMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "0 files named",
		"a b":                             "2 files named",
		"-x a":                            "not defined: -x",
		"-p many a":                       `"many" is not a number`,
		"-d -1 a":                         `"-1" is not a number from 0`,
		"-r 0 a":                          "at least one run",
		"--kv q8 a":                       `--kv "q8" is none of [f16 f32 q8_0 q4_0]`,
		"--json --markdown a":             "exclude each other",
		"nowhere.gguf":                    "no such file",
		"-p 9999 " + builtinFile:          "the model was made for 512",
		"--cpu fast -n 1 " + builtinFile:  `unknown level "fast"`,
		"-t 0,1025 -n 1 " + builtinFile:   `"1025" is not a number from 0 to 1024`,
		"-b 0 -n 1 " + builtinFile:        `"0" is not a number from 1`,
		"-p 0 -n 1 -d 512 " + builtinFile: "513 tokens in one sequence",
		"bench_test.go":                   "gguf",

		"--synthetic tiny":                            "tiny:q4_k_m, or add --types",
		"--synthetic tiny:q9":                         `unknown type "q9"`,
		"--synthetic huge:q8_0":                       `unknown shape "huge"`,
		"--synthetic tiny:q8_0 a":                     "1 files named",
		"--synthetic tiny:q8_0 --types q4_0":          "names a type and --types others",
		"--synthetic tiny --types q4_0,":              `unknown type ""`,
		"--synthetic tiny --types q4_0,q8_0 --keep x": "--keep names one file, and --types 2",
		"--types q4_0 a":                              "want --synthetic",
		"--keep x a":                                  "want --synthetic",
		"--synthetic tiny:q8_0 --keep bench_test.go":  "file exists",
		"--synthetic tiny:q8_0 --keep no/such/folder": "no such file",
		"--synthetic tiny,heads=7:q8_0":               "heads must divide",
		"-p 0 -n 1 -d 32768 --synthetic tiny:q8_0":    "32769 tokens in one sequence",
	} {
		err := Bench(context.Background(), strings.Fields(args), "", new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want %s", args, err, want)
		}
	}
	if err := Bench(context.Background(), []string{"-x", "a"}, "", nil); !errors.Is(err, ErrUsage) {
		t.Errorf("%v is not a mistake of usage", err)
	}
}

func TestBenchStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Bench(ctx, []string{builtinFile}, "", new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestBenchHelp(t *testing.T) {
	var out bytes.Buffer
	must(t, Bench(context.Background(), []string{"--help"}, "", &out))
	if !strings.Contains(out.String(), "-p LIST") || !strings.Contains(out.String(), "iq4_xs") {
		t.Errorf("help is\n%s", out.String())
	}
}

// TestBenchManPage demands every flag of the help in the man page.
func TestBenchManPage(t *testing.T) {
	page, err := os.ReadFile("../packaging/man/weftd.1")
	must(t, err)
	text := strings.ReplaceAll(string(page), `\-`, "-")
	flags := regexp.MustCompile(`(?m)^  (--?[a-z-]+) `).FindAllStringSubmatch(benchUsage, -1)
	if len(flags) < 10 {
		t.Fatalf("only %d flags found in the help", len(flags))
	}
	for _, f := range flags {
		if !regexp.MustCompile(`(?m)^\.B[IR]? (.* )?` + f[1] + `\b`).MatchString(text) {
			t.Errorf("weftd.1 does not mention %s of bench", f[1])
		}
	}
}

// TestBenchSynthetic: one table over several types, with the limits beside them, and nothing left in the temporary folder.
func TestBenchSynthetic(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	args := strings.Fields("--synthetic tiny --types Q4_K_M,f16 -p 40 -u 16 -n 3 -b 1,4 -t 1 -r 1 --roofline --json")
	must(t, Bench(context.Background(), args, "", &out))
	var rows []benchResult
	must(t, json.Unmarshal(out.Bytes(), &rows))
	if len(rows) != 2*3 || rows[0].Model != "tiny:q4_k_m" || rows[0].Type != "Q4_K" || rows[3].Model != "tiny:f16" || rows[3].Type != "F16" {
		t.Fatalf("%d rows\n%s", len(rows), out.String())
	}
	for _, r := range rows {
		l := r.Roofline
		if l == nil || l.ReadLimit <= 0 || l.BytesLimit <= 0 || l.FloatLimit <= 0 || l.ReadFraction <= 0 || l.ComputeFraction <= 0 || l.BytesBy == "" {
			t.Errorf("%s %s has %+v", r.Model, r.Test, l)
		} else if (l.Float > 0) != (r.Type == "F16") || (l.Bytes > 0) == (r.Type == "F16") {
			t.Errorf("%s %s multiplies %+v", r.Model, r.Test, l)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestBenchKeep: the file stays, and is a model.
func TestBenchKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept.gguf")
	var out bytes.Buffer
	must(t, Bench(context.Background(), strings.Fields("--synthetic 260k:q8_0 -p 0 -n 1 -t 1 -r 1 --roofline --keep "+path), "", &out))
	must(t, Bench(context.Background(), strings.Fields("-p 0 -n 1 -t 1 -r 1 --markdown --roofline "+path), "", &out))
	for _, want := range []string{"GB/s read", "| 260k:q8_0 | Q8_0 |", "multiply-adds", " %)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestBenchCost: what a step reads and multiplies, by hand.
func TestBenchCost(t *testing.T) {
	const layer = 2*256*256 + 2*64*256 // q, output; k, v
	const ffn = 3 * 768 * 256
	m, err := synthetic.Parse("tiny:q8_0")
	must(t, err)
	path := filepath.Join(t.TempDir(), "m.gguf")
	must(t, m.WriteFile(context.Background(), path))
	f, err := gguf.Open(path, gguf.DefaultLimits())
	must(t, err)
	defer f.Close()
	model, err := models.Load(f)
	must(t, err)
	cost := costOf(f, model.Config(), benchPlan{cache: kernels.CacheF16, stepTokens: 16})
	const matrices, head = 2 * (layer + ffn), 1024 * 256
	const wanted = head + 256*256 + ffn
	limits := cpu.Roofline{ReadBytes: 1e9, Bytes: 1e9, Floats: 1e9}
	for _, c := range []struct {
		test        benchTest
		read, bytes float64
	}{
		{benchTest{output: 1, batch: 1}, (matrices + head) * 34 / 32, matrices + head},
		{benchTest{output: 3, batch: 4, depth: 9}, (matrices+head)*34/32/4. + 10*2*2*2*64, matrices + head},
		{benchTest{prompt: 40, batch: 1}, (matrices + head) * 34 / 32 * 3 / 40., matrices + head - wanted + wanted/40.},
	} {
		r := cost.against(limits, c.test, 2)
		if math.Abs(r.Read-c.read) > 1e-6*c.read || math.Abs(r.Bytes-c.bytes) > 1e-6*c.bytes || r.Float != 0 {
			t.Errorf("%s: reads %v, want %v; multiplies %v, want %v", c.test.name(), r.Read, c.read, r.Bytes, c.bytes)
		}
		if math.Abs(r.ReadFraction-2e-9*r.Read) > 1e-9 || math.Abs(r.ComputeFraction-2e-9*r.Bytes) > 1e-9 {
			t.Errorf("%s: fractions %v, %v", c.test.name(), r.ReadFraction, r.ComputeFraction)
		}
	}
}

func TestRate(t *testing.T) {
	for want, runs := range map[string][]float64{"20.0 ± 10.0": {30, 10, 20}, "2.50 ± 1.50": {1, 4, 2, 3}, "7.00 ± 0.00": {7}} {
		if got := rate(runs); got != want {
			t.Errorf("%v is %s, want %s", runs, got, want)
		}
	}
}
