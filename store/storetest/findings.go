package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// fullDrift is a drift with every field set, values that JSON would lose
// included.
func fullDrift() penumbra.Drift {
	return penumbra.Drift{
		ID: "d-1", Resource: "shop/t.a", Type: "t", Verdict: penumbra.Drifted, Status: penumbra.Acknowledged, Critical: true,
		Cause: penumbra.Cause{Key: "k", Actor: "alice", ActorKind: penumbra.User, Action: "edit", Source: "log", Time: minute(1), After: minute(0)},
		Findings: []penumbra.Finding{
			{Path: "password", Verdict: penumbra.Drifted, Declared: true, Template: penumbra.Unknown(), Actual: secret, Sensitive: true},
			{Path: "size", Verdict: penumbra.Impending, Template: penumbra.Number(1), Actual: penumbra.Null(), Horizon: 2, Rule: "r-1",
				Expectation: penumbra.Expectation{Path: "size", Confidence: 0.95, Values: []penumbra.Candidate{{Value: secret, Probability: 0.5}, {Value: penumbra.Bool(false)}},
					Interval: &penumbra.Interval{Low: -1, High: 1e300}, Novel: true, NovelProbability: 0.25, Habit: true, Support: 3},
				Forecast: &penumbra.Forecast{Path: "size", Leave: [5]float64{0.1, 0.2, 0.3, 0.4, 1}, TimeToDrift: time.Hour, Next: penumbra.Unknown(), Reason: "why", Support: 1}},
		},
		Opened: minute(2).Add(time.Nanosecond), Changed: minute(3), Foreseen: minute(1),
		AcknowledgedAt: minute(3), AcknowledgedBy: "bob", ResolvedAt: minute(9), Resolution: penumbra.Accepted,
		Impact:       []penumbra.Impact{{Anomaly: "a-1", Metric: "latency", Time: minute(4), Before: 1, After: 2.5, Worse: true, Coincidence: 0.01}},
		SnoozedUntil: minute(5), SnoozedBy: "bob", SnoozeReason: "why", AcceptedUntil: minute(9),
		Code: fullCode(),
	}
}

func fullCode() *penumbra.CodeChange {
	return &penumbra.CodeChange{
		Way: penumbra.PullRequestWay, Branch: "penumbra/d-1-adopt", Base: "main", Commit: "c0ffee", Remote: "origin", Pushed: true,
		Number: 7, URL: "https://forge.example/7", State: penumbra.ReviewOpen, Note: "n", Seen: minute(4),
	}
}

