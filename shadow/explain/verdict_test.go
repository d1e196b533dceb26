package explain_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/explain"
)

// machines plays a week of four machines of which three go from 1024 to 2048, the
// second by alice, the third half a day after, by nobody known, at noon.
func machines(t *testing.T) (*shadow.Pooled, time.Time) {
	t.Helper()
	m := shadow.NewPooled(shadow.Options{})
	for i := range 4 {
		m.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: start, Type: "vm", Resource: machine(i), Settings: settings("size", 1024)})
	}
	at := start
	for k := range 15 {
		at = start.Add(time.Duration(k) * 12 * time.Hour)
		for i := range 4 {
			size := 1024
			if i > 0 && k >= 11+i {
				size = 2048
			}
			if i == 2 && k == 13 {
				m.Observe(&penumbra.Observation{Kind: penumbra.EventKind, Time: at.Add(-time.Hour), Type: "vm", Resource: machine(i), Action: "resize", Actor: "alice", ActorKind: penumbra.User, Settings: settings("size", 2048)})
			}
			m.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Type: "vm", Resource: machine(i), Settings: settings("size", size, "disk", 10), Full: true})
		}
	}
	return m, at.Add(2 * time.Hour)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	m, at := machines(t)
	small, large := penumbra.Number(1024), penumbra.Number(2048)
	secret, _ := penumbra.Secret(penumbra.SecretPrefix + "0123456789abcdef0123456789abcdef")
	drifted := penumbra.Finding{Path: "size", Verdict: penumbra.Drifted, Declared: true, Template: small, Actual: large}
	for _, c := range []struct {
		name    string
		machine int
		finding penumbra.Finding
		drift   *penumbra.Drift
		recent  []penumbra.Touch
		want    string
	}{
		{
			"somebody", 2, drifted,
			&penumbra.Drift{Opened: at.Add(-14 * time.Hour), Cause: penumbra.Cause{Actor: "alice", ActorKind: penumbra.User, Action: "resize", Time: at.Add(-15 * time.Hour), After: at.Add(-26 * time.Hour)}}, nil,
			"drifted: the code says 1024, there is 2048; alice touched it with resize 15 hours ago, between the snapshots of 2026-03-08 00:00 and 12:00 UTC; 2 of 3 peers went to 2048 too, last 2 hours ago; that it would leave between two such snapshots had a chance of 7 %.",
		},
		{
			"nobody", 3, drifted, nil, nil,
			"drifted: the code says 1024, there is 2048; no event explains it: it appeared 2 hours ago, between the snapshots of 2026-03-08 12:00 and 2026-03-09 00:00 UTC; 2 of 3 peers went to 2048 too, last 14 hours ago; that it would leave between two such snapshots had a chance of 6 %.",
		},
		{
			"a secret", 3, penumbra.Finding{Path: "size", Verdict: penumbra.Drifted, Declared: true, Sensitive: true, Template: secret, Actual: secret}, nil, nil,
			"drifted: there is another value than in the code; both are sensitive; no event explains it: it appeared 2 hours ago, between the snapshots of 2026-03-08 12:00 and 2026-03-09 00:00 UTC; that it would leave between two such snapshots had a chance of 6 %.",
		},
		{
			"gone", 0, penumbra.Finding{Verdict: penumbra.Drifted, Declared: true}, &penumbra.Drift{Opened: at.Add(-3 * time.Hour)}, nil,
			"drifted: the code declares the resource, and it is gone; no event explains it: it was first seen 3 hours ago.",
		},
		{
			"undeclared", 0, penumbra.Finding{
				Path: "disk", Verdict: penumbra.Unexpected, Actual: penumbra.Number(20),
				Expectation: penumbra.Expectation{Confidence: 0.95, Values: []penumbra.Candidate{{Value: penumbra.Number(10), Probability: 0.97}}},
			}, nil, nil,
			"unexpected: there is 20, expected was 10; no event explains it; none of its 3 peers went there; what was expected had a chance of 97 %.",
		},
		{
			"a rule", 1, penumbra.Finding{Path: "size", Verdict: penumbra.Tolerated, Declared: true, Template: small, Actual: large, Rule: "vm.*.size"}, nil, nil,
			"tolerated: the code says 1024, there is 2048; the rule vm.*.size says to ignore it.",
		},
		{
			"accepted", 1, penumbra.Finding{Path: "size", Verdict: penumbra.Tolerated, Declared: true, Template: small, Actual: large}, nil,
			[]penumbra.Touch{{Time: at.Add(-5 * 24 * time.Hour), Action: penumbra.ActionAccept, Actor: "bo", ActorKind: penumbra.User, Paths: []string{"size"}}},
			"tolerated: the code says 1024, there is 2048; accepted 5 days ago, by bo.",
		},
		{
			"not applied", 0, penumbra.Finding{Path: "size", Verdict: penumbra.Pending, Declared: true, Template: large, Actual: small}, nil, nil,
			"pending: the code asks for 2048, which was not applied yet.",
		},
	} {
		r := &penumbra.Resource{Address: machine(c.machine), Type: "vm", Template: settings("size", 1024), Recent: c.recent}
		e := explain.Of(m, explain.Question{Resource: r, Path: c.finding.Path, Time: at, Finding: &c.finding, Drift: c.drift})
		got := e.Sentence
		if c.finding.Verdict == penumbra.Tolerated || c.finding.Verdict == penumbra.Pending { // what it may do next follows
			got = got[:min(len(got), len(c.want))]
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, e.Sentence, c.want)
		}
	}
}

