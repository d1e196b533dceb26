package decisions

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Reviewer is a remediator that knows what became of a change that it put up
// for review.
type Reviewer interface {
	Review(ctx context.Context, change penumbra.CodeChange) (penumbra.CodeChange, error)
}

// reviewEvery is how often it is asked what became of changes under review: people
// decide within hours, and a forge counts requests.
const reviewEvery = 5 * time.Minute

// reviewsKept bounds the runs of a stack that are looked through for changes under
// review.
const reviewsKept = 500

// undecided reports whether a run's change is still under review: how it will end
// is not known.
func undecided(run *penumbra.Run) bool {
	return run.State == penumbra.Done && run.Code != nil && run.Code.State == penumbra.ReviewOpen
}

// succeeded reports whether a run kept what it promised, for what is put up for
// review once it was merged.
func succeeded(run *penumbra.Run) bool {
	return run.State == penumbra.Done && (run.Code == nil || run.Code.State == penumbra.ReviewMerged)
}

// Reviews asks now and then what became of changes under review, until ctx ends.
func (b *Board) Reviews(ctx context.Context) error {
	tick := time.NewTicker(reviewEvery)
	defer tick.Stop()
	for {
		for _, s := range b.cfg.Stacks {
			if _, ok := s.Remediator.(Reviewer); !ok {
				continue
			}
			runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: s.Name, Limit: reviewsKept})
			if err != nil {
				b.cfg.Log.Error("what became of changes under review is not known", "stack", s.Name, "error", err)
			}
			for i := range runs {
				if ctx.Err() != nil {
					return nil
				}
				if !undecided(&runs[i]) {
					continue
				}
				if _, err := b.review(ctx, runs[i]); err != nil && ctx.Err() == nil {
					b.cfg.Log.Warn("what became of a change under review is not known", "run", runs[i].ID, "error", penumbra.Redact(err.Error()))
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Review asks what became of the change that a run put up for review, and returns
// the run with it. It returns an error of kind Refused if the run put none up.
func (b *Board) Review(ctx context.Context, id string) (penumbra.Run, error) {
	runs, err := b.Runs(ctx, penumbra.RunQuery{ID: id})
	if err != nil {
		return penumbra.Run{}, err
	}
	run := runs[0]
	if run.Code == nil || run.State != penumbra.Done {
		return run, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("run %s (%s) has no change under review", id, run.State), Remedy: "see `penumbra run list`"}
	}
	return b.review(ctx, run)
}

func (b *Board) review(ctx context.Context, run penumbra.Run) (penumbra.Run, error) {
	s := b.cfg.Stacks[run.Stack]
	var reviewer Reviewer
	if s != nil {
		reviewer, _ = s.Remediator.(Reviewer)
	}
	if reviewer == nil {
		return run, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("stack %q of run %s is not configured any more", run.Stack, run.ID), Remedy: "put it back into penumbra.yaml"}
	}
	before := *run.Code
	now, err := reviewer.Review(ctx, before)
	if err != nil {
		return run, err
	}
	now.Seen = b.cfg.Clock()
	run.Code = &now
	if b.cfg.ReadOnly {
		return run, nil
	}
	if err := b.cfg.Store.SaveRun(ctx, run); err != nil || now.State == before.State {
		return run, err
	}
	b.cfg.Log.Info("a change under review", "run", run.ID, "change", now.String(), "state", string(now.State))
	return run, b.decided(ctx, &run)
}

// decided draws the conclusions from what reviewers decided.
func (b *Board) decided(ctx context.Context, run *penumbra.Run) error {
	d, err := b.cfg.World.Drift(ctx, run.Drift)
	if err != nil {
		return err
	}
	if d.Code != nil && d.Code.Branch == run.Code.Branch && d.Code.Number == run.Code.Number && d.Code.Commit == run.Code.Commit {
		d.Code = run.Code
		if err := b.cfg.World.Settle(ctx, d); err != nil {
			return err
		}
	}
	if run.Code.State == penumbra.ReviewClosed {
		// The drift needs another answer: all ways are offered anew.
		open, err := b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: d.ID, States: []penumbra.ProposalStatus{penumbra.Proposed}})
		if err != nil {
			return err
		}
		return b.supersede(ctx, open)
	}
	if run.Code.State != penumbra.ReviewMerged {
		return nil
	}
	b.cfg.World.Wake(d.Resource) // a checkout that follows may have it
	p, err := b.Proposal(ctx, run.Proposal)
	if err != nil || p.Undoes == "" {
		return err
	}
	return b.takenBack(ctx, &p, run.ID)
}