var driftTests = map[string]func(*testing.T, *opened){
	"drifts come back as they were": func(t *testing.T, s *opened) {
		filled(t, fullDrift())
		want := []penumbra.Drift{fullDrift(), {ID: "d-0"}}
		ok(t, s.SaveDrifts(bg, want))
		ok(t, s.SaveDrifts(bg, nil))
		s.twice(func() {
			got, err := s.Drifts(bg, penumbra.DriftQuery{})
			ok(t, err)
			equal(t, "drifts", want, got)
		})
	},
	"drift queries, the last changed first": func(t *testing.T, s *opened) {
		var all []penumbra.Drift
		for i := range 6 {
			all = append(all, penumbra.Drift{ID: fmt.Sprint("d-", i), Changed: minute(i), Status: penumbra.DriftStatus(i % 3),
				Resource: []penumbra.Address{"shop/t.a", "pay/t.a"}[i%2]})
		}
		all[0].AcceptedUntil, all[2].AcceptedUntil = minute(8), minute(8) // the first is open again
		all[5].AcceptedUntil = minute(9)
		ok(t, s.SaveDrifts(bg, all))
		all[2].AcceptedUntil = time.Time{}
		ok(t, s.SaveDrifts(bg, all[2:3]))
		all[1].Changed, all[1].Status = minute(9), penumbra.Resolved
		ok(t, s.SaveDrifts(bg, all[1:2]))
		s.twice(func() {
			for name, tt := range map[string]struct {
				query penumbra.DriftQuery
				want  []int
			}{
				"all":          {penumbra.DriftQuery{}, []int{1, 5, 4, 3, 2, 0}},
				"one":          {penumbra.DriftQuery{ID: "d-3"}, []int{3}},
				"none":         {penumbra.DriftQuery{ID: "d-9"}, nil},
				"resource":     {penumbra.DriftQuery{Resource: "pay/t.a"}, []int{1, 5, 3}},
				"stack":        {penumbra.DriftQuery{Stack: "shop"}, []int{4, 2, 0}},
				"active":       {penumbra.DriftQuery{Active: true}, []int{4, 3, 0}},
				"limit":        {penumbra.DriftQuery{Limit: 2}, []int{1, 5}},
				"accepted":     {penumbra.DriftQuery{Accepted: true}, []int{5}},
				"since":        {penumbra.DriftQuery{Since: minute(4)}, []int{1, 5, 4}},
				"since, stack": {penumbra.DriftQuery{Since: minute(2), Stack: "shop"}, []int{4, 2}},
				"all together": {penumbra.DriftQuery{Resource: "shop/t.a", Stack: "shop", Active: true, Limit: 1}, []int{4}},
			} {
				got, err := s.Drifts(bg, tt.query)
				ok(t, err)
				var want []penumbra.Drift
				for _, i := range tt.want {
					want = append(want, all[i])
				}
				equal(t, name, want, got)
			}
		})
	},
}

// fullProposal is a proposal with every field set.
func fullProposal() penumbra.Proposal {
	rule := penumbra.Rule{ID: "r-1", Pattern: "t.a.size", Value: new(penumbra.Value)}
	return penumbra.Proposal{
		ID: "p-1", Drift: "d-1", Kind: penumbra.Revert, Title: "Revert", State: penumbra.Proposed, Rank: 1, Hash: "h-1",
		Script: "tofu apply", Explanation: "because", Impact: "none", WayBack: "apply again",
		Scores: penumbra.Scores{Likelihood: 0.9, Risk: 0.1, Complexity: 0.2}, ScoreReasons: []string{"a", "b"}, RankReason: "c", Otherwise: "d", Also: []string{"d-2"},
		Predictions: []penumbra.Prediction{{
			Path: "size", Before: penumbra.Effect{Metric: "latency", Threshold: 2, Chance: 0.5, Low: 0.4, High: 0.6, Least: 0.4, Most: 0.7, Cases: 90},
			After: penumbra.Effect{Metric: "latency", Threshold: 2, Below: true, Chance: 0.1, Cases: 80},
		}},
		Plan: &penumbra.Plan{Hash: "ph", Evidence: "e", File: "f", Stack: "shop", Targets: []penumbra.Address{"shop/t.a"}, Created: minute(1), Text: "~ size",
			Changes: []penumbra.PlannedChange{{Resource: "shop/t.a", Action: penumbra.Update, ReplacePaths: []string{"size"},
				Changes: []penumbra.PathChange{{Path: "password", Before: secret, After: penumbra.Unknown(), Unknown: true}}}}},
		Patch:   &penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{Path: "main.tf", Base: "b", Before: "1", After: "2", Diff: "-1\n+2\n"}}},
		Scratch: &penumbra.Patch{Stack: "shop", Note: "n"},
		Rule:    &rule, Values: penumbra.Settings{{Path: "password", Value: secret, Sensitive: true}, {Path: "size", Value: penumbra.Unknown()}},
		Undoes: "run-0", Created: minute(2), Way: penumbra.PullRequestWay, Withdraws: fullCode(),
		Bounds:     []penumbra.Bound{{Path: "size", Is: penumbra.Below, Value: penumbra.Number(3), Message: "m"}},
		Attention:  &penumbra.Attention{ID: "w-1", Resource: "shop/t.a", Drift: "d-1", Every: time.Minute, Usually: time.Hour, Until: minute(9), By: "bob", Created: minute(1)},
		Policy:     &penumbra.PolicyFile{Folder: "policy", Name: "guard-d-1.cedar", Text: "// t\n", Resource: "shop/t.a", Paths: []string{"size"}, By: "bob"},
		Message:    &penumbra.Message{To: []string{"carol"}, Subject: "s", Text: "t"},
		Customizes: "p-0", Author: "alice", Difference: "-a\n+b\n",
		ApprovedBy: []string{"bob"}, Needs: 2, Due: minute(9),
		Facts: []penumbra.Fact{{
			Entry: "a.b", Title: "t", Path: "size", Effect: penumbra.RestartEffect, Until: "u", OneWay: "o", Owner: "w", Hazard: "h",
			Best: &penumbra.Best{Value: penumbra.String("x"), Min: penumbra.Number(1), Why: "y", Met: true, Target: penumbra.Bool(true)},
			Risk: &penumbra.Beta{A: 1, B: 2, Why: "z"}, Likelihood: map[penumbra.ProposalKind]penumbra.Beta{penumbra.Revert: {A: 3, B: 4, Why: "v"}},
			Dependants: []string{"d"}, Sources: []penumbra.Source{{Title: "s", URL: "https://a.example"}}, Checked: "2026-11-30",
		}},
	}
}

