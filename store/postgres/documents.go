package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// upsert is the statement that stores a row under its key, the first of its columns,
// whether or not there is one.
func upsert(table, columns string) string {
	names := strings.Split(columns, ", ")
	var set []string
	for _, c := range names[1:] {
		set = append(set, c+" = excluded."+c)
	}
	return "INSERT INTO " + table + " (" + columns + ") VALUES " + tuple(len(names)) + " ON CONFLICT (" + names[0] + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// tuple returns "($1,$2,$3)" of n.
func tuple(n int) string {
	marks := make([]string, n)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return "(" + strings.Join(marks, ",") + ")"
}

// put stores a document with the columns that it is found by. columns names them, the
// identifier first.
func put(ctx context.Context, tx pgx.Tx, table, columns string, document any, values ...any) error {
	body, err := stored.Encode(document)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, upsert(table, columns+", body"), append(values, body)...)
	return err
}

// putAll is put of many documents, in one round trip.
func putAll[T any](ctx context.Context, tx pgx.Tx, table, columns string, documents []T, values func(*T) []any) error {
	var batch pgx.Batch
	statement := upsert(table, columns+", body")
	for i := range documents {
		body, err := stored.Encode(documents[i])
		if err != nil {
			return err
		}
		batch.Queue(statement, append(values(&documents[i]), body)...)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// querier is a pool of connections or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// list reads the documents that the rest of a statement selects.
func list[T any](ctx context.Context, from querier, table, rest string, args ...any) ([]T, error) {
	rows, err := from.Query(ctx, "SELECT body FROM "+table+" "+rest, args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]T(nil), rows, func(row pgx.CollectableRow) (document T, err error) {
		if err := stored.Decode(row.RawValues()[0], &document); err != nil {
			return document, fmt.Errorf("%s: %w", table, err)
		}
		return document, nil
	})
}

// filter collects the conditions of a query, with a question mark for each value.
type filter struct {
	conditions []string
	args       []any
}

// where adds "column = value" unless value is empty.
func (f *filter) where(column, value string) {
	if value != "" {
		f.add(column+" = ?", text(value))
	}
}

func (f *filter) add(condition string, values ...any) {
	for _, v := range values {
		f.args = append(f.args, v)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(f.args)), 1)
	}
	f.conditions = append(f.conditions, condition)
}

// behind continues a list that is ordered by a time, the last first, and then by
// identifier. It does nothing without an identifier.
func (f *filter) behind(column string, at time.Time, id string) {
	if id == "" {
		return
	}
	// The first condition is what an index is entered by.
	f.add(column+" <= ? AND ("+column+" < ? OR id > ?)", stored.Nanos(at), stored.Nanos(at), text(id))
}

// rest returns the end of the statement; limit 0 is none.
func (f *filter) rest(order string, limit int) string {
	out := f.all() + "ORDER BY " + order
	if limit > 0 {
		out += " LIMIT " + strconv.Itoa(limit)
	}
	return out
}

func (f *filter) all() string {
	if len(f.conditions) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(f.conditions, " AND ") + " "
}

// finding selects what was found of resources: drifts or anomalies.
func finding(id string, resource penumbra.Address, stack string, active bool) *filter {
	f := &filter{}
	f.where("id", id)
	f.where("resource", string(resource))
	f.where("stack", stack)
	if active {
		f.add("active")
	}
	return f
}

// SaveDrifts stores new drifts and new states of stored ones.
func (s *Store) SaveDrifts(ctx context.Context, drifts []penumbra.Drift) error {
	return s.write(ctx, "save drifts", func(tx pgx.Tx) error {
		return putAll(ctx, tx, "drifts", "id, resource, stack, active, accepted, changed", drifts, func(d *penumbra.Drift) []any {
			return []any{text(d.ID), text(d.Resource), text(d.Resource.Stack()), d.Active(), !d.Active() && !d.AcceptedUntil.IsZero(), stored.Nanos(d.Changed)}
		})
	})
}

