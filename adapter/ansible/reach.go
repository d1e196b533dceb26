package ansible

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra/internal/yamledit"
)

// harmless matches what neither a shell nor an expression takes for more than a word.
var harmless = regexp.MustCompile(`^[\pL\pN_.,:/@%+=^ -]*$`)

// run are the keys whose values a shell, an interpreter or a server runs.
var run = map[string]bool{
	"shell": true, "command": true, "raw": true, "script": true, "expect": true, "cmd": true, "argv": true, "local_action": true,
	"query": true, "postgresql_query": true, "mysql_query": true, "validate": true, "executable": true, "ansible_python_interpreter": true,
}

// conditions are the keys whose values are expressions without braces: what an
// expression in braces comes to is evaluated again.
var conditions = map[string]bool{"when": true, "that": true, "until": true, "failed_when": true, "changed_when": true}

// computing matches what calls out of an expression.
var computing = regexp.MustCompile(`\b(lookup|query|q)\s*\(|\bvars\[|\|\s*(from_yaml|from_json|map|select|eval)\b`)

// codeAt returns where a variable would be taken for more than a value: in a shell, in
// a condition, in a lookup, by itself or through other variables. It returns "" if there
// is no such place.
func (w *Workspace) codeAt(s *survey, variable string) string {
	var docs []*yamledit.Document
	for _, name := range slices.Sorted(maps.Keys(s.code)) {
		if e := filepath.Ext(name); e != ".yml" && e != ".yaml" && e != "" {
			continue
		}
		text, err := os.ReadFile(w.abs(name))
		if err != nil || len(text) > 1<<20 {
			continue
		}
		if d, err := yamledit.Parse(w.abs(name), name, string(text)); err == nil && d.Root != nil {
			docs = append(docs, d)
		}
	}
	r := &reach{words: map[string]bool{}}
	r.taint(variable)
	for grown := true; grown && r.found == ""; {
		before := len(r.words)
		for _, d := range docs {
			r.doc = d
			r.walk(d.Root, place{})
		}
		grown = len(r.words) > before
	}
	return r.found
}

// reach follows a value through the variables that have it in them.
type reach struct {
	words map[string]bool // the names of these variables
	re    *regexp.Regexp  // of all of them
	doc   *yamledit.Document
	found string
}

func (r *reach) taint(name string) {
	r.words[name] = true
	r.re = regexp.MustCompile(`\b(` + strings.Join(slices.Sorted(maps.Keys(r.words)), "|") + `)\b`)
}

// place is where a node stands.
type place struct {
	key      string // the nearest, without the collection's name
	variable string // that it is a part of, "" if it is none of a variable
	looped   bool   // the items of the task's loop are tainted
}

func (r *reach) walk(n *yaml.Node, at place) {
	switch n.Kind {
	case yaml.ScalarNode:
		carries := r.re.MatchString(n.Value) || at.looped && mentionsItem(n.Value)
		bare := plainName.MatchString(n.Value)
		switch {
		case !carries:
		case run[at.key] || conditions[at.key] && (bare || isExpression(n.Value)) || computing.MatchString(n.Value):
			if r.found == "" {
				r.found = fmt.Sprintf("%s:%d (%s)", r.doc.Name, n.Line, at.key)
			}
		case isExpression(n.Value) && at.variable != "" && !r.words[at.variable]:
			r.taint(at.variable)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i].Value; k == "loop" || strings.HasPrefix(k, "with_") {
				at.looped = at.looped || slices.ContainsFunc(scalars(n.Content[i+1]), r.re.MatchString)
			}
		}
		root := r.doc.Root.Content[0] == n
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			below := place{key: name[strings.LastIndexByte(name, '.')+1:], variable: at.variable, looped: at.looped}
			if (root || at.key == "vars" || at.key == "set_fact") && at.variable == "" && plainName.MatchString(name) {
				below.variable = name
			}
			if run[at.key] {
				below.key = at.key // the arguments of what runs something are what it runs
			}
			r.walk(n.Content[i+1], below)
		}
	default:
		for _, x := range n.Content {
			r.walk(x, at)
		}
	}
}

var plainName = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// scalars returns the texts of a node and of all below it.
func scalars(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var out []string
	for _, x := range n.Content {
		out = append(out, scalars(x)...)
	}
	return out
}
