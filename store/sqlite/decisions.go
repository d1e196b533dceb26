package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Decide stores a decision with what follows from it, see
// [contract.Proposals]. It returns an error of kind NotFound if the proposal
// is not stored, and of kind Invalid if decision, proposal and run do not
// belong together.
func (s *Store) Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error {
	what := fmt.Sprintf("decide on proposal %s", d.Proposal)
	if err := stored.CheckDecision(what, &d, &p, run); err != nil {
		return err
	}
	return s.write(ctx, what, func(tx *sql.Tx) error {
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
	return s.write(ctx, what, func(tx *sql.Tx) error {
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

// checkProposal returns an error unless the stored proposal is in a state and
// has a hash.
func checkProposal(ctx context.Context, tx *sql.Tx, what, id string, want penumbra.ProposalStatus, hash string) error {
	var state, there string
	err := tx.QueryRowContext(ctx, `SELECT state, hash FROM proposals WHERE id = ?`, id).Scan(&state, &there)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return stored.NoProposal(what)
	case err != nil:
		return err
	}
	return stored.CheckProposal(what, state, there, want, hash)
}

// startRun stores a planned run, if the approvals that it rests on are recorded,
// on this very plan, and by as many people as it needs.
func startRun(ctx context.Context, tx *sql.Tx, what string, p penumbra.Proposal, run penumbra.Run) error {
	decisions, err := list[penumbra.Decision](ctx, tx, "decisions", "WHERE proposal = ?", p.ID)
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
	return s.write(ctx, "record a decision on drift "+d.Drift, func(tx *sql.Tx) error { return putDecision(ctx, tx, d) })
}

// putDecision adds a decision; what is decided is never changed.
func putDecision(ctx context.Context, tx *sql.Tx, d penumbra.Decision) error {
	body, err := stored.Encode(d)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO decisions (id, proposal, drift, time, body) VALUES (?, ?, ?, ?, ?)`,
		d.ID, d.Proposal, d.Drift, stored.Nanos(d.Time), body)
	return err
}

// Decisions returns the selected decisions, oldest first.
func (s *Store) Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	var f filter
	f.where("proposal", q.Proposal)
	f.where("drift", q.Drift)
	if q.AfterID != "" {
		f.conditions = append(f.conditions, "(time, rowid) > (SELECT time, rowid FROM decisions WHERE id = ?)")
		f.args = append(f.args, q.AfterID)
	}
	out, err := list[penumbra.Decision](ctx, s.reader, "decisions", f.rest("time, rowid", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read decisions", err)
	}
	return out, nil
}

// SaveFreeze stores a freeze, or the new form of a stored one.
func (s *Store) SaveFreeze(ctx context.Context, f penumbra.Freeze) error {
	return s.write(ctx, "save freeze "+f.ID, func(tx *sql.Tx) error {
		return put(ctx, tx, "freezes", "id, created", f, f.ID, stored.Nanos(f.Created))
	})
}

// Freezes returns all freezes, ended ones too, in the order of their creation.
func (s *Store) Freezes(ctx context.Context) ([]penumbra.Freeze, error) {
	out, err := list[penumbra.Freeze](ctx, s.reader, "freezes", "ORDER BY created, rowid")
	if err != nil {
		return nil, s.fault("read freezes", err)
	}
	return out, nil
}