// TestHabitIsTold has automation resize a machine every night.
func TestHabitIsTold(t *testing.T) {
	t.Parallel()
	m := shadow.NewPooled(shadow.Options{})
	m.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: start, Type: "vm", Resource: machine(0), Settings: settings("size", 3)})
	at := start
	for ; at.Before(start.Add(12*24*time.Hour + 3*time.Hour)); at = at.Add(30 * time.Minute) {
		size := 3
		if h := at.Hour(); h == 2 || h == 3 {
			size = 9
			if h == 2 && at.Minute() == 0 {
				m.Observe(&penumbra.Observation{Kind: penumbra.EventKind, Time: at, Type: "vm", Resource: machine(0), Action: "scale", Actor: "scaler", ActorKind: penumbra.Automation, Settings: settings("size", 9)})
			}
		}
		m.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Type: "vm", Resource: machine(0), Settings: settings("size", size), Full: true})
	}
	r := &penumbra.Resource{Address: machine(0), Type: "vm", Template: settings("size", 3), Actual: settings("size", 9)}
	expected := m.Expect(r, at, 0.95)[0]
	f := penumbra.Finding{Path: "size", Verdict: penumbra.Tolerated, Declared: true, Template: penumbra.Number(3), Actual: penumbra.Number(9), Expectation: expected}
	e := explain.Of(m, explain.Question{Resource: r, Path: "size", Time: at, Finding: &f})
	want := "tolerated: the code says 3, there is 9; automation took it away and back 12 times before, mostly about 02:00 UTC. 98 % to leave its template within 1 day, because it leaves again and again about 02:00 UTC, by scaler (automation) (under 0.1 % without)."
	if e.Sentence != want {
		t.Errorf("got %s\nwant %s", e.Sentence, want)
	}
}

// TestNothingKnown explains what no model knows of, and a model that explains
// nothing.
func TestNothingKnown(t *testing.T) {
	t.Parallel()
	r := &penumbra.Resource{Address: "a/b.c", Type: "b", Template: settings("d", 1)}
	e := explain.Of(shadow.NewPooled(shadow.Options{}), explain.Question{Resource: r, Path: "d", Time: start})
	if want := "under 0.1 % to leave its template within 7 days: nothing moves it much; such settings leave their templates about once in 46 years, as others do."; e.Sentence != want {
		t.Errorf("got %s\nwant %s", e.Sentence, want)
	}
	f := penumbra.Finding{Path: "d", Verdict: penumbra.Drifted, Declared: true, Template: penumbra.Number(1), Actual: penumbra.Number(2)}
	e = explain.Of(nil, explain.Question{Resource: r, Path: "d", Time: start, Finding: &f})
	if want := "drifted: the code says 1, there is 2; no event explains it."; e.Sentence != want {
		t.Errorf("got %s\nwant %s", e.Sentence, want)
	}
}
