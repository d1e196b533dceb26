package policy

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/penumbra-iac/penumbra"
)

// accessSchema says what policies on access can ask about.
//
//go:embed access.cedarschema
var accessSchema []byte

// roles is what each role may do.
//
//go:embed roles.cedar
var roles []byte

// rolesFile is the name under which mistakes in roles would be listed.
const rolesFile = "roles.cedar"

// AccessSchema returns what policies on access can ask about, as a Cedar schema, and
// Roles the policies that say what each role may do.
func AccessSchema() string { return string(accessSchema) }
func Roles() string        { return string(roles) }

// Access says who may do what: the policies of the roles, and the user's own over
// them. It is safe for concurrent use.
type Access struct {
	*Set
	own []*rule // those of the user's that permit
	// environments are those of stacks, by their name.
	environments map[string]string
}

// LoadAccess reads the user's own policies on access from files and folders, as [Load]
// does, and puts them over those of the roles. environments are those of stacks.
func LoadAccess(paths []string, environments map[string]string) (*Access, []Mistake, error) {
	files, err := find(paths)
	if err != nil {
		return nil, nil, err
	}
	l, err := emptyLoader(accessSchema, []string{idNote, reasonNote})
	if err != nil {
		return nil, nil, err
	}
	l.add(rolesFile, roles)
	if len(l.mistakes) > 0 {
		return nil, nil, fmt.Errorf("the policies of the roles: %s", l.mistakes[0])
	}
	l.always = len(l.rules)
	shipped := make(map[cedar.PolicyID]bool, l.always)
	for id := range l.rules {
		shipped[id] = true
	}
	if err := l.read(files); err != nil {
		return nil, nil, err
	}
	a := &Access{Set: &l.Set, environments: environments}
	for id, r := range l.rules {
		if !shipped[id] && r.policy.Effect() == cedar.Permit {
			a.own = append(a.own, r)
		}
	}
	return a, l.mistakes, nil
}

// ranks are the roles, each with those that it includes.
var ranks = []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin}

// What grants say besides a role.
const (
	valuesRight = "values"
	logsRight   = "logs"
)

// sendAct is on an input, named by the target's ID, rather than on a stack.
const sendAct = penumbra.Act("input.send")

// Authorize returns an error of kind Refused unless a principal may do something to a
// target. A field of the target that is empty stands for all: a grant that is bounded
// there does not cover it.
func (a *Access) Authorize(_ context.Context, p *penumbra.Principal, act penumbra.Act, t penumbra.Target) error {
	if p == nil {
		return nobody(act)
	}
	t = a.placed(t)
	ok, refusedBy := a.ask(p, act, t, coveringOf(p, act, t))
	if ok {
		return nil
	}
	return a.refusal(p, act, t, refusedBy)
}

// Reach returns an error of kind Refused if a principal may do something to nothing at
// all, whatever it is on. That it does not is no leave: what is acted on is to be
// asked about with Authorize as soon as it is known.
func (a *Access) Reach(_ context.Context, p *penumbra.Principal, act penumbra.Act) error {
	if p == nil {
		return nobody(act)
	}
	if a.permitsSomewhere(act) {
		return nil
	}
	_, refusedBy := a.ask(p, act, penumbra.Target{}, nil)
	if ok, _ := a.ask(p, act, penumbra.Target{}, p.Grants); ok {
		return nil
	}
	// Two grants may complete each other only where both hold; each by itself is asked.
	for _, g := range p.Grants {
		if ok, _ := a.ask(p, act, somewhere(&g), []penumbra.Grant{g}); ok {
			return nil
		}
	}
	return a.refusal(p, act, penumbra.Target{}, refusedBy)
}