// decision is a word on the proposal, and the proposal and the run that follow.
func decision(p penumbra.Proposal, id string) (penumbra.Decision, penumbra.Proposal, penumbra.Run) {
	d := penumbra.Decision{ID: id, Proposal: p.ID, Drift: p.Drift, Verb: penumbra.Approve, Hash: p.Hash, By: "alice", Reason: "why", Time: minute(5)}
	p.State = penumbra.Approved
	return d, p, penumbra.Run{ID: "run-" + id, Proposal: p.ID, Decision: id, Approvals: []string{id}, Drift: p.Drift, Stack: "shop", Started: minute(5)}
}

var decisionTests = map[string]func(*testing.T, *opened){
	"proposals come back as they were": func(t *testing.T, s *opened) {
		filled(t, fullProposal())
		want := []penumbra.Proposal{{ID: "p-0"}, fullProposal()}
		ok(t, s.SaveProposals(bg, want))
		ok(t, s.SaveProposals(bg, nil))
		s.twice(func() {
			got, err := s.Proposals(bg, penumbra.ProposalQuery{})
			ok(t, err)
			equal(t, "proposals", want, got)
		})
	},
	"proposal queries, by rank": func(t *testing.T, s *opened) {
		var all []penumbra.Proposal
		for i := range 6 {
			all = append(all, penumbra.Proposal{ID: fmt.Sprint("p-", i), Drift: fmt.Sprint("d-", i%2), Rank: 9 - i,
				State: []penumbra.ProposalStatus{penumbra.Proposed, penumbra.Approved, penumbra.Superseded}[i%3]})
		}
		ok(t, s.SaveProposals(bg, all))
		all[0].Rank, all[0].State = 1, penumbra.Rejected
		ok(t, s.SaveProposals(bg, all[:1]))
		s.twice(func() {
			for name, tt := range map[string]struct {
				query penumbra.ProposalQuery
				want  []int
			}{
				"all":    {penumbra.ProposalQuery{}, []int{0, 5, 4, 3, 2, 1}},
				"one":    {penumbra.ProposalQuery{ID: "p-3"}, []int{3}},
				"drift":  {penumbra.ProposalQuery{Drift: "d-0"}, []int{0, 4, 2}},
				"states": {penumbra.ProposalQuery{States: []penumbra.ProposalStatus{penumbra.Proposed, penumbra.Rejected}}, []int{0, 3}},
				"none":   {penumbra.ProposalQuery{Drift: "d-1", States: []penumbra.ProposalStatus{penumbra.Rejected}}, nil},
			} {
				got, err := s.Proposals(bg, tt.query)
				ok(t, err)
				var want []penumbra.Proposal
				for _, i := range tt.want {
					want = append(want, all[i])
				}
				equal(t, name, want, got)
			}
		})
	},
	"a decision is stored with what follows": func(t *testing.T, s *opened) {
		ok(t, s.SaveProposals(bg, []penumbra.Proposal{fullProposal(), {ID: "p-2", State: penumbra.Proposed}}))
		d, p, run := decision(fullProposal(), "1")
		ok(t, s.Decide(bg, d, p, &run))
		noted := penumbra.Decision{ID: "n", Drift: "d-1", Verb: penumbra.Snooze, By: "bob", Reason: "later", Time: minute(4), Until: minute(8)}
		ok(t, s.Note(bg, noted))
		rejected := penumbra.Decision{ID: "0", Proposal: "p-2", Verb: penumbra.Reject, Time: minute(6)}
		ok(t, s.Decide(bg, rejected, penumbra.Proposal{ID: "p-2", State: penumbra.Rejected}, nil))
		s.twice(func() {
			for name, tt := range map[string]struct {
				query penumbra.DecisionQuery
				want  []penumbra.Decision
			}{
				"decisions, oldest first": {penumbra.DecisionQuery{}, []penumbra.Decision{noted, d, rejected}},
				"decisions on one":        {penumbra.DecisionQuery{Proposal: "p-2"}, []penumbra.Decision{rejected}},
				"decisions on a drift":    {penumbra.DecisionQuery{Drift: "d-1"}, []penumbra.Decision{noted, d}},
				"none":                    {penumbra.DecisionQuery{Drift: "d-1", Proposal: "p-2"}, nil},
			} {
				got, err := s.Decisions(bg, tt.query)
				ok(t, err)
				equal(t, name, tt.want, got)
			}
			proposals, err := s.Proposals(bg, penumbra.ProposalQuery{ID: "p-1"})
			ok(t, err)
			equal(t, "proposal", []penumbra.Proposal{p}, proposals)
			runs, err := s.Runs(bg, penumbra.RunQuery{})
			ok(t, err)
			equal(t, "runs", []penumbra.Run{run}, runs)
		})
	},
	"a refused decision leaves nothing": func(t *testing.T, s *opened) {
		taken := penumbra.Run{ID: "taken", State: penumbra.Halted}
		ok(t, s.SaveRun(bg, taken))
		ok(t, s.SaveProposals(bg, []penumbra.Proposal{fullProposal()}))
		for name, tt := range map[string]struct {
			change func(*penumbra.Decision, *penumbra.Proposal, *penumbra.Run)
			want   penumbra.ErrorKind
		}{
			"another hash": {func(d *penumbra.Decision, _ *penumbra.Proposal, _ *penumbra.Run) { d.Hash = "h-0" }, penumbra.Stale},
			"no such proposal": {func(d *penumbra.Decision, p *penumbra.Proposal, r *penumbra.Run) {
				d.Proposal, p.ID, r.Proposal = "p-9", "p-9", "p-9"
			}, penumbra.NotFound},
			"another proposal": {func(_ *penumbra.Decision, p *penumbra.Proposal, _ *penumbra.Run) { p.ID = "p-9" }, penumbra.Invalid},
			"another run":      {func(_ *penumbra.Decision, _ *penumbra.Proposal, r *penumbra.Run) { r.Decision = "9" }, penumbra.Invalid},
			"a run under way":  {func(_ *penumbra.Decision, _ *penumbra.Proposal, r *penumbra.Run) { r.State = penumbra.Applying }, penumbra.Invalid},
			"no approval":      {func(_ *penumbra.Decision, _ *penumbra.Proposal, r *penumbra.Run) { r.Approvals = nil }, penumbra.Invalid},
			"an approval that is not recorded": {func(_ *penumbra.Decision, _ *penumbra.Proposal, r *penumbra.Run) {
				r.Approvals = append(r.Approvals, "2")
			}, penumbra.Refused},
			"a rejection": {func(d *penumbra.Decision, _ *penumbra.Proposal, _ *penumbra.Run) { d.Verb = penumbra.Reject }, penumbra.Refused},
			"too few people": {func(_ *penumbra.Decision, _ *penumbra.Proposal, r *penumbra.Run) {
				r.Approvals, r.Needs = append(r.Approvals, "1"), 2
			}, penumbra.Refused},
			"an ended run again": {func(_ *penumbra.Decision, _ *penumbra.Proposal, r *penumbra.Run) { r.ID = "taken" }, penumbra.Refused},
		} {
			d, p, run := decision(fullProposal(), "1")
			tt.change(&d, &p, &run)
			kind(t, name, s.Decide(bg, d, p, &run), tt.want)
		}
		s.twice(func() {
			decisions, err := s.Decisions(bg, penumbra.DecisionQuery{})
			ok(t, err)
			equal(t, "decisions", []penumbra.Decision(nil), decisions)
			proposals, err := s.Proposals(bg, penumbra.ProposalQuery{})
			ok(t, err)
			equal(t, "proposals", []penumbra.Proposal{fullProposal()}, proposals)
			runs, err := s.Runs(bg, penumbra.RunQuery{})
			ok(t, err)
			equal(t, "runs", []penumbra.Run{taken}, runs)
		})
	},
	"a run starts with the approval of the last person needed": func(t *testing.T, s *opened) {
		ok(t, s.SaveProposals(bg, []penumbra.Proposal{fullProposal()}))
		first, _, _ := decision(fullProposal(), "1")
		ok(t, s.Decide(bg, first, fullProposal(), nil))
		same, p, run := decision(fullProposal(), "2")
		same.By, run.Approvals, run.Needs = " Alice", []string{"1", "2"}, 2
		kind(t, "the same person again", s.Decide(bg, same, p, &run), penumbra.Refused)
		same.By = "bob"
		ok(t, s.Decide(bg, same, p, &run))
		s.twice(func() {
			runs, err := s.Runs(bg, penumbra.RunQuery{})
			ok(t, err)
			equal(t, "runs", []penumbra.Run{run}, runs)
		})
	},
	"a scheduled run starts once, on what was decided": func(t *testing.T, s *opened) {
		ok(t, s.SaveProposals(bg, []penumbra.Proposal{fullProposal()}))
		d, p, run := decision(fullProposal(), "1")
		kind(t, "not scheduled", s.Start(bg, p, run), penumbra.Stale)
		waiting := p
		waiting.State = penumbra.Scheduled
		ok(t, s.Decide(bg, d, waiting, nil))
		other := p
		other.Hash = "h-0"
		kind(t, "another hash", s.Start(bg, other, run), penumbra.Stale)
		none := run
		none.Approvals, none.Decision = []string{"9"}, "9"
		kind(t, "another decision", s.Start(bg, p, none), penumbra.Refused)
		ok(t, s.Start(bg, p, run))
		kind(t, "a second time", s.Start(bg, p, run), penumbra.Stale)
		s.twice(func() {
			proposals, err := s.Proposals(bg, penumbra.ProposalQuery{})
			ok(t, err)
			equal(t, "proposal", []penumbra.Proposal{p}, proposals)
			runs, err := s.Runs(bg, penumbra.RunQuery{})
			ok(t, err)
			equal(t, "runs", []penumbra.Run{run}, runs)
		})
	},
	"a proposal is decided once": func(t *testing.T, s *opened) {
		ok(t, s.SaveProposals(bg, []penumbra.Proposal{fullProposal()}))
		var decided atomic.Int32
		var people sync.WaitGroup
		for i := range 8 {
			people.Go(func() {
				d, p, run := decision(fullProposal(), fmt.Sprint(i))
				if err := s.Decide(bg, d, p, &run); err == nil {
					decided.Add(1)
				} else {
					kind(t, "another decision", err, penumbra.Stale)
				}
			})
		}
		people.Wait()
		runs, err := s.Runs(bg, penumbra.RunQuery{Proposal: "p-1"})
		ok(t, err)
		equal(t, "decisions and runs", []int{1, 1}, []int{int(decided.Load()), len(runs)})
	},
}

