package drift

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Live takes a resource's active drifts through a new assessment and returns
// the drifts that are new or changed, resolved ones included; none, if nothing
// happened. active is not written to. What opens, changes and ends a drift is
// in the package comment.
func Live(active []penumbra.Drift, r *penumbra.Resource, a penumbra.Assessment) []penumbra.Drift {
	return live(active, r, a, nil)
}

func live(active []penumbra.Drift, r *penumbra.Resource, a penumbra.Assessment, rules *Rules) []penumbra.Drift {
	if len(active) == 0 && len(a.Findings) == 0 || a.NotChecked != "" && !r.Deleted {
		return nil
	}
	t := &turn{resource: r, assessment: &a, rules: rules, placed: make([]bool, len(a.Findings))}
	t.absent = slices.ContainsFunc(a.Findings, func(f penumbra.Finding) bool { return f.Path == "" })
	for i := range active {
		if active[i].Active() {
			t.drifts = append(t.drifts, t.advance(&active[i]))
		}
	}
	for i := range a.Findings {
		if !t.placed[i] && belongs(&a.Findings[i]) {
			t.place(&a.Findings[i])
		}
	}
	var out []penumbra.Drift
	for i := range t.drifts {
		if t.drifts[i].save {
			out = append(out, t.drifts[i].Drift)
		}
	}
	return out
}

// belongs reports whether a finding is part of a drift: what is pending or not
// checked is none, and what a person tolerates has its answer already.
func belongs(f *penumbra.Finding) bool {
	switch f.Verdict {
	case penumbra.Drifted, penumbra.Unexpected, penumbra.Impending:
		return true
	case penumbra.Tolerated:
		return !byWord(f)
	default:
		return false
	}
}

// byWord reports whether a finding is tolerated by a person's word: a rule, or
// a value that the shadow was told to accept, which it names without a habit.
func byWord(f *penumbra.Finding) bool {
	return f.Verdict == penumbra.Tolerated && (f.Rule != "" || !f.Expectation.Habit)
}

// weight sorts verdicts into those that share a drift.
type weight uint8

const (
	quiet  weight = iota // tolerated
	coming               // impending
	loud                 // drifted, unexpected
)

func weigh(v penumbra.Verdict) weight {
	switch v {
	case penumbra.Tolerated:
		return quiet
	case penumbra.Impending:
		return coming
	default:
		return loud
	}
}

// turn is one step in the life of a resource's drifts.
type turn struct {
	resource   *penumbra.Resource
	assessment *penumbra.Assessment
	rules      *Rules
	absent     bool   // the whole resource is not there
	placed     []bool // findings that need no place any more
	drifts     []state
}

type state struct {
	penumbra.Drift
	save bool
}

// finding returns the assessment's finding on path and its index, -1 if there
// is none.
func (t *turn) finding(path string) (*penumbra.Finding, int) {
	i := slices.IndexFunc(t.assessment.Findings, func(f penumbra.Finding) bool { return f.Path == path })
	if i < 0 {
		return nil, -1
	}
	return &t.assessment.Findings[i], i
}

// advance takes one drift through the turn.
func (t *turn) advance(before *penumbra.Drift) state {
	s := state{Drift: *before}
	if t.resource.Deleted {
		s.resolve(penumbra.Gone, t.assessment.Time)
		return s
	}
	var kept []penumbra.Finding
	var last penumbra.Resolution
	worse := false
	leaves := t.leavesQuiet(before)
	for _, f := range before.Findings {
		now, i := t.finding(f.Path)
		if resolution := t.end(before, &f, now); resolution != "" {
			last = resolution
			if now != nil && now.Verdict == penumbra.Unexpected {
				t.placed[i] = true // coming back is not a drift of its own
			}
			continue
		}
		if leaves && now != nil && weigh(now.Verdict) == loud {
			continue // it gets a drift of its own, the quiet one goes on without it
		}
		next, moved := t.carry(&f, now)
		kept = append(kept, next)
		worse = worse || moved
		if i >= 0 {
			t.placed[i] = true
		}
	}
	if len(kept) == 0 {
		s.resolve(last, t.assessment.Time)
		return s
	}
	s.save = worse || len(kept) != len(before.Findings)
	s.Findings = kept
	t.settle(&s, before, worse)
	return s
}

