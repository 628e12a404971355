package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// isTerminal says whether v is a file that is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printJSON writes v as one indented JSON value. What could steer a terminal is escaped.
func (a *app) printJSON(v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	out := make([]byte, 0, text.Len())
	for _, r := range text.String() { // valid UTF-8, as the encoder makes it; such characters stand in strings alone
		if r == '\n' || unicode.IsGraphic(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, "\\u%04x", unit)
		}
	}
	_, err := a.out.Write(out)
	return err
}

// style is a way to show a word on a terminal.
type style string

const (
	plain  style = ""
	bold   style = "1"
	green  style = "32"
	red    style = "31"
	yellow style = "33"
)

// paint returns text in a style where stdout is a terminal that wants colours (https://no-color.org).
func (a *app) paint(text string, s style) string {
	if s == plain || a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb" || !isTerminal(a.out) {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// cell is a word of a table.
type cell struct {
	text  string
	style style
	right bool // aligned to the right, as numbers are
}

func word(s string) cell                     { return cell{text: s} }
func number(s string) cell                   { return cell{text: s, right: true} }
func styled(text string, s style) cell       { return cell{text: text, style: s} }
func count[T int | int64 | uint64](n T) cell { return number(fmt.Sprint(n)) }

// table prints rows of cells in columns as wide as their widest cell. What comes from files and daemons is made printable.
func (a *app) table(head []string, rows [][]cell) error {
	all := make([][]cell, 0, len(rows)+1)
	if head != nil {
		top := make([]cell, len(head))
		for i, h := range head {
			top[i] = cell{text: h, style: bold}
			if len(rows) > 0 && i < len(rows[0]) {
				top[i].right = rows[0][i].right
			}
		}
		all = append(all, top)
	}
	all = append(all, rows...)
	var widths []int
	for _, row := range all {
		for i := range row {
			row[i].text = printable(row[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, c := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			switch {
			case c.right:
				line.WriteString(gap + a.paint(c.text, c.style))
			case i == len(row)-1:
				line.WriteString(a.paint(c.text, c.style))
			default:
				line.WriteString(a.paint(c.text, c.style) + gap)
			}
			if i < len(row)-1 {
				line.WriteString("  ")
			}
		}
		if _, err := io.WriteString(a.out, strings.TrimRight(line.String(), " ")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// printable replaces control characters and those that change the direction of text or are not seen, so that a name in a file can
// neither steer a terminal nor pass for another.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// bytesText writes a size as people read it.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.95 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}

// countText writes a number of parameters as people say it: 135 M, 1.1 B.
func countText(n int64) string {
	switch {
	case n <= 0:
		return "-"
	case n < 1e3:
		return fmt.Sprint(n)
	case n < 1e6:
		return fmt.Sprintf("%.0f K", float64(n)/1e3)
	case n < 999.5e6:
		return fmt.Sprintf("%.0f M", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f B", float64(n)/1e9)
	}
}

// millisText writes a duration in milliseconds with three digits or so.
func millisText(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
}

// agoText says how long ago t was.
func agoText(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	switch d := time.Since(*t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return t.Format(time.DateOnly)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
