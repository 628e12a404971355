package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func benchRows(t *testing.T, args string) []benchResult {
	t.Helper()
	var out bytes.Buffer
	must(t, Bench(context.Background(), strings.Fields(args), os.Getenv("WEFT_CPU"), &out))
	var rows []benchResult
	must(t, json.Unmarshal(out.Bytes(), &rows))
	return rows
}

// TestBenchPerplexity: results are defined to the bit, so the built-in model's figure on a text of ours is one figure on every machine,
// with any threads and steps, and its divergence from itself is nothing at all.
func TestBenchPerplexity(t *testing.T) {
	const perplexity, deviation, scored = 10.908148202770168, 4.362845218441308, 93
	logits := filepath.Join(t.TempDir(), "logits")
	args := "--perplexity testdata/perplexity.txt --chunk 64 --json " + builtinFile
	first := benchRows(t, "-t 1 --logits-out "+logits+" "+args)[0].Perplexity
	if first.Perplexity != perplexity || first.Error != deviation || first.Scored != scored || first.Divergence != nil {
		t.Errorf("perplexity %v ± %v of %d tokens, want %v ± %v of %d", first.Perplexity, first.Error, first.Scored, perplexity, deviation, scored)
	}
	for _, r := range benchRows(t, "-t 1,2 -u 13 --against "+logits+" "+args) {
		p := r.Perplexity
		if p.Perplexity != first.Perplexity || *p.Divergence != (benchDivergence{SameBest: 1}) {
			t.Errorf("in steps of 13: perplexity %v, divergence %+v", p.Perplexity, *p.Divergence)
		}
	}
	other := benchRows(t, "--kv f32 -t 1 --against "+logits+" "+args)[0].Perplexity
	if d := other.Divergence; !(d.Mean > 0 && d.Mean < 1e-4 && d.Most >= d.Mean && d.SameBest > 0.9) {
		t.Errorf("with another cache: divergence %+v", *d)
	}
	var out bytes.Buffer
	must(t, Bench(context.Background(), strings.Fields("--perplexity testdata/perplexity.txt --chunk 64 --markdown -t 1 --against "+logits+" "+builtinFile), "", &out))
	for _, want := range []string{"| perplexity | mean KL | same best |", "| 0.000000 ± 0.000000 | 100.00 % |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestScores compares with what is worked out by hand: two tokens, of probabilities 1/4 and 3/4 by the oracle, 1/2 each by the model.
func TestScores(t *testing.T) {
	var s scores
	s.add([]float32{1, 1, 2, 2}, []float32{0, float32(math.Log(3)), float32(math.Log(3)), 0}, []int32{0, 1}, 2)
	if value, e := s.perplexity(); math.Abs(value-2) > 1e-12 || e > 1e-12 {
		t.Errorf("perplexity %v ± %v", value, e)
	}
	want := math.Log(0.25/0.5)/4 + 3*math.Log(0.75/0.5)/4
	if d := s.divergence(); math.Abs(d.Mean-want) > 1e-7 || math.Abs(d.Most-want) > 1e-7 || d.SameBest != 0.5 {
		t.Errorf("divergence %+v, want %v", d, want)
	}
}

func TestBenchPerplexityMistakes(t *testing.T) {
	logits := filepath.Join(t.TempDir(), "logits")
	text := "--perplexity testdata/perplexity.txt -t 1 "
	benchRows(t, text+"--chunk 64 --json --logits-out "+logits+" "+builtinFile)
	cut := filepath.Join(t.TempDir(), "cut")
	whole, err := os.ReadFile(logits)
	must(t, err)
	must(t, os.WriteFile(cut, whole[:len(whole)-1], 0o600))
	for args, want := range map[string]string{
		"--against x ":              "want --perplexity TEXT",
		"--chunk 64 ":               "want --perplexity TEXT",
		text + "--chunk 3 ":         "4 to 65536",
		text + "--chunk 500 ":       "and a chunk 500",
		text + "--roofline ":        "exclude each other",
		text + "--load ":            "exclude each other",
		"--perplexity nowhere.txt ": "no such file",
		text + "--chunk 64 --logits-out " + logits + " ": "file exists",
		text + "--chunk 64 --against bench_test.go ":     "is no file of logits",
		text + "--chunk 32 --against " + logits + " ":    "of another text, vocabulary or chunk",
		text + "--chunk 64 --against " + cut + " ":       "ends early",
	} {
		if err := Bench(context.Background(), strings.Fields(args+builtinFile), "", new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want %s", args, err, want)
		}
	}
}

// TestBenchLoad: the time to the first token, as the daemon loads.
func TestBenchLoad(t *testing.T) {
	row := benchRows(t, "--load -t 1 -r 2 --json "+builtinFile)[0]
	if row.Test != "load" || len(row.LoadMillis) != 2 || !(row.LoadMillis[0] > 0) || row.TokensPerSecond != nil {
		t.Errorf("row %+v", row)
	}
	path := filepath.Join(t.TempDir(), "kept.gguf")
	if rows := benchRows(t, "--synthetic 260k:q4_0 --load -t 1 -r 1 --json --keep "+path); len(rows) != 1 {
		t.Errorf("%d rows", len(rows))
	}
	err := Bench(context.Background(), strings.Fields("--synthetic 260k:q4_0 --load"), "", new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "--keep") {
		t.Errorf("error is %v", err)
	}
}
