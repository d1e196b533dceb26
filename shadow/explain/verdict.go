package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// verdict tells what was expected and what is there, who touched it, which peers
// went the same way, and how surprising it is.
func (w words) verdict(q *Question, e *shadow.Evidence) string {
	f := q.Finding
	what := f.Verdict.String() + ": " + w.found(f)
	switch f.Verdict {
	case penumbra.Tolerated:
		return what + w.tolerance(q, e) + "."
	case penumbra.Pending:
		return what + w.mover(q, f.Path) + "."
	case penumbra.Drifted, penumbra.Unexpected:
		parts := []string{what, w.who(q, e)}
		for _, part := range [...]string{w.company(f, e), surprise(f, e)} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		return strings.Join(parts, "; ") + "."
	}
	return what + "."
}

// mover tells who moved the code, if a commit is known.
func (w words) mover(q *Question, path string) string {
	c := q.Resource.Mover(path)
	if c == nil {
		return ""
	}
	return "; the code moved " + w.ago(c.Time) + w.by(c.Actor, c.ActorKind) + ", in commit " + strings.TrimPrefix(c.Source, penumbra.CommitSource)
}

// found holds what is there against what should be.
func (w words) found(f *penumbra.Finding) string {
	value := func(v penumbra.Value) string {
		if v.IsNull() {
			return "nothing"
		}
		return w.value(v)
	}
	switch {
	case f.Path == "" && f.Verdict == penumbra.Pending:
		return "the code declares the resource, and it was not created yet"
	case f.Path == "":
		return "the code declares the resource, and it is gone"
	case f.Verdict == penumbra.Pending:
		return "the code asks for " + value(f.Template) + ", which was not applied yet"
	case f.Verdict == penumbra.NotChecked:
		return "it could not be compared"
	case f.Declared && w.hidden:
		return "there is another value than in the code; both are sensitive"
	case f.Declared:
		return "the code says " + value(f.Template) + ", there is " + value(f.Actual)
	}
	return "there is " + value(f.Actual) + ", expected was " + w.expected(f)
}

// expected names the most likely values of the set, three at most.
func (w words) expected(f *penumbra.Finding) string {
	var parts []string
	for i, c := range f.Expectation.Values {
		if i == 3 {
			parts = append(parts, "…")
			break
		}
		switch {
		case w.hidden && !c.Value.IsNull():
			return "the value that it had"
		case c.Value.IsNull():
			parts = append(parts, "nothing")
		default:
			parts = append(parts, w.value(c.Value))
		}
	}
	if x := f.Expectation.Interval; x != nil {
		parts = append(parts, fmt.Sprintf("%.4g to %.4g", x.Low, x.High))
	}
	if len(parts) == 0 {
		return "nothing in particular"
	}
	return strings.Join(parts, " or ")
}

// tolerance says by what right it is tolerated: a rule, a person's word, a habit.
func (w words) tolerance(q *Question, e *shadow.Evidence) string {
	f := q.Finding
	if f.Rule != "" {
		return "; the rule " + f.Rule + " says to ignore it"
	}
	for _, t := range slices.Backward(q.Resource.Recent) {
		if t.Action == penumbra.ActionAccept && slices.Contains(t.Paths, f.Path) {
			return "; accepted " + w.ago(t.Time) + w.by(t.Actor, t.ActorKind)
		}
	}
	if f.Expectation.Habit && e.Habits > 0 {
		habit := "; automation took it away and back " + times(e.Habits) + " before"
		if e.Hour != "" {
			habit += ", mostly about " + e.Hour
		}
		return habit
	}
	return ""
}

// who tells who touched the setting, or between which snapshots it moved.
func (w words) who(q *Question, e *shadow.Evidence) string {
	after, seen := e.After, e.Found
	if d := q.Drift; d != nil {
		c := d.Cause
		if !c.After.IsZero() {
			after = c.After
		}
		if c.Actor != "" || c.Action != "" {
			return act(c.Actor, c.ActorKind, c.Action) + " " + w.ago(c.Time) + between(after, seen)
		}
		if seen.IsZero() {
			seen = d.Opened
		}
	}
	if seen.IsZero() {
		return "no event explains it"
	}
	if after.IsZero() && e.Found.IsZero() {
		return "no event explains it: it was first seen " + w.ago(seen)
	}
	if after.IsZero() {
		return "no event explains it: it was so in the first snapshot, " + w.ago(seen)
	}
	return "no event explains it: it appeared " + w.ago(seen) + between(after, seen)
}

func act(name string, by penumbra.ActorKind, action string) string {
	if name == "" {
		name = "somebody"
	}
	name += kind(by) + " touched it"
	if action != "" {
		name += " with " + action
	}
	return name
}

// between names the snapshots; of one day the day is named once.
func between(after, seen time.Time) string {
	if after.IsZero() || seen.IsZero() || !after.Before(seen) {
		return ""
	}
	after, seen = after.UTC(), seen.UTC()
	second := "15:04"
	if after.Format(time.DateOnly) != seen.Format(time.DateOnly) {
		second = "2006-01-02 15:04"
	}
	return ", between the snapshots of " + after.Format("2006-01-02 15:04") + " and " + seen.Format(second) + " UTC"
}

// company tells which peers have gone the same way.
func (w words) company(f *penumbra.Finding, e *shadow.Evidence) string {
	if f.Path == "" || !e.Known || e.Peers == 0 || w.hidden {
		return ""
	}
	moved := map[penumbra.Address]bool{}
	for _, m := range e.Same {
		moved[m.Resource] = true
	}
	switch n := len(moved); {
	case n > 0:
		return fmt.Sprintf("%d of %s went to %s too, last %s", n, peers(max(n, e.Peers)), w.value(f.Actual), w.ago(e.Same[len(e.Same)-1].Time)) +
			w.mostly(e.Same)
	case e.Holders > 0:
		return fmt.Sprintf("%d of %s have that value", min(e.Holders, e.Peers), peers(e.Peers))
	case e.Peers == 1:
		return "its peer has not gone there"
	}
	return fmt.Sprintf("none of its %d peers went there", e.Peers)
}

// surprise tells how likely it was, by what was expected of a declared setting's
// leaving, or of an undeclared one's value.
func surprise(f *penumbra.Finding, e *shadow.Evidence) string {
	if e.Began {
		return "that it would leave between two such snapshots had a chance of " + percent(e.Chance)
	}
	if f.Declared || len(f.Expectation.Values) == 0 {
		return ""
	}
	mass := 0.0
	for _, c := range f.Expectation.Values {
		mass += c.Probability
	}
	return "what was expected had a chance of " + percent(mass)
}
