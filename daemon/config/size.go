package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is an amount of memory: bytes, or a share of the machine's memory when Percent is not 0.
type Size struct {
	Bytes   int64
	Percent float64
}

// units are the endings of a size. Longer endings come first, so that "KiB" is not read as "B".
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"K", 1 << 10},
	{"M", 1 << 20},
	{"G", 1 << 30},
	{"T", 1 << 40},
	{"B", 1},
}

// ParseSize reads "4GiB", "500MB", "1048576" or "60%".
func ParseSize(text string) (Size, error) {
	number := strings.TrimSpace(text)
	scale := 1.0
	if share, ok := strings.CutSuffix(number, "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(p > 0 && p <= 100) {
			return Size{}, fmt.Errorf("%w: %q is not a share above 0%% and up to 100%%", ErrValue, text)
		}
		return Size{Percent: p}, nil
	}
	for _, u := range units {
		if head, ok := cutSuffixFold(number, u.name); ok {
			number, scale = strings.TrimSpace(head), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	bytes := v * scale
	if err != nil || !(bytes >= 1 && bytes < math.MaxInt64) {
		return Size{}, fmt.Errorf("%w: %q is not a size such as \"4GiB\", \"500MB\" or \"60%%\"", ErrValue, text)
	}
	return Size{Bytes: int64(bytes)}, nil
}

// Of returns the size in bytes on a machine with total bytes.
func (s Size) Of(total int64) int64 {
	if s.Percent != 0 {
		return int64(float64(total) * s.Percent / 100)
	}
	return s.Bytes
}

// String returns the size as ParseSize reads it.
func (s Size) String() string {
	if s.Percent != 0 {
		return strconv.FormatFloat(s.Percent, 'g', -1, 64) + "%"
	}
	for i := 3; i >= 0; i-- {
		unit := int64(units[i].bytes)
		if s.Bytes >= unit && s.Bytes%unit == 0 {
			return strconv.FormatInt(s.Bytes/unit, 10) + units[i].name
		}
	}
	return strconv.FormatInt(s.Bytes, 10)
}

// cutSuffixFold is strings.CutSuffix that takes upper and lower case as equal.
func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}
