package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/penumbra-iac/penumbra"
)

// guardIDs begin the identifiers of the policies that [Guard.Guarding] writes, and the
// names of their files.
const guardIDs = "guard-"

// GuardFile is the name of the file of policies that a guard for a drift gets.
func GuardFile(drift string) string { return guardIDs + drift + Extension }

// Guarding returns the text of policies by which a decision that takes one of a
// drift's settings off the template, or leaves it there, takes two people, and none
// by Penumbra itself. d is the drift as it is once it has come. The text has no value
// of a setting in it.
//
// It is tried before it is returned: it only ever asks for more than the policies do
// by themselves, it asks for it of each such decision, and of no other. An error of
// kind Refused says that the policies ask for it already, and any other, of kind
// Internal, that the text does not do what it is for.
func (g *Guard) Guarding(d *penumbra.Drift, paths []string, at time.Time) (string, error) {
	if by := g.guarded(d, paths, at); by != "" {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "two people have to decide on it already, " + by}
	}
	text := guardText(d, paths)
	with, err := g.With(GuardFile(d.ID), text)
	if err != nil {
		return "", err
	}
	if why := with.differs(g, d, paths, at); why != "" {
		return "", fmt.Errorf("a guard of %s does not hold: %s", d.Resource, why)
	}
	return text, nil
}

// guardText writes the policies. Who reads it in the file is told what it is for.
func guardText(d *penumbra.Drift, paths []string) string {
	var names []string
	for _, path := range paths {
		names = append(names, quoted(penumbra.JoinPath(string(d.Resource), path)))
	}
	when := "when { resource.off_template.contains(" + names[0] + ") };\n"
	if len(names) > 1 {
		when = "when { resource.off_template.containsAny([" + strings.Join(names, ", ") + "]) };\n"
	}
	id := guardIDs + d.ID
	what := plain(strings.Join(paths, ", ") + " of " + d.Resource.Local())
	return "// " + what + " is guarded, for drift " + plain(d.ID) + ":\n" +
		"// a value that the code does not say, or that is beyond the limit, is taken over, set or ignored\n" +
		"// by two people, and never by Penumbra itself; to bring it back takes one. Penumbra wrote this\n" +
		"// file when that was approved, and takes it away when that run is rolled back.\n" +
		"@id(" + quoted(id) + ")\n@reason(" + quoted(what+" is guarded") + ")\n@approvals(\"2\")\n" +
		"permit (principal, action == Penumbra::Action::\"approve\", resource)\n" + when + "\n" +
		"@id(" + quoted(id+"-accept") + ")\n@reason(" + quoted(what+" is guarded: two people may adopt or ignore it, and nobody accepts it alone") + ")\n" +
		"forbid (principal, action == Penumbra::Action::\"accept\", resource)\n" + when
}

// quoted writes a text as a string of Cedar.
func quoted(text string) string { return string(cedar.String(text).MarshalCedar()) }

// plain is a text on one line: a comment ends with its line, and what follows it
// would be a policy.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, text)
}

// With returns the guard with the policies of one more file, which only tighten. It
// returns an error of kind Invalid if they have a mistake, and of kind Refused if one
// could allow what the others do not.
func (g *Guard) With(file, text string) (*Guard, error) {
	l, err := newLoader()
	if err != nil {
		return nil, err
	}
	for id, r := range g.Set.rules {
		if l.rules[id] == nil {
			l.rules[id] = r
			l.set.Add(id, r.policy)
		}
	}
	l.files = append(g.Set.Names(), file)
	l.add(file, []byte(text))
	if len(l.mistakes) > 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: l.mistakes[0].String(), Remedy: "see `penumbra policy check`"}
	}
	for id, r := range l.rules {
		if g.Set.rules[id] == nil && !r.tightens() {
			return nil, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("policy %s of %s could allow something", id, file), Remedy: "write it by hand"}
		}
	}
	out := *g
	out.Set = &l.Set
	return &out, nil
}

// tightens reports whether a policy can only ask for more than others do. What it
// permits, a person may do anyhow, and Penumbra only by one that names it.
func (r *rule) tightens() bool {
	if r.policy.Effect() == cedar.Forbid {
		return true
	}
	head, err := headOf(r.policy)
	return err == nil && r.approvals > 1 && len(r.overrides) == 0 && len(r.allows) == 0 && !head.ofSystem() && head.Action.Op == "==" && head.matches(penumbra.Approve)
}

// Has reports whether all policies of a text are in use, exactly so, and whether any
// of them is.
func (s *Set) Has(text string) (all, some bool) {
	list, err := cedar.NewPolicyListFromBytes("", []byte(text))
	if err != nil || len(list) == 0 {
		return false, false
	}
	all = true
	for _, p := range list {
		r := s.rules[cedar.PolicyID(p.Annotations()[idNote])]
		same := r != nil && string(r.policy.MarshalCedar()) == string(p.MarshalCedar())
		all, some = all && same, some || same
	}
	return all, some
}