// fullRun is a run with every field set.
func fullRun() penumbra.Run {
	return penumbra.Run{
		ID: "run-1", Proposal: "p-1", Decision: "1", Approvals: []string{"0", "1"}, Needs: 2, Drift: "d-1", Stack: "shop", State: penumbra.Applying, Kind: penumbra.Revert,
		Steps:   []penumbra.RunStep{{State: penumbra.Planned, Time: minute(1)}, {State: penumbra.Applying, Time: minute(2), Note: "n"}},
		Before:  map[penumbra.Address]penumbra.Settings{"shop/t.a": {{Path: "password", Value: secret, Sensitive: true}}, "shop/t.b": nil},
		Started: minute(1), Ended: minute(3), Outcome: "o", UndoneBy: "run-2", Log: "line\n",
		Code: fullCode(), Watch: fullWatch(), Told: "by mail",
	}
}

func fullWatch() *penumbra.Watch {
	return &penumbra.Watch{Until: minute(9), Ended: minute(8), WayBack: "p-2", Note: "n", Harm: []penumbra.Harm{{
		Resource: "shop/t.b",
		Impact:   penumbra.Impact{Anomaly: "a-1", Metric: "latency", Time: minute(5), Before: 1, After: 3, Worse: true, Coincidence: 0.1, Explained: 0.95},
	}}}
}

