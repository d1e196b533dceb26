package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Decide stores a decision with what follows from it, see [contract.Proposals]. It
// returns an error of kind NotFound if the proposal is not stored, and of kind Invalid
// if decision, proposal and run do not belong together.
func (s *Store) Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error {
	what := fmt.Sprintf("decide on proposal %s", d.Proposal)
	if err := stored.CheckDecision(what, &d, &p, run); err != nil {
		return err
	}
	return s.write(ctx, what, func(tx pgx.Tx) error {
		if err := checkProposal(ctx, tx, what, p.ID, penumbra.Proposed, d.Hash); err != nil {
			return err
		}
		if err := putDecision(ctx, tx, d); err != nil {
			return err
		}
		if err := putProposal(ctx, tx, p); err != nil {
			return err
		}
		if run != nil {
			if err := startRun(ctx, tx, what, p, *run); err != nil {
				return err
			}
		}
		return s.follow(ctx, tx, p, run)
	})
}

// Start stores the run of a scheduled proposal, see [contract.Proposals].
func (s *Store) Start(ctx context.Context, p penumbra.Proposal, run penumbra.Run) error {
	what := fmt.Sprintf("start the run of proposal %s", p.ID)
	return s.write(ctx, what, func(tx pgx.Tx) error {
		if err := checkProposal(ctx, tx, what, p.ID, penumbra.Scheduled, p.Hash); err != nil {
			return err
		}
		if err := putProposal(ctx, tx, p); err != nil {
			return err
		}
		if err := startRun(ctx, tx, what, p, run); err != nil {
			return err
		}
		return s.follow(ctx, tx, p, &run)
	})
}

// checkProposal returns an error unless the stored proposal is in a state and has a
// hash, and keeps it so until the transaction ends: of two who decide at once, in
// whatever processes, the second finds what the first has made of it.
func checkProposal(ctx context.Context, tx pgx.Tx, what, id string, want penumbra.ProposalStatus, hash string) error {
	var state, there string
	err := tx.QueryRow(ctx, `SELECT state, hash FROM proposals WHERE id = $1 FOR UPDATE`, text(id)).Scan(&state, &there)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return stored.NoProposal(what)
	case err != nil:
		return err
	}
	return stored.CheckProposal(what, untext(state), untext(there), want, hash)
}

// startRun stores a planned run, if the approvals that it rests on are recorded.
func startRun(ctx context.Context, tx pgx.Tx, what string, p penumbra.Proposal, run penumbra.Run) error {
	decisions, err := list[penumbra.Decision](ctx, tx, "decisions", "WHERE proposal = $1", text(p.ID))
	if err != nil {
		return err
	}
	if err := stored.CheckStart(what, &p, &run, decisions); err != nil {
		return err
	}
	return saveRun(ctx, tx, run)
}

// Note stores a decision on a drift alone.
func (s *Store) Note(ctx context.Context, d penumbra.Decision) error {
	return s.write(ctx, "record a decision on drift "+d.Drift, func(tx pgx.Tx) error { return putDecision(ctx, tx, d) })
}

// putDecision adds a decision; what is decided is never changed. Decisions are put in
// one after the other, so that who reads on after one misses none.
func putDecision(ctx context.Context, tx pgx.Tx, d penumbra.Decision) error {
	if err := hold(ctx, tx, "decisions"); err != nil {
		return err
	}
	body, err := stored.Encode(d)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO decisions (id, proposal, drift, time, body) VALUES ($1, $2, $3, $4, $5)`,
		text(d.ID), text(d.Proposal), text(d.Drift), stored.Nanos(d.Time), body)
	return err
}

// Decisions returns the selected decisions, oldest first.
func (s *Store) Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	var f filter
	f.where("proposal", q.Proposal)
	f.where("drift", q.Drift)
	if q.AfterID != "" {
		f.add("(time, n) > (SELECT time, n FROM decisions WHERE id = ?)", text(q.AfterID))
	}
	out, err := list[penumbra.Decision](ctx, s.pool, "decisions", f.rest("time, n", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read decisions", err)
	}
	return out, nil
}
