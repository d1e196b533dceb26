package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// put stores a document with the columns that it is found by. columns names
// them, the identifier first.
func put(ctx context.Context, tx *sql.Tx, table, columns string, document any, values ...any) error {
	body, err := stored.Encode(document)
	if err != nil {
		return err
	}
	var set []string
	for _, c := range append(strings.Split(columns, ", ")[1:], "body") {
		set = append(set, c+" = excluded."+c)
	}
	_, err = tx.ExecContext(ctx,
		"INSERT INTO "+table+" ("+columns+", body) VALUES "+tuple(len(values)+1)+
			" ON CONFLICT (id) DO UPDATE SET "+strings.Join(set, ", "),
		append(values, body)...)
	return err
}

// querier is a pool of connections or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list reads the documents that the rest of a statement selects.
func list[T any](ctx context.Context, from querier, table, rest string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, "SELECT body FROM "+table+" "+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	var body sql.RawBytes
	for rows.Next() {
		var document T
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := stored.Decode(body, &document); err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		out = append(out, document)
	}
	return out, rows.Err()
}

// filter collects the conditions of a query.
type filter struct {
	conditions []string
	args       []any
}

// where adds "column = value" unless value is empty.
func (f *filter) where(column, value string) {
	if value != "" {
		f.add(column+" = ?", value)
	}
}

func (f *filter) add(condition string, value any) {
	f.conditions = append(f.conditions, condition)
	f.args = append(f.args, value)
}

// behind continues a list that is ordered by a time, the last first, and then by
// identifier. It does nothing without an identifier.
func (f *filter) behind(column string, at time.Time, id string) {
	if id == "" {
		return
	}
	// The first condition is what an index is entered by.
	f.conditions = append(f.conditions, column+" <= ? AND ("+column+" < ? OR id > ?)")
	f.args = append(f.args, stored.Nanos(at), stored.Nanos(at), id)
}

// rest returns the end of the statement; limit 0 is none.
func (f *filter) rest(order string, limit int) string {
	var out string
	if len(f.conditions) > 0 {
		out = "WHERE " + strings.Join(f.conditions, " AND ") + " "
	}
	out += "ORDER BY " + order
	if limit > 0 {
		out += fmt.Sprintf(" LIMIT %d", limit)
	}
	return out
}

// finding selects what was found of resources: drifts or anomalies.
func finding(id string, resource penumbra.Address, stack string, active bool) *filter {
	f := &filter{}
	f.where("id", id)
	f.where("resource", string(resource))
	f.where("stack", stack)
	if active {
		f.conditions = append(f.conditions, "active = 1")
	}
	return f
}

