package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpread(t *testing.T) {
	ms := func(list ...int) (out []time.Duration) {
		for _, n := range list {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for name, c := range map[string]struct {
		values []time.Duration
		want   percentiles
	}{
		"none":    {nil, percentiles{}},
		"one":     {ms(7), percentiles{7, 7, 7, 7, 7}},
		"two":     {ms(3, 1), percentiles{2, 1, 3, 3, 3}},
		"hundred": {ms(hundred...), percentiles{50.5, 50, 90, 99, 100}},
	} {
		if diff := cmp.Diff(c.want, spread(c.values)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestSummarize(t *testing.T) {
	w := workload{Model: "m", Requests: 4, Concurrency: 2, Prompt: 10, Generate: 3}
	ok := sample{first: 20 * time.Millisecond, gaps: []time.Duration{time.Millisecond, 3 * time.Millisecond}, total: 30 * time.Millisecond, tokens: 3}
	r := summarize(w, []sample{ok, {err: errors.New("a")}, ok, {err: errors.New("a")}}, 2*time.Second)
	if r.Completed != 2 || r.Failed != 2 || r.Tokens != 6 || r.Rate != 3 || r.Prefill != 10 || r.PerSecond != 1 {
		t.Errorf("totals are %+v", r)
	}
	if diff := cmp.Diff([]errorTotal{{"a", 2}}, r.Errors); diff != "" {
		t.Errorf("errors (-want +got)\n%s", diff)
	}
	if r.Between.P50 != 1 || r.Between.Max != 3 || r.First.Mean != 20 {
		t.Errorf("times are %+v, %+v", r.First, r.Between)
	}
}

func TestTexts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{bytesText(0), "0 B"},
		{bytesText(1023), "1023 B"},
		{bytesText(1024), "1.0 KiB"},
		{bytesText(1<<20 - 1), "1.0 MiB"},
		{bytesText(98362432), "93.8 MiB"},
		{bytesText(5 << 40), "5.0 TiB"},
		{countText(0), "-"},
		{countText(999), "999"},
		{countText(260032), "260 K"},
		{countText(134515008), "135 M"},
		{countText(999_600_000), "1.0 B"},
		{countText(7_240_000_000), "7.2 B"},
		{millisText(0.123), "0.12 ms"},
		{millisText(12.3), "12 ms"},
		{millisText(2345), "2.35 s"},
		{printable("a\x1b[31m\n\u009bb"), "a\ufffd[31m\ufffd\ufffdb"},
		{shorten("short", 8), "short"},
		{shorten("größer als acht", 8), "größe..."},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	now, old := time.Now().Add(-90*time.Minute), time.Date(2024, 2, 29, 1, 2, 3, 0, time.Local)
	for _, c := range []struct {
		when *time.Time
		want string
	}{{nil, "-"}, {&now, "1 h ago"}, {&old, "2024-02-29"}} {
		if got := agoText(c.when); got != c.want {
			t.Errorf("agoText(%v) = %q, want %q", c.when, got, c.want)
		}
	}
}
