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
	head []string
	rows []benchResult
}

func newBenchWriter(out io.Writer, plan benchPlan) *benchWriter {
	head := []string{"model", "type", "size", "kv", "threads", "level", "test", "tokens/s"}
	switch {
	case plan.load:
		head[len(head)-1] = "ms"
	case plan.perplexity.text != "":
		head = append(head, "perplexity")
		if plan.perplexity.against != "" {
			head = append(head, "mean KL", "same best")
		}
	case plan.roofline:
		head = append(head, "GB/s read", "G multiply-adds/s")
	}
	return &benchWriter{out: out, form: plan.form, head: head, rows: []benchResult{}}
}

func (w *benchWriter) add(r benchResult) error {
	w.rows = append(w.rows, r)
	if w.form == "json" {
		return nil
	}
	if len(w.rows) == 1 {
		if err := w.line(w.head); err != nil {
			return err
		}
		if w.form == "markdown" {
			if _, err := fmt.Fprintln(w.out, strings.Repeat("| --- ", len(w.head))+"|"); err != nil {
				return err
			}
		}
	}
	cells := []string{
		r.Model, r.Type, fmt.Sprintf("%.1f MiB", float64(r.Size)/(1<<20)), r.KVType, fmt.Sprint(r.Threads), r.Level, r.Test, rate(slices.Concat(r.TokensPerSecond, r.LoadMillis)),
	}
	if p := r.Perplexity; p != nil {
		cells = append(cells, fmt.Sprintf("%.4f ± %.4f", p.Perplexity, p.Error))
		if d := p.Divergence; d != nil {
			cells = append(cells, fmt.Sprintf("%.6f ± %.6f", d.Mean, d.Error), fmt.Sprintf("%.2f %%", 100*d.SameBest))
		}
	}
	if r.Roofline != nil {
		cells = append(cells, r.Roofline.memory(), r.Roofline.arithmetic())
	}
	return w.line(cells)
}

func (w *benchWriter) line(cells []string) error {
	if w.form == "markdown" {
		_, err := fmt.Fprintln(w.out, "| "+strings.Join(cells, " | ")+" |")
		return err
	}
	widths := []int{-28, -6, 12, -4, 7, -8, -14, -16, -22, -22, 0}
	var line strings.Builder
	for i, cell := range cells {
		if i == 0 {
			cell = fmt.Sprintf("%.28s", cell)
		}
		fmt.Fprintf(&line, "%*s ", widths[i], cell)
	}
	_, err := fmt.Fprintln(w.out, strings.TrimRight(line.String(), " "))
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

// median is the middle of the runs.
func median(runs []float64) float64 {
	sorted := slices.Sorted(slices.Values(runs))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// rate is the median of the runs and how far the runs lie apart, half of the span.
func rate(runs []float64) string {
	middle, digits := median(runs), 1
	if math.Abs(middle) < 10 {
		digits = 2
	}
	return fmt.Sprintf("%.*f ± %.*f", digits, middle, digits, (slices.Max(runs)-slices.Min(runs))/2)
}
