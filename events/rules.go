package events

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Rules are what a user says of records and series. The first rule that matches
// decides. The zero value has none.
type Rules struct {
	// Actors say who is behind an actor's name.
	Actors []ActorRule `koanf:"actors"`
	// Resources say which resource a record is about, or that it is about none.
	Resources []ResourceRule `koanf:"resources"`
	// Inputs are by the name of the input.
	Inputs map[string]InputRule `koanf:"inputs"`
	// Types translate the type that a record names into that of resources.
	Types []TypeRule `koanf:"types"`
	// Paths translate the settings that a record names into paths of resources.
	Paths []PathRule `koanf:"paths"`
}

// Match says which records a rule is for: all patterns given must match. A
// pattern that begins with ^ is a regular expression (RE2). Any other is a glob
// for the whole text in which * stands for anything and ? for one character,
// and which ignores case; each of them is a group, as in (.*) and (.).
type Match struct {
	Input  string `koanf:"input"`
	Format string `koanf:"format"`
	Actor  string `koanf:"actor"`
	Via    string `koanf:"via"`
	Action string `koanf:"action"`
	Type   string `koanf:"type"`
	// Target must match one of the targets.
	Target  string `koanf:"target"`
	Message string `koanf:"message"`
	// Attributes are patterns by the attribute's name; of a series, by the label's.
	Attributes map[string]string `koanf:"attributes"`
}

// ActorRule says of what kind an actor is, and perhaps the name that it is to have.
type ActorRule struct {
	Match `koanf:",squash"`
	// Kind is user, automation or system; "" leaves it to what is built in.
	Kind string `koanf:"kind"`
	// Name replaces the actor; $1 is the first group of Match.Actor.
	Name string `koanf:"name"`
}

// ResourceRule says what a record or a series is about.
type ResourceRule struct {
	Match `koanf:",squash"`
	// Resource is an address, or another identifier that only one resource has.
	// $1 is the first group of the target's pattern, without one of the message's,
	// without that of the first attribute by name.
	Resource string `koanf:"resource"`
	// Stack and OfType decide between the resources that the targets fit.
	Stack  string `koanf:"stack"`
	OfType string `koanf:"of_type"`
	// Ignore takes the record for noise; Reason says why and is shown.
	Ignore bool   `koanf:"ignore"`
	Reason string `koanf:"reason"`
}

// InputRule says what all records of an input have in common.
type InputRule struct {
	// Resource is the address that all of them are about.
	Resource string `koanf:"resource"`
	// Stack decides between the resources that the targets fit.
	Stack string `koanf:"stack"`
}

// TypeRule gives the records that it matches another type; $1 is the first group
// of Match.Type.
type TypeRule struct {
	Match `koanf:",squash"`
	To    string `koanf:"to"`
}

// PathRule translates the paths that From matches; $1 is its first group.
type PathRule struct {
	Match `koanf:",squash"`
	From  string `koanf:"from"`
	To    string `koanf:"to"`
}

// condition is a compiled Match.
type condition struct {
	input, format, actor, via, action, typ, target, message *regexp.Regexp
	attributes                                              []attribute // by name
}

type attribute struct {
	name    string
	pattern *regexp.Regexp
}

type (
	actorRule struct {
		condition
		kind penumbra.ActorKind
		name string
	}
	resourceRule struct {
		condition
		ResourceRule
		number int
	}
	typeRule struct {
		condition
		to string
	}
	pathRule struct {
		condition
		from *regexp.Regexp
		to   string
	}
)

// rules are compiled Rules.
type rules struct {
	actors    []actorRule
	resources []resourceRule
	inputs    map[string]InputRule
	types     []typeRule
	paths     []pathRule
}

func compile(r Rules) (*rules, error) {
	out := &rules{inputs: maps.Clone(r.Inputs)}
	for i, x := range r.Actors {
		c, err := x.compile()
		kind := penumbra.UnknownActor
		if err == nil {
			if err = kind.UnmarshalText([]byte(x.Kind)); err != nil {
				err = fmt.Errorf("kind %q is none of user, automation, system", x.Kind)
			} else if x.Kind == "" && x.Name == "" {
				err = fmt.Errorf("it says neither kind nor name")
			}
		}
		if err == nil {
			err = checkGroups(x.Name, c.actor)
		}
		if err != nil {
			return nil, invalid("actors", i, err)
		}
		out.actors = append(out.actors, actorRule{c, kind, x.Name})
	}
	for i, x := range r.Resources {
		c, err := x.compile()
		if err == nil {
			err = x.check(&c)
		}
		if err != nil {
			return nil, invalid("resources", i, err)
		}
		out.resources = append(out.resources, resourceRule{c, x, i + 1})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		if x := r.Inputs[name]; x.Resource == "" && x.Stack == "" {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("events: inputs: %s: it says neither resource nor stack", name), Remedy: remedy}
		}
	}
	return out, out.compileTranslations(r)
}

