package chat

import (
	"fmt"
	"strings"
)

// translator reads the expressions of one tag by Jinja's grammar and writes them in the part of it that the library reads
// the same way: every operation whose meaning differs there becomes a filter of ours (see operations), and a conditional
// expression, which the library knows only at the top of a tag, becomes (test and [a] or [b])[0].
type translator struct {
	toks    []token
	i       int
	depth   int
	filters func(name string) bool // whether there is such a filter
	blocks  []string               // see rewrite
	opens   int                    // 1: the tag opens a statement that another tag closes; -1: it closes one
}

// maxNesting bounds how deep an expression is nested, as written and as translated: the library parses and evaluates by
// recursion, and a stack that overflows ends the process.
const maxNesting = 200

// maxChain bounds the operations in a row, as in a + b + c, which take no nesting.
const maxChain = 500

// frag is an expression in the library's dialect, which may stand as an operand.
type frag struct {
	text  string
	depth int    // of its nesting
	name  bool   // a bare name
	links int    // not 0: a value and so many filters in parentheses, to which more may be added
	obj   *frag  // with attr: text is the attribute attr of obj
	attr  string // "" but for an attribute
}

func operand(text string, parts ...frag) frag {
	f := frag{text: text}
	for _, p := range parts {
		f.depth = max(f.depth, p.depth+1)
	}
	return f
}

// apply writes x|name(args). A chain of operations stays flat.
func apply(x frag, name string, args ...frag) frag {
	call := "|" + name
	if len(args) > 0 {
		call += "(" + texts(args, ", ") + ")"
	}
	f := operand("("+x.text+call+")", append(args, x)...)
	if x.links > 0 {
		f = operand(strings.TrimSuffix(x.text, ")")+call+")", args...)
		f.depth = max(f.depth, x.depth)
	}
	f.links = x.links + 1
	return f
}

func texts(parts []frag, sep string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.text
	}
	return strings.Join(out, sep)
}

// literal is a string.
func literal(s string) frag { return operand(quote(s)) }

// quote writes a string literal that the library reads back as s, whatever is in it.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\x5c`, `'`, `\x27`, "\n", `\n`, "\r", `\r`).Replace(s) + "'"
}

func (p *translator) cur() token { return p.toks[p.i] }

func (p *translator) next() token {
	t := p.toks[p.i]
	if t.kind != kEOF {
		p.i++
	}
	return t
}

func (p *translator) end() bool             { return p.cur().kind == kEOF }
func (p *translator) isOp(op string) bool   { return p.cur().is(kOp, op) }
func (p *translator) isName(n string) bool  { return p.cur().is(kName, n) }
func (p *translator) skipOp(op string) bool { return p.skip(kOp, op) }

func (p *translator) skipName(n string) bool { return p.skip(kName, n) }

func (p *translator) skip(k kind, text string) bool {
	if !p.cur().is(k, text) {
		return false
	}
	p.i++
	return true
}

func (p *translator) fail(format string, args ...any) error {
	return &syntaxError{p.cur().line, fmt.Sprintf(format, args...)}
}

func (p *translator) expectOp(op string) error {
	if !p.skipOp(op) {
		return p.fail("expected '%s', got %s", op, p.cur())
	}
	return nil
}

func (p *translator) ident() (string, error) {
	if p.cur().kind != kName {
		return "", p.fail("expected a name, got %s", p.cur())
	}
	return p.next().text, nil
}

func (p *translator) enter() error {
	p.depth++
	return p.bound(p.depth)
}

// boundChain is asked wherever a chain grows.
func (p *translator) boundChain(x frag) error {
	if x.links > maxChain {
		return p.fail("an expression has more than %d operations in a row", maxChain)
	}
	return p.bound(x.depth)
}

func (p *translator) bound(depth int) error {
	if depth > maxNesting {
		return p.fail("an expression is nested deeper than %d", maxNesting)
	}
	return nil
}

// tuple reads one expression, or several with commas between them.
func (p *translator) tuple(conditional bool) (frag, error) {
	one := p.expression
	if !conditional {
		one = p.or
	}
	x, err := one()
	if err != nil || !p.isOp(",") {
		return x, err
	}
	items := []frag{x}
	for p.skipOp(",") {
		if p.end() || p.isOp(")") || p.isName("recursive") {
			break
		}
		x, err := one()
		if err != nil {
			return x, err
		}
		items = append(items, x)
	}
	return operand("("+texts(items, ", ")+",)", items...), nil
}

