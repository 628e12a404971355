package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// operate is a binary operator with Python's rules for the types of its operands.
func (r *run) operate(op string, x, y any) (any, error) {
	for _, v := range []any{x, y} {
		if u, ok := v.(*undefined); ok {
			return nil, u.fail()
		}
	}
	a, xInt := integer(x)
	b, yInt := integer(y)
	if xInt && yInt && op != "/" {
		return intOperate(op, a, b)
	}
	f, xNum := number(x)
	g, yNum := number(y)
	if xNum && yNum {
		return floatOperate(op, f, g)
	}
	if op == "*" && xInt { // the number goes to the right
		x, y, b, yInt = y, x, a, true
	}
	switch s := x.(type) {
	case string:
		switch t, isText := y.(string); {
		case op == "+" && isText:
			return r.join("", s, t)
		case op == "+":
			return nil, fmt.Errorf(`can only concatenate str (not "%s") to str`, typeName(y))
		case op == "%":
			return r.percent(s, y)
		case op == "*" && yInt:
			return r.repeat(s, b)
		}
	case list:
		t, isList := y.(list)
		if op == "+" && isList || op == "*" && yInt {
			out, err := r.extend(op, s, t, b)
			return list(out), err
		}
	case tuple:
		t, isTuple := y.(tuple)
		if op == "+" && isTuple || op == "*" && yInt {
			out, err := r.extend(op, s, t, b)
			return tuple(out), err
		}
	}
	return nil, fmt.Errorf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(x), typeName(y))
}

// extend is x + y, or x * n, of lists.
func (r *run) extend(op string, x, y []any, n int) ([]any, error) {
	if op == "+" {
		if err := r.step(len(x) + len(y)); err != nil {
			return nil, err
		}
		return append(append(make([]any, 0, len(x)+len(y)), x...), y...), nil
	}
	if n <= 0 || len(x) == 0 {
		return []any{}, nil
	}
	if n > r.limits.Steps/len(x) {
		return nil, r.refuse("steps", r.limits.Steps)
	}
	if err := r.step(n * len(x)); err != nil {
		return nil, err
	}
	out := make([]any, 0, n*len(x))
	for range n {
		out = append(out, x...)
	}
	return out, nil
}

// intOperate keeps to the machine's integers: a result beyond them is an error, where Python would go on.
func intOperate(op string, a, b int) (any, error) {
	v, ok := 0, true
	switch op {
	case "+":
		v = a + b
		ok = (v > a) == (b > 0)
	case "-":
		v = a - b
		ok = (v < a) == (b > 0)
	case "*":
		v, ok = mul(a, b)
	case "//", "%":
		switch {
		case b == 0 && op == "%":
			return nil, errors.New("integer modulo by zero")
		case b == 0:
			return nil, errors.New("integer division or modulo by zero")
		case b == -1 && op == "%":
			return 0, nil
		case b == -1: // the one quotient that may overflow
			return intOperate("-", 0, a)
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) {
			q--
			m += b
		}
		if op == "%" {
			return m, nil
		}
		return q, nil
	case "**":
		if b < 0 {
			return floatOperate(op, float64(a), float64(b))
		}
		if a == -1 {
			return 1 - b%2*2, nil
		}
		v = 1
		for n := 0; n < b && ok && (a != 0 && a != 1 || n == 0); n++ { // any power of 0 and 1 is the first one
			v, ok = mul(v, a)
		}
	}
	if !ok {
		return nil, fmt.Errorf("the result of %s is beyond 64 bits", op)
	}
	return v, nil
}

func mul(a, b int) (int, bool) {
	abs := func(x int) uint64 {
		if x < 0 {
			return -uint64(x)
		}
		return uint64(x)
	}
	hi, lo := bits.Mul64(abs(a), abs(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	return a * b, true
}

func floatOperate(op string, a, b float64) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		if a == 0 && b < 0 {
			return nil, errors.New("zero to a negative power")
		}
		return math.Pow(a, b), nil
	}
	if b == 0 {
		return nil, errors.New("division by zero")
	}
	switch op {
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	}
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m, nil
}