var runTests = map[string]func(*testing.T, *opened){
	"runs come back as they were": func(t *testing.T, s *opened) {
		filled(t, fullRun())
		want := []penumbra.Run{fullRun(), {ID: "run-0"}}
		for _, run := range want {
			ok(t, s.SaveRun(bg, run))
		}
		s.twice(func() {
			got, err := s.Runs(bg, penumbra.RunQuery{})
			ok(t, err)
			equal(t, "runs", want, got)
		})
	},
	"run queries, the last started first": func(t *testing.T, s *opened) {
		var all []penumbra.Run
		for i := range 8 {
			all = append(all, penumbra.Run{ID: fmt.Sprint("run-", i), Proposal: fmt.Sprint("p-", i%2), Stack: []string{"shop", "pay"}[i/4],
				State: penumbra.RunState(i), Started: minute(i)})
			ok(t, s.SaveRun(bg, all[i]))
		}
		s.twice(func() {
			for name, tt := range map[string]struct {
				query penumbra.RunQuery
				want  []int
			}{
				"all":      {penumbra.RunQuery{}, []int{7, 6, 5, 4, 3, 2, 1, 0}},
				"one":      {penumbra.RunQuery{ID: "run-3"}, []int{3}},
				"none":     {penumbra.RunQuery{ID: "run-9"}, nil},
				"proposal": {penumbra.RunQuery{Proposal: "p-1"}, []int{7, 5, 3, 1}},
				"stack":    {penumbra.RunQuery{Stack: "pay"}, []int{7, 6, 5, 4}},
				"unended":  {penumbra.RunQuery{Unended: true}, []int{3, 2, 1, 0}},
				"limit":    {penumbra.RunQuery{Limit: 1, Unended: true, Proposal: "p-0", Stack: "shop"}, []int{2}},
			} {
				got, err := s.Runs(bg, tt.query)
				ok(t, err)
				var want []penumbra.Run
				for _, i := range tt.want {
					want = append(want, all[i])
				}
				equal(t, name, want, got)
			}
		})
	},
	"an ended run never changes": func(t *testing.T, s *opened) {
		states := []penumbra.RunState{penumbra.Planned, penumbra.Checking, penumbra.Applying, penumbra.Verifying,
			penumbra.Done, penumbra.RolledBack, penumbra.Failed, penumbra.Halted}
		for _, from := range states {
			for _, to := range states {
				before := fullRun()
				before.ID, before.State = fmt.Sprintf("%v to %v", from, to), from
				after := before
				after.State, after.Outcome = to, "another"
				ok(t, s.SaveRun(bg, before))
				ok(t, s.SaveRun(bg, before)) // no change
				want := after
				if err := s.SaveRun(bg, after); from.Ended() && (from != penumbra.Done || to != penumbra.RolledBack) {
					kind(t, before.ID, err, penumbra.Refused)
					want = before
				} else if err != nil {
					t.Errorf("%s: %v", before.ID, err)
				}
				got, err := s.Runs(bg, penumbra.RunQuery{ID: before.ID})
				ok(t, err)
				equal(t, before.ID, []penumbra.Run{want}, got)
			}
		}
	},
	"who took back a halted run is added to it, once": func(t *testing.T, s *opened) {
		run := fullRun()
		run.State, run.UndoneBy = penumbra.Halted, ""
		ok(t, s.SaveRun(bg, run))
		back := run
		back.UndoneBy = "run-2"
		ok(t, s.SaveRun(bg, back))
		other, none := back, back
		other.UndoneBy, none.UndoneBy = "run-3", ""
		for _, x := range []penumbra.Run{other, none} {
			kind(t, "after "+x.UndoneBy, s.SaveRun(bg, x), penumbra.Refused)
		}
		got, err := s.Runs(bg, penumbra.RunQuery{ID: run.ID})
		ok(t, err)
		equal(t, "run", []penumbra.Run{back}, got)
	},
	"what became of a review is added to an ended run": func(t *testing.T, s *opened) {
		run := fullRun()
		run.State = penumbra.Done
		ok(t, s.SaveRun(bg, run))
		later := run
		later.Code = fullCode()
		later.Code.State, later.Code.Seen = penumbra.ReviewMerged, minute(9)
		ok(t, s.SaveRun(bg, later))
		other, none := later, later
		other.Outcome = "another"
		none.Code = nil
		kind(t, "another outcome", s.SaveRun(bg, other), penumbra.Refused)
		kind(t, "no change to the code", s.SaveRun(bg, none), penumbra.Refused)
		got, err := s.Runs(bg, penumbra.RunQuery{ID: run.ID})
		ok(t, err)
		equal(t, "the run", []penumbra.Run{later}, got)
	},
	"what a watch has seen is added to an ended run": func(t *testing.T, s *opened) {
		run := fullRun()
		run.State, run.Watch = penumbra.Done, &penumbra.Watch{Until: minute(9)}
		ok(t, s.SaveRun(bg, run))
		hurt, other, none := run, run, run
		hurt.Watch = fullWatch()
		hurt.Watch.Ended = time.Time{}
		ok(t, s.SaveRun(bg, hurt))
		other.Watch, other.Outcome = fullWatch(), "another"
		none.Watch = nil
		kind(t, "another outcome", s.SaveRun(bg, other), penumbra.Refused)
		kind(t, "no watch", s.SaveRun(bg, none), penumbra.Refused)
		over := run
		over.Watch = fullWatch()
		ok(t, s.SaveRun(bg, over))
		kind(t, "after the watch", s.SaveRun(bg, hurt), penumbra.Refused)
		unwatched := fullRun()
		unwatched.ID, unwatched.State, unwatched.Watch = "run-2", penumbra.Done, nil
		ok(t, s.SaveRun(bg, unwatched))
		late := unwatched
		late.Watch = fullWatch()
		kind(t, "a watch of a run without one", s.SaveRun(bg, late), penumbra.Refused)
		s.twice(func() {
			got, err := s.Runs(bg, penumbra.RunQuery{ID: run.ID})
			ok(t, err)
			equal(t, "the run", []penumbra.Run{over}, got)
		})
	},
}

