package jinja

import (
	"strconv"
	"strings"
)

// tuple reads an expression, or several with commas between them. Without conditional there is no `a if b else c` at the top,
// because an `if` there is the statement's.
func (p *parser) tuple(conditional bool) (expr, error) {
	one := p.expression
	if !conditional {
		one = p.or
	}
	x, err := one()
	if err != nil || !p.isOp(",") {
		return x, err
	}
	items := []expr{x}
	for p.skipOp(",") {
		if p.cur().kind == kEOF || p.isOp(")") || p.isName("recursive") {
			break
		}
		if x, err = one(); err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return &sequenceExpr{'(', items}, nil
}

// expression reads an expression, `a if b else c` included.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	x, err := p.or()
	for err == nil && p.skipName("if") {
		c := &conditional{yes: x}
		if c.test, err = p.or(); err != nil {
			break
		}
		if p.skipName("else") {
			p.conditional++
			c.no, err = p.expression()
			p.conditional--
		}
		x = c
	}
	return x, err
}

func (p *parser) or() (expr, error)  { return p.logic(p.and, "or") }
func (p *parser) and() (expr, error) { return p.logic(p.not, "and") }

func (p *parser) logic(next func() (expr, error), word string) (expr, error) {
	x, err := next()
	for err == nil && p.skipName(word) {
		var y expr
		y, err = next()
		x = &logic{word == "or", x, y}
	}
	return x, err
}

func (p *parser) not() (expr, error) {
	if !p.skipName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	x, err := p.not()
	return &not{x}, err
}

func (p *parser) compare() (expr, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &comparison{first: x, line: p.cur().line}
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == kOp && (t.text == "==" || t.text == "!=" || t.text == "<" || t.text == "<=" || t.text == ">" || t.text == ">="):
			op = p.take().text
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.toks[p.i+1].is(kName, "in"):
			p.i += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		y, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, y)
	}
	if c.ops == nil {
		return x, nil
	}
	return c, nil
}

// operators reads operands with operators of one precedence between them, which group to the left.
func (p *parser) operators(next func() (expr, error), ops ...string) (expr, error) {
	x, err := next()
	for err == nil {
		op, line := "", p.cur().line
		for _, o := range ops {
			if p.skipOp(o) {
				op = o
				break
			}
		}
		if op == "" {
			break
		}
		var y expr
		y, err = next()
		x = &binary{op, x, y, line}
	}
	return x, err
}

func (p *parser) sum() (expr, error) { return p.operators(p.concat, "+", "-") }