// SaveDrifts stores new drifts and new states of stored ones.
func (s *Store) SaveDrifts(ctx context.Context, drifts []penumbra.Drift) error {
	return s.write(ctx, "save drifts", func(tx *sql.Tx) error {
		for _, d := range drifts {
			err := put(ctx, tx, "drifts", "id, resource, stack, active, accepted, changed", d,
				d.ID, string(d.Resource), d.Resource.Stack(), d.Active(), !d.Active() && !d.AcceptedUntil.IsZero(), stored.Nanos(d.Changed))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Drifts returns the selected drifts, the last changed first.
func (s *Store) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	f := finding(q.ID, q.Resource, q.Stack, q.Active)
	if q.Accepted {
		f.conditions = append(f.conditions, "accepted = 1")
	}
	if q.Resolved {
		f.conditions = append(f.conditions, "active = 0")
	}
	if !q.Since.IsZero() { // both, by name: the index begins with it
		f.conditions = append(f.conditions, "active IN (0, 1) AND changed >= ?")
		f.args = append(f.args, stored.Nanos(q.Since))
	}
	f.behind("changed", q.Before, q.BeforeID)
	out, err := list[penumbra.Drift](ctx, s.reader, "drifts", f.rest("changed DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read drifts", err)
	}
	return out, nil
}

// SaveProposals stores new proposals and new states of stored ones.
func (s *Store) SaveProposals(ctx context.Context, proposals []penumbra.Proposal) error {
	return s.write(ctx, "save proposals", func(tx *sql.Tx) error {
		for _, p := range proposals {
			if err := putProposal(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func putProposal(ctx context.Context, tx *sql.Tx, p penumbra.Proposal) error {
	return put(ctx, tx, "proposals", "id, drift, state, hash, rank", p, p.ID, p.Drift, string(p.State), p.Hash, p.Rank)
}

// Proposals returns the selected proposals, by rank.
func (s *Store) Proposals(ctx context.Context, q penumbra.ProposalQuery) ([]penumbra.Proposal, error) {
	var f filter
	f.where("id", q.ID)
	f.where("drift", q.Drift)
	if len(q.States) > 0 {
		f.conditions = append(f.conditions, "state IN "+tuple(len(q.States)))
		for _, state := range q.States {
			f.args = append(f.args, string(state))
		}
	}
	out, err := list[penumbra.Proposal](ctx, s.reader, "proposals", f.rest("rank, id", 0), f.args...)
	if err != nil {
		return nil, s.fault("read proposals", err)
	}
	return out, nil
}

// SaveRun stores a run's new state, see [contract.Runs]. Saving an ended run
// as it is stored already is no change.
func (s *Store) SaveRun(ctx context.Context, run penumbra.Run) error {
	return s.write(ctx, "save run "+run.ID, func(tx *sql.Tx) error { return saveRun(ctx, tx, run) })
}

func saveRun(ctx context.Context, tx *sql.Tx, run penumbra.Run) error {
	there, err := list[penumbra.Run](ctx, tx, "runs", "WHERE id = ?", run.ID)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		if changed, err := stored.CheckRun(&there[0], &run); err != nil || !changed {
			return err
		}
	}
	return putRun(ctx, tx, run)
}

func putRun(ctx context.Context, tx *sql.Tx, run penumbra.Run) error {
	return put(ctx, tx, "runs", "id, proposal, stack, state, started", run,
		run.ID, run.Proposal, run.Stack, int64(run.State), stored.Nanos(run.Started))
}

// Runs returns the selected runs, the last started first.
func (s *Store) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	var f filter
	f.where("id", q.ID)
	f.where("proposal", q.Proposal)
	f.where("stack", q.Stack)
	if q.Unended {
		f.conditions = append(f.conditions, fmt.Sprintf("state < %d", penumbra.Done))
	}
	f.behind("started", q.Before, q.BeforeID)
	out, err := list[penumbra.Run](ctx, s.reader, "runs", f.rest("started DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read runs", err)
	}
	return out, nil
}

// SaveRule stores a rule, or the new form of a stored one.
func (s *Store) SaveRule(ctx context.Context, rule penumbra.Rule) error {
	return s.write(ctx, "save rule "+rule.ID, func(tx *sql.Tx) error {
		return put(ctx, tx, "rules", "id, created", rule, rule.ID, stored.Nanos(rule.Created))
	})
}

// DeleteRule deletes a rule; that there is none is no error.
func (s *Store) DeleteRule(ctx context.Context, id string) error {
	return s.write(ctx, "delete rule "+id, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM rules WHERE id = ?`, id)
		return err
	})
}

// Rules returns all rules in the order in which they were created.
func (s *Store) Rules(ctx context.Context) ([]penumbra.Rule, error) {
	out, err := list[penumbra.Rule](ctx, s.reader, "rules", "ORDER BY created, rowid")
	if err != nil {
		return nil, s.fault("read rules", err)
	}
	return out, nil
}

// SaveCheckpoint stores a checkpoint in place of the last one of its name.
func (s *Store) SaveCheckpoint(ctx context.Context, c penumbra.Checkpoint) error {
	sum := sha256.Sum256(c.Data)
	data := c.Data
	if data == nil {
		data = []byte{}
	}
	return s.write(ctx, "save checkpoint "+c.Name, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO checkpoints (name, sequence, time, checksum, data) VALUES (?, ?, ?, ?, ?)`,
			c.Name, c.Sequence, stored.Optional(c.Time), sum[:], data)
		return err
	})
}

// Checkpoint returns the last checkpoint of that name. It returns an error of
// kind NotFound if there is none, and of kind Damaged if what is stored does
// not match its checksum.
func (s *Store) Checkpoint(ctx context.Context, name string) (penumbra.Checkpoint, error) {
	what := "read checkpoint " + name
	c := penumbra.Checkpoint{Name: name}
	var at sql.NullInt64
	var sum []byte
	err := s.reader.QueryRowContext(ctx, `SELECT sequence, time, checksum, data FROM checkpoints WHERE name = ?`, name).Scan(&c.Sequence, &at, &sum, &c.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return penumbra.Checkpoint{}, &penumbra.Error{Kind: penumbra.NotFound, What: what + " in store " + s.path + ": there is none"}
	}
	if err != nil {
		return penumbra.Checkpoint{}, s.fault(what, err)
	}
	if got := sha256.Sum256(c.Data); !bytes.Equal(got[:], sum) {
		return penumbra.Checkpoint{}, &penumbra.Error{Kind: penumbra.Damaged,
			What:   what + " in store " + s.path + ": it does not match its checksum",
			Remedy: "the model can be learnt again from the observations"}
	}
	c.Time = stored.FromOptional(at)
	return c, nil
}
