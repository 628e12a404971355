package chat

import (
	"strconv"
	"strings"
)

// primary reads a name, a literal, or an expression in brackets.
func (p *translator) primary() (frag, error) {
	t := p.next()
	switch t.kind {
	case kName:
		switch t.text {
		case "true", "True", "false", "False", "none", "None":
			return operand(strings.ToLower(t.text)), nil
		case "nil":
			return operand(undefinedName), nil // none to the library, a name like any other to Jinja
		}
		return frag{text: t.text, name: true}, nil
	case kString:
		s := t.text
		for p.cur().kind == kString {
			s += p.next().text
		}
		return operand(quote(s)), nil
	case kInt:
		if _, err := strconv.Atoi(t.text); err != nil {
			return frag{}, &syntaxError{t.line, "the number " + t.text + " is too large"}
		}
		return operand(t.text), nil
	case kFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return frag{}, &syntaxError{t.line, "the number " + t.text + " is too large"}
		}
		return operand(floatText(f)), nil
	case kOp:
		switch t.text {
		case "(":
			if p.skipOp(")") {
				return operand("()"), nil
			}
			x, err := p.tuple(true)
			if err != nil {
				return frag{}, err
			}
			return operand("("+x.text+")", x), p.expectOp(")")
		case "[":
			items, err := p.list("]", false)
			return operand("["+texts(items, ", ")+"]", items...), err
		case "{":
			items, err := p.list("}", true)
			if len(items) == 0 {
				return operand(emptyName), err
			}
			return operand("{"+texts(items, ", ")+"}", items...), err
		}
	}
	return frag{}, &syntaxError{t.line, "unexpected " + t.String()}
}

// list reads expressions up to a closing bracket, or pairs of them.
func (p *translator) list(end string, pairs bool) ([]frag, error) {
	var items []frag
	for !p.skipOp(end) {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.skipOp(end) {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		if pairs {
			if err := p.expectOp(":"); err != nil {
				return nil, err
			}
			v, err := p.expression()
			if err != nil {
				return nil, err
			}
			x = operand(x.text+": "+v.text, x, v)
		}
		items = append(items, x)
	}
	return items, nil
}

// postfix reads what follows a value directly: attributes, subscripts and calls.
func (p *translator) postfix(x frag) (frag, error) {
	for {
		var err error
		switch {
		case p.skipOp("."):
			switch t := p.next(); t.kind {
			case kName:
				x = attribute(x, t.text)
			case kInt:
				x = apply(x, "weft_item", operand(t.text))
			default:
				return x, &syntaxError{t.line, "expected name or number, got " + t.String()}
			}
		case p.skipOp("["):
			x, err = p.subscript(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err == nil {
			err = p.boundChain(x)
		}
		if err != nil {
			return x, err
		}
	}
}

func attribute(x frag, name string) frag {
	f := apply(x, "weft_attr", literal(name))
	f.obj, f.attr = &x, name
	return f
}

func (p *translator) subscript(x frag) (frag, error) {
	part := func() (frag, error) {
		if p.isOp(":") || p.isOp("]") {
			return operand("none"), nil
		}
		return p.expression()
	}
	if p.isOp("]") {
		return x, p.fail("expected subscript expression")
	}
	start, err := part()
	if err != nil {
		return x, err
	}
	if p.skipOp("]") {
		return apply(x, "weft_item", start), nil
	}
	bounds := []frag{start, operand("none"), operand("none")}
	for i := 1; i < 3 && p.skipOp(":"); i++ {
		if bounds[i], err = part(); err != nil {
			return x, err
		}
	}
	return apply(x, "weft_slice", bounds...), p.expectOp("]")
}

// call reads the arguments of a call of x. A method is a filter of ours, which evaluates its object once.
func (p *translator) call(x frag) (frag, error) {
	args, err := p.arguments()
	switch {
	case err != nil:
		return x, err
	case x.attr != "":
		return apply(*x.obj, "weft_call", append([]frag{literal(x.attr)}, args...)...), nil
	case x.name:
		return operand(x.text+"("+texts(args, ", ")+")", args...), nil
	}
	return x, p.fail("only a name or a method can be called")
}

func (p *translator) arguments() ([]frag, error) {
	var args []frag
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	named := false
	for !p.skipOp(")") {
		if len(args) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.skipOp(")") {
				break
			}
		}
		name := ""
		switch {
		case p.isOp("*") || p.isOp("**"):
			return nil, p.fail("arguments unpacked with %s are not supported", p.cur())
		case p.cur().kind == kName && p.toks[p.i+1].is(kOp, "="):
			name = p.next().text + "="
			p.next()
			named = true
		case named:
			return nil, p.fail("a positional argument follows a named one")
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		x.text = name + x.text
		args = append(args, x)
	}
	return args, nil
}

func (p *translator) filter(x frag) (frag, error) {
	p.next()
	line := p.cur().line
	name, err := p.ident()
	if err != nil {
		return x, err
	}
	if !p.filters(name) {
		return x, &syntaxError{line, "no filter named '" + name + "'"}
	}
	var args []frag
	if p.isOp("(") {
		if args, err = p.arguments(); err != nil {
			return x, err
		}
	}
	return apply(x, name, args...), nil
}

func (p *translator) test(x frag) (frag, error) {
	negate := p.skipName("not")
	line := p.cur().line
	name, err := p.ident()
	if err != nil {
		return x, err
	}
	if _, ok := tests[name]; !ok {
		return x, &syntaxError{line, "no test named '" + name + "'"}
	}
	var args []frag
	c := p.cur()
	switch {
	case p.isOp("("):
		args, err = p.arguments()
	case c.kind == kString || c.kind == kInt || c.kind == kFloat || p.isOp("[") || p.isOp("{") ||
		c.kind == kName && c.text != "else" && c.text != "or" && c.text != "and":
		if p.isName("is") {
			return x, p.fail("you cannot chain multiple tests with is")
		}
		var arg frag
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		args = []frag{arg}
	}
	x = apply(x, "weft_test", append([]frag{literal(name)}, args...)...)
	if negate {
		x = apply(x, "weft_not")
	}
	return x, err
}
