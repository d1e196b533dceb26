package proposal

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Knowledge is what proposals need of a knowledge base.
type Knowledge interface {
	// Facts returns what is known of a setting at a value. It does no input or
	// output, and gives the same answer to the same query.
	Facts(penumbra.FactQuery) []penumbra.Fact
}

// mostFacts bounds what a proposal says of a plan with very many changes.
const mostFacts = 50

// facts returns what is known of what the proposal would change, at the values
// that it would set; of one that leaves the resource alone, what is known of the
// values that stay.
func facts(p *penumbra.Proposal, ev *Evidence) []penumbra.Fact {
	if ev.Knowledge == nil {
		return nil
	}
	var out []penumbra.Fact
	if sets(p) {
		for _, c := range p.Plan.Changes {
			out = append(out, ev.planned(c)...)
		}
	} else {
		for _, f := range ev.Drift.Findings {
			out = append(out, ev.staying(f)...)
		}
	}
	return out[:min(len(out), mostFacts)]
}

// sets reports whether the proposal sets values of the resource, be it once its
// code is reviewed.
func sets(p *penumbra.Proposal) bool {
	switch p.Kind {
	case penumbra.Revert, penumbra.Custom, penumbra.BestPractice, penumbra.Restore:
		return p.Plan != nil && !p.Plan.IsEmpty()
	default:
		return false
	}
}

// planned returns what is known of a planned change. Where the plan says that a
// resource is changed in place, what replaces elsewhere does not hold.
func (ev *Evidence) planned(c penumbra.PlannedChange) []penumbra.Fact {
	if c.Action != penumbra.Update && c.Action != penumbra.Replace {
		return nil
	}
	r := penumbra.Resource{Address: c.Resource, Type: c.Type}
	if c.Resource == ev.Drift.Resource {
		r = ev.Resource
		r.Address, r.Type = ev.Drift.Resource, ev.Drift.Type
	}
	var out []penumbra.Fact
	for _, x := range c.Changes {
		if secretive(penumbra.Setting{Path: x.Path, Value: x.After}) || secretive(penumbra.Setting{Path: x.Path, Value: x.Before}) {
			continue
		}
		value := x.After
		if x.Unknown {
			value = penumbra.Unknown()
		}
		q := penumbra.AskFacts(&r, x.Path, value, ev.Now)
		q.Actual = x.Before
		for _, f := range ev.Knowledge.Facts(q) {
			if inPlace := c.Action == penumbra.Update; inPlace && f.Effect.Graver(penumbra.RestartEffect) {
				continue
			}
			out = append(out, f)
		}
	}
	return out
}

// staying returns what is known of a value that stays as it is: nothing that is
// only said of a change.
func (ev *Evidence) staying(f penumbra.Finding) []penumbra.Fact {
	var out []penumbra.Fact
	for _, fact := range ev.known(f, f.Actual) {
		fact.Effect, fact.Until, fact.OneWay, fact.Risk, fact.Dependants = "", "", "", nil, nil
		if fact.Owner != "" || fact.Best != nil || fact.Likelihood != nil || fact.Hazard != "" {
			out = append(out, fact)
		}
	}
	return out
}

// known returns what is known of a drifted setting at a value, nothing of a secret.
func (ev *Evidence) known(f penumbra.Finding, value penumbra.Value) []penumbra.Fact {
	if f.Path == "" || secretive(penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive}) || f.Template.Kind() == penumbra.SecretKind {
		return nil
	}
	r := ev.Resource
	r.Address, r.Type = ev.Drift.Resource, ev.Drift.Type
	q := penumbra.AskFacts(&r, f.Path, value, ev.Now)
	q.Template, q.Actual = f.Template, f.Actual
	return ev.Knowledge.Facts(q)
}

// bestPractice sets what is held to be good practice, where that is neither what
// the code says nor what is there.
func (s *search) bestPractice(ctx context.Context) {
	if s.Knowledge == nil {
		return
	}
	var values []penumbra.Setting
	for _, f := range s.Drift.Findings {
		if v, ok := s.recommended(f); ok {
			values = append(values, penumbra.Setting{Path: f.Path, Value: v})
		}
	}
	if len(values) == 0 {
		return
	}
	p, err := s.setting(ctx, penumbra.BestPractice, values)
	if err == nil && s.covered(p.Plan) == 0 {
		err = fmt.Errorf("applying it would change none of these settings")
	}
	if err != nil {
		s.omit(penumbra.BestPractice, err.Error())
		return
	}
	p.Title += ", as good practice has it"
	s.add(p, float64(len(values))/float64(len(s.Drift.Findings)))
}