func (p *parser) concat() (expr, error) {
	x, err := p.product()
	if err != nil || !p.isOp("~") {
		return x, err
	}
	items := []expr{x}
	for p.skipOp("~") {
		if x, err = p.product(); err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return &sequenceExpr{'~', items}, nil
}

func (p *parser) product() (expr, error) { return p.operators(p.power, "*", "//", "/", "%") }

func (p *parser) power() (expr, error) {
	return p.operators(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) (x expr, err error) {
	if p.isOp("-") || p.isOp("+") {
		op := p.take().text
		if err := p.enter(); err != nil {
			return nil, err
		}
		x, err = p.unary(false)
		p.depth--
		x = &negate{op, x}
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	for err == nil && filters {
		switch {
		case p.isOp("|"):
			x, err = p.filters(x, false)
		case p.isName("is"):
			x, err = p.test(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
	}
	return x, err
}

func (p *parser) primary() (expr, error) {
	switch t := p.take(); t.kind {
	case kName:
		switch t.text {
		case "true", "True":
			return literal{true}, nil
		case "false", "False":
			return literal{false}, nil
		case "none", "None":
			return literal{nil}, nil
		}
		p.mentions(t.text)
		return name{t.text}, nil
	case kString:
		var s strings.Builder
		s.WriteString(t.text)
		for p.cur().kind == kString {
			s.WriteString(p.take().text)
		}
		return literal{s.String()}, nil
	case kInt:
		n, err := strconv.Atoi(t.text)
		if err != nil {
			p.i--
			return nil, p.fail("the number %.40s is beyond 64 bits", t.text)
		}
		return literal{n}, nil
	case kFloat:
		f, _ := strconv.ParseFloat(t.text, 64) // the lexer has seen to its form; too large is infinite, as in Python
		return literal{f}, nil
	case kOp:
		switch t.text {
		case "(":
			if p.skipOp(")") {
				return &sequenceExpr{'(', nil}, nil
			}
			x, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			return x, p.expect(")")
		case "[":
			return p.list()
		case "{":
			return p.dict()
		}
		p.i--
	}
	return nil, p.fail("expected an expression, got %s", p.cur())
}

func (p *parser) list() (expr, error) {
	l := &sequenceExpr{kind: '['}
	for !p.skipOp("]") {
		if len(l.items) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skipOp("]") {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, x)
	}
	return l, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.skipOp("}") {
		if len(d.keys) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skipOp("}") {
				break
			}
		}
		k, err := p.expression()
		if err == nil {
			err = p.expect(":")
		}
		if err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	}
	return d, nil
}

func (p *parser) postfix(x expr) (expr, error) {
	var err error
	for err == nil {
		line := p.cur().line
		switch {
		case p.skipOp("."):
			switch t := p.take(); t.kind {
			case kName:
				x = &attribute{x, t.text, line}
			case kInt:
				n, bad := strconv.Atoi(t.text)
				if bad != nil {
					return nil, p.fail("the number %.40s is beyond 64 bits", t.text)
				}
				x = &subscript{x, literal{n}, line}
			default:
				p.i-- // back to where it went wrong
				return nil, p.fail("expected a name or a number, got %s", p.cur())
			}
		case p.skipOp("["):
			x, err = p.subscript(x, line)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
	}
	return x, err
}

// subscript reads what stands in brackets behind a value.
func (p *parser) subscript(x expr, line int) (expr, error) {
	var parts [3]expr
	n, colons := 0, 0
	for !p.skipOp("]") {
		switch {
		case p.skipOp(":"):
			if colons++; colons > 2 {
				return nil, p.fail("a slice has three parts at most")
			}
			n = colons
		case parts[n] != nil:
			return nil, p.fail("expected ']', got %s", p.cur())
		default:
			part, err := p.expression()
			if err != nil {
				return nil, err
			}
			if colons == 0 && p.isOp(",") {
				items := []expr{part}
				for p.skipOp(",") && !p.isOp("]") {
					if part, err = p.expression(); err != nil {
						return nil, err
					}
					items = append(items, part)
				}
				part = &sequenceExpr{'(', items}
			}
			parts[n] = part
		}
	}
	switch {
	case colons > 0:
		return &slice{x, parts, line}, nil
	case parts[0] == nil:
		return nil, p.fail("a subscript is empty")
	}
	return &subscript{x, parts[0], line}, nil
}

func (p *parser) call(f expr) (expr, error) {
	c := &callExpr{f: f, line: p.cur().line}
	var err error
	c.args, err = p.arguments()
	return c, err
}

// arguments reads those of a call, brackets included.
func (p *parser) arguments() (a arguments, err error) {
	if err := p.enter(); err != nil {
		return a, err
	}
	defer func() { p.depth-- }()
	if err := p.expect("("); err != nil {
		return a, err
	}
	for n := 0; !p.skipOp(")"); n++ {
		if n > 0 {
			if err := p.expect(","); err != nil {
				return a, err
			}
			if p.skipOp(")") {
				break
			}
		}
		switch {
		case p.skipOp("*"):
			a.spread, err = p.expression()
		case p.skipOp("**"):
			a.pairs, err = p.expression()
		case p.cur().kind == kName && p.toks[p.i+1].is(kOp, "="):
			a.names = append(a.names, p.take().text)
			p.i++
			var x expr
			x, err = p.expression()
			a.named = append(a.named, x)
		case len(a.names) > 0 || a.pairs != nil:
			return a, p.fail("a positional argument stands behind a named one")
		default:
			var x expr
			x, err = p.expression()
			a.pos = append(a.pos, x)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// filters reads one filter or several behind a value; the first stands without its bar if bare.
func (p *parser) filters(x expr, bare bool) (*filterExpr, error) {
	var f *filterExpr
	for bare || p.skipOp("|") {
		bare = false
		f = &filterExpr{x: x, line: p.cur().line}
		var err error
		if f.name, err = p.dotted(); err != nil {
			return nil, err
		}
		if _, ok := p.lib.filters[f.name]; !ok && p.conditional == 0 {
			return nil, &Error{f.line, noFilter(f.name)}
		}
		if p.isOp("(") {
			if f.args, err = p.arguments(); err != nil {
				return nil, err
			}
		}
		x = f
	}
	return f, nil
}

func (p *parser) test(x expr) (expr, error) {
	t := &testExpr{x: x, line: p.cur().line}
	p.take()
	t.negated = p.skipName("not")
	var err error
	if t.name, err = p.dotted(); err != nil {
		return nil, err
	}
	if _, ok := p.lib.tests[t.name]; !ok && p.conditional == 0 {
		return nil, &Error{t.line, noTest(t.name)}
	}
	switch c := p.cur(); {
	case p.isOp("("):
		t.args, err = p.arguments()
	case p.isName("is"):
		return nil, p.fail("tests cannot be chained with 'is'")
	case c.kind == kName && c.text != "else" && c.text != "or" && c.text != "and",
		c.kind == kString, c.kind == kInt, c.kind == kFloat, p.isOp("["), p.isOp("{"):
		if err := p.enter(); err != nil {
			return nil, err
		}
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		p.depth--
		t.args.pos = []expr{arg}
	}
	return t, err
}