// ReachStack is Reach within a stack: types of resources are left open.
func (a *Access) ReachStack(ctx context.Context, p *penumbra.Principal, act penumbra.Act, stack string) error {
	if p == nil {
		return nobody(act)
	}
	t := a.placed(penumbra.Target{Stack: stack})
	var grants []penumbra.Grant
	for _, g := range p.Grants {
		if open := (penumbra.Grant{Stacks: g.Stacks, Environments: g.Environments}); covers(&open, act, t) {
			grants = append(grants, g)
		}
	}
	if ok, _ := a.ask(p, act, t, grants); ok || a.permitsSomewhere(act) && a.Authorize(ctx, p, act, t) == nil {
		return nil
	}
	return a.Authorize(ctx, p, act, t)
}

// permitsSomewhere reports whether one of the user's own permits may be about an act.
func (a *Access) permitsSomewhere(act penumbra.Act) bool {
	return slices.ContainsFunc(a.own, func(r *rule) bool {
		h, err := headOf(r.policy)
		return err != nil || h.may(act)
	})
}

// may reports whether a policy's head leaves an act open; one that names groups of
// acts does.
func (h *head) may(act penumbra.Act) bool {
	switch h.Action.Op {
	case "==":
		return h.Action.Entity.ID == string(act)
	default:
		return true
	}
}

// somewhere is a target that a grant covers, as far as its patterns can be met.
func somewhere(g *penumbra.Grant) penumbra.Target {
	first := func(patterns []string) string {
		if len(patterns) == 0 {
			return ""
		}
		return strings.ReplaceAll(patterns[0], "*", "")
	}
	return penumbra.Target{Stack: first(g.Stacks), Environment: first(g.Environments), Type: first(g.Types)}
}

func nobody(act penumbra.Act) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("nobody has been made sure of, and %s is not for everybody", act), Remedy: "sign in, or send a token"}
}

// placed fills in the environment of the target's stack.
func (a *Access) placed(t penumbra.Target) penumbra.Target {
	if t.Environment == "" {
		t.Environment = a.environments[t.Stack]
	}
	return t
}

// coveringOf returns the grants that hold where a target is.
func coveringOf(p *penumbra.Principal, act penumbra.Act, t penumbra.Target) []penumbra.Grant {
	var out []penumbra.Grant
	for _, g := range p.Grants {
		if covers(&g, act, t) {
			out = append(out, g)
		}
	}
	return out
}

// covers reports whether a grant holds where a target is.
func covers(g *penumbra.Grant, act penumbra.Act, t penumbra.Target) bool {
	if !within(g.Stacks, t.Stack) || !within(g.Environments, t.Environment) || !within(g.Types, t.Type) {
		return false
	}
	if g.Role != penumbra.Sender {
		return true
	}
	input := ""
	if act == sendAct {
		input = t.ID
	}
	return within(g.Inputs, input)
}

// within reports whether patterns, of which none is no bound, have a name.
func within(patterns []string, name string) bool {
	return len(patterns) == 0 || name != "" && slices.ContainsFunc(patterns, func(p string) bool { return Match(p, name) })
}

// Match reports whether a name is as a pattern says, in which * stands for any text.
func Match(pattern, name string) bool {
	first, rest, some := strings.Cut(pattern, "*")
	if !some {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], after
	}
}