// recommended returns the value that is held to be good practice for a setting,
// if the code declares another and what is there is another too.
func (s *search) recommended(f penumbra.Finding) (penumbra.Value, bool) {
	from := f.Template
	if !f.Declared {
		from = f.Actual
	}
	met := map[string]bool{}
	for _, fact := range s.known(f, f.Actual) {
		met[fact.Entry] = fact.Best != nil && fact.Best.Met
	}
	for _, fact := range s.known(f, from) {
		if fact.Best == nil || fact.Best.Met || met[fact.Entry] || fact.Best.Target.IsNull() {
			continue
		}
		target := likeKind(fact.Best.Target, from)
		if target.Text() != f.Template.Text() && target.Text() != f.Actual.Text() {
			return target, true
		}
	}
	return penumbra.Null(), false
}

// likeKind returns a value as the kind that the setting has: a provider's "7" is
// not to become 7.
func likeKind(v, like penumbra.Value) penumbra.Value {
	switch like.Kind() {
	case penumbra.StringKind:
		return penumbra.String(v.Text())
	case penumbra.NumberKind:
		if n, err := penumbra.ParseNumber(v.Text()); err == nil {
			return n
		}
	case penumbra.BoolKind:
		switch v.Text() {
		case "on", "yes":
			return penumbra.Bool(true)
		case "off", "no":
			return penumbra.Bool(false)
		}
	}
	return v
}

// byEntry puts the facts of one entry together: it says the same of all paths.
func byEntry(list []penumbra.Fact) [][]penumbra.Fact {
	var out [][]penumbra.Fact
	at := map[string]int{}
	for _, f := range list {
		i, seen := at[f.Entry]
		if !seen {
			i = len(out)
			at[f.Entry] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

func paths(list []penumbra.Fact) string {
	var words []string
	for _, f := range list {
		if !slices.Contains(words, f.Path) {
			words = append(words, f.Path)
		}
	}
	return sentence(words)
}

// source is the first source of a fact, in brackets.
func source(f *penumbra.Fact) string {
	if len(f.Sources) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s, %s)", f.Sources[0].Title, f.Sources[0].URL)
}

// advice says who owns the settings, which values are dangerous and which are
// held to be good practice, in sentences.
func advice(p *penumbra.Proposal) []string {
	var out []string
	for _, group := range byEntry(p.Facts) {
		f := &group[0]
		if f.Owner != "" {
			out = append(out, fmt.Sprintf("Usually %s %s in the hands of %s%s.", paths(group), verb(len(group), "is", "are"), f.Owner, source(f)))
		}
		if f.Hazard != "" {
			out = append(out, fmt.Sprintf("DANGEROUS: it leaves %s as %s should not be: %s%s.", paths(group), verb(len(group), "it", "they"), f.Hazard, source(f)))
		}
		for i := range group {
			g := &group[i]
			switch {
			case g.Best == nil:
			case g.Best.Met:
				out = append(out, fmt.Sprintf("%s is then as good practice has it, %s: %s%s.", g.Path, g.Best, g.Best.Why, source(g)))
			default:
				out = append(out, fmt.Sprintf("Good practice for %s is another value, %s: %s%s.", g.Path, g.Best, g.Best.Why, source(g)))
			}
		}
	}
	return out
}

var effectWords = map[penumbra.ChangeEffect]string{
	penumbra.NoEffect: "changes nothing that runs", penumbra.ReloadEffect: "needs a reload", penumbra.RestartEffect: "needs a RESTART",
	penumbra.ReplaceEffect: "needs a replacement", penumbra.DestroyEffect: "destroys",
}

// consequences are lines on what a change does: first what cannot be undone,
// then the effects and who feels them.
func consequences(p *penumbra.Proposal) (oneWay, rest []string) {
	for _, group := range byEntry(p.Facts) {
		f := &group[0]
		if f.OneWay != "" {
			oneWay = append(oneWay, fmt.Sprintf("ONE-WAY DOOR: %s: %s%s", paths(group), f.OneWay, source(f)))
		}
		if f.Effect != "" {
			line := fmt.Sprintf("A change of %s %s: %s", paths(group), effectWords[f.Effect], f.Title)
			if f.Until != "" {
				line += "; not before " + f.Until
			}
			rest = append(rest, line+source(f))
		}
		if len(f.Dependants) > 0 {
			rest = append(rest, "It is felt by "+strings.Join(f.Dependants, "; ")+source(f))
		}
	}
	return oneWay, rest
}

// forGood says what of a proposal cannot be undone by what is known, "" if nothing.
func forGood(p *penumbra.Proposal) string {
	var words []string
	for _, group := range byEntry(p.Facts) {
		if group[0].OneWay != "" {
			words = append(words, group[0].OneWay)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "CANNOT BE UNDONE: " + strings.Join(words, "; ") + ". "
}
