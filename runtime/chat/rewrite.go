package chat

import (
	"fmt"
	"strings"
)

// Names a translated template uses beside its own.
const (
	undefinedName = "weft_undefined" // never set
	emptyName     = "weft_empty"     // an empty mapping: the library holds its own to be true
)

// syntaxError is a template that does not parse.
type syntaxError struct {
	line int
	msg  string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.msg) }

// rewritten is a template in the library's dialect. Each tag stands on a line of its own there, behind a comment with a
// newline inside; lines has the source's line of the tag on each line, 0 where there is none.
type rewritten struct {
	text  strings.Builder
	lines []int
}

// rewrite translates a template. Text and whitespace are settled already; tags are written without signs, and the library
// is told to leave what surrounds them alone.
func rewrite(source string, filters func(name string) bool) (*rewritten, error) {
	pieces, err := lex(source)
	if err != nil {
		return nil, err
	}
	out := &rewritten{lines: []int{0}}
	var blocks []string // what closes the assignments of a block that are open
	open := 0           // statements that are not closed
	for _, p := range pieces {
		if p.kind == kText {
			out.text.WriteString(verbatim(p.text))
			out.lines = append(out.lines, make([]int, strings.Count(p.text, "\n"))...)
			continue
		}
		tr := &translator{toks: p.toks, filters: filters, blocks: blocks}
		body := ""
		if p.kind == kVarBegin {
			var x frag
			x, err = tr.tuple(true)
			body = "{{ " + apply(x, "weft_str").text + " }}"
		} else if body, err = tr.statement(); err == nil {
			body = "{% " + body + " %}"
		}
		if err == nil && !tr.end() {
			err = tr.fail("expected the end of the tag, got %s", tr.cur())
		}
		if err != nil {
			return nil, err
		}
		blocks = tr.blocks
		if open += tr.opens; open > maxNesting {
			return nil, &syntaxError{p.line, fmt.Sprintf("statements are nested deeper than %d", maxNesting)}
		}
		out.text.WriteString("{#\n#}" + body)
		out.lines = append(out.lines, p.line)
	}
	return out, nil
}

// verbatim writes text so that the library finds no tag in it: a raw block may hold what looks like one.
func verbatim(text string) string {
	for _, open := range []string{"{{", "{%", "{#"} {
		if strings.Contains(text, open) {
			// A text piece ends before a delimiter, so only a raw block has one inside.
			return "{% raw %}" + text + "{% endraw %}"
		}
	}
	return text
}

// sourceLine gives the line of the source that a line of the translation comes from.
func (w *rewritten) sourceLine(line int) int {
	if line < 1 || line > len(w.lines) {
		return 0
	}
	return w.lines[line-1]
}

// statement translates the inside of a statement.
func (p *translator) statement() (string, error) {
	line := p.cur().line
	name, err := p.ident()
	if err != nil {
		return "", err
	}
	switch name {
	case "if", "elif":
		if name == "if" {
			p.opens = 1
		}
		x, err := p.tuple(false)
		return name + " " + x.text, err
	case "for":
		p.opens = 1
		return p.forHead()
	case "set":
		return p.setHead()
	case "macro":
		p.opens = 1
		return p.macroHead()
	case "call":
		if p.isOp("(") {
			return "", p.fail("a call with parameters is not supported")
		}
		p.opens = 1
		x, err := p.expression()
		return "call " + x.text, err
	case "filter":
		p.opens = 1
		return p.filterHead()
	case "with":
		p.opens = 1
		return p.withHead()
	case "endset":
		return p.endSet()
	case "generation":
		p.opens = 1
		return name, nil
	case "endif", "endfor", "endmacro", "endcall", "endfilter", "endwith", "endgeneration":
		p.opens = -1
		return name, nil
	case "else", "break", "continue":
		p.skipOp(":")
		return name, nil
	case "include", "import", "from", "extends", "block":
		return "", &syntaxError{line, "the statement '" + name + "' is not available: a chat template stands alone"}
	}
	return "", &syntaxError{line, "unknown statement '" + name + "'"}
}

