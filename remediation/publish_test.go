package remediation

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// forge is version control in memory: what was made there, and how often.
type forge struct {
	w                       *world
	commits, pushes, opened int
	state                   penumbra.ReviewState
}

func (f *forge) Publish(_ context.Context, run penumbra.Run, p penumbra.Proposal, reached func(penumbra.CodeChange) error) (penumbra.CodeChange, error) {
	c := penumbra.CodeChange{Way: p.Way, Branch: p.Branch(), Commit: "c0ffee"}
	for _, step := range []struct {
		name string
		done *int
		then func()
	}{
		{"commit", &f.commits, func() {}},
		{"push", &f.pushes, func() { c.Remote, c.Pushed = "origin", true }},
		{"open", &f.opened, func() { c.URL, c.State = "https://forge.example/1", penumbra.ReviewOpen }},
	} {
		if err := f.w.fault(step.name); err != nil {
			return c, err
		}
		if *step.done == 0 {
			*step.done = 1
		}
		if err := f.w.fault(step.name + " done"); err != nil {
			return c, err
		}
		step.then()
		if err := reached(c); err != nil {
			return c, err
		}
	}
	f.state = penumbra.ReviewOpen
	return c, nil
}

func (f *forge) Withdraw(context.Context, penumbra.Run, penumbra.CodeChange) error {
	if f.state == penumbra.ReviewMerged {
		return &penumbra.Error{Kind: penumbra.Stale, What: "it is merged"}
	}
	f.opened, f.state = 0, penumbra.ReviewClosed
	return f.w.fault("withdraw")
}

func (f *forge) Look(_ context.Context, c penumbra.CodeChange) (penumbra.CodeChange, error) {
	c.State = f.state
	return c, nil
}

func (w *world) reviewing(f *forge) *Machine {
	m := w.machine()
	m.Way, m.Publisher = penumbra.PullRequestWay, f
	return m
}

func (w *world) forReview(kind penumbra.ProposalKind) penumbra.Proposal {
	p := w.proposalOf(kind)
	p.Way = penumbra.PullRequestWay
	p.Hash = p.Digest()
	return p
}

func TestPublishingLeavesCodeAndWorld(t *testing.T) {
	t.Parallel()
	for _, kind := range []penumbra.ProposalKind{penumbra.Adopt, penumbra.IgnoreChanges, penumbra.Custom} {
		w := newWorld()
		f := &forge{w: w}
		p := w.forReview(kind)
		run, decision := approved(p)
		run, err := w.reviewing(f).Execute(t.Context(), run, p, decision)
		if err != nil || run.State != penumbra.Done {
			t.Fatalf("%s: run is %s (%s), error %v", kind, run.State, run.Outcome, err)
		}
		if w.code != coded || w.actual != drifted || w.applies != 0 {
			t.Errorf("%s: code %q, world %q, %d applies", kind, w.code, w.actual, w.applies)
		}
		if run.Code == nil || run.Code.URL == "" || !strings.Contains(run.Outcome, run.Code.URL) || !strings.Contains(run.Outcome, "the drift stays") {
			t.Errorf("%s: %q, %+v", kind, run.Outcome, run.Code)
		}
	}
}

// A way that the configuration has changed since the approval is not taken.
func TestAnotherWayIsStale(t *testing.T) {
	t.Parallel()
	w := newWorld()
	f := &forge{w: w}
	direct, reviewed := w.proposalOf(penumbra.Adopt), w.forReview(penumbra.Adopt)
	for _, test := range []struct {
		m *Machine
		p penumbra.Proposal
	}{{w.reviewing(f), direct}, {w.machine(), reviewed}} {
		run, decision := approved(test.p)
		run, err := test.m.Execute(t.Context(), run, test.p, decision)
		if penumbra.KindOf(err) != penumbra.Stale || run.State != penumbra.Failed || w.code != coded || f.commits != 0 {
			t.Errorf("run is %s, error %v, code %q, %d commits", run.State, err, w.code, f.commits)
		}
	}
}

// Whatever step an error or a kill hits, going on makes nothing twice and loses
// nothing.
func TestPublishingGoesOn(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"save applying", "saved applying", "commit", "commit done", "push", "push done", "open", "open done", "save done"} {
		for _, kill := range []bool{true, false} {
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				f := &forge{w: w}
				p := w.forReview(penumbra.Adopt)
				run, decision := approved(p)
				w.stored[run.ID] = run
				once := false
				w.fault = func(at string) error {
					if at != point || once {
						return nil
					}
					once = true
					if kill {
						panic(killed{})
					}
					return errors.New("injected")
				}
				func() {
					defer func() {
						if r := recover(); r != nil && r != (killed{}) {
							panic(r)
						}
					}()
					_, _ = w.reviewing(f).Execute(t.Context(), run, p, decision)
				}()
				if !once {
					t.Fatalf("%s was never reached", point)
				}
				end, err := w.reviewing(f).Recover(t.Context(), w.stored[run.ID], p)
				if err != nil {
					t.Fatal(err)
				}
				if end.State == penumbra.Failed {
					if strings.Contains(end.Outcome, "nothing was changed") == (end.Code != nil) {
						t.Errorf("failed with %+v: %q", end.Code, end.Outcome)
					}
					again := run
					again.ID = "run-2"
					end, err = w.reviewing(f).Execute(t.Context(), again, p, decision)
				}
				if err != nil || end.State != penumbra.Done || end.Code.URL == "" {
					t.Fatalf("run is %s (%s), error %v", end.State, end.Outcome, err)
				}
				if f.commits != 1 || f.pushes != 1 || f.opened != 1 || w.code != coded {
					t.Errorf("%d commits, %d pushes, %d opened, code %q", f.commits, f.pushes, f.opened, w.code)
				}
			})
		}
	}
}

func TestWithdrawing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	f := &forge{w: w, opened: 1, state: penumbra.ReviewOpen}
	p := penumbra.Proposal{ID: "p-2", Drift: "d-1", Kind: penumbra.Restore, Undoes: "run-1", Withdraws: &penumbra.CodeChange{Way: penumbra.PullRequestWay, Branch: "penumbra/d-1-adopt"}}
	p.Hash = p.Digest()
	run, decision := approved(p)
	if run, err := w.reviewing(f).Execute(t.Context(), run, p, decision); err != nil || run.State != penumbra.Done || f.opened != 0 {
		t.Errorf("run is %s (%s), error %v", run.State, run.Outcome, err)
	}
	f.state, run.ID = penumbra.ReviewMerged, "run-2"
	if run, err := w.reviewing(f).Execute(t.Context(), run, p, decision); penumbra.KindOf(err) != penumbra.Stale || run.State != penumbra.Failed {
		t.Errorf("of one that is merged: run is %s, error %v", run.State, err)
	}
	run.ID = "run-3"
	if run, err := w.machine().Execute(t.Context(), run, p, decision); penumbra.KindOf(err) != penumbra.Refused || run.State != penumbra.Failed {
		t.Errorf("without a repository: run is %s, error %v", run.State, err)
	}
}
