package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
)

// reviewing is a remediator and a proposer of one patch that is put up for review.
type reviewing struct {
	state   penumbra.ReviewState
	err     error
	recover chan struct{} // closed when a run was recovered
}

func (r *reviewing) Propose(_ context.Context, c decisions.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	p := penumbra.Proposal{ID: "p-" + c.Time.Format("150405"), Drift: c.Drift.ID, Kind: penumbra.Adopt, State: penumbra.Proposed, Rank: 1, Created: c.Time,
		Patch: &penumbra.Patch{Stack: "shop"}, Way: penumbra.PullRequestWay}
	if len(c.Outcomes) > 0 {
		p.Title = "after an outcome"
	}
	p.Hash = p.Digest()
	return []penumbra.Proposal{p}, nil, nil
}

func (r *reviewing) Customize(context.Context, penumbra.Proposal, penumbra.Edit, decisions.Case) (penumbra.Proposal, error) {
	return penumbra.Proposal{}, errors.New("not in this test")
}

func (*reviewing) Part(context.Context, []string, bool, decisions.Case) (penumbra.Proposal, error) {
	return penumbra.Proposal{}, nil
}

func (r *reviewing) Restore(_ context.Context, run penumbra.Run, _ penumbra.Proposal, c decisions.Case) (penumbra.Proposal, error) {
	p := penumbra.Proposal{ID: "p-back", Drift: c.Drift.ID, Kind: penumbra.Restore, State: penumbra.Proposed, Undoes: run.ID, Withdraws: run.Code, Created: c.Time}
	p.Hash = p.Digest()
	return p, nil
}

func (r *reviewing) Execute(_ context.Context, run penumbra.Run, p penumbra.Proposal, _ ...penumbra.Decision) (penumbra.Run, error) {
	run.State, run.Outcome = penumbra.Done, "done"
	if p.Publishes() {
		run.Code = &penumbra.CodeChange{Way: p.Way, Branch: p.Branch(), Number: 7, URL: "https://forge.example/7", State: penumbra.ReviewOpen}
	}
	return run, r.err
}

func (r *reviewing) Recover(ctx context.Context, run penumbra.Run, p penumbra.Proposal) (penumbra.Run, error) {
	defer close(r.recover)
	return r.Execute(ctx, run, p)
}

func (r *reviewing) Review(_ context.Context, c penumbra.CodeChange) (penumbra.CodeChange, error) {
	c.State = r.state
	return c, r.err
}

// saving has the engine keep the runs that its remediator returns.
type saving struct {
	*reviewing
	journal interface {
		SaveRun(context.Context, penumbra.Run) error
	}
}

func (s saving) Execute(ctx context.Context, run penumbra.Run, p penumbra.Proposal, d ...penumbra.Decision) (penumbra.Run, error) {
	run, err := s.reviewing.Execute(ctx, run, p, d...)
	return run, errors.Join(err, s.journal.SaveRun(ctx, run))
}

func (s saving) Recover(ctx context.Context, run penumbra.Run, p penumbra.Proposal) (penumbra.Run, error) {
	run, err := s.reviewing.Recover(ctx, run, p)
	return run, errors.Join(err, s.journal.SaveRun(ctx, run))
}

// drifting is a bench with a drift that can be adopted by review.
func drifting(t *testing.T) (*bench, *reviewing, penumbra.Drift) {
	b, r := newBench(t), &reviewing{state: penumbra.ReviewOpen, recover: make(chan struct{})}
	b.config = func(c *engine.Config) {
		c.Stacks[0].Proposer = r
		c.Stacks[0].Remediator = func(e *engine.Engine) decisions.Remediator { return saving{r, e} }
	}
	b.both("vm.a", penumbra.Settings{{Path: "size", Value: penumbra.Number(1)}})
	b.start().look()
	b.advance(time.Minute)
	b.world["vm.a"] = penumbra.Settings{{Path: "size", Value: penumbra.Number(2)}}
	b.look()
	list := b.drifts()
	if len(list) != 1 {
		t.Fatalf("drifts: %+v", list)
	}
	return b, r, list[0]
}

// approve approves the first proposal of a drift and waits for all that follows.
func (b *bench) approve(p penumbra.Proposal) penumbra.Run {
	b.t.Helper()
	made, err := b.engine.Approve(b.t.Context(), p.ID, p.Hash, "alice")
	if err != nil {
		b.t.Fatal(err)
	}
	b.stop() // waits for the run and what follows from it
	b.start()
	runs, err := b.engine.Runs(b.t.Context(), penumbra.RunQuery{ID: made.Run.ID})
	if err != nil {
		b.t.Fatal(err)
	}
	return runs[0]
}

func (b *bench) proposed(drift string) penumbra.Proposal {
	b.t.Helper()
	list, _, err := b.engine.Proposals(b.t.Context(), drift)
	if err != nil || len(list) != 1 {
		b.t.Fatalf("proposals %+v, %v", list, err)
	}
	return list[0]
}

