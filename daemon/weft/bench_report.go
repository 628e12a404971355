package main

import (
	"fmt"
	"slices"
	"time"
)

// benchReport is the outcome of a load, and its --json. Times are milliseconds.
type benchReport struct {
	workload
	Wall      float64      `json:"wall_ms"`
	Completed int          `json:"completed"`
	Failed    int          `json:"failed"`
	Tokens    int          `json:"generated_tokens"`
	Rate      float64      `json:"tokens_per_second"`        // generated, all requests together
	Prefill   float64      `json:"prompt_tokens_per_second"` // of prompts, all requests together
	PerSecond float64      `json:"requests_per_second"`
	First     percentiles  `json:"first_token_ms"`
	Between   percentiles  `json:"between_tokens_ms"`
	Total     percentiles  `json:"request_ms"`
	Errors    []errorTotal `json:"errors"` // the most frequent first
}

type errorTotal struct {
	Message string `json:"message"`
	Count   int    `json:"count"`
}

// percentiles are of the smallest value that at least so many in a hundred do not exceed.
type percentiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func summarize(w workload, samples []sample, wall time.Duration) *benchReport {
	r := &benchReport{workload: w, Wall: millis(wall), Errors: []errorTotal{}}
	var first, between, total []time.Duration
	for _, s := range samples {
		if s.err != nil {
			r.Failed++
			r.count(s.err.Error())
			continue
		}
		r.Completed++
		r.Tokens += s.tokens
		first, between, total = append(first, s.first), append(between, s.gaps...), append(total, s.total)
	}
	slices.SortStableFunc(r.Errors, func(a, b errorTotal) int { return b.Count - a.Count })
	r.First, r.Between, r.Total = spread(first), spread(between), spread(total)
	if seconds := wall.Seconds(); seconds > 0 {
		r.Rate = float64(r.Tokens) / seconds
		r.Prefill = float64(r.Completed*w.Prompt) / seconds
		r.PerSecond = float64(r.Completed) / seconds
	}
	return r
}

func (r *benchReport) count(message string) {
	for i := range r.Errors {
		if r.Errors[i].Message == message {
			r.Errors[i].Count++
			return
		}
	}
	r.Errors = append(r.Errors, errorTotal{message, 1})
}

func spread(values []time.Duration) (p percentiles) {
	if len(values) == 0 {
		return p
	}
	slices.Sort(values)
	var sum time.Duration
	for _, v := range values {
		sum += v
	}
	// Rank k of n values, counted from 1, is the smallest with k >= n*percent/100.
	at := func(percent int) float64 { return millis(values[(len(values)*percent+99)/100-1]) }
	return percentiles{Mean: millis(sum) / float64(len(values)), P50: at(50), P90: at(90), P99: at(99), Max: at(100)}
}

func (a *app) printBench(r *benchReport) error {
	if _, err := fmt.Fprintf(a.out, "%s: %d requests, %d at a time, %d prompt tokens, %d generated; %s\n\n", printable(r.Model), r.Requests, r.Concurrency,
		r.Prompt, r.Generate, millisText(r.Wall)); err != nil {
		return err
	}
	row := func(name string, p percentiles) []cell {
		return []cell{
			word(name), number(millisText(p.Mean)), number(millisText(p.P50)), number(millisText(p.P90)), number(millisText(p.P99)), number(millisText(p.Max)),
		}
	}
	err := a.table([]string{"", "MEAN", "P50", "P90", "P99", "MAX"}, [][]cell{
		row("first token", r.First), row("between tokens", r.Between), row("whole request", r.Total),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%.1f tokens/s generated, %.1f tokens/s of prompts, %.2f requests/s\n", r.Rate, r.Prefill, r.PerSecond)
	for _, e := range r.Errors {
		fmt.Fprintln(a.out, a.paint(fmt.Sprintf("%d failed: %s", e.Count, printable(e.Message)), red))
	}
	return nil
}