// compare is a comparison with Python's rules.
func (r *run) compare(op string, x, y any) (bool, error) {
	switch op {
	case "==", "!=":
		eq, err := r.equal(x, y)
		return eq == (op == "=="), err
	case "in", "not in":
		in, err := r.contains(y, x)
		return in == (op == "in"), err
	}
	f, xNum := number(x)
	g, yNum := number(y)
	if xNum && yNum && (math.IsNaN(f) || math.IsNaN(g)) {
		return false, nil
	}
	switch op {
	case "<":
		return r.less(op, x, y)
	case ">":
		return r.less(op, y, x)
	case "<=":
		gt, err := r.less(op, y, x)
		return !gt, err
	}
	lt, err := r.less(op, x, y)
	return !lt, err
}

func (r *run) equal(x, y any) (bool, error) {
	defer r.ascend()
	if err := r.descend(); err != nil {
		return false, err
	}
	a, xInt := integer(x)
	b, yInt := integer(y)
	if xInt && yInt {
		return a == b, nil
	}
	f, xNum := number(x)
	g, yNum := number(y)
	if xNum && yNum {
		return f == g, nil
	}
	if typeName(x) != typeName(y) {
		return false, nil
	}
	switch x := x.(type) {
	case nil, *undefined:
		return true, nil
	case string:
		t, _ := y.(string)
		return x == t, r.step(min(len(x), len(t)) / textStep)
	case list:
		t, _ := y.(list)
		return r.equalItems(x, t)
	case tuple:
		t, _ := y.(tuple)
		return r.equalItems(x, t)
	case view:
		t, _ := y.(view)
		return r.equalItems(x.items, t.items)
	case *Dict:
		other, _ := y.(*Dict)
		if len(x.keys) != len(other.keys) {
			return false, nil
		}
		for i, k := range x.keys {
			v, ok := other.get(k)
			if !ok {
				return false, nil
			}
			if eq, err := r.equal(x.vals[i], v); !eq || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return x == y, nil // ranges are equal by their bounds, all else by being the same
}

func (r *run) equalItems(x, y []any) (bool, error) {
	if len(x) != len(y) {
		return false, nil
	}
	for i := range x {
		if eq, err := r.equal(x[i], y[i]); !eq || err != nil {
			return false, err
		}
	}
	return true, nil
}

// less is x < y, for the operator op.
func (r *run) less(op string, x, y any) (bool, error) {
	defer r.ascend()
	if err := r.descend(); err != nil {
		return false, err
	}
	a, xInt := integer(x)
	b, yInt := integer(y)
	if xInt && yInt {
		return a < b, nil
	}
	f, xNum := number(x)
	g, yNum := number(y)
	if xNum && yNum {
		return f < g, nil
	}
	for _, v := range []any{x, y} {
		if u, ok := v.(*undefined); ok {
			return false, u.fail()
		}
	}
	if typeName(x) == typeName(y) {
		if s, ok := x.(string); ok {
			t, _ := y.(string)
			return s < t, r.step(min(len(s), len(t)) / textStep) // bytes of UTF-8 are in the order of characters
		}
		if s, ok := sequence(x); ok {
			t, _ := sequence(y)
			for i := range min(len(s), len(t)) {
				if eq, err := r.equal(s[i], t[i]); err != nil {
					return false, err
				} else if !eq {
					return r.less(op, s[i], t[i])
				}
			}
			return len(s) < len(t), nil
		}
	}
	if op == ">" || op == "<=" { // they were turned round
		x, y = y, x
	}
	return false, fmt.Errorf("'%s' not supported between instances of '%s' and '%s'", op, typeName(x), typeName(y))
}

func (r *run) contains(box, v any) (bool, error) {
	switch box := box.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			return false, fmt.Errorf("'in <string>' requires string as left operand, not %s", typeName(v))
		}
		return strings.Contains(box, s), r.step(len(box) / textStep)
	case *Dict:
		if _, err := hash(v); err != nil {
			return false, err
		}
		_, ok := box.get(v)
		return ok, nil
	case numbers:
		n, ok := integer(v)
		if ok && box.size() > 0 && (n-box.start)%box.step == 0 {
			i := (n - box.start) / box.step
			return i >= 0 && i < box.size(), nil
		}
		return false, nil
	}
	items, err := r.iterate(box)
	if err != nil {
		if r.spent == nil {
			err = fmt.Errorf("argument of type '%s' is not iterable", typeName(box))
		}
		return false, err
	}
	for _, item := range items {
		if eq, err := r.equal(item, v); eq || err != nil {
			return eq, err
		}
	}
	return false, nil
}
