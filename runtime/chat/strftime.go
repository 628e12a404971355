package chat

import (
	"fmt"
	"strings"
	"time"
)

// maxTimeFormat bounds the format that a template gives, in bytes: a conversion of two bytes becomes up to 24, which the budget of the rendering
// would hear of only when they are made.
const maxTimeFormat = 1024

// strftime formats a time as Python's datetime.strftime does in the C locale. A conversion it does not know stays as it is.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format) // glibc: without leading zeros
		if bare {
			i++
		}
		num := func(width, n int) {
			if bare {
				width = 0
			}
			fmt.Fprintf(&b, "%0*d", width, n)
		}
		spaced := func(n int) {
			if bare {
				num(0, n)
			} else {
				fmt.Fprintf(&b, "%2d", n)
			}
		}
		hour12 := (t.Hour()+11)%12 + 1
		switch format[i] {
		case 'Y':
			num(1, t.Year())
		case 'm':
			num(2, int(t.Month()))
		case 'd':
			num(2, t.Day())
		case 'e':
			spaced(t.Day())
		case 'k':
			spaced(t.Hour())
		case 'l':
			spaced(hour12)
		case 'y':
			num(2, t.Year()%100)
		case 'C':
			num(2, t.Year()/100)
		case 'g':
			year, _ := t.ISOWeek()
			num(2, year%100)
		case 'H':
			num(2, t.Hour())
		case 'I':
			num(2, hour12)
		case 'M':
			num(2, t.Minute())
		case 'S':
			num(2, t.Second())
		case 'f':
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		case 'j':
			num(3, t.YearDay())
		case 'w':
			num(1, int(t.Weekday()))
		case 'u':
			num(1, (int(t.Weekday())+6)%7+1)
		case 'U':
			num(2, (t.YearDay()+6-int(t.Weekday()))/7)
		case 'W':
			num(2, (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
		case 'V':
			_, week := t.ISOWeek()
			num(2, week)
		case 'G':
			year, _ := t.ISOWeek()
			num(1, year)
		case 'B':
			b.WriteString(t.Month().String())
		case 'b', 'h':
			b.WriteString(t.Month().String()[:3])
		case 'A':
			b.WriteString(t.Weekday().String())
		case 'a':
			b.WriteString(t.Weekday().String()[:3])
		case 'p':
			b.WriteString(t.Format("PM"))
		case 'P':
			b.WriteString(t.Format("pm"))
		case 'c':
			b.WriteString(t.Format("Mon Jan _2 15:04:05 2006"))
		case 'D', 'x':
			b.WriteString(t.Format("01/02/06"))
		case 'F':
			b.WriteString(t.Format("2006-01-02"))
		case 'T', 'X':
			b.WriteString(t.Format("15:04:05"))
		case 'r':
			b.WriteString(t.Format("03:04:05 PM"))
		case 'R':
			b.WriteString(t.Format("15:04"))
		case 'Z', 'z': // the time Python's renderer formats has no zone
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '%':
			b.WriteByte('%')
		default:
			b.WriteByte('%')
			b.WriteByte(format[i])
		}
	}
	return b.String()
}
