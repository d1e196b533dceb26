package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/penumbra-iac/penumbra"
)

const (
	systemType = "Penumbra::System"
	userType   = "Penumbra::User"
	actionType = "Penumbra::Action"
	stackType  = "Penumbra::Stack"
)

var system = cedar.NewEntityUID(systemType, "penumbra")

// Person is somebody with the groups and roles that policies ask for.
type Person struct {
	Name   string
	Groups []string
	Roles  []string
}

// Guard asks policies about people in a time zone, and knows the windows.
type Guard struct {
	Set      *Set
	People   []Person
	Calendar *Calendar // nil: always open
	Zone     *time.Location
	// Groups returns the groups that somebody has besides, of their account, where an
	// identity provider says them; nil if there are none to ask for.
	Groups func(name string) ([]string, error)
}

// Automatic reports whether a policy lets Penumbra approve by itself.
func (g *Guard) Automatic() bool { return g.Set.Automatic() }

// Window says whether runs on a stack may start at a time.
func (g *Guard) Window(stack string, at time.Time) penumbra.Window {
	if g.Calendar == nil {
		return penumbra.Window{Open: true}
	}
	return g.Calendar.At(stack, at)
}

// Waits reports whether what is approved outside of a window waits for the next.
func (g *Guard) Waits() bool { return g.Calendar == nil || !g.Calendar.Refuse }

// Ask answers a question.
func (g *Guard) Ask(q *penumbra.PolicyQuestion) penumbra.PolicyAnswer {
	a := penumbra.PolicyAnswer{Verb: q.Verb, By: q.By, Needs: 1}
	entities, request, err := g.request(q)
	if err != nil {
		// Without its groups somebody might be let through whom a policy forbids.
		a.Reason = err.Error()
		return a
	}
	decision, why := cedar.Authorize(g.Set.set, entities, request)
	var matched []*rule
	for _, r := range why.Reasons {
		matched = append(matched, g.Set.rules[r.PolicyID])
	}
	slices.SortFunc(matched, func(x, y *rule) int { return strings.Compare(x.id, y.id) })
	for _, r := range matched {
		a.Policies = append(a.Policies, r.id)
	}
	switch {
	case len(why.Errors) > 0:
		// Cedar passes over what it cannot evaluate. A policy that forbids would
		// then allow.
		first := why.Errors[0]
		a.Policies = []string{string(first.PolicyID)}
		a.Reason = fmt.Sprintf("policy %s cannot be evaluated: %s", first.PolicyID, first.Message)
	case decision != cedar.Allow && len(matched) > 0:
		a.Reason = "refused by " + named(matched)
	case decision != cedar.Allow:
		a.Reason = "no policy allows it"
	case q.By == "" && q.Proposal != nil && q.Proposal.Policy != nil && q.Verb != penumbra.CarryOut:
		// Who let Penumbra approve what is harmless did not let it write policies.
		a.Reason = "policies are for people to decide on"
	case q.By == "":
		g.answerSystem(q, &a, matched)
	default:
		a.Allowed = true
		count(&a, matched)
	}
	if a.Allowed {
		a.Reason = "allowed by " + named(matched)
		if a.Needs > 1 && q.Verb == penumbra.Approve {
			a.Reason = fmt.Sprintf("needs %d people, says %s", a.Needs, named(asking(matched, a.Needs)))
		}
	}
	return a
}

// answerSystem answers for Penumbra itself. A policy that permits everybody does
// not mean it: one has to name it, and what is destroyed or replaced besides.
func (g *Guard) answerSystem(q *penumbra.PolicyQuestion, a *penumbra.PolicyAnswer, matched []*rule) {
	names := func(r *rule) bool { return r.automatic }
	switch q.Verb {
	case penumbra.Approve:
	case penumbra.RollBack:
		// It is an approval of the way back: what is asked of approvals, and what
		// forbids them, holds for it too.
		names = func(r *rule) bool { return r.undoes }
		if why := g.approvalOf(q, a); why != "" {
			a.Reason = why
			return
		}
	default:
		a.Allowed = q.Verb == penumbra.CarryOut
		a.Reason = "Penumbra itself approves, rolls back and carries out, and does nothing else"
		count(a, matched)
		return
	}
	var automatic []*rule
	var allows []string
	for _, r := range matched {
		if names(r) {
			automatic = append(automatic, r)
			allows = append(allows, r.allows...)
		}
	}
	count(a, matched)
	replaces, destroys := disrupts(q.Proposal)
	switch {
	case len(automatic) == 0:
		a.Reason = "no policy that names Penumbra itself allows it"
	case destroys && !slices.Contains(allows, "destroy"):
		a.Reason = `the plan destroys, and no policy that allows it says @allows("destroy")`
	case replaces && !slices.Contains(allows, "replace"):
		a.Reason = `the plan replaces, and no policy that allows it says @allows("replace")`
	case a.Needs > 1:
		a.Reason = fmt.Sprintf("%d people have to approve it, says %s", a.Needs, named(asking(matched, a.Needs)))
	default:
		a.Allowed = true
		a.Policies = a.Policies[:0]
		for _, r := range automatic {
			a.Policies = append(a.Policies, r.id)
		}
	}
}

