package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		"--kv q8_0 a":                     `--kv "q8_0" is neither f16 nor f32`,
		"--json --markdown a":             "exclude each other",
		"nowhere.gguf":                    "no such file",
		"-p 9999 " + builtinFile:          "the model was made for 512",
		"--cpu fast -n 1 " + builtinFile:  `unknown level "fast"`,
		"-t 0,1025 -n 1 " + builtinFile:   `"1025" is not a number from 0 to 1024`,
		"-b 0 -n 1 " + builtinFile:        `"0" is not a number from 1`,
		"-p 0 -n 1 -d 512 " + builtinFile: "513 tokens in one sequence",
		"bench_test.go":                   "gguf",
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
	if !strings.Contains(out.String(), "-p LIST") {
		t.Errorf("help is\n%s", out.String())
	}
}

func TestRate(t *testing.T) {
	for want, runs := range map[string][]float64{"20.0 ± 10.0": {30, 10, 20}, "2.50 ± 1.50": {1, 4, 2, 3}, "7.00 ± 0.00": {7}} {
		if got := rate(runs); got != want {
			t.Errorf("%v is %s, want %s", runs, got, want)
		}
	}
}
