package jinja

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	kEOF kind = iota
	kText
	kVarBegin
	kBlockBegin
	kName
	kString
	kInt
	kFloat
	kOp
)

// token is one word of the source. text is the name, the operator, the digits, or the text with its escapes resolved.
type token struct {
	kind kind
	text string
	line int
}

func (t token) String() string {
	switch t.kind {
	case kEOF:
		return "the end of the tag"
	case kString:
		return "a string"
	}
	return "'" + t.text + "'"
}

func (t token) is(k kind, text string) bool { return t.kind == k && t.text == text }

// piece is a part of a source: text as it will be written, or the tokens of a tag.
type piece struct {
	kind kind   // kText, kVarBegin or kBlockBegin
	text string // kText
	toks []token
	line int
}

// lexer cuts a source into pieces. It does the whitespace control, with trim_blocks and lstrip_blocks on: the newline
// behind a statement or comment goes, and so does the indentation before one that begins its line.
type lexer struct {
	src  string
	pos  int
	line int
	out  []piece
	toks []token // of the tag being read

	lineStart bool // what was read before ended with a newline that is gone, so that what follows begins a line
}

func lex(src string) ([]piece, error) {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	src = strings.TrimSuffix(src, "\n") // as Jinja does unless told to keep it
	l := &lexer{src: src, line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.outside(); err != nil {
			return nil, err
		}
	}
	return l.out, nil
}

func (l *lexer) fail(format string, args ...any) error {
	return &Error{l.line, fmt.Errorf(format, args...)}
}

func (l *lexer) emit(k kind, text string) {
	l.toks = append(l.toks, token{k, text, l.line})
}

// text emits text, stripped on the right as the sign of the tag behind it wants it: '-' all whitespace, '+' none, 0 an
// indentation that begins its line, if indented.
func (l *lexer) text(s string, sign byte, indented bool) {
	switch {
	case sign == '-':
		s = strings.TrimRightFunc(s, isSpace)
	case sign == 0 && indented:
		nl := strings.LastIndexByte(s, '\n') + 1
		if (nl > 0 || l.lineStart) && strings.TrimFunc(s[nl:], isSpace) == "" {
			s = s[:nl]
		}
	}
	if s != "" {
		l.out = append(l.out, piece{kind: kText, text: s, line: l.line})
	}
}

// skip moves on, counting lines.
func (l *lexer) skip(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

// sign returns the sign at the beginning of s, if there is one.
func sign(s string) byte {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[0]
	}
	return 0
}

