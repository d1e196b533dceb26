package drift

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// NeverRead is the reason given for a resource that no snapshot was taken of.
const NeverRead = "never read"

// Assess gives the verdict on each setting of a resource at a time; the table
// is in the package comment. expect is what the shadow held after it saw the
// template and before it saw the snapshot; an entry whose setting the snapshot
// took away is judged too. forecast is what lies ahead now. Both are sorted by
// path; a setting without an entry is judged by the code alone. Settings in
// sync cost no allocation.
func Assess(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, rules *Rules, th Thresholds, at time.Time) penumbra.Assessment {
	a := penumbra.Assessment{Resource: r.Address, Type: r.Type, Time: at, NotChecked: r.NotChecked}
	if r.Deleted {
		return a
	}
	if a.NotChecked == "" && r.SnapshotTime.IsZero() {
		if neverCreated(r) {
			a.Findings = []penumbra.Finding{{Verdict: penumbra.Pending, Declared: true}}
			return a
		}
		a.NotChecked = NeverRead
	}
	if a.NotChecked != "" {
		return a
	}
	j := judgement{resource: r, rules: rules, th: &th, out: &a}
	if len(r.Actual) == 0 && len(r.Template) > 0 {
		j.absent()
		return a
	}
	for c := (cursor{template: r.Template, actual: r.Actual}); c.next(); {
		for len(expect) > 0 && expect[0].Path < c.path {
			j.vanished(&expect[0])
			expect = expect[1:]
		}
		for len(forecast) > 0 && forecast[0].Path < c.path {
			forecast = forecast[1:]
		}
		var e *penumbra.Expectation
		if len(expect) > 0 && expect[0].Path == c.path {
			e, expect = &expect[0], expect[1:]
		}
		var f *penumbra.Forecast
		if len(forecast) > 0 && forecast[0].Path == c.path {
			f = &forecast[0]
		}
		j.setting(&c, e, f)
	}
	for i := range expect {
		j.vanished(&expect[i])
	}
	return a
}

// vanished judges a setting that the shadow was asked about and that is neither
// declared nor there any more.
func (j *judgement) vanished(e *penumbra.Expectation) {
	if c := (cursor{path: e.Path}); j.unexpected(&c, e) {
		j.setting(&c, e, nil)
	}
}

// neverCreated reports whether the code declares a resource of which nothing
// was ever applied: it is to be created, and there is nothing to read.
func neverCreated(r *penumbra.Resource) bool {
	for _, x := range r.Applied {
		if !x.Value.IsNull() {
			return false
		}
	}
	return len(r.Applied) > 0
}

// cursor walks over the union of two sorted lists of settings.
type cursor struct {
	template, actual penumbra.Settings // what is left of them

	path      string
	t, a      penumbra.Value
	declared  bool
	sensitive bool
}

func (c *cursor) next() bool {
	if len(c.template) == 0 && len(c.actual) == 0 {
		return false
	}
	c.declared = len(c.actual) == 0 || len(c.template) > 0 && c.template[0].Path <= c.actual[0].Path
	present := !c.declared || len(c.actual) > 0 && c.template[0].Path == c.actual[0].Path
	c.t, c.a, c.sensitive = penumbra.Null(), penumbra.Null(), false
	if c.declared {
		c.path, c.t, c.sensitive = c.template[0].Path, c.template[0].Value, c.template[0].Sensitive
		c.template = c.template[1:]
	}
	if present {
		c.path, c.a, c.sensitive = c.actual[0].Path, c.actual[0].Value, c.sensitive || c.actual[0].Sensitive
		c.actual = c.actual[1:]
	}
	return true
}

// judgement is one assessment in the making.
type judgement struct {
	resource *penumbra.Resource
	rules    *Rules
	th       *Thresholds
	out      *penumbra.Assessment
}

// absent judges a resource that is declared and not there.
func (j *judgement) absent() {
	f := penumbra.Finding{Verdict: penumbra.Drifted, Declared: true}
	if j.resource.Settled.IsZero() && len(j.resource.Applied) == 0 {
		f.Verdict = penumbra.Pending
	} else if rule, ok := j.rules.Match(j.resource.Address, "", penumbra.Null(), j.out.Time); ok {
		f.Verdict, f.Rule = penumbra.Tolerated, rule.Pattern
	}
	j.out.Findings = append(j.out.Findings, f)
}