// ask puts the question to Cedar, with the roles of the grants given. It returns those
// that forbade it.
func (a *Access) ask(p *penumbra.Principal, act penumbra.Act, t penumbra.Target, grants []penumbra.Grant) (ok bool, refusedBy []*rule) {
	entities := cedar.EntityMap{}
	principal := a.principal(entities, p, grants)
	environment := cedar.NewEntityUID("Penumbra::Environment", cedar.String(t.Environment))
	entities[environment] = types.Entity{UID: environment}
	stack := cedar.NewEntityUID(stackType, cedar.String(t.Stack))
	entities[stack] = types.Entity{UID: stack, Parents: cedar.NewEntityUIDSet(environment)}
	input := ""
	if act == sendAct {
		input = t.ID
	}
	target := cedar.NewEntityUID("Penumbra::Target", "")
	entities[target] = types.Entity{UID: target, Parents: cedar.NewEntityUIDSet(stack, environment), Attributes: cedar.NewRecord(cedar.RecordMap{
		"stack": cedar.String(t.Stack), "environment": cedar.String(t.Environment), "type": cedar.String(t.Type), "input": cedar.String(input),
	})}
	action := cedar.NewEntityUID(actionType, cedar.String(act))
	entities[action] = types.Entity{UID: action, Parents: actGroups(act)}
	decision, why := cedar.Authorize(a.set, entities, cedar.Request{Principal: principal, Action: action, Resource: target, Context: cedar.NewRecord(nil)})
	if len(why.Errors) > 0 {
		// Cedar passes over what it cannot evaluate. A policy that forbids would then
		// allow.
		return false, []*rule{a.rules[why.Errors[0].PolicyID]}
	}
	if decision == cedar.Allow {
		return true, nil
	}
	for _, r := range why.Reasons {
		refusedBy = append(refusedBy, a.rules[r.PolicyID])
	}
	slices.SortFunc(refusedBy, func(x, y *rule) int { return strings.Compare(x.id, y.id) })
	return false, refusedBy
}

// kinds are the types that principals have in policies.
var kinds = map[penumbra.PrincipalKind]cedar.EntityType{
	penumbra.PersonPrincipal: userType, penumbra.ServicePrincipal: "Penumbra::Service", penumbra.SourcePrincipal: "Penumbra::Source",
}

// principal adds who asks to the entities, in the roles that the grants give.
func (a *Access) principal(entities cedar.EntityMap, p *penumbra.Principal, grants []penumbra.Grant) cedar.EntityUID {
	kind, ok := kinds[p.Kind]
	if !ok {
		kind = "Penumbra::Source" // which may do least
	}
	var parents []cedar.EntityUID
	for _, group := range p.Groups {
		parents = append(parents, add(entities, "Penumbra::Group", group))
	}
	for i := range grants {
		parents = append(parents, roleOf(entities, &grants[i])...)
	}
	uid := cedar.NewEntityUID(kind, cedar.String(p.Name))
	entities[uid] = types.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(parents...), Attributes: cedar.NewRecord(cedar.RecordMap{
		"name": cedar.String(p.Name), "id": cedar.String(p.ID), "via": cedar.String(p.Via),
	})}
	return uid
}

// roleOf adds a grant's role, with those that it includes, and its rights.
func roleOf(entities cedar.EntityMap, g *penumbra.Grant) []cedar.EntityUID {
	if g.Role == penumbra.Sender {
		return []cedar.EntityUID{add(entities, roleType, string(g.Role))}
	}
	rank := slices.Index(ranks, g.Role)
	if rank < 0 {
		return nil
	}
	var below cedar.EntityUID
	for i, role := range ranks[:rank+1] {
		uid := cedar.NewEntityUID(roleType, cedar.String(role))
		e := types.Entity{UID: uid}
		if i > 0 {
			e.Parents = cedar.NewEntityUIDSet(below)
		}
		entities[uid], below = e, uid
	}
	out := []cedar.EntityUID{below}
	if g.Values {
		out = append(out, add(entities, "Penumbra::Right", valuesRight))
	}
	if g.Logs {
		out = append(out, add(entities, "Penumbra::Right", logsRight))
	}
	return out
}

const roleType = "Penumbra::Role"

// Unbounded reports whether a principal may do something to everything, whatever it is
// on, so that nobody has to look.
func (a *Access) Unbounded(_ context.Context, p *penumbra.Principal, act penumbra.Act) bool {
	if p == nil || a.Len() > 0 {
		return false
	}
	ok, _ := a.ask(p, act, penumbra.Target{}, coveringOf(p, act, penumbra.Target{}))
	return ok
}

// Typed reports whether what a principal may do can depend on a resource's type.
func (a *Access) Typed(p *penumbra.Principal) bool {
	return a.Len() > 0 || p != nil && slices.ContainsFunc(p.Grants, func(g penumbra.Grant) bool { return len(g.Types) > 0 })
}