// outside reads text up to the next delimiter and what that begins.
func (l *lexer) outside() error {
	rest := l.src[l.pos:]
	open := 0
	for {
		i := strings.IndexByte(rest[open:], '{')
		if i < 0 || open+i+1 >= len(rest) {
			l.text(rest, '+', false)
			l.skip(len(rest))
			return nil
		}
		open += i
		if c := rest[open+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		open++
	}
	delim, s := rest[open+1], sign(rest[open+2:])
	l.text(rest[:open], s, delim != '{')
	l.lineStart = false
	l.skip(open)
	if delim == '%' {
		if done, err := l.raw(); done || err != nil {
			return err
		}
	}
	l.skip(2)
	if s != 0 {
		l.skip(1)
	}
	switch delim {
	case '#':
		return l.comment()
	case '%':
		return l.tag(kBlockBegin, "%}")
	}
	return l.tag(kVarBegin, "}}")
}

// close skips the end of a tag, with the whitespace that goes with it.
func (l *lexer) close(sign byte, end string) {
	l.skip(len(end))
	if sign != 0 {
		l.skip(1)
	}
	before, rest := l.pos, l.src[l.pos:]
	switch {
	case sign == '-':
		l.skip(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
	case sign == 0 && end != "}}" && strings.HasPrefix(rest, "\n"):
		l.skip(1)
	}
	l.lineStart = l.pos > before && l.src[l.pos-1] == '\n'
}

func (l *lexer) comment() error {
	end := strings.Index(l.src[l.pos:], "#}")
	if end < 0 {
		return l.fail("missing end of comment tag")
	}
	s := byte(0)
	if end > 0 {
		if s = sign(l.src[l.pos+end-1:]); s != 0 {
			end--
		}
	}
	l.skip(end)
	l.close(s, "#}")
	return nil
}

var (
	rawBegin = regexp.MustCompile(`^\{%[-+]?\s*raw\s*(-%\}\s*|%\})`)
	rawEnd   = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*([-+]?)%\}`)
)

// raw reads a raw block, if that is what begins here.
func (l *lexer) raw() (bool, error) {
	begin := rawBegin.FindString(l.src[l.pos:])
	if begin == "" {
		return false, nil
	}
	l.skip(len(begin))
	rest := l.src[l.pos:]
	end := rawEnd.FindStringSubmatchIndex(rest)
	if end == nil {
		return false, l.fail("missing end of raw directive")
	}
	l.text(rest[:end[0]], sign(rest[end[2]:end[3]]), true)
	l.skip(end[4])
	l.close(sign(rest[end[4]:end[5]]), "%}")
	return true, nil
}

// tag reads the tokens of a tag.
func (l *lexer) tag(k kind, end string) error {
	line := l.line
	l.toks = nil
	s, err := l.inside(end)
	if err != nil {
		return err
	}
	l.emit(kEOF, "")
	l.out = append(l.out, piece{kind: k, toks: l.toks, line: line})
	l.close(s, end)
	return nil
}

// operators, the longer ones first.
var operators = []string{"**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ":", "|", ",", ";", "(", ")", "[", "]", "{", "}"}

// inside reads the tokens of a tag up to its end, whose sign it returns.
func (l *lexer) inside(end string) (byte, error) {
	var open []byte // the closing brackets still due
	for {
		rest := l.src[l.pos:]
		if rest == "" {
			return 0, l.fail("unexpected end of template, want '%s'", end)
		}
		if len(open) == 0 {
			if strings.HasPrefix(rest, end) {
				return 0, nil
			}
			if s := sign(rest); s != 0 && (s == '-' || end == "%}") && strings.HasPrefix(rest[1:], end) {
				return s, nil
			}
		}
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case isSpace(r):
			l.skip(size)
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(rest, func(r rune) bool {
				return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r)
			})
			if n < 0 {
				n = len(rest)
			}
			l.emit(kName, rest[:n])
			l.skip(n)
		case '0' <= r && r <= '9':
			if err := l.number(rest); err != nil {
				return 0, err
			}
		case r == '"' || r == '\'':
			if err := l.str(rest); err != nil {
				return 0, err
			}
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(rest, o) {
					op = o
					break
				}
			}
			switch op {
			case "":
				return 0, l.fail("unexpected char %q", r)
			case "(":
				open = append(open, ')')
			case "[":
				open = append(open, ']')
			case "{":
				open = append(open, '}')
			case ")", "]", "}":
				if len(open) == 0 {
					return 0, l.fail("unexpected '%s'", op)
				}
				if want := open[len(open)-1]; want != op[0] {
					return 0, l.fail("unexpected '%s', expected '%c'", op, want)
				}
				open = open[:len(open)-1]
			}
			l.emit(kOp, op)
			l.skip(len(op))
		}
	}
}

func digits(s string, ok func(c byte) bool) int {
	n := 0
	for n < len(s) && (ok(s[n]) || s[n] == '_' && n > 0 && n+1 < len(s) && ok(s[n+1])) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (l *lexer) number(rest string) error {
	if len(rest) > 2 && rest[0] == '0' && strings.ContainsRune("xXoObB", rune(rest[1])) {
		n := 2 + digits(rest[2:], func(c byte) bool {
			return isDigit(c) || (rest[1] == 'x' || rest[1] == 'X') && (c|0x20) >= 'a' && (c|0x20) <= 'f'
		})
		v, err := strconv.ParseInt(rest[:n], 0, 64)
		if err != nil {
			return l.fail("bad number %s", rest[:n])
		}
		l.emit(kInt, strconv.FormatInt(v, 10))
		l.skip(n)
		return nil
	}
	n := digits(rest, isDigit)
	k := kInt
	if n+1 < len(rest) && rest[n] == '.' && isDigit(rest[n+1]) {
		n += 1 + digits(rest[n+1:], isDigit)
		k = kFloat
	}
	if n < len(rest) && rest[n]|0x20 == 'e' {
		m := n + 1
		if m < len(rest) && (rest[m] == '+' || rest[m] == '-') {
			m++
		}
		if e := digits(rest[m:], isDigit); e > 0 {
			n = m + e
			k = kFloat
		}
	}
	l.emit(k, strings.ReplaceAll(rest[:n], "_", ""))
	l.skip(n)
	return nil
}

// str reads a string literal, with Python's escapes.
func (l *lexer) str(rest string) error {
	quote := rest[0]
	var b strings.Builder
	for i := 1; i < len(rest); {
		c := rest[i]
		if c == quote {
			l.emit(kString, b.String())
			l.skip(i + 1)
			return nil
		}
		if c != '\\' {
			b.WriteByte(c)
			i++
			continue
		}
		n, err := unescape(&b, rest[i:])
		if err != nil {
			return l.fail("%s", err.Error())
		}
		i += n
	}
	return l.fail("unexpected end of template in a string")
}

var simpleEscapes = map[byte]string{
	'\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\n': "",
}

// unescape writes what the escape at the beginning of s stands for and returns its length. An unknown one stands for
// itself, backslash included.
func unescape(b *strings.Builder, s string) (int, error) {
	if len(s) < 2 {
		return 0, fmt.Errorf("a string ends in a backslash")
	}
	if plain, ok := simpleEscapes[s[1]]; ok {
		b.WriteString(plain)
		return 2, nil
	}
	hex := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	switch {
	case hex > 0:
		if len(s) < 2+hex {
			return 0, fmt.Errorf("truncated \\%c escape", s[1])
		}
		v, err := strconv.ParseUint(s[2:2+hex], 16, 32)
		if err != nil || v > unicode.MaxRune {
			return 0, fmt.Errorf("bad \\%c escape", s[1])
		}
		b.WriteRune(rune(v))
		return 2 + hex, nil
	case '0' <= s[1] && s[1] <= '7':
		n := 1
		v := 0
		for n < len(s) && n < 4 && '0' <= s[n] && s[n] <= '7' {
			v = v*8 + int(s[n]-'0')
			n++
		}
		b.WriteRune(rune(v))
		return n, nil
	case s[1] == 'N':
		return 0, fmt.Errorf("\\N escapes are not supported")
	}
	b.WriteByte('\\')
	return 1, nil
}

// isSpace is Python's idea of whitespace: Unicode's and the four separators of ASCII.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F
}