// settle brings verdict, status and cause of a drift that goes on up to date.
func (t *turn) settle(s *state, before *penumbra.Drift, moved bool) {
	s.Verdict = penumbra.InSync
	for _, f := range s.Findings {
		s.Verdict = max(s.Verdict, f.Verdict)
	}
	if weigh(before.Verdict) == coming && weigh(s.Verdict) == loud {
		s.Cause = t.cause(leftPath(s.Findings))
	}
	if moved {
		s.Changed = t.assessment.Time
		if weigh(s.Verdict) != quiet {
			s.reopen()
		}
	}
	if cause, ok := t.lateCause(s); ok {
		s.Cause, s.save = cause, true
	}
}

// leftPath returns the first setting that really left.
func leftPath(findings []penumbra.Finding) string {
	i := slices.IndexFunc(findings, func(f penumbra.Finding) bool { return weigh(f.Verdict) == loud })
	return findings[i].Path
}

// leavesQuiet reports whether some, and not all, of a quiet drift's findings
// stopped being tolerated.
func (t *turn) leavesQuiet(d *penumbra.Drift) bool {
	if weigh(d.Verdict) != quiet {
		return false
	}
	left := 0
	for _, f := range d.Findings {
		if now, _ := t.finding(f.Path); now != nil && weigh(now.Verdict) == loud && belongs(now) {
			left++
		}
	}
	return left > 0 && left < len(d.Findings)
}

// reopen takes back an acknowledgement and a snooze: a person said that they
// know of something that has since become worse.
func (s *state) reopen() {
	s.Status, s.AcknowledgedAt, s.AcknowledgedBy = penumbra.Open, time.Time{}, ""
	s.Wake()
}

// resolve closes a drift; it keeps its last findings, to be read later.
func (s *state) resolve(why penumbra.Resolution, at time.Time) {
	s.Status, s.Resolution, s.ResolvedAt, s.Changed, s.save = penumbra.Resolved, why, at, at, true
}

// carry returns what an active finding that goes on becomes, and whether that
// is a change for the worse: graver, nearer or on to another value. The
// expectation stays that of the first sight, which is what the finding rests
// on; so does the forecast that foresaw it.
func (t *turn) carry(f, now *penumbra.Finding) (next penumbra.Finding, moved bool) {
	if now == nil {
		next = *f
		if !f.Declared && !t.absent {
			next.Actual = t.resource.Actual.Get(f.Path)
		}
		return next, next.Actual != f.Actual
	}
	if now.Verdict == penumbra.NotChecked {
		return *f, false
	}
	same := now.Actual == f.Actual && now.Template == f.Template && now.Declared == f.Declared
	if now.Verdict == f.Verdict && same && (f.Verdict != penumbra.Impending || now.Horizon >= f.Horizon) {
		return *f, false
	}
	next = *now
	if weigh(now.Verdict) == weigh(f.Verdict) && f.Verdict != penumbra.Impending {
		next.Expectation = f.Expectation
	}
	if next.Forecast == nil {
		next.Forecast = f.Forecast
	}
	return next, true
}

// end returns why an active finding ends in this turn, "" if it goes on. now is
// what the assessment says of its setting, nil if that is in sync.
func (t *turn) end(d *penumbra.Drift, f, now *penumbra.Finding) penumbra.Resolution {
	if f.Path == "" {
		return t.endAbsent(now)
	}
	if t.absent || now != nil && now.Verdict == penumbra.NotChecked {
		return ""
	}
	template, declared := t.resource.Template.Find(f.Path)
	actual := t.resource.Actual.Get(f.Path)
	switch {
	case now != nil && now.Verdict == penumbra.Pending:
		return penumbra.TemplateChanged
	case now != nil && byWord(now):
		return penumbra.Accepted
	case f.Declared && !declared:
		return penumbra.TemplateChanged
	case !declared && (f.Expectation.Limit != nil || t.limited(f.Path)):
		return t.endLimited(f, now, actual)
	case !declared:
		return t.endUndeclared(d, f, now, actual)
	case template.Value.Agrees(actual):
		return t.endOnTemplate(f, now, template.Value)
	case now != nil && now.Verdict == penumbra.Tolerated && f.Verdict != penumbra.Tolerated:
		return penumbra.Habitual
	default:
		return ""
	}
}

