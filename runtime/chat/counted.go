package chat

import (
	"errors"

	"github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// counted makes the bodies of loops, macros and calls count: each run of a body costs by its length, and a macro within a
// macro a level. The library bounds neither, and too deep a recursion ends the process.
func counted(parse parser.ControlStructureParser) parser.ControlStructureParser {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		start := p.Current().Pos
		cs, err := parse(p, args)
		if err != nil {
			return nil, err
		}
		cost := 1 + (p.Current().Pos-start)/64
		switch s := cs.(type) {
		case *controlStructures.ForControlStructure:
			around(s.BodyWrapper, cost, s.Recursive)
		case *controlStructures.MacroControlStructure:
			around(s.Wrapper, cost, true)
		case *controlStructures.CallControlStructure:
			around(s.Body, cost, false)
		default:
			return nil, errors.New("the library's statement has another type than expected")
		}
		return cs, nil
	}
}

func around(body *nodes.Wrapper, cost int, level bool) {
	node := func(cost, by int) nodes.Node {
		at := body.Position()
		return &nodes.ControlStructureBlock{Location: at, Name: "count", ControlStructure: &count{at, cost, by}}
	}
	by := 0
	if level {
		by = 1
		body.Nodes = append(body.Nodes, node(0, -1))
	}
	body.Nodes = append([]nodes.Node{node(cost, by)}, body.Nodes...)
}

// count is a statement that costs steps and goes a level deeper or back up.
type count struct {
	at       *tokens.Token
	cost, by int
}

func (c *count) Position() *tokens.Token { return c.at }
func (c *count) String() string          { return "count" }

// Execute asks the budget.
func (c *count) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	b := budgetOf(r.Environment.Context)
	if b.depth += c.by; b.depth > maxDepth {
		return b.refuse("levels of macros", maxDepth)
	}
	return b.steps(c.cost)
}