func (j *judgement) setting(c *cursor, e *penumbra.Expectation, f *penumbra.Forecast) {
	verdict, horizon, near := j.verdict(c, e, f)
	if verdict == penumbra.InSync && !near {
		j.inSync(c, e)
		return
	}
	var rule penumbra.Rule
	var ignored bool
	if verdict != penumbra.Pending && verdict != penumbra.NotChecked {
		rule, ignored = j.rules.Match(j.resource.Address, c.path, c.a, j.out.Time)
	}
	foreseen := verdict == penumbra.InSync || verdict == penumbra.Impending
	switch {
	case foreseen && ignored: // what may leave is not announced
		j.inSync(c, e)
		return
	case verdict == penumbra.InSync:
		j.inSync(c, e)
		j.out.Hovering = append(j.out.Hovering, c.path)
		return
	case ignored:
		verdict = penumbra.Tolerated
	}
	finding := penumbra.Finding{
		Path: c.path, Verdict: verdict, Declared: c.declared,
		Template: c.t, Actual: c.a, Sensitive: c.sensitive || isSecret(c.t) || isSecret(c.a),
		Rule: rule.Pattern,
	}
	if e != nil {
		finding.Expectation = cloneExpectation(e)
	}
	if limited(c, e) {
		finding.Template = e.Limit.Bound
	}
	if verdict == penumbra.Impending {
		kept := *f
		finding.Forecast, finding.Horizon = &kept, horizon
	}
	j.out.Findings = append(j.out.Findings, finding)
}

// inSync counts a setting with which all is well.
func (j *judgement) inSync(c *cursor, e *penumbra.Expectation) {
	j.out.InSync++
	if limited(c, e) {
		j.out.Limited = append(j.out.Limited, c.path)
	}
}

// limited reports whether bounds take the template's place: only where the code
// does not say which value it wants.
func limited(c *cursor, e *penumbra.Expectation) bool {
	return e != nil && e.Limit != nil && !c.declared
}

// verdict is the table, before any rule. near reports, for a setting in sync,
// that its forecast is close to a threshold.
func (j *judgement) verdict(c *cursor, e *penumbra.Expectation, f *penumbra.Forecast) (v penumbra.Verdict, horizon int, near bool) {
	if limited(c, e) {
		return j.withinLimit(e.Limit, f)
	}
	if !canCompare(c, e) {
		return penumbra.NotChecked, 0, false
	}
	if c.declared && !c.t.Agrees(c.a) {
		return j.offTemplate(c, e), 0, false
	}
	if j.unexpected(c, e) {
		return penumbra.Unexpected, 0, false
	}
	if f == nil || f.Habit || !c.declared || c.t.Kind() == penumbra.UnknownKind {
		return penumbra.InSync, 0, false
	}
	if horizon, near = j.th.passes(f); horizon >= 0 {
		return penumbra.Impending, horizon, near
	}
	return penumbra.InSync, 0, near
}

// withinLimit is the table of a setting whose template is bounds: moves between
// them are its own affair, whoever makes them.
func (j *judgement) withinLimit(l *penumbra.Limit, f *penumbra.Forecast) (v penumbra.Verdict, horizon int, near bool) {
	switch {
	case l.Unread:
		return penumbra.NotChecked, 0, false
	case l.Passed:
		return penumbra.Drifted, 0, false
	case f == nil || f.Habit:
		return penumbra.InSync, 0, false
	}
	if horizon, near = j.th.passes(f); horizon >= 0 {
		return penumbra.Impending, horizon, near
	}
	return penumbra.InSync, 0, near
}

func (j *judgement) offTemplate(c *cursor, e *penumbra.Expectation) penumbra.Verdict {
	if applied, ok := j.resource.Applied.Find(c.path); ok && applied.Value == c.a {
		return penumbra.Pending
	}
	if e != nil && names(e, c.a) {
		return penumbra.Tolerated
	}
	return penumbra.Drifted
}

// unexpected reports whether a shadow that knows enough to say so did not
// expect the actual value.
func (j *judgement) unexpected(c *cursor, e *penumbra.Expectation) bool {
	return e != nil && e.Support >= j.th.Support && (len(e.Values) > 0 || e.Interval != nil) && !e.Contains(c.a)
}

// canCompare reports whether the actual value can be held against what it
// should be: a keyed hash says nothing about a value in the clear. A value
// that is not there can be compared with both.
func canCompare(c *cursor, e *penumbra.Expectation) bool {
	reference := c.t
	if !c.declared && e != nil {
		reference = e.Likely()
	}
	for _, v := range [...]penumbra.Value{reference, c.a} {
		if v.IsNull() || v.Kind() == penumbra.UnknownKind {
			return true
		}
	}
	return isSecret(reference) == isSecret(c.a)
}

func isSecret(v penumbra.Value) bool { return v.Kind() == penumbra.SecretKind }

// names reports whether the prediction set holds v itself, rather than
// "something new".
func names(e *penumbra.Expectation, v penumbra.Value) bool {
	for i := range e.Values {
		if e.Values[i].Value == v {
			return true
		}
	}
	f, ok := v.Float()
	return ok && e.Interval != nil && e.Interval.Low <= f && f <= e.Interval.High
}

// cloneExpectation copies what a finding keeps: the shadow may use its slices
// again.
func cloneExpectation(e *penumbra.Expectation) penumbra.Expectation {
	out := *e
	out.Values = slices.Clone(e.Values)
	if e.Interval != nil {
		interval := *e.Interval
		out.Interval = &interval
	}
	if e.Limit != nil {
		limit := *e.Limit
		out.Limit = &limit
	}
	return out
}
