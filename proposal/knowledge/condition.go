package knowledge

import (
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/penumbra-iac/penumbra"
)

// costLimit bounds the work of one expression, in CEL's own units, of which a
// comparison is about one: a condition is asked for every finding.
const costLimit = 10_000

// longestExpression is in characters.
const longestExpression = 2000

// variables are what conditions may speak of; docs/knowledge.md has them too.
var variables = []cel.EnvOption{
	cel.Variable("value", cel.DynType), cel.Variable("template", cel.DynType), cel.Variable("actual", cel.DynType),
	cel.Variable("sensitive", cel.BoolType),
	cel.Variable("settings", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("declared", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("tags", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("type", cel.StringType), cel.Variable("path", cel.StringType),
	cel.Variable("address", cel.StringType), cel.Variable("stack", cel.StringType), cel.Variable("env", cel.StringType),
	cel.Variable("hour", cel.IntType), cel.Variable("weekday", cel.IntType),
}

// environment is that of all expressions: making one is the dear part.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(append([]cel.EnvOption{
		cel.CrossTypeNumericComparisons(true), cel.ParserExpressionSizeLimit(longestExpression), cel.ParserRecursionLimit(50), ext.Strings(),
		measure("number", "a number", number), measure("memory", "an amount of memory", memory), measure("seconds", "a time", seconds),
		state("on", true), state("off", false),
	}, variables...)...)
})

// measure is a function of expressions that reads a value as a number.
func measure(name, what string, read func(penumbra.Value) (float64, bool)) cel.EnvOption {
	return cel.Function(name, cel.Overload(name+"_dyn", []*cel.Type{cel.DynType}, cel.DoubleType, cel.UnaryBinding(func(x ref.Val) ref.Val {
		f, ok := read(fromCEL(x))
		if !ok {
			return types.NewErr("not %s", what)
		}
		return types.Double(f)
	})))
}

// state is a function of expressions that tells a switch's position, in whatever
// words it is given.
func state(name string, want bool) cel.EnvOption {
	return cel.Function(name, cel.Overload(name+"_dyn", []*cel.Type{cel.DynType}, cel.BoolType, cel.UnaryBinding(func(x ref.Val) ref.Val {
		b, ok := position(fromCEL(x))
		return types.Bool(ok && b == want)
	})))
}

// fault is what is wrong with an expression, and where in it: the line counts
// from 1, the column from 0.
type fault struct {
	line, column int
	what         string
}

// compiling is held while an expression is compiled: the environment's checker
// makes its catalogue of names at the first mistake, and reads what it makes
// without a lock (cel-go 0.33).
var compiling sync.Mutex

// compile makes a program of an expression, one of a condition if condition is
// set.
func compile(text string, condition bool) (cel.Program, []fault) {
	compiling.Lock()
	defer compiling.Unlock()
	env, err := environment()
	if err != nil {
		return nil, []fault{{1, 0, err.Error()}}
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		var out []fault
		for _, e := range issues.Errors() {
			out = append(out, fault{e.Location.Line(), e.Location.Column(), e.Message})
		}
		return nil, out
	}
	if kind := ast.OutputType(); condition && kind.Kind() != types.BoolKind && kind.Kind() != types.DynKind {
		return nil, []fault{{1, 0, fmt.Sprintf("the condition gives a %s, not true or false", kind)}}
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, []fault{{1, 0, err.Error()}}
	}
	return program, nil
}

// holds reports whether the condition is true. One that cannot be evaluated, or
// costs too much, is not.
func holds(p cel.Program, s *scope) bool {
	out, _, err := p.Eval(s)
	return err == nil && out == types.True
}

// evaluate returns an expression's value, null if it has none.
func evaluate(p cel.Program, s *scope) penumbra.Value {
	out, _, err := p.Eval(s)
	if err != nil {
		return penumbra.Null()
	}
	return fromCEL(out)
}