// approvalOf says why Penumbra may not approve what it is asked to roll back, "" if
// nothing is against it: no policy forbids it, and it is not for several people.
func (g *Guard) approvalOf(q *penumbra.PolicyQuestion, a *penumbra.PolicyAnswer) string {
	approve := *q
	approve.Verb = penumbra.Approve
	entities, request, err := g.request(&approve)
	if err != nil {
		return err.Error()
	}
	decision, why := cedar.Authorize(g.Set.set, entities, request)
	var matched []*rule
	for _, r := range why.Reasons {
		matched = append(matched, g.Set.rules[r.PolicyID])
	}
	switch {
	case len(why.Errors) > 0:
		return fmt.Sprintf("policy %s cannot be evaluated: %s", why.Errors[0].PolicyID, why.Errors[0].Message)
	case decision != cedar.Allow && len(matched) > 0:
		return "to approve it is refused by " + named(matched)
	}
	if count(a, matched); a.Needs > 1 {
		return fmt.Sprintf("%d people have to approve it, says %s", a.Needs, named(asking(matched, a.Needs)))
	}
	return ""
}

// count takes in what the annotations of the policies that allow say.
func count(a *penumbra.PolicyAnswer, matched []*rule) {
	for _, r := range matched {
		a.Needs = max(a.Needs, r.approvals)
		for _, o := range r.overrides {
			if !slices.Contains(a.Overrides, o) {
				a.Overrides = append(a.Overrides, o)
			}
		}
	}
	slices.Sort(a.Overrides)
}

// asking returns the policies that ask for so many approvals.
func asking(matched []*rule, needs int) []*rule {
	return slices.DeleteFunc(slices.Clone(matched), func(r *rule) bool { return r.approvals != needs })
}

