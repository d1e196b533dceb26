package hcl

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// unwrap takes parentheses and conversions of one argument off an expression:
// they leave the elements where they are.
func unwrap(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		switch e := expr.(type) {
		case *hclsyntax.ParenthesesExpr:
			expr = e.Expression
		case *hclsyntax.FunctionCallExpr:
			switch e.Name {
			case "toset", "tolist", "tomap":
				if len(e.Args) == 1 && !e.ExpandFinal {
					expr = e.Args[0]
					continue
				}
			}
			return expr
		default:
			return expr
		}
	}
}

// literalExpr returns the scalar that an expression is written as.
func literalExpr(expr hclsyntax.Expression) (penumbra.Value, bool) {
	switch e := unwrap(expr).(type) {
	case *hclsyntax.LiteralValueExpr:
		return literalOf(e.Val)
	case *hclsyntax.UnaryOpExpr:
		if v, ok := literalExpr(e.Val); ok && e.Op == hclsyntax.OpNegate && v.Kind() == penumbra.NumberKind {
			n, err := penumbra.ParseNumber("-" + v.Text())
			return n, err == nil
		}
	case *hclsyntax.TemplateExpr:
		var text strings.Builder
		for _, part := range e.Parts {
			lit, ok := part.(*hclsyntax.LiteralValueExpr)
			if !ok || lit.Val.IsNull() || lit.Val.Type() != cty.String {
				return penumbra.Value{}, false
			}
			text.WriteString(lit.Val.AsString())
		}
		return penumbra.String(text.String()), true
	}
	return penumbra.Value{}, false
}

func literalOf(v cty.Value) (penumbra.Value, bool) {
	switch {
	case v.IsNull():
		return penumbra.Null(), true
	case !v.IsKnown():
		return penumbra.Value{}, false
	case v.Type() == cty.String:
		return penumbra.String(v.AsString()), true
	case v.Type() == cty.Bool:
		return penumbra.Bool(v.True()), true
	case v.Type() == cty.Number:
		f := v.AsBigFloat()
		if e := f.MantExp(nil); e > mostBits || e < -mostBits {
			return penumbra.Value{}, false
		}
		n, err := penumbra.ParseNumber(f.Text('g', numberDigits))
		return n, err == nil
	default:
		return penumbra.Value{}, false
	}
}

// A number in the code is written with as many digits as no setting has more of, and
// one with an exponent beyond what a float64 has is none that could be edited:
// written out, 1e999999 would be as long as it is large.
const (
	numberDigits = 40
	mostBits     = 1024
)

// spell writes a value as HCL.
func spell(v penumbra.Value) string {
	switch v.Kind() {
	case penumbra.StringKind:
		return spellString(v.Text())
	case penumbra.NullKind:
		return "null"
	default:
		return v.Text()
	}
}

func spellString(s string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
}

// spellKey writes a key of an object, quoted if it has to be.
func spellKey(key string) string {
	if hclsyntax.ValidIdentifier(key) && key != "null" && key != "true" && key != "false" && key != "for" {
		return key
	}
	return spellString(key)
}

// keyOf returns an object's key if it is written out.
func keyOf(expr hclsyntax.Expression) (string, bool) {
	if k, ok := expr.(*hclsyntax.ObjectConsKeyExpr); ok {
		if !k.ForceNonLiteral {
			if t, ok := k.Wrapped.(*hclsyntax.ScopeTraversalExpr); ok && len(t.Traversal) == 1 {
				return t.Traversal.RootName(), true
			}
		}
		expr = k.Wrapped
		if k.ForceNonLiteral {
			if _, reference := unwrap(expr).(*hclsyntax.ScopeTraversalExpr); reference {
				return "", false
			}
		}
	}
	v, ok := literalExpr(expr)
	return v.Text(), ok && !v.IsNull()
}

// sizeOf returns how many elements a collection that is written out has.
func sizeOf(expr hclsyntax.Expression) (int, bool) {
	switch e := unwrap(expr).(type) {
	case *hclsyntax.ObjectConsExpr:
		return len(e.Items), true
	case *hclsyntax.TupleConsExpr:
		return len(e.Exprs), true
	default:
		return 0, false
	}
}

// names returns how the elements of a list are named in a flattened path, as
// [penumbra.ElementKeys] does, and whether they are named by their content.
func names(list []hclsyntax.Expression) ([]string, bool) {
	for _, field := range [...]string{"name", "key", "id"} {
		var out []string
		seen := map[string]bool{}
		for _, x := range list {
			object, ok := unwrap(x).(*hclsyntax.ObjectConsExpr)
			if !ok {
				return nil, false
			}
			name := ""
			for _, item := range object.Items {
				if key, ok := keyOf(item.KeyExpr); ok && key == field {
					if v, ok := literalExpr(item.ValueExpr); ok && v.Kind() == penumbra.StringKind {
						name = v.Text()
					}
				}
			}
			if name == "" || seen[name] {
				break
			}
			seen[name] = true
			out = append(out, name)
		}
		if len(out) == len(list) && len(list) > 0 {
			return out, true
		}
	}
	return nil, false
}