func (p *translator) forHead() (string, error) {
	targets, err := p.targets()
	if err != nil {
		return "", err
	}
	if len(targets) > 2 {
		return "", p.fail("a loop over more than two names is not supported")
	}
	if !p.skipName("in") {
		return "", p.fail("expected 'in', got %s", p.cur())
	}
	x, err := p.tuple(false)
	if err != nil {
		return "", err
	}
	head := "for " + strings.Join(targets, ", ") + " in " + apply(x, "weft_iterate", operand(fmt.Sprint(len(targets)))).text
	if p.skipName("if") {
		cond, err := p.expression()
		if err != nil {
			return "", err
		}
		head += " if " + cond.text
	}
	if p.skipName("recursive") {
		head += " recursive"
	}
	p.skipOp(":")
	return head, nil
}

func (p *translator) targets() ([]string, error) {
	bracket := p.skipOp("(")
	var out []string
	for {
		name, err := p.ident()
		if err != nil {
			return nil, err
		}
		out = append(out, name)
		if !p.skipOp(",") || p.isName("in") || p.isOp("=") {
			break
		}
	}
	if bracket {
		return out, p.expectOp(")")
	}
	return out, nil
}

// setHead translates an assignment. One to several names becomes several statements.
func (p *translator) setHead() (string, error) {
	start := p.i
	if p.isOp("(") {
		return p.setMany()
	}
	name, err := p.ident()
	if err != nil {
		return "", err
	}
	if p.isOp(",") {
		p.i = start
		return p.setMany()
	}
	if p.skipOp(".") {
		attr, err := p.ident()
		if err != nil {
			return "", err
		}
		name += "." + attr
	}
	if p.skipOp("|") {
		filter, err := p.filterHead()
		p.opens = 1
		p.blocks = append(p.blocks, "endfilter %}{% endset")
		return "set " + name + " %}{% " + filter, err
	}
	if !p.skipOp("=") {
		p.opens = 1
		p.blocks = append(p.blocks, "endset")
		return "set " + name, nil
	}
	x, err := p.tuple(true)
	return "set " + name + " = " + x.text, err
}

// endSet closes the innermost assignment of a block.
func (p *translator) endSet() (string, error) {
	last := len(p.blocks) - 1
	if last < 0 {
		return "", p.fail("unexpected 'endset'")
	}
	end := p.blocks[last]
	p.blocks = p.blocks[:last]
	p.opens = -1
	return end, nil
}

func (p *translator) setMany() (string, error) {
	names, err := p.targets()
	if err != nil {
		return "", err
	}
	if err := p.expectOp("="); err != nil {
		return "", err
	}
	x, err := p.tuple(true)
	if err != nil {
		return "", err
	}
	const held = "weft_held"
	out := "set " + held + " = " + apply(x, "weft_unpack", operand(fmt.Sprint(len(names)))).text
	for i, name := range names {
		out += fmt.Sprintf(" %%}{%% set %s = %s[%d]", name, held, i)
	}
	return out, nil
}

func (p *translator) macroHead() (string, error) {
	name, err := p.ident()
	if err != nil {
		return "", err
	}
	if err := p.expectOp("("); err != nil {
		return "", err
	}
	var params []string
	for !p.skipOp(")") {
		if len(params) > 0 {
			if err := p.expectOp(","); err != nil {
				return "", err
			}
		}
		param, err := p.ident()
		if err != nil {
			return "", err
		}
		if p.skipOp("=") {
			x, err := p.expression()
			if err != nil {
				return "", err
			}
			param += "=" + x.text
		}
		params = append(params, param)
	}
	return "macro " + name + "(" + strings.Join(params, ", ") + ")", nil
}

func (p *translator) withHead() (string, error) {
	var out []string
	for !p.end() {
		if len(out) > 0 {
			if err := p.expectOp(","); err != nil {
				return "", err
			}
		}
		name, err := p.ident()
		if err != nil {
			return "", err
		}
		if err := p.expectOp("="); err != nil {
			return "", err
		}
		x, err := p.expression()
		if err != nil {
			return "", err
		}
		out = append(out, name+" = "+x.text)
	}
	return "with " + strings.Join(out, ", "), nil
}

// filterHead translates the names of a filter block, which the library reads bare.
func (p *translator) filterHead() (string, error) {
	out := ""
	for {
		name, err := p.ident()
		if err != nil {
			return "", err
		}
		if !p.filters(name) {
			return "", p.fail("no filter named '%s'", name)
		}
		if out += name; p.isOp("(") {
			args, err := p.arguments()
			if err != nil {
				return "", err
			}
			out += "(" + texts(args, ", ") + ")"
		}
		if !p.skipOp("|") {
			return "filter " + out, nil
		}
		out += "|"
	}
}
