package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// subject is one thing that may be told of.
type subject struct {
	id       string // "drift/d-4c1e"
	about    penumbra.NoticeAbout
	severity penumbra.Severity
	verdict  *penumbra.Verdict
	stack    string
	resource penumbra.Address
	said     string   // a digest of what there is to say
	hints    []string // two subjects with one in common have one cause
	muted    bool     // nothing new is said of it, and it is not over
	began    time.Time
	gather   time.Duration // how long is waited for what belongs to it

	drift *penumbra.Drift // of a drift
	title string          // of anything else
	lines []string
	facts []penumbra.NoticeFact
	page  string // the path of its page
	// verb, if set, says that it has no end.
	verb penumbra.NoticeVerb
}

// over is what was said last of a subject that has ended while others of its key go
// on.
const over = "over"

// once reports whether what notices are about has no end: it is told, and that is
// all.
func once(a penumbra.NoticeAbout) bool { return a == penumbra.AboutRun || a == penumbra.AboutModel }

// digest returns a short digest of parts.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// runsLooked is how many of the last started runs are held against what was told.
const runsLooked = 200

// subjects returns all that may be told of now.
func (t *Teller) subjects(ctx context.Context) ([]subject, error) {
	now := t.now()
	var out []subject
	drifts, err := t.cfg.World.Drifts(ctx, penumbra.DriftQuery{Active: true})
	if err != nil {
		return nil, err
	}
	for i := range drifts {
		out = append(out, t.ofDrift(&drifts[i], now))
	}
	anomalies, err := t.cfg.World.Anomalies(ctx, penumbra.AnomalyQuery{Active: true})
	if err != nil {
		return nil, err
	}
	for i := range anomalies {
		if a := &anomalies[i]; a.Drift == "" && a.Worse {
			out = append(out, t.ofAnomaly(a))
		}
	}
	for _, more := range []func(context.Context, time.Time) ([]subject, error){t.ofRuns, t.ofApprovals, t.ofFreezes, t.ofSources, t.ofModel} {
		found, err := more(ctx, now)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func (t *Teller) ofDrift(d *penumbra.Drift, now time.Time) subject {
	parts := []string{d.Verdict.String(), d.Severity().String()}
	alike := []string{"alike", d.Resource.Stack(), d.Type, d.Verdict.String()}
	hasValues := true
	for _, f := range d.Findings {
		parts = append(parts, f.Path, f.Verdict.String(), f.Actual.String(), f.Template.String(), f.Hazard)
		alike = append(alike, f.Path, f.Actual.String())
		hasValues = hasValues && f.Path != "" && f.Verdict == penumbra.Drifted
	}
	s := subject{
		id: "drift/" + d.ID, about: penumbra.AboutDrift, severity: d.Severity(), verdict: &d.Verdict, stack: d.Resource.Stack(), resource: d.Resource,
		said: digest(parts...), drift: d, began: d.Opened, gather: t.cfg.Gather, page: "/drift?id=" + url.QueryEscape(d.ID),
		muted: d.Snoozed(now) || d.Status == penumbra.Acknowledged,
	}
	if d.Cause.Key != "" {
		s.hints = append(s.hints, "cause "+d.Cause.Key)
	}
	if hasValues && len(d.Findings) > 0 {
		s.hints = append(s.hints, strings.Join(alike, "\x00"))
	}
	return s
}

func (t *Teller) ofAnomaly(a *penumbra.Anomaly) subject {
	s := subject{
		id: "anomaly/" + a.ID, about: penumbra.AboutAnomaly, severity: penumbra.MediumSeverity, stack: a.Resource.Stack(), resource: a.Resource,
		said: digest(string(a.Kind)), began: a.Onset, gather: 2 * t.cfg.Gather, page: "/anomaly?id=" + url.QueryEscape(a.ID),
		hints: []string{"metrics of " + string(a.Resource)},
		title: fmt.Sprintf("%s of %s: %s, and no drift is known for it", a.Metric, a.Resource, a.Change()),
		lines: []string{fmt.Sprintf("%s %s: %s (%s), expected %s", a.Resource, a.Metric, a.Change(), penumbra.Quantity(a.Value), penumbra.Quantity(a.Expected))},
	}
	if len(a.Suspects) > 0 {
		x := &a.Suspects[0]
		s.facts = append(s.facts, penumbra.NoticeFact{Name: "suspect", Value: strings.TrimSpace(fmt.Sprintf("%s %s %s (%s)", x.Resource, x.Path, x.Action, penumbra.Percent(x.Probability)))})
	}
	return s
}

func (t *Teller) ofRuns(ctx context.Context, _ time.Time) ([]subject, error) {
	runs, err := t.cfg.World.Runs(ctx, penumbra.RunQuery{Limit: runsLooked})
	if err != nil {
		return nil, err
	}
	var out []subject
	for i := range runs {
		r := &runs[i]
		if !r.State.Ended() {
			continue
		}
		s := subject{
			id: "run/" + r.ID, about: penumbra.AboutRun, severity: penumbra.LowSeverity, stack: r.Stack, verb: penumbra.NoticeSaid,
			said: digest(r.State.String()), began: r.Ended, page: "/run?id=" + url.QueryEscape(r.ID),
			title: fmt.Sprintf("Run %s on %s is %s", r.ID, r.Stack, r.State),
			facts: []penumbra.NoticeFact{{Name: "kind", Value: string(r.Kind)}, {Name: "drift", Value: r.Drift}, {Name: "proposal", Value: r.Proposal}},
		}
		if r.Outcome != "" {
			s.lines = append(s.lines, r.Outcome)
		}
		switch {
		case r.State == penumbra.Done && r.Hurt():
			x := r.Watch.Harm[0]
			s.severity, s.said = penumbra.CriticalSeverity, digest(r.State.String(), "hurt")
			s.title = fmt.Sprintf("Run %s on %s hurt %s: %s", r.ID, r.Stack, x.Resource, x.Impact.Metric)
			s.lines = append([]string{fmt.Sprintf("%s %s, chance of coincidence %s", x.Impact.Metric, x.Impact.Change(), penumbra.Chance(x.Impact.Coincidence))}, s.lines...)
			if r.Watch.WayBack != "" {
				s.lines = append(s.lines, "The way back is planned: penumbra approve "+r.Watch.WayBack)
			}
			s.began = r.Watch.Harm[0].Impact.Time
		case r.State == penumbra.Halted:
			s.severity = penumbra.CriticalSeverity
			s.lines = append(s.lines, "Something was or may have been changed: a person must look.")
		case r.State == penumbra.Failed:
			s.severity = penumbra.HighSeverity
		case r.State == penumbra.RolledBack:
			s.severity = penumbra.MediumSeverity
		}
		out = append(out, s)
	}
	return out, nil
}

func (t *Teller) ofApprovals(ctx context.Context, _ time.Time) ([]subject, error) {
	proposals, err := t.cfg.World.Proposals(ctx, penumbra.ProposalQuery{States: []penumbra.ProposalStatus{penumbra.Proposed, penumbra.Scheduled}})
	if err != nil {
		return nil, err
	}
	var out []subject
	for i := range proposals {
		p := &proposals[i]
		if len(p.ApprovedBy) == 0 {
			continue
		}
		s := subject{
			id: "approval/" + p.ID, about: penumbra.AboutApproval, severity: penumbra.HighSeverity, began: p.Created, page: "/drift?id=" + url.QueryEscape(p.Drift),
			said:  digest(string(p.State), p.Hash, strings.Join(p.ApprovedBy, ",")),
			title: fmt.Sprintf("%s waits for approval: %d of %d", p.ID, len(p.ApprovedBy), p.Needs),
			lines: []string{p.Title, "approved by " + strings.Join(p.ApprovedBy, ", "), "penumbra approve " + p.ID},
			facts: []penumbra.NoticeFact{{Name: "drift", Value: p.Drift}, {Name: "kind", Value: string(p.Kind)}, {Name: "risk", Value: penumbra.Percent(p.Scores.Risk)}},
		}
		if p.State == penumbra.Scheduled {
			s.severity = penumbra.LowSeverity
			s.title = fmt.Sprintf("%s is approved and waits for its window", p.ID)
			s.lines = []string{p.Title, "approved by " + strings.Join(p.ApprovedBy, ", "), "starts at " + p.Due.UTC().Format(time.RFC3339)}
		}
		if p.Plan != nil {
			s.stack = p.Plan.Stack
		} else if p.Patch != nil {
			s.stack = p.Patch.Stack
		}
		out = append(out, s)
	}
	return out, nil
}

func (t *Teller) ofFreezes(ctx context.Context, now time.Time) ([]subject, error) {
	freezes, err := t.cfg.Watch.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	var out []subject
	for i := range freezes {
		f := &freezes[i]
		if now.Before(f.From) || f.Ended(now) {
			continue
		}
		stacks, until := "all stacks", "until it is lifted"
		if len(f.Stacks) > 0 {
			stacks = strings.Join(f.Stacks, ", ")
		}
		if !f.Until.IsZero() {
			until = "until " + f.Until.UTC().Format(time.RFC3339)
		}
		s := subject{
			id: "freeze/" + f.ID, about: penumbra.AboutFreeze, began: f.From, said: digest(stacks, until, f.Reason),
			title: fmt.Sprintf("Runs on %s are frozen %s", stacks, until), lines: []string{f.Reason},
		}
		if len(f.Stacks) == 1 {
			s.stack = f.Stacks[0]
		}
		if f.By != "" {
			s.facts = []penumbra.NoticeFact{{Name: "by", Value: f.By}}
		}
		out = append(out, s)
	}
	return out, nil
}

// ofSources finds what was not read for too long: what is not checked is not in sync.
func (t *Teller) ofSources(ctx context.Context, now time.Time) ([]subject, error) {
	st, err := t.cfg.Watch.Status(ctx)
	if err != nil {
		return nil, err
	}
	var out []subject
	stale := func(kind, stack, name string, last time.Time, every time.Duration, problem string) {
		since := last
		if since.IsZero() {
			since = t.started
		}
		if problem == "" && !last.IsZero() && (every == 0 || now.Sub(since) < max(t.cfg.Stale, 3*every)) {
			return
		}
		id := kind + "/" + stack + "/" + name
		if now.Sub(since) < max(t.cfg.Stale, 3*every) || problem == "" && every == 0 {
			// Whether it can be read has yet to show: nothing new, and not over either.
			out = append(out, subject{id: id, about: penumbra.AboutSource, severity: penumbra.HighSeverity, stack: stack, began: since, muted: true})
			return
		}
		what := name
		if stack != "" {
			what = stack + " (" + name + ")"
		}
		seen := "never"
		if !last.IsZero() {
			seen = last.UTC().Format(time.RFC3339)
		}
		out = append(out, subject{
			id: id, about: penumbra.AboutSource, severity: penumbra.HighSeverity, stack: stack, began: since, said: "stale",
			title: fmt.Sprintf("%s has not been checked since %s", what, strings.Replace(seen, "never", "Penumbra started", 1)),
			lines: []string{cmp.Or(problem, "It is not read, and says no reason.")},
			facts: []penumbra.NoticeFact{{Name: "last read", Value: seen}},
		})
	}
	for i := range st.Stacks {
		s := &st.Stacks[i]
		if len(s.Sources) == 0 {
			stale("source", s.Name, s.Source, s.LastRead, 0, s.Error)
		}
		for j := range s.Sources {
			x := &s.Sources[j]
			stale("source", s.Name, x.Name, x.LastRead, x.Every, x.Error)
		}
	}
	for i := range st.Inputs {
		in := &st.Inputs[i]
		stale("input", "", in.Name, in.Last, 0, in.Error)
	}
	return out, nil
}

// ofModel finds versions of the model that people chose or took back.
func (t *Teller) ofModel(ctx context.Context, _ time.Time) ([]subject, error) {
	versions, err := t.cfg.Watch.Versions(ctx)
	if err != nil {
		return nil, err
	}
	var out []subject
	for i := range versions {
		v := &versions[i]
		s := subject{
			id: fmt.Sprintf("version/%d/%s", v.Number, v.State), about: penumbra.AboutModel, began: v.Promoted, said: v.State.String(), verb: penumbra.NoticeSaid,
			facts: []penumbra.NoticeFact{{Name: "family", Value: v.Family}},
		}
		switch {
		case v.State == penumbra.TakenBackVersion:
			s.severity, s.title = penumbra.HighSeverity, fmt.Sprintf("Version %d of the model was taken back by %s", v.Number, v.By)
		case v.State == penumbra.ActiveVersion && v.Forced != "":
			s.severity, s.title = penumbra.MediumSeverity, fmt.Sprintf("Version %d of the model serves although it was not shown to be better", v.Number)
			s.lines = []string{v.Forced}
		case v.State == penumbra.ActiveVersion:
			s.title = fmt.Sprintf("Version %d of the model serves now", v.Number)
		default:
			continue
		}
		if v.Why != "" {
			s.lines = append(s.lines, v.Why)
		}
		out = append(out, s)
	}
	return out, nil
}

// routed reports whether a route leads from a subject to a channel.
func (t *Teller) routed(s *subject, channel string) bool {
	if len(t.cfg.Routes) == 0 {
		return s.verdict == nil || told(*s.verdict)
	}
	environment := t.cfg.Environment(s.stack)
	return slices.ContainsFunc(t.cfg.Routes, func(r Route) bool {
		switch {
		case len(r.Channels) > 0 && !slices.Contains(r.Channels, channel),
			s.severity < r.Least,
			len(r.About) > 0 && !slices.Contains(r.About, s.about),
			!matches(r.Stacks, s.stack), !matches(r.Environments, environment):
			return false
		case s.verdict == nil:
			return true
		case len(r.Verdicts) > 0:
			return slices.Contains(r.Verdicts, *s.verdict)
		default:
			return told(*s.verdict)
		}
	})
}

// told reports whether a verdict is told where no route names it: what is a habit,
// waits to be applied or could not be read is shown, and quiet.
func told(v penumbra.Verdict) bool {
	return v == penumbra.Drifted || v == penumbra.Unexpected || v == penumbra.Impending
}

func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}