// anybody is a person whom no configuration names.
const anybody = "anybody"

func (g *Guard) names() []string {
	out := []string{anybody}
	for _, p := range g.People {
		out = append(out, p.Name)
	}
	return out
}

// takings are the proposals that take a drift's settings over, or have them ignored.
func takings(d *penumbra.Drift, paths []string) []*penumbra.Proposal {
	var out []*penumbra.Proposal
	for _, kind := range []penumbra.ProposalKind{penumbra.Adopt, penumbra.IgnoreChanges} {
		out = append(out, &penumbra.Proposal{ID: "p-trial", Drift: d.ID, Kind: kind, Patch: &penumbra.Patch{}})
	}
	for _, path := range paths {
		out = append(out, &penumbra.Proposal{ID: "p-trial", Drift: d.ID, Kind: penumbra.IgnoreRule, Rule: &penumbra.Rule{Pattern: penumbra.JoinPath(string(d.Resource), path)}})
		if f, ok := d.Finding(path); ok {
			out = append(out, &penumbra.Proposal{ID: "p-trial", Drift: d.ID, Kind: penumbra.Custom, Values: penumbra.Settings{{Path: path, Value: f.Actual}}, Patch: &penumbra.Patch{}})
		}
	}
	return out
}

// guarded says by what two people have to take over a drift's settings, or nobody may,
// "" if somebody may alone.
func (g *Guard) guarded(d *penumbra.Drift, paths []string, at time.Time) string {
	var a penumbra.PolicyAnswer
	for _, p := range takings(d, paths) {
		for _, by := range g.names() {
			if a = g.Ask(&penumbra.PolicyQuestion{By: by, Verb: penumbra.Approve, Proposal: p, Drift: d, Time: at, InWindow: true}); a.Allowed && a.Needs < 2 {
				return ""
			}
		}
	}
	return "by policy " + strings.Join(a.Policies, ", ")
}

// differs says in what the guard does otherwise than it should beside one without it,
// "" if in nothing: whoever takes a guarded setting over needs another, and all else is
// answered as before.
func (g *Guard) differs(without *Guard, d *penumbra.Drift, paths []string, at time.Time) string {
	ask := func(q penumbra.PolicyQuestion) (before, after penumbra.PolicyAnswer) {
		return without.Ask(&q), g.Ask(&q)
	}
	var others []penumbra.PolicyQuestion
	for _, by := range append(g.names(), "") {
		q := penumbra.PolicyQuestion{By: by, Verb: penumbra.Approve, Drift: d, Time: at, InWindow: true}
		for _, q.Proposal = range takings(d, paths) {
			before, after := ask(q)
			if after.Allowed && (after.Needs < 2 || !before.Allowed || by == "") {
				return fmt.Sprintf("%s may %s it by %s alone", by, q.Verb, q.Proposal.Kind)
			}
			for _, verb := range []penumbra.Verb{penumbra.CarryOut, penumbra.Reject, penumbra.Customize, penumbra.RollBack} {
				if other := q; by != "" || verb == penumbra.CarryOut {
					other.Verb = verb
					others = append(others, other)
				}
			}
		}
		back := q
		back.Proposal = &penumbra.Proposal{ID: "p-trial", Drift: d.ID, Kind: penumbra.Revert}
		elsewhere := q
		far := *d
		far.Resource += "-other"
		elsewhere.Drift, elsewhere.Proposal = &far, &penumbra.Proposal{ID: "p-trial", Drift: d.ID, Kind: penumbra.Adopt}
		beside := q
		next := *d
		next.Findings = []penumbra.Finding{{Path: unused(paths), Declared: true, Actual: penumbra.Number(1)}}
		beside.Drift, beside.Proposal = &next, elsewhere.Proposal
		others = append(others, back, elsewhere, beside)
		if by == "" {
			continue
		}
		q.Proposal, q.Verb = nil, penumbra.Accept
		if _, after := ask(q); after.Allowed {
			return by + " may accept it"
		}
		quiet := q
		quiet.Verb = penumbra.Snooze
		stop := penumbra.PolicyQuestion{By: by, Verb: penumbra.FreezeStack, Stack: d.Resource.Stack(), Time: at, InWindow: true}
		others = append(others, quiet, stop)
	}
	for _, q := range others {
		before, after := ask(q)
		if before.Allowed != after.Allowed || before.Needs != after.Needs || !slices.Equal(before.Overrides, after.Overrides) {
			return fmt.Sprintf("to %s is answered otherwise too: %s", q.Verb, after.Reason)
		}
	}
	return ""
}

// unused is a path that is none of those.
func unused(paths []string) string {
	path := "another"
	for slices.Contains(paths, path) {
		path += "_"
	}
	return path
}