func TestDriftStaysWhileItsChangeIsReviewed(t *testing.T) {
	b, r, d := drifting(t)
	run := b.approve(b.proposed(d.ID))
	now := b.drifts()
	if len(now) != 1 || now[0].Code == nil || now[0].Code.Number != 7 || now[0].Code.State != penumbra.ReviewOpen {
		t.Fatalf("the drift: %+v", now)
	}
	// It is a promise yet, and no outcome to learn from.
	b.advance(time.Hour)
	b.look()
	if p := b.proposed(d.ID); p.Title != "" {
		t.Errorf("learnt from a change under review: %+v", p)
	}
	r.state = penumbra.ReviewMerged
	reviewed, err := b.engine.Review(t.Context(), run.ID)
	if err != nil || reviewed.Code.State != penumbra.ReviewMerged || reviewed.Code.Seen.IsZero() {
		t.Fatalf("%+v, %v", reviewed.Code, err)
	}
	if now = b.drifts(); len(now) != 1 || now[0].Code.State != penumbra.ReviewMerged {
		t.Errorf("the drift after the merge: %+v", now)
	}
	b.advance(time.Hour)
	b.look()
	if p := b.proposed(d.ID); p.Title == "" {
		t.Errorf("nothing learnt from what was merged: %+v", p)
	}
	b.code["vm.a"] = b.world["vm.a"]
	b.advance(time.Minute)
	b.look()
	if now = b.drifts(); len(now) != 0 {
		t.Errorf("the drift once the code has it: %+v", now)
	}
}

func TestClosedReviewIsOfferedAnew(t *testing.T) {
	b, r, d := drifting(t)
	first := b.proposed(d.ID)
	run := b.approve(first)
	r.state = penumbra.ReviewClosed
	b.advance(time.Minute)
	if _, err := b.engine.Review(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if p := b.proposed(d.ID); p.ID == first.ID {
		t.Errorf("the proposal of before: %+v", p)
	}
	if now := b.drifts(); len(now) != 1 || now[0].Code.State != penumbra.ReviewClosed {
		t.Errorf("the drift: %+v", now)
	}
	r.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "the forge is away"}
	if _, err := b.engine.Review(t.Context(), run.ID); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("%v", err)
	}
	if _, err := b.engine.Review(t.Context(), "r-none"); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("%v", err)
	}
}

func TestWithdrawnChangeLeavesTheDrift(t *testing.T) {
	b, _, d := drifting(t)
	run := b.approve(b.proposed(d.ID))
	back, err := b.engine.Rollback(t.Context(), run.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	b.approve(back)
	runs, err := b.engine.Runs(t.Context(), penumbra.RunQuery{ID: run.ID})
	if err != nil || runs[0].State != penumbra.RolledBack || runs[0].Code.State != penumbra.ReviewClosed {
		t.Errorf("the run: %+v, %v", runs, err)
	}
	if now := b.drifts(); len(now) != 1 || now[0].Code != nil {
		t.Errorf("the drift: %+v", now)
	}
	if _, err := b.engine.Review(t.Context(), run.ID); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("a look at what was taken back: %v", err)
	}
}

// Opening an engine does not wait for a forge that is slow.
func TestInterruptedReviewGoesOn(t *testing.T) {
	b, r, d := drifting(t)
	p := b.proposed(d.ID)
	run := penumbra.Run{ID: "r-cut", Proposal: p.ID, Kind: p.Kind, Drift: d.ID, Stack: "shop", State: penumbra.Applying, Started: b.now}
	if err := b.store.SaveRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b.start()
	<-r.recover
	b.stop()
	b.start()
	if now := b.drifts(); len(now) != 1 || now[0].Code == nil {
		t.Errorf("the drift: %+v", now)
	}
}

// TestLinkAfterAKill shows that a drift gets its link to the change under review
// although a kill came between the end of the run and the record of what follows.
func TestLinkAfterAKill(t *testing.T) {
	t.Parallel()
	b, _, d := drifting(t)
	list, _, err := b.engine.Proposals(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	run := b.approve(list[0])
	linked := func() *penumbra.CodeChange {
		found, err := b.engine.Drifts(t.Context(), penumbra.DriftQuery{ID: d.ID})
		if err != nil {
			t.Fatal(err)
		}
		d = found[0]
		return d.Code
	}
	if linked() == nil {
		t.Fatalf("the drift has no link to the change of run %s (%s)", run.ID, run.State)
	}
	d.Code = nil // as the store has it after such a kill
	if err := b.store.SaveDrifts(t.Context(), []penumbra.Drift{d}); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b.start()
	if linked() != nil {
		t.Fatal("the link was not lost")
	}
	if err := b.jobs.Add(t.Context(), penumbra.Job{Kind: penumbra.CarryOutRun, ID: run.ID}); err != nil { // the job was not over
		t.Fatal(err)
	}
	b.jobs.due()
	if linked() == nil {
		t.Error("the link is lost")
	}
}