var ruleTests = map[string]func(*testing.T, *opened){
	"rules in the order of their creation": func(t *testing.T, s *opened) {
		value := secret
		first := penumbra.Rule{ID: "z", Pattern: "shop/t.a.*", Reason: "why", By: "alice", Created: minute(1), Expires: minute(9), Value: &value}
		second, third := penumbra.Rule{ID: "b", Pattern: "!t.a.size", Created: minute(2)}, penumbra.Rule{ID: "a", Created: minute(2)}
		for _, r := range []penumbra.Rule{second, third, first, {ID: "gone"}} {
			ok(t, s.SaveRule(bg, r))
		}
		second.Reason = "changed"
		ok(t, s.SaveRule(bg, second))
		ok(t, s.DeleteRule(bg, "gone"))
		ok(t, s.DeleteRule(bg, "never there"))
		s.twice(func() {
			got, err := s.Rules(bg)
			ok(t, err)
			equal(t, "rules", []penumbra.Rule{first, second, third}, got)
		})
	},
}

var freezeTests = map[string]func(*testing.T, *opened){
	"freezes in the order of their creation": func(t *testing.T, s *opened) {
		first := penumbra.Freeze{ID: "z", Stacks: []string{"shop"}, From: minute(1), Until: minute(9), Reason: "why", By: "alice", Created: minute(1),
			LiftedBy: "bob", Lifted: minute(5), Configured: true}
		filled(t, first)
		second, changed := penumbra.Freeze{ID: "a", Created: minute(2)}, first
		changed.LiftedBy = ""
		for _, f := range []penumbra.Freeze{second, changed, first} {
			ok(t, s.SaveFreeze(bg, f))
		}
		s.twice(func() {
			got, err := s.Freezes(bg)
			ok(t, err)
			equal(t, "freezes", []penumbra.Freeze{first, second}, got)
		})
	},
}

