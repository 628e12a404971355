package chat

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// typeName is the name Python has for a value's type.
func typeName(v *exec.Value) string {
	switch {
	case v.IsNil():
		return "Undefined"
	case isNone(v):
		return "NoneType"
	case v.IsBool():
		return "bool"
	case v.IsInteger():
		return "int"
	case v.IsFloat():
		return "float"
	case v.IsString():
		return "str"
	case v.IsDict():
		return "dict"
	case v.IsList():
		return "list"
	case v.IsCallable():
		return "function"
	}
	return "object"
}

var errUndefined = errors.New("a name or an element that is not there is used")

// isIntegral says whether a value is an int or a bool, which counts as one.
func isIntegral(v *exec.Value) bool { return v.IsInteger() || v.IsBool() }

func isNumber(v *exec.Value) bool { return v.IsFloat() || isIntegral(v) }

func integer(v *exec.Value) int {
	if v.IsBool() {
		if v.Bool() {
			return 1
		}
		return 0
	}
	return v.Integer()
}

func float(v *exec.Value) float64 {
	if v.IsFloat() {
		return v.Float()
	}
	return float64(integer(v))
}

func isList(v *exec.Value) bool { return v.IsList() && !isNone(v) }

// operate is a binary operator with Python's rules for the types of its operands.
func operate(b *budget, op string, x, y *exec.Value) (any, error) {
	if op == "~" {
		return b.join("", text(b, x), text(b, y))
	}
	if x.IsNil() || y.IsNil() {
		return nil, errUndefined
	}
	switch {
	case isNumber(x) && isNumber(y):
		if isIntegral(x) && isIntegral(y) && op != "/" {
			return intOperate(op, integer(x), integer(y))
		}
		return floatOperate(op, float(x), float(y))
	case x.IsString() && y.IsString() && op == "+":
		return b.join("", x.String(), y.String())
	case x.IsString() && op == "+":
		return nil, fmt.Errorf(`can only concatenate str (not "%s") to str`, typeName(y))
	case x.IsString() && op == "%":
		return percent(b, x.String(), y)
	case x.IsString() && isIntegral(y) && op == "*":
		return b.repeat(x.String(), integer(y))
	case isIntegral(x) && y.IsString() && op == "*":
		return b.repeat(y.String(), integer(x))
	case isList(x) && isIntegral(y) && op == "*":
		n := max(0, integer(y))
		if x.Len() > 0 && n > b.maxSteps/x.Len() {
			return nil, b.refuse("steps", b.maxSteps)
		}
		out := []any{}
		for range n {
			for i := range x.Len() {
				out = append(out, x.Index(i).Interface())
			}
			if err := b.steps(x.Len()); err != nil {
				return nil, err
			}
		}
		return out, nil
	case isList(x) && isList(y) && op == "+":
		out := make([]any, 0, x.Len()+y.Len())
		for _, v := range []*exec.Value{x, y} {
			for i := range v.Len() {
				out = append(out, v.Index(i).Interface())
			}
		}
		return out, b.steps(len(out))
	}
	return nil, fmt.Errorf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(x), typeName(y))
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
		if b == 0 {
			return nil, errors.New("integer division or modulo by zero")
		}
		if b == -1 { // the one quotient that may overflow
			if op == "%" {
				return 0, nil
			}
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
		v = 1
		for n := 0; n < b && ok; n++ {
			if n > 64 && (v == 0 || v == 1 || v == -1) { // of 0, 1 and -1 any power is soon known
				if a == -1 && b%2 == 0 {
					return 1, nil
				}
				return a, nil
			}
			v, ok = mul(v, a)
		}
	}
	if !ok {
		return nil, fmt.Errorf("the result of %s is too large", op)
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
func compare(b *budget, op string, x, y *exec.Value) (bool, error) {
	switch op {
	case "==", "!=":
		eq, err := equal(b, x, y)
		return eq == (op == "=="), err
	case "in", "not in":
		in, err := contains(b, y, x)
		return in == (op == "in"), err
	case ">", "<=":
		x, y = y, x
	}
	lt, err := less(b, x, y)
	return lt == (op == "<" || op == ">"), err
}

func equal(b *budget, x, y *exec.Value) (bool, error) {
	if err := b.descend(); err != nil {
		return false, err
	}
	defer b.ascend()
	switch {
	case isNumber(x) && isNumber(y):
		if isIntegral(x) && isIntegral(y) {
			return integer(x) == integer(y), nil
		}
		return float(x) == float(y), nil
	case typeName(x) != typeName(y):
		return false, nil
	case x.IsNil(), isNone(x):
		return true, nil
	case x.IsString():
		return x.String() == y.String(), nil
	case x.IsDict():
		px := pairsOf(x)
		if len(px) != len(pairsOf(y)) {
			return false, nil
		}
		for _, p := range px {
			v, ok := element(y, p.Key)
			if !ok {
				return false, nil
			}
			if eq, err := equal(b, p.Value, v); !eq || err != nil {
				return false, err
			}
		}
		return true, nil
	case x.IsList():
		if x.Len() != y.Len() {
			return false, nil
		}
		for i := range x.Len() {
			if eq, err := equal(b, x.Index(i), y.Index(i)); !eq || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

func less(b *budget, x, y *exec.Value) (bool, error) {
	if err := b.descend(); err != nil {
		return false, err
	}
	defer b.ascend()
	switch {
	case isIntegral(x) && isIntegral(y):
		return integer(x) < integer(y), nil
	case isNumber(x) && isNumber(y):
		return float(x) < float(y), nil
	case x.IsString() && y.IsString():
		return x.String() < y.String(), nil
	case x.IsNil() || y.IsNil():
		return false, errUndefined
	case isList(x) && isList(y):
		for i := range min(x.Len(), y.Len()) {
			if eq, err := equal(b, x.Index(i), y.Index(i)); err != nil {
				return false, err
			} else if !eq {
				return less(b, x.Index(i), y.Index(i))
			}
		}
		return x.Len() < y.Len(), nil
	}
	return false, fmt.Errorf("'<' not supported between instances of '%s' and '%s'", typeName(x), typeName(y))
}

func contains(b *budget, box, v *exec.Value) (bool, error) {
	switch {
	case box.IsNil():
		return false, nil
	case box.IsString():
		if !v.IsString() {
			return false, fmt.Errorf("'in <string>' requires string as left operand, not %s", typeName(v))
		}
		return strings.Contains(box.String(), v.String()), b.steps(len(box.String()) / 256)
	case box.IsDict():
		_, ok := element(box, v)
		return ok, nil
	case isList(box):
		for i := range box.Len() {
			if eq, err := equal(b, box.Index(i), v); eq || err != nil {
				return eq, err
			}
		}
		return false, nil
	}
	return false, fmt.Errorf("argument of type '%s' is not iterable", typeName(box))
}