func (out *rules) compileTranslations(r Rules) error {
	for i, x := range r.Types {
		c, err := x.compile()
		switch {
		case err != nil:
		case x.To == "" || x.Type == "":
			err = fmt.Errorf("it needs type and to")
		default:
			err = checkGroups(x.To, c.typ)
		}
		if err != nil {
			return invalid("types", i, err)
		}
		out.types = append(out.types, typeRule{c, x.To})
	}
	for i, x := range r.Paths {
		c, err := x.compile()
		var from *regexp.Regexp
		if err == nil {
			from, err = pattern("from", x.From)
		}
		switch {
		case err != nil:
		case from == nil || x.To == "":
			err = fmt.Errorf("it needs from and to")
		default:
			err = checkGroups(x.To, from)
		}
		if err != nil {
			return invalid("paths", i, err)
		}
		out.paths = append(out.paths, pathRule{c, from, x.To})
	}
	return nil
}

const remedy = "correct it in penumbra.yaml; docs/events.md has examples"

func invalid(list string, i int, err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("events: %s: rule %d", list, i+1), Remedy: remedy, Err: err}
}

func (x *ResourceRule) check(c *condition) error {
	switch {
	case x.Ignore && (x.Resource != "" || x.Stack != "" || x.OfType != ""):
		return fmt.Errorf("it says both ignore and a resource, a stack or a type")
	case x.Ignore && x.Reason == "":
		return fmt.Errorf("it ignores records and gives no reason")
	case !x.Ignore && x.Resource == "" && x.Stack == "" && x.OfType == "":
		return fmt.Errorf("it says neither resource, stack, of_type nor ignore")
	case x.Resource != "" && (x.Stack != "" || x.OfType != ""):
		return fmt.Errorf("it says both a resource and a stack or a type")
	}
	return checkGroups(x.Resource, c.key())
}

// key returns the pattern whose groups a resource rule may use, nil if none.
func (c *condition) key() *regexp.Regexp {
	switch {
	case c.target != nil:
		return c.target
	case c.message != nil:
		return c.message
	case len(c.attributes) > 0:
		return c.attributes[0].pattern
	}
	return nil
}

// group matches $1, ${1} and ${name}.
var group = regexp.MustCompile(`\$(\w+|\{\w+\})`)

// checkGroups refuses a text that uses a group which the pattern does not have:
// it would quietly be empty.
func checkGroups(text string, p *regexp.Regexp) error {
	for _, used := range group.FindAllString(text, -1) {
		name := strings.Trim(used, "${}")
		n, err := strconv.Atoi(name)
		if p != nil && (err != nil && p.SubexpIndex(name) > 0 || err == nil && n <= p.NumSubexp()) {
			continue
		}
		return fmt.Errorf("%q uses the group %s, which no pattern has", text, used)
	}
	return nil
}

func (m *Match) compile() (c condition, err error) {
	for _, x := range []struct {
		name, text string
		to         **regexp.Regexp
	}{
		{"input", m.Input, &c.input}, {"format", m.Format, &c.format}, {"actor", m.Actor, &c.actor}, {"via", m.Via, &c.via},
		{"action", m.Action, &c.action}, {"type", m.Type, &c.typ}, {"target", m.Target, &c.target}, {"message", m.Message, &c.message},
	} {
		if *x.to, err = pattern(x.name, x.text); err != nil {
			return c, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		p, err := pattern("attribute "+name, m.Attributes[name])
		if err != nil {
			return c, err
		}
		if p == nil {
			return c, fmt.Errorf("attribute %s has no pattern; * matches any", name)
		}
		c.attributes = append(c.attributes, attribute{name, p})
	}
	return c, nil
}

// pattern compiles a regular expression or a glob, nil for "".
func pattern(name, text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	source := text
	if !strings.HasPrefix(text, "^") {
		source = strings.NewReplacer(`\*`, "(.*)", `\?`, "(.)").Replace(regexp.QuoteMeta(text))
		source = "(?is)^" + source + "$"
	}
	p, err := regexp.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// matches reports whether the condition holds for a record.
func (c *condition) matches(r *penumbra.Record) bool {
	is := func(p *regexp.Regexp, text string) bool { return p == nil || p.MatchString(text) }
	if !is(c.input, r.Input) || !is(c.format, r.Format) || !is(c.action, r.Action) || !is(c.actor, r.Actor) ||
		!is(c.via, r.Via) || !is(c.typ, r.Type) || !is(c.message, r.Message) {
		return false
	}
	if c.target != nil && !slices.ContainsFunc(r.Targets, c.target.MatchString) {
		return false
	}
	for _, a := range c.attributes {
		text, ok := r.Attributes[a.name]
		if !ok || !a.pattern.MatchString(text) {
			return false
		}
	}
	return true
}

// expand returns the text with the groups of the pattern as it matches subject.
func expand(text string, p *regexp.Regexp, subject string) string {
	if p == nil || !strings.Contains(text, "$") {
		return text
	}
	at := p.FindStringSubmatchIndex(subject)
	return string(p.ExpandString(nil, text, subject, at))
}

// resource returns the address or identifier that the rule gives a record.
func (x *resourceRule) resource(r *penumbra.Record) string {
	var subject string
	switch {
	case x.target != nil:
		subject = r.Targets[slices.IndexFunc(r.Targets, x.target.MatchString)]
	case x.message != nil:
		subject = r.Message
	case len(x.attributes) > 0:
		subject = r.Attributes[x.attributes[0].name]
	}
	return expand(x.Resource, x.key(), subject)
}
