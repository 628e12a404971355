package jinja

import (
	"errors"
	"strings"
)

// signature reads the parameters of a macro, or of a call block.
func (p *parser) signature(m *macroNode) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.skipOp(")") {
		if len(m.params) > 0 {
			if err := p.expect(","); err != nil {
				return err
			}
		}
		param, err := p.ident()
		if err != nil {
			return err
		}
		m.params = append(m.params, param)
		if p.skipOp("=") {
			x, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, x)
		} else if len(m.defaults) > 0 {
			return p.fail("non-default argument follows default argument")
		}
	}
	return nil
}

// macroBody reads the body of a macro, in which a loop around the macro is none.
func (p *parser) macroBody(m *macroNode, opened string) (err error) {
	loops := p.loops
	p.loops = 0
	p.macros = append(p.macros, m)
	m.body, err = p.block(opened)
	p.macros = p.macros[:len(p.macros)-1]
	p.loops = loops
	return err
}

func (p *parser) macroStatement() (node, error) {
	m := &macroNode{}
	var err error
	if m.name, err = p.ident(); err != nil {
		return nil, err
	}
	if err := p.signature(m); err != nil {
		return nil, err
	}
	return m, p.macroBody(m, "macro")
}

func (p *parser) callStatement() (node, error) {
	n := &callBlock{block: &macroNode{name: "caller"}, line: p.line}
	if p.isOp("(") {
		if err := p.signature(n.block); err != nil {
			return nil, err
		}
	}
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	var ok bool
	if n.call, ok = x.(*callExpr); !ok {
		return nil, &Error{n.line, errors.New("the statement 'call' needs a call of a macro")}
	}
	return n, p.macroBody(n.block, "call")
}

func (p *parser) withStatement() (node, error) {
	n := &withNode{line: p.line}
	for p.cur().kind != kEOF {
		if len(n.to) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		to, err := p.oneTarget()
		if err == nil {
			err = p.expect("=")
		}
		if err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		n.to, n.vals = append(n.to, to), append(n.vals, x)
	}
	var err error
	n.body, err = p.block("with")
	return n, err
}

// mentions notes a name that a macro is given only if it speaks of it.
func (p *parser) mentions(n string) {
	if len(p.macros) == 0 {
		return
	}
	m := p.macros[len(p.macros)-1]
	m.caller = m.caller || n == "caller"
	m.varargs = m.varargs || n == "varargs"
	m.kwargs = m.kwargs || n == "kwargs"
}

// dotted reads the name of a filter or a test.
func (p *parser) dotted() (string, error) {
	n, err := p.ident()
	parts := []string{n}
	for err == nil && p.skipOp(".") {
		n, err = p.ident()
		parts = append(parts, n)
	}
	return strings.Join(parts, "."), err
}