// Drifts returns the selected drifts, the last changed first.
func (s *Store) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	f := finding(q.ID, q.Resource, q.Stack, q.Active)
	if q.Accepted {
		f.add("accepted")
	}
	if q.Resolved {
		f.add("NOT active")
	}
	if !q.Since.IsZero() { // both, by name: the index begins with it
		f.add("active IN (false, true) AND changed >= ?", stored.Nanos(q.Since))
	}
	f.behind("changed", q.Before, q.BeforeID)
	out, err := list[penumbra.Drift](ctx, s.pool, "drifts", f.rest("changed DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read drifts", err)
	}
	return out, nil
}

// SaveProposals stores new proposals and new states of stored ones.
func (s *Store) SaveProposals(ctx context.Context, proposals []penumbra.Proposal) error {
	return s.write(ctx, "save proposals", func(tx pgx.Tx) error {
		return putAll(ctx, tx, "proposals", proposalColumns, proposals, proposalValues)
	})
}

const proposalColumns = "id, drift, state, hash, rank"

func proposalValues(p *penumbra.Proposal) []any {
	return []any{text(p.ID), text(p.Drift), text(p.State), text(p.Hash), p.Rank}
}

func putProposal(ctx context.Context, tx pgx.Tx, p penumbra.Proposal) error {
	return put(ctx, tx, "proposals", proposalColumns, p, proposalValues(&p)...)
}

// Proposals returns the selected proposals, by rank.
func (s *Store) Proposals(ctx context.Context, q penumbra.ProposalQuery) ([]penumbra.Proposal, error) {
	var f filter
	f.where("id", q.ID)
	f.where("drift", q.Drift)
	if len(q.States) > 0 {
		f.add("state = ANY(?)", texts(q.States))
	}
	out, err := list[penumbra.Proposal](ctx, s.pool, "proposals", f.rest("rank, id", 0), f.args...)
	if err != nil {
		return nil, s.fault("read proposals", err)
	}
	return out, nil
}

func texts[S ~string](of []S) []string {
	out := make([]string, len(of))
	for i, s := range of {
		out[i] = text(s)
	}
	return out
}

// SaveRun stores a run's new state, see [contract.Runs]. Saving an ended run as it is
// stored already is no change.
func (s *Store) SaveRun(ctx context.Context, run penumbra.Run) error {
	return s.write(ctx, "save run "+run.ID, func(tx pgx.Tx) error { return saveRun(ctx, tx, run) })
}

func saveRun(ctx context.Context, tx pgx.Tx, run penumbra.Run) error {
	// There may be no row to lock yet.
	if err := hold(ctx, tx, "run "+run.ID); err != nil {
		return err
	}
	there, err := list[penumbra.Run](ctx, tx, "runs", "WHERE id = $1", text(run.ID))
	if err != nil {
		return err
	}
	if len(there) > 0 {
		if changed, err := stored.CheckRun(&there[0], &run); err != nil || !changed {
			return err
		}
	}
	return put(ctx, tx, "runs", "id, proposal, stack, state, started", run,
		text(run.ID), text(run.Proposal), text(run.Stack), int64(run.State), stored.Nanos(run.Started))
}

// Runs returns the selected runs, the last started first.
func (s *Store) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	var f filter
	f.where("id", q.ID)
	f.where("proposal", q.Proposal)
	f.where("stack", q.Stack)
	if q.Unended {
		f.add("state < ?", int64(penumbra.Done))
	}
	f.behind("started", q.Before, q.BeforeID)
	out, err := list[penumbra.Run](ctx, s.pool, "runs", f.rest("started DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read runs", err)
	}
	return out, nil
}

// SaveRule stores a rule, or the new form of a stored one.
func (s *Store) SaveRule(ctx context.Context, rule penumbra.Rule) error {
	return s.created(ctx, "rules", "save rule "+rule.ID, rule.ID, rule.Created, rule)
}

// DeleteRule deletes a rule; that there is none is no error.
func (s *Store) DeleteRule(ctx context.Context, id string) error {
	return s.exec(ctx, "delete rule "+id, `DELETE FROM rules WHERE id = $1`, text(id))
}

