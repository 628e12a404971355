package jinja

import (
	"fmt"
)

// MaxSourceBytes is the length of the longest template that is read.
const MaxSourceBytes = 1 << 20

// maxNesting bounds how deep statements and expressions are nested: they are read by recursion.
const maxNesting = 200

// parser reads the pieces of a template. toks are the tokens of the tag it is in.
type parser struct {
	lib    *library
	pieces []piece
	next   int // the piece behind the tag
	toks   []token
	i      int
	line   int // of the tag

	depth       int
	loops       int // loops around the place, within its macro
	conditional int // branches around it: what is unknown there may never be reached
	macros      []*macroNode
}

// parse reads a whole template.
func parse(source string, lib *library) (body, error) {
	if len(source) > MaxSourceBytes {
		return nil, fmt.Errorf("it is %d bytes long, at most %d are read", len(source), MaxSourceBytes)
	}
	pieces, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{lib: lib, pieces: pieces}
	b, _, err := p.body("")
	return b, err
}

// body reads nodes up to one of the tags that may end them, and returns its name; the parser stands behind that name.
func (p *parser) body(opened string, ends ...string) (body, string, error) {
	line := p.line
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer func() { p.depth-- }()
	var out body
	for p.next < len(p.pieces) {
		at := p.pieces[p.next]
		p.next++
		if at.kind == kText {
			out = append(out, text{at.text})
			continue
		}
		p.toks, p.i, p.line = at.toks, 0, at.line
		if at.kind == kVarBegin {
			x, err := p.tuple(true)
			if err == nil {
				err = p.end()
			}
			if err != nil {
				return nil, "", err
			}
			out = append(out, &output{x, at.line})
			continue
		}
		tag, err := p.ident()
		if err != nil {
			return nil, "", p.fail("a tag needs a name")
		}
		for _, e := range ends {
			if tag == e {
				return out, tag, nil
			}
		}
		n, err := p.statement(tag)
		if err != nil {
			return nil, "", err
		}
		out = append(out, n)
	}
	if len(ends) > 0 {
		return nil, "", &Error{line, fmt.Errorf("the statement '%s' is never closed: the template ends without '%s'", opened, ends[len(ends)-1])}
	}
	return out, "", nil
}

// block reads the rest of a tag, which is nothing, and its body with the one tag that ends it.
func (p *parser) block(opened string) (body, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	b, _, err := p.body(opened, "end"+opened)
	if err != nil {
		return nil, err
	}
	return b, p.end()
}

func (p *parser) cur() token { return p.toks[p.i] }

func (p *parser) take() token {
	t := p.toks[p.i]
	if t.kind != kEOF {
		p.i++
	}
	return t
}

func (p *parser) isOp(op string) bool  { return p.cur().is(kOp, op) }
func (p *parser) isName(n string) bool { return p.cur().is(kName, n) }

func (p *parser) skip(k kind, text string) bool {
	if !p.cur().is(k, text) {
		return false
	}
	p.i++
	return true
}

func (p *parser) skipOp(op string) bool  { return p.skip(kOp, op) }
func (p *parser) skipName(n string) bool { return p.skip(kName, n) }

func (p *parser) fail(format string, a ...any) error {
	return &Error{p.cur().line, fmt.Errorf(format, a...)}
}

func (p *parser) expect(op string) error {
	if !p.skipOp(op) {
		return p.fail("expected '%s', got %s", op, p.cur())
	}
	return nil
}

func (p *parser) ident() (string, error) {
	if p.cur().kind != kName {
		return "", p.fail("expected a name, got %s", p.cur())
	}
	return p.take().text, nil
}

// end holds that the tag ends here.
func (p *parser) end() error {
	if p.cur().kind != kEOF {
		return p.fail("expected the end of the tag, got %s", p.cur())
	}
	return nil
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxNesting {
		return &Error{p.line, fmt.Errorf("it is nested deeper than %d", maxNesting)}
	}
	return nil
}