var attentionTests = map[string]func(*testing.T, *opened){
	"attentions in the order of their creation": func(t *testing.T, s *opened) {
		first := penumbra.Attention{ID: "z", Resource: "shop/a.b", Drift: "d-1", Every: time.Minute, Usually: time.Hour, Until: minute(9), By: "alice", Created: minute(1)}
		filled(t, first)
		second, changed := penumbra.Attention{ID: "a", Created: minute(2)}, first
		changed.By = ""
		for _, a := range []penumbra.Attention{second, changed, first, {ID: "gone"}} {
			ok(t, s.SaveAttention(bg, a))
		}
		ok(t, s.EndAttention(bg, "gone"))
		ok(t, s.EndAttention(bg, "never there"))
		s.twice(func() {
			got, err := s.Attentions(bg)
			ok(t, err)
			equal(t, "attentions", []penumbra.Attention{first, second}, got)
		})
	},
}

var checkpointTests = map[string]func(*testing.T, *opened){
	"the last checkpoint of a name": func(t *testing.T, s *opened) {
		_, err := s.Checkpoint(bg, "shadow")
		kind(t, "none yet", err, penumbra.NotFound)
		large := make([]byte, 3<<20)
		for i := range large {
			large[i] = byte(i * i >> 8)
		}
		last := penumbra.Checkpoint{Name: "shadow", Sequence: 7, Time: minute(2), Data: large}
		for _, c := range []penumbra.Checkpoint{{Name: "shadow", Sequence: 9, Data: []byte("old")}, {Name: "empty"}, last} {
			ok(t, s.SaveCheckpoint(bg, c))
		}
		s.twice(func() {
			for _, want := range []penumbra.Checkpoint{last, {Name: "empty"}} {
				got, err := s.Checkpoint(bg, want.Name)
				ok(t, err)
				// Not by a comparison of every byte, of which there are millions.
				if !bytes.Equal(want.Data, got.Data) {
					t.Errorf("checkpoint %s has other data: %d bytes, want %d", want.Name, len(got.Data), len(want.Data))
				}
				want.Data, got.Data = nil, nil
				equal(t, "checkpoint", want, got)
			}
			_, err = s.Checkpoint(bg, "Shadow")
			kind(t, "another name", err, penumbra.NotFound)
		})
	},
}
