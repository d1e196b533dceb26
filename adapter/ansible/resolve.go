package ansible

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/yamledit"
)

// resolver follows an argument of a task to the literal that it is, through
// loops and variables.
type resolver struct {
	w      *Workspace
	survey *survey
	task   *declared
	from   *origin
	host   string
	files  map[string]*yamledit.Document
	depth  int
}

// deepest is how many variables are followed from one to the next.
const deepest = 8

// plainExpression matches an expression that is no more than a variable, a part
// of one, or that with its type said: nothing is computed.
var plainExpression = regexp.MustCompile(`^\{\{-?\s*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[\s*(?:'[^']*'|"[^"]*"|\d+)\s*\])*)\s*((?:\|\s*(?:string|int|float|bool|trim|list|dict2items|dict2items\(\))\s*)*)-?\}\}$`)

var expressionStep = regexp.MustCompile(`\.([A-Za-z_]\w*)|\[\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*\]`)

var itemWord = regexp.MustCompile(`\bitem\b`)

func mentionsItem(expression string) bool { return itemWord.MatchString(expression) }

// parseExpression takes an expression apart: a variable, the way into it, and
// whether it is turned into a list of keys and values.
func parseExpression(text string) (name string, steps []string, items, ok bool) {
	m := plainExpression.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", nil, false, false
	}
	for _, s := range expressionStep.FindAllStringSubmatch(m[2], -1) {
		steps = append(steps, s[1]+s[2]+s[3]+s[4])
	}
	return m[1], steps, strings.Contains(m[3], "dict2items"), true
}

func (r *resolver) refused(what string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: r.w.where(r.task) + ": " + what, Remedy: "edit the code by hand"}
}

// argument resolves an argument of the task.
func (r *resolver) argument(name string) (*found, error) {
	raw, ok := r.task.Args[name]
	if !ok {
		return nil, r.refused("it has no " + name + " of its own: module_defaults or the module say it")
	}
	if s, isText := raw.(string); isText && isExpression(s) {
		return r.expression(s, nil)
	}
	doc, node, err := r.taskNode()
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if key[strings.LastIndexByte(key, '.')+1:] != r.task.module() && key != "args" {
			continue
		}
		if at := yamledit.Child(node.Content[i+1], name); at != nil {
			return r.literal(doc, at, nil, "", nil, true)
		}
	}
	return nil, r.refused("its " + name + " does not stand there as a mapping has it")
}

// taskNode returns the file of the task and its mapping in there.
func (r *resolver) taskNode() (*yamledit.Document, *yaml.Node, error) {
	file, line := r.task.file()
	doc, err := r.w.document(file, r.files)
	if err != nil {
		return nil, nil, err
	}
	if node := yamledit.MappingAt(doc.Root, line); node != nil {
		return doc, node, nil
	}
	return nil, nil, r.refused("it is not found in its file")
}

// expression resolves one, and the way into what it gives.
func (r *resolver) expression(text string, more []string) (*found, error) {
	if r.depth++; r.depth > deepest {
		return nil, r.refused("its variables refer to each other without end")
	}
	name, steps, items, ok := parseExpression(text)
	if !ok || items {
		return nil, r.refused("the value is computed: " + penumbra.Redact(text))
	}
	steps = append(steps, more...)
	if name == "item" {
		return r.item(steps)
	}
	return r.variable(name, steps)
}

// item resolves a part of a loop's item.
func (r *resolver) item(steps []string) (*found, error) {
	if list, inline := r.task.Loop.([]any); inline && r.task.LoopWith != "dict" && r.from.index < len(list) && r.from.index >= 0 {
		doc, node, err := r.taskNode()
		if err != nil {
			return nil, err
		}
		for _, key := range [...]string{"loop", "with_items", "with_list"} {
			if at := yamledit.Child(node, key); at != nil && at.Kind == yaml.SequenceNode && len(at.Content) == len(list) {
				return r.literal(doc, at.Content[r.from.index], steps, "", nil, true)
			}
		}
		return nil, r.refused("its loop is not found in its file")
	}
	text, ok := r.task.Loop.(string)
	name, way, items, plain := parseExpression(text)
	if !ok || !plain {
		return nil, r.refused("its loop is computed: " + penumbra.Redact(fmt.Sprint(r.task.Loop)))
	}
	if items || r.task.LoopWith == "dict" {
		of, _ := r.from.item.(map[string]any)
		key, isText := of["key"].(string)
		if !isText || len(steps) == 0 || steps[0] != "value" {
			return nil, r.refused("the value is the name of a loop's item")
		}
		return r.variable(name, append(append(way, key), steps[1:]...))
	}
	return r.variable(name, append(append(way, fmt.Sprint(r.from.index)), steps...))
}

// variable resolves a variable where the host gets it from.
func (r *resolver) variable(name string, steps []string) (*found, error) {
	sources, err := r.sources()
	if err != nil {
		return nil, err
	}
	for _, src := range sources {
		if at := yamledit.Child(src.node, name); at != nil {
			return r.literal(src.doc, at, steps, name, src.hosts, src.everyone)
		}
	}
	if where := r.w.inInventory(name); where != "" {
		return nil, r.refused(fmt.Sprintf("variable %s stands in the inventory, %s", name, where))
	}
	return nil, r.refused(fmt.Sprintf("variable %s is set in no file of variables that can be read: by a task, an include, the inventory's own program, or in an encrypted file", name))
}

// literal goes the way into a node, and on through a variable that it names.
func (r *resolver) literal(doc *yamledit.Document, at *yaml.Node, steps []string, variable string, hosts []string, everyone bool) (*found, error) {
	for i, step := range steps {
		if at.Kind == yaml.ScalarNode && isExpression(at.Value) {
			return r.expression(at.Value, steps[i:])
		}
		next := yamledit.Child(at, step)
		if next == nil {
			return nil, r.refused(fmt.Sprintf("%s does not stand in %s:%d as it is used", strings.Join(steps, "."), doc.Name, at.Line))
		}
		at = next
	}
	switch {
	case at.Tag == "!vault":
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s:%d is encrypted", doc.Name, at.Line), Remedy: "edit it with ansible-vault"}
	case at.Kind == yaml.AliasNode || at.Anchor != "":
		return nil, r.refused(fmt.Sprintf("%s:%d is shared by an anchor", doc.Name, at.Line))
	case at.Kind != yaml.ScalarNode:
		return nil, r.refused(fmt.Sprintf("%s:%d is no single value", doc.Name, at.Line))
	case isExpression(at.Value):
		return r.expression(at.Value, nil)
	}
	return &found{doc: doc, node: at, variable: variable, hosts: hosts, everyone: everyone}, nil
}
