package hcl

import (
	"bytes"
	"fmt"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// secret returns "file:line" of the first thing in a file that looks like a
// secret, "" if there is none: a value of a sensitive variable, a text under a
// name such as password, a text that looks like a key.
func (f *file) secret() string {
	if penumbra.LooksSecret("", penumbra.String(string(f.src))) {
		return f.path // comments are in a patch too
	}
	finder := &secretFinder{file: f}
	if f.json != nil {
		f.json.visit("", finder.checkNode)
		return finder.where
	}
	_ = hclsyntax.VisitAll(f.body, func(node hclsyntax.Node) hcl2.Diagnostics {
		finder.visit(node)
		return nil
	})
	return finder.where
}

type secretFinder struct {
	file  *file
	where string
}

func (s *secretFinder) visit(node hclsyntax.Node) {
	switch n := node.(type) {
	case *hclsyntax.Attribute:
		s.check(n.Name, n.Expr)
	case *hclsyntax.ObjectConsExpr:
		for _, item := range n.Items {
			key, _ := keyOf(item.KeyExpr)
			s.check(key, item.ValueExpr)
		}
	case *hclsyntax.TemplateExpr:
		s.check("", n)
	case *hclsyntax.LiteralValueExpr:
		s.check("", n) // the fixed part of a text with interpolation
	case *hclsyntax.Block:
		if n.Type != "variable" || len(n.Labels) != 1 {
			return
		}
		value, ok := n.Body.Attributes["default"]
		if !ok {
			return
		}
		s.check(n.Labels[0], value.Expr)
		if marked, ok := n.Body.Attributes["sensitive"]; ok {
			v, known := literalExpr(value.Expr)
			empty := known && v.Text() == ""
			if m, known := literalExpr(marked.Expr); (!known || m == penumbra.Bool(true)) && !empty {
				s.where = s.file.at(value.SrcRange)
			}
		}
	}
}

func (s *secretFinder) checkNode(name string, n *node) {
	if v, ok := literalOf(n.value); ok && penumbra.LooksSecret(name, v) && s.where == "" {
		s.where = fmt.Sprintf("%s:%d", s.file.path, 1+bytes.Count(s.file.src[:n.at.start], []byte("\n")))
	}
}

func (s *secretFinder) check(name string, expr hclsyntax.Expression) {
	if v, ok := literalExpr(expr); ok && penumbra.LooksSecret(name, v) && s.where == "" {
		s.where = s.file.at(expr.Range())
	}
}