// statement reads the rest of a statement whose name has been read.
func (p *parser) statement(tag string) (node, error) {
	line := p.line
	switch tag {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "set":
		return p.setStatement()
	case "macro":
		return p.macroStatement()
	case "call":
		return p.callStatement()
	case "filter":
		f, err := p.filters(nil, true)
		if err != nil {
			return nil, err
		}
		b, err := p.block(tag)
		return &filterBlock{f, b, line}, err
	case "with":
		return p.withStatement()
	case "generation": // marks what the assistant says, for training; a rendering passes it through
		loops := p.loops
		p.loops = 0
		b, err := p.block(tag)
		p.loops = loops
		return &scopeNode{b}, err
	case "break", "continue":
		if p.loops == 0 {
			return nil, &Error{line, fmt.Errorf("'%s' outside a loop", tag)}
		}
		if tag == "break" {
			return &leave{errBreak}, p.end()
		}
		return &leave{errContinue}, p.end()
	case "include", "import", "from", "extends", "block":
		return nil, &Error{line, fmt.Errorf("the statement '%s' is not available: a chat template stands alone", tag)}
	}
	return nil, &Error{line, fmt.Errorf("unknown statement '%s'", tag)}
}

func (p *parser) ifStatement() (node, error) {
	n := &ifNode{line: p.line}
	p.conditional++
	defer func() { p.conditional-- }()
	for {
		test, err := p.tuple(false)
		if err == nil {
			err = p.end()
		}
		if err != nil {
			return nil, err
		}
		b, tag, err := p.body("if", "elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n.tests, n.bodies = append(n.tests, test), append(n.bodies, b)
		switch tag {
		case "elif":
			continue
		case "else":
			p.skipOp(":")
			if err := p.end(); err != nil {
				return nil, err
			}
			if n.other, _, err = p.body("if", "endif"); err != nil {
				return nil, err
			}
		}
		return n, p.end()
	}
}

func (p *parser) forStatement() (node, error) {
	n := &forNode{line: p.line}
	var err error
	if n.to, err = p.target(); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.fail("expected 'in', got %s", p.cur())
	}
	if n.over, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if n.cond, err = p.expression(); err != nil {
			return nil, err
		}
	}
	n.recursive = p.skipName("recursive")
	p.skipOp(":")
	if err := p.end(); err != nil {
		return nil, err
	}
	p.loops++
	b, tag, err := p.body("for", "else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	n.body = b
	if tag == "else" {
		p.skipOp(":")
		if err := p.end(); err != nil {
			return nil, err
		}
		if n.other, _, err = p.body("for", "endfor"); err != nil {
			return nil, err
		}
	}
	return n, p.end()
}

// target reads what is assigned to.
func (p *parser) target() (target, error) {
	first, err := p.oneTarget()
	if err != nil || !p.isOp(",") {
		return first, err
	}
	many := target{many: []target{first}}
	for p.skipOp(",") {
		if p.isName("in") || p.isOp("=") || p.isOp(")") {
			break
		}
		t, err := p.oneTarget()
		if err != nil {
			return t, err
		}
		many.many = append(many.many, t)
	}
	return many, nil
}

func (p *parser) oneTarget() (target, error) {
	if p.skipOp("(") {
		if err := p.enter(); err != nil {
			return target{}, err
		}
		t, err := p.target()
		p.depth--
		if err != nil {
			return t, err
		}
		return t, p.expect(")")
	}
	n, err := p.ident()
	if err != nil {
		return target{}, err
	}
	if reserved(n) {
		return target{}, p.fail("cannot assign to '%s'", n)
	}
	t := target{name: n}
	if p.skipOp(".") {
		t.attr, err = p.ident()
	}
	return t, err
}

func reserved(n string) bool {
	switch n {
	case "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else":
		return true
	}
	return false
}

func (p *parser) setStatement() (node, error) {
	line := p.line
	to, err := p.target()
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &setNode{to, x, line}, p.end()
	}
	n := &setBlock{to: to, line: line}
	if p.isOp("|") {
		if n.filters, err = p.filters(nil, false); err != nil {
			return nil, err
		}
	}
	n.body, err = p.block("set")
	return n, err
}