// endAbsent ends the finding on a resource that was not there.
func (t *turn) endAbsent(now *penumbra.Finding) penumbra.Resolution {
	switch {
	case now != nil && byWord(now):
		return penumbra.Accepted
	case now != nil:
		return ""
	case len(t.resource.Template) == 0:
		return penumbra.TemplateChanged
	default:
		return penumbra.Returned
	}
}

// endUndeclared ends a finding on a setting that no code speaks of. The shadow
// learns an undeclared value at the first sight, so its being in sync now ends
// nothing: only what was expected when the finding opened counts as a return.
func (t *turn) endUndeclared(d *penumbra.Drift, f, now *penumbra.Finding, actual penumbra.Value) penumbra.Resolution {
	if names(&f.Expectation, actual) {
		return penumbra.Returned
	}
	if now == nil && t.accepted(d, f.Path) {
		return penumbra.Accepted
	}
	if _, ok := t.rules.Match(t.resource.Address, f.Path, actual, t.assessment.Time); ok {
		return penumbra.Accepted
	}
	return ""
}

// limited reports whether a setting in sync is so because of its limit.
func (t *turn) limited(path string) bool { return slices.Contains(t.assessment.Limited, path) }

// endLimited ends a finding on a setting that has a limit, or had one when the
// finding opened. Limits are templates: one that moves so far that the same value
// is within it has changed.
func (t *turn) endLimited(f, now *penumbra.Finding, actual penumbra.Value) penumbra.Resolution {
	still := now != nil && now.Expectation.Limit != nil
	switch {
	case !still && !t.limited(f.Path): // there is no limit any more
		return penumbra.TemplateChanged
	case f.Expectation.Limit == nil: // there was none before
		return penumbra.TemplateChanged
	case still && (now.Verdict == f.Verdict || weigh(f.Verdict) == coming):
		return ""
	case !still && weigh(f.Verdict) == coming && slices.Contains(t.assessment.Hovering, f.Path):
		return ""
	case weigh(f.Verdict) == coming:
		return penumbra.Receded
	case actual == f.Actual:
		return penumbra.TemplateChanged
	default:
		return penumbra.Returned
	}
}

// endOnTemplate ends a finding whose setting has its template's value now.
func (t *turn) endOnTemplate(f, now *penumbra.Finding, template penumbra.Value) penumbra.Resolution {
	moved := !f.Declared || f.Template != template
	was := f.Declared && f.Template.Agrees(f.Actual) // it never was off its template
	switch {
	case !f.Declared:
		return penumbra.TemplateChanged
	case was && now != nil && (now.Verdict == penumbra.Unexpected || now.Verdict == f.Verdict):
		return ""
	case f.Verdict == penumbra.Impending && now == nil && !moved && slices.Contains(t.assessment.Hovering, f.Path):
		return ""
	case moved:
		return penumbra.TemplateChanged
	case f.Verdict == penumbra.Impending:
		return penumbra.Receded
	default:
		return penumbra.Returned
	}
}

// accepted reports whether a person accepted the setting since the drift
// opened.
func (t *turn) accepted(d *penumbra.Drift, path string) bool {
	return slices.ContainsFunc(t.resource.Recent, func(e penumbra.Touch) bool {
		return e.Action == penumbra.ActionAccept && !e.Time.Before(d.Opened) && e.Touches(path)
	})
}

// place puts a finding that no drift has into one: that of its weight and
// cause, or a new one.
func (t *turn) place(f *penumbra.Finding) {
	at := t.assessment.Time
	cause := t.causeOf(f)
	for i := range t.drifts {
		s := &t.drifts[i]
		if s.Active() && s.Cause.Key == cause.Key && weigh(s.Verdict) == weigh(f.Verdict) {
			s.Findings = append(slices.Clip(s.Findings), *f)
			s.Verdict = max(s.Verdict, f.Verdict)
			s.Changed, s.save = at, true
			if weigh(f.Verdict) != quiet {
				s.reopen()
			}
			return
		}
	}
	d := penumbra.Drift{
		ID:       identify(t.resource.Address, cause.Key, at, f.Path),
		Resource: t.resource.Address, Type: t.resource.Type,
		Verdict: f.Verdict, Cause: cause, Findings: []penumbra.Finding{*f},
		Opened: at, Changed: at,
	}
	if f.Verdict == penumbra.Impending {
		d.Foreseen = at
	}
	t.drifts = append(t.drifts, state{Drift: d, save: true})
}
