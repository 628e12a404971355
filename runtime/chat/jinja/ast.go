package jinja

// expr is a part of an expression.
type expr interface {
	eval(r *run, s *scope) (any, error)
}

// node is a statement, a piece of text, or what is printed.
type node interface {
	exec(r *run, s *scope) error
}

type (
	literal struct{ v any }
	name    struct{ name string }

	// sequenceExpr is [a, b], (a, b), or `~` between them.
	sequenceExpr struct {
		kind  byte // '[', '(' or '~'
		items []expr
	}

	dictExpr struct{ keys, vals []expr }

	// binary is an operator of arithmetic; logic is `and` and `or`.
	binary struct {
		op   string
		x, y expr
		line int
	}
	logic struct {
		or   bool
		x, y expr
	}
	not    struct{ x expr }
	negate struct {
		op string
		x  expr
	}

	// comparison is a < b <= c: ops[i] stands before rest[i].
	comparison struct {
		first expr
		ops   []string
		rest  []expr
		line  int
	}

	// conditional is `yes if test else no`; no may be nil.
	conditional struct{ test, yes, no expr }

	attribute struct {
		x    expr
		name string
		line int
	}
	subscript struct {
		x, key expr
		line   int
	}
	slice struct {
		x      expr
		bounds [3]expr // nil where there is none
		line   int
	}

	// arguments are those of a call, a filter or a test.
	arguments struct {
		pos    []expr
		names  []string
		named  []expr
		spread expr // *args
		pairs  expr // **kwargs
	}
	callExpr struct {
		f    expr
		args arguments
		line int
	}
	filterExpr struct {
		x    expr // nil: the body of a filter block, which is handed in
		name string
		args arguments
		line int
	}
	testExpr struct {
		x       expr
		name    string
		args    arguments
		negated bool
		line    int
	}
)

type (
	text struct{ s string }

	output struct {
		x    expr
		line int
	}
	ifNode struct {
		tests  []expr
		bodies []body
		other  body
		line   int
	}
	forNode struct {
		to        target
		over      expr
		cond      expr // nil where there is none
		body      body
		other     body
		recursive bool
		line      int
	}
	setNode struct {
		to   target
		x    expr
		line int
	}
	// setBlock and filterBlock capture what their body writes.
	setBlock struct {
		to      target
		filters *filterExpr // nil where there is none
		body    body
		line    int
	}
	filterBlock struct {
		filters *filterExpr
		body    body
		line    int
	}
	macroNode struct {
		name     string
		params   []string
		defaults []expr // of the last parameters
		body     body
		// What the body speaks of, and therefore takes.
		caller, varargs, kwargs bool
	}
	callBlock struct {
		call  *callExpr
		block *macroNode // what caller() is
		line  int
	}
	withNode struct {
		to   []target
		vals []expr
		body body
		line int
	}
	// scopeNode is a block whose names end with it.
	scopeNode struct{ body body }

	leave struct{ why error } // errBreak or errContinue
)

type body []node

// target is what is assigned to: a name, an attribute of a namespace, or several targets that take a value apart.
type target struct {
	name string
	attr string
	many []target
}
