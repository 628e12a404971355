package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// benchWriter prints results: tables row by row as they come, JSON at the end.
type benchWriter struct {
	out  io.Writer
	form string
	rows []benchResult
}

func newBenchWriter(out io.Writer, form string) *benchWriter {
	return &benchWriter{out: out, form: form, rows: []benchResult{}}
}

var benchHead = []string{"model", "type", "size", "kv", "threads", "level", "test", "tokens/s"}

func (w *benchWriter) add(r benchResult) error {
	w.rows = append(w.rows, r)
	if w.form == "json" {
		return nil
	}
	if len(w.rows) == 1 {
		if err := w.line(benchHead); err != nil {
			return err
		}
		if w.form == "markdown" {
			if _, err := fmt.Fprintln(w.out, strings.Repeat("| --- ", len(benchHead))+"|"); err != nil {
				return err
			}
		}
	}
	return w.line([]string{
		r.Model, r.Type, fmt.Sprintf("%.1f MiB", float64(r.Size)/(1<<20)), r.KVType, fmt.Sprint(r.Threads), r.Level, r.Test, rate(r.TokensPerSecond),
	})
}

func (w *benchWriter) line(cells []string) error {
	if w.form == "markdown" {
		_, err := fmt.Fprintln(w.out, "| "+strings.Join(cells, " | ")+" |")
		return err
	}
	_, err := fmt.Fprintf(w.out, "%-28.28s %-6s %12s %-4s %7s %-8s %-14s %s\n",
		cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7])
	return err
}

func (w *benchWriter) close() error {
	if w.form != "json" {
		return nil
	}
	e := json.NewEncoder(w.out)
	e.SetIndent("", "  ")
	return e.Encode(w.rows)
}

// rate is the median of the runs and how far the runs lie apart, half of the span.
func rate(runs []float64) string {
	sorted := slices.Sorted(slices.Values(runs))
	n := len(sorted)
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	digits := 1
	if math.Abs(median) < 10 {
		digits = 2
	}
	return fmt.Sprintf("%.*f ± %.*f", digits, median, digits, (sorted[n-1]-sorted[0])/2)
}