// expression reads an expression, `a if b else c` included.
func (p *translator) expression() (frag, error) {
	if err := p.enter(); err != nil {
		return frag{}, err
	}
	defer func() { p.depth-- }()
	x, err := p.or()
	for err == nil && p.skipName("if") {
		var test frag
		if test, err = p.or(); err != nil {
			break
		}
		els := operand(undefinedName)
		if p.skipName("else") {
			if els, err = p.expression(); err != nil {
				break
			}
		}
		x = operand("(("+test.text+" and ["+x.text+"] or ["+els.text+"])[0])", x, test, els)
		x.depth++
		err = p.bound(x.depth)
	}
	return x, err
}

func (p *translator) or() (frag, error)  { return p.logic(p.and, "or") }
func (p *translator) and() (frag, error) { return p.logic(p.not, "and") }

func (p *translator) logic(next func() (frag, error), word string) (frag, error) {
	x, err := next()
	parts := []frag{x}
	for err == nil && p.skipName(word) {
		if x, err = next(); err == nil {
			parts = append(parts, x)
			err = p.bound(len(parts))
		}
	}
	if len(parts) == 1 {
		return x, err
	}
	return operand("("+texts(parts, " "+word+" ")+")", parts...), err
}

func (p *translator) not() (frag, error) {
	if !p.skipName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return frag{}, err
	}
	defer func() { p.depth-- }()
	x, err := p.not()
	return apply(x, "weft_not"), err
}

func (p *translator) compare() (frag, error) {
	left, err := p.sum()
	if err != nil {
		return left, err
	}
	var parts []frag
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == kOp && (t.text == "==" || t.text == "!=" || t.text == "<" || t.text == "<=" || t.text == ">" || t.text == ">="):
			op = p.next().text
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.toks[p.i+1].is(kName, "in"):
			p.i += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		right, err := p.sum()
		if err != nil {
			return right, err
		}
		parts = append(parts, apply(left, "weft_compare", literal(op), right))
		left = right
		if err := p.bound(len(parts)); err != nil {
			return left, err
		}
	}
	switch len(parts) {
	case 0:
		return left, nil
	case 1:
		return parts[0], nil
	}
	return operand("("+texts(parts, " and ")+")", parts...), nil
}

// binary reads operands with operators of one precedence between them, which group to the left.
func (p *translator) binary(next func() (frag, error), ops ...string) (frag, error) {
	x, err := next()
	for err == nil {
		op := ""
		for _, o := range ops {
			if p.skipOp(o) {
				op = o
				break
			}
		}
		if op == "" {
			break
		}
		var y frag
		y, err = next()
		x = apply(x, "weft_operate", literal(op), y)
		if err == nil {
			err = p.boundChain(x)
		}
	}
	return x, err
}

func (p *translator) sum() (frag, error) { return p.binary(p.concat, "+", "-") }

func (p *translator) concat() (frag, error) {
	x, err := p.product()
	for err == nil && p.skipOp("~") {
		var y frag
		y, err = p.product()
		x = apply(x, "weft_operate", literal("~"), y)
		if err == nil {
			err = p.boundChain(x)
		}
	}
	return x, err
}

func (p *translator) product() (frag, error) { return p.binary(p.power, "*", "//", "/", "%") }

func (p *translator) power() (frag, error) {
	return p.binary(func() (frag, error) { return p.unary(true) }, "**")
}

func (p *translator) unary(filters bool) (x frag, err error) {
	if p.isOp("-") || p.isOp("+") {
		op := p.next().text
		if err := p.enter(); err != nil {
			return x, err
		}
		x, err = p.unary(false)
		p.depth--
		x = apply(operand("0"), "weft_operate", literal(op), x)
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	for err == nil && filters {
		switch {
		case p.isOp("|"):
			x, err = p.filter(x)
		case p.skipName("is"):
			x, err = p.test(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, p.boundChain(x)
		}
		if err == nil {
			err = p.boundChain(x)
		}
	}
	return x, err
}