// Rules returns all rules in the order in which they were created.
func (s *Store) Rules(ctx context.Context) ([]penumbra.Rule, error) {
	return byCreation[penumbra.Rule](ctx, s, "rules")
}

// SaveFreeze stores a freeze, or the new form of a stored one.
func (s *Store) SaveFreeze(ctx context.Context, f penumbra.Freeze) error {
	return s.created(ctx, "freezes", "save freeze "+f.ID, f.ID, f.Created, f)
}

// Freezes returns all freezes, ended ones too, in the order of their creation.
func (s *Store) Freezes(ctx context.Context) ([]penumbra.Freeze, error) {
	return byCreation[penumbra.Freeze](ctx, s, "freezes")
}

// SaveAttention stores an attention, or the new form of a stored one.
func (s *Store) SaveAttention(ctx context.Context, a penumbra.Attention) error {
	return s.created(ctx, "attentions", "save attention "+a.ID, a.ID, a.Created, a)
}

// EndAttention deletes an attention; that there is none is no error.
func (s *Store) EndAttention(ctx context.Context, id string) error {
	return s.exec(ctx, "end attention "+id, `DELETE FROM attentions WHERE id = $1`, text(id))
}

// Attentions returns all attentions, those that are over too, in the order of their
// creation.
func (s *Store) Attentions(ctx context.Context) ([]penumbra.Attention, error) {
	return byCreation[penumbra.Attention](ctx, s, "attentions")
}

// created stores a document of a table that is in the order of creation.
func (s *Store) created(ctx context.Context, table, what, id string, at time.Time, document any) error {
	return s.write(ctx, what, func(tx pgx.Tx) error { return put(ctx, tx, table, "id, created", document, text(id), stored.Nanos(at)) })
}

func byCreation[T any](ctx context.Context, s *Store, table string) ([]T, error) {
	out, err := list[T](ctx, s.pool, table, "ORDER BY created, n")
	if err != nil {
		return nil, s.fault("read "+table, err)
	}
	return out, nil
}

// exec runs one statement in a transaction of its own.
func (s *Store) exec(ctx context.Context, what, statement string, args ...any) error {
	return s.write(ctx, what, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

// SaveCheckpoint stores a checkpoint in place of the last one of its name.
func (s *Store) SaveCheckpoint(ctx context.Context, c penumbra.Checkpoint) error {
	sum := sha256.Sum256(c.Data)
	return s.writeLarge(ctx, "save checkpoint "+c.Name, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, upsert("checkpoints", "name, sequence, time, checksum, data"),
			text(c.Name), c.Sequence, stored.Optional(c.Time), sum[:], some(c.Data))
		return err
	})
}

// some returns bytes that are not NULL.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Checkpoint returns the last checkpoint of that name. It returns an error of kind
// NotFound if there is none, and of kind Damaged if what is stored does not match its
// checksum.
func (s *Store) Checkpoint(ctx context.Context, name string) (penumbra.Checkpoint, error) {
	what := "read checkpoint " + name
	c := penumbra.Checkpoint{Name: name}
	var at sql.NullInt64
	var sum []byte
	err := s.pool.QueryRow(ctx, `SELECT sequence, time, checksum, data FROM checkpoints WHERE name = $1`, text(name)).Scan(&c.Sequence, &at, &sum, &c.Data)
	if errors.Is(err, pgx.ErrNoRows) {
		return penumbra.Checkpoint{}, &penumbra.Error{Kind: penumbra.NotFound, What: what + " in store " + s.where + ": there is none"}
	}
	if err != nil {
		return penumbra.Checkpoint{}, s.fault(what, err)
	}
	if got := sha256.Sum256(c.Data); !bytes.Equal(got[:], sum) {
		return penumbra.Checkpoint{}, &penumbra.Error{Kind: penumbra.Damaged,
			What:   what + " in store " + s.where + ": it does not match its checksum",
			Remedy: "the model can be learnt again from the observations"}
	}
	c.Time = stored.FromOptional(at)
	return c, nil
}
