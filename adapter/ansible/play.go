package ansible

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// play is a play that is written for a host, or for several on which it does the
// same: to set what was there before, or what the code leaves open.
type play struct {
	hosts    []string
	roles    []string // whose variables and handlers are needed; none of their tasks runs
	tasks    []*yaml.Node
	handlers []*yaml.Node
}

func (p *play) addRole(name string) {
	for _, r := range p.roles {
		if r == name {
			return
		}
	}
	p.roles = append(p.roles, name)
}

// playText writes plays as YAML. It returns an error of kind Refused if a secret
// would stand in them.
func playText(plays []*play) (string, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, p := range plays {
		list.Content = append(list.Content, p.node())
	}
	text, err := yamlText(list)
	if err != nil {
		return "", err
	}
	if where := secretIn(list); where != "" || penumbra.LooksSecret("", penumbra.String(text)) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "the play would hold a secret: " + where, Remedy: "keep it in a variable, with Ansible Vault"}
	}
	return text, nil
}

func (p *play) node() *yaml.Node {
	hosts := literal(p.hosts[0])
	if len(p.hosts) > 1 {
		hosts = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, h := range p.hosts {
			hosts.Content = append(hosts.Content, literal(h))
		}
	}
	n := mapping("hosts", hosts, "gather_facts", false)
	if len(p.roles) > 0 {
		roles := &yaml.Node{Kind: yaml.SequenceNode}
		for _, r := range p.roles {
			roles.Content = append(roles.Content, mapping("role", literal(r), "tags", []string{"never"}))
		}
		put(n, "roles", roles)
	}
	put(n, "tasks", &yaml.Node{Kind: yaml.SequenceNode, Content: p.tasks})
	if len(p.handlers) > 0 {
		put(n, "handlers", &yaml.Node{Kind: yaml.SequenceNode, Content: p.handlers})
	}
	return n
}

func yamlText(n *yaml.Node) (string, error) {
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(n)
	return b.String(), err
}

// merged joins the plays that do the same on different hosts. Ansible then has these
// hosts do it side by side, and one that fails keeps none of the others from it: after
// a play of which all hosts failed it runs no other.
func merged(plays []*play) ([]*play, error) {
	var out []*play
	same := map[string]*play{}
	for _, p := range plays {
		anywhere := *p
		anywhere.hosts = []string{""}
		text, err := yamlText(anywhere.node())
		if err != nil {
			return nil, err
		}
		if of := same[text]; of != nil {
			of.hosts = append(of.hosts, p.hosts...)
			continue
		}
		same[text] = p
		out = append(out, p)
	}
	return out, nil
}

// secretIn returns the path of the first value of a document that looks like a
// secret, "" if there is none. An expression or a vaulted value is none.
func secretIn(n *yaml.Node) string {
	var walk func(n *yaml.Node, path string) string
	walk = func(n *yaml.Node, path string) string {
		switch n.Kind {
		case yaml.DocumentNode, yaml.SequenceNode:
			for _, x := range n.Content {
				if where := walk(x, path); where != "" {
					return where
				}
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if where := walk(n.Content[i+1], penumbra.JoinPath(path, n.Content[i].Value)); where != "" {
					return where
				}
			}
		case yaml.ScalarNode:
			if n.Tag != "!vault" && !isExpression(n.Value) && penumbra.LooksSecret(path, penumbra.String(n.Value)) {
				return fmt.Sprintf("line %d, %s", n.Line, path)
			}
		}
		return ""
	}
	return walk(n, "")
}

// isExpression reports whether Ansible takes a text for a template: a comment in one
// is none that is evaluated, and goes.
func isExpression(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%") || strings.Contains(text, "{#")
}

// mapping makes a mapping of names and values; a nil value is left out.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		put(n, pairs[i].(string), pairs[i+1])
	}
	return n
}

func put(n *yaml.Node, name string, value any) {
	v, ok := value.(*yaml.Node)
	if !ok {
		if value == nil {
			return
		}
		v = &yaml.Node{}
		if err := v.Encode(value); err != nil {
			return
		}
	}
	if v != nil {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, v)
	}
}

// literal is a text that Ansible must take as it is.
func literal(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if isExpression(text) {
		n.Tag, n.Style = "!unsafe", yaml.SingleQuotedStyle
	}
	return n
}

// quoted is a literal that YAML must not take for a number or a switch.
func quoted(text string) *yaml.Node {
	n := literal(text)
	if n.Tag != "!unsafe" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// keywords adds to a task how the declared one reaches its host and as whom.
func (t *declared) keywords(n *yaml.Node) {
	for _, k := range []struct {
		name  string
		value any
	}{
		{"become", t.Become}, {"become_user", t.BecomeUser}, {"become_method", t.BecomeMethod},
		{"environment", t.Environment}, {"remote_user", t.RemoteUser}, {"module_defaults", t.ModuleDefaults}, {"vars", t.Vars},
	} {
		if k.value == false || strings.HasPrefix(k.name, "become_") && t.Become != true {
			continue
		}
		if !isEmpty(k.value) {
			put(n, k.name, k.value)
		}
	}
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// sealed reports whether a part of the task is encrypted where it stands, which
// the plugin does not write down.
func (t *declared) sealed() bool {
	data, _ := json.Marshal([]any{t.Args, t.Environment, t.ModuleDefaults, t.Vars})
	return strings.Contains(string(data), `"__sealed__"`)
}

// again is a task that does what a handler does. It returns nil if that cannot be
// written down.
func (t *declared) again() *yaml.Node {
	if t.sealed() {
		return nil
	}
	n := mapping("name", literal(t.Name))
	args := map[string]any{}
	for k, v := range t.Args {
		args[k] = v
	}
	if raw, ok := args["_raw_params"]; ok {
		delete(args, "_raw_params")
		switch t.module() {
		case "command", "shell":
			args["cmd"] = raw
		default:
			return nil
		}
	}
	put(n, t.Action, args)
	t.keywords(n)
	return n
}