// named lists policies with their reasons.
func named(list []*rule) string {
	var words []string
	for _, r := range list {
		word := "policy " + r.id
		if r.reason != "" {
			word += " (" + r.reason + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// request puts a question into Cedar's terms. It returns an error if the groups of
// somebody cannot be known.
func (g *Guard) request(q *penumbra.PolicyQuestion) (entities cedar.EntityMap, request cedar.Request, err error) {
	entities = cedar.EntityMap{}
	principal := system
	if q.By == "" {
		entities[system] = types.Entity{UID: system}
	} else if principal, err = g.user(entities, q.By); err != nil {
		return nil, request, err
	}
	var resource cedar.EntityUID
	switch {
	case q.Drift == nil:
		resource = add(entities, stackType, q.Stack)
	case q.Proposal != nil && !q.Verb.OnDrift():
		if resource, err = g.proposal(entities, q); err != nil {
			return nil, request, err
		}
	default:
		resource = cedar.NewEntityUID("Penumbra::Drift", cedar.String(q.Drift.ID))
		record := cedar.RecordMap{"id": cedar.String(q.Drift.ID), "off_template": texts(q.Drift.OffTemplate())}
		ofDrift(record, q.Drift)
		entities[resource] = types.Entity{UID: resource, Attributes: cedar.NewRecord(record), Parents: inStack(entities, q.Drift)}
	}
	zone := g.Zone
	if zone == nil {
		zone = time.UTC
	}
	local := q.Time.In(zone)
	others := slices.DeleteFunc(slices.Clone(q.ApprovedBy), func(by string) bool { return penumbra.SamePerson(by, q.By) })
	return entities, cedar.Request{
		Principal: principal, Action: cedar.NewEntityUID(actionType, cedar.String(q.Verb)), Resource: resource,
		Context: cedar.NewRecord(cedar.RecordMap{
			"hour":       cedar.Long(local.Hour()),
			"weekday":    cedar.String(strings.ToLower(local.Weekday().String())),
			"in_window":  cedar.Boolean(q.InWindow),
			"frozen":     cedar.Boolean(q.Frozen),
			"approvals":  cedar.Long(len(others)),
			"runs_today": cedar.Long(q.RunsToday),
		}),
	}, nil
}

// user adds a person to the entities, as the configuration names them whatever
// the case that they write themselves in, in the groups of the configuration and in
// those of their account.
func (g *Guard) user(entities cedar.EntityMap, name string) (cedar.EntityUID, error) {
	name = strings.TrimSpace(name)
	var parents []cedar.EntityUID
	if g.Groups != nil {
		groups, err := g.Groups(name)
		if err != nil {
			return cedar.EntityUID{}, fmt.Errorf("the groups of %s are not known: %w", name, err)
		}
		for _, group := range groups {
			parents = append(parents, add(entities, "Penumbra::Group", group))
		}
	}
	for _, p := range g.People {
		if !penumbra.SamePerson(p.Name, name) {
			continue
		}
		name = p.Name
		for _, group := range p.Groups {
			parents = append(parents, add(entities, "Penumbra::Group", group))
		}
		for _, role := range p.Roles {
			parents = append(parents, add(entities, "Penumbra::Role", role))
		}
	}
	uid := cedar.NewEntityUID(userType, cedar.String(name))
	entities[uid] = types.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(parents...), Attributes: cedar.NewRecord(cedar.RecordMap{"name": cedar.String(name)})}
	return uid, nil
}

// add adds an entity that has nothing but its name.
func add(entities cedar.EntityMap, kind cedar.EntityType, name string) cedar.EntityUID {
	uid := cedar.NewEntityUID(kind, cedar.String(name))
	entities[uid] = types.Entity{UID: uid}
	return uid
}

func inStack(entities cedar.EntityMap, d *penumbra.Drift) cedar.EntityUIDSet {
	return cedar.NewEntityUIDSet(add(entities, stackType, d.Resource.Stack()))
}

// ofDrift sets the attributes that proposals and drifts share.
func ofDrift(record cedar.RecordMap, d *penumbra.Drift) {
	var paths []string
	for _, f := range d.Findings {
		paths = append(paths, f.Path)
	}
	kind := ""
	if d.Cause.ActorKind != penumbra.UnknownActor {
		kind = d.Cause.ActorKind.String()
	}
	record["stack"] = cedar.String(d.Resource.Stack())
	record["resource"] = cedar.String(d.Resource)
	record["type"] = cedar.String(d.Type)
	record["verdict"] = cedar.String(d.Verdict.String())
	record["critical"] = cedar.Boolean(d.Critical)
	record["hazardous"] = cedar.Boolean(d.Hazardous())
	record["actor"] = cedar.String(d.Cause.Actor)
	record["actor_kind"] = cedar.String(kind)
	record["settings"] = texts(paths)
}

// proposal adds a proposal to the entities.
func (g *Guard) proposal(entities cedar.EntityMap, q *penumbra.PolicyQuestion) (cedar.EntityUID, error) {
	p := q.Proposal
	record := cedar.RecordMap{
		"id": cedar.String(p.ID), "kind": cedar.String(p.Kind),
		// Rounded to the side that says less for the proposal.
		"likelihood":    cedar.Long(math.Floor(100*p.Scores.Likelihood + rounding)),
		"risk":          cedar.Long(math.Ceil(100*p.Scores.Risk - rounding)),
		"complexity":    cedar.Long(math.Ceil(100*p.Scores.Complexity - rounding)),
		"writes_code":   cedar.Boolean(p.Patch != nil),
		"writes_policy": cedar.Boolean(p.Policy != nil),
		"off_template":  texts(p.OffTemplate(q.Drift)),
	}
	ofDrift(record, q.Drift)
	var kinds, paths []string
	count, creates := 0, false
	if p.Applies() {
		for _, c := range p.Plan.Changes {
			if c.Action == penumbra.NoChange || c.Action == penumbra.Read {
				continue
			}
			count++
			creates = creates || c.Action == penumbra.Create
			kinds = append(kinds, c.Type)
			for _, x := range c.Changes {
				paths = append(paths, x.Path)
			}
		}
	}
	replaces, destroys := disrupts(p)
	record["types"], record["changes"] = texts(kinds), texts(paths)
	record["resources"] = cedar.Long(count)
	record["creates"], record["replaces"], record["destroys"] = cedar.Boolean(creates), cedar.Boolean(replaces), cedar.Boolean(destroys)
	// What is created is not removed again, and a way back has none.
	record["one_way"] = cedar.Boolean(creates || replaces || destroys || p.Kind == penumbra.Restore)
	if author := p.Author; author != "" {
		if penumbra.SamePerson(author, q.By) {
			author = q.By
		}
		user, err := g.user(entities, author)
		if err != nil {
			return user, err
		}
		record["author"] = user
	}
	uid := cedar.NewEntityUID("Penumbra::Proposal", cedar.String(p.ID))
	entities[uid] = types.Entity{UID: uid, Attributes: cedar.NewRecord(record), Parents: inStack(entities, q.Drift)}
	return uid, nil
}

// rounding keeps 0.29, which is 28.999… percent to a computer, 29 percent.
const rounding = 1e-9

// disrupts reports what carrying out the proposal takes away.
func disrupts(p *penumbra.Proposal) (replaces, destroys bool) {
	if p == nil || p.Plan == nil {
		return false, false
	}
	for _, c := range p.Plan.Changes {
		replaces = replaces || c.Action == penumbra.Replace
		destroys = destroys || c.Action == penumbra.Destroy
	}
	return replaces, destroys
}

func texts(list []string) cedar.Set {
	var out []cedar.Value
	for _, x := range list {
		out = append(out, cedar.String(x))
	}
	return cedar.NewSet(out...)
}
