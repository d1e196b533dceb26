package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// AppendAudit stores the entries that next returns for the head of now, see
// [contract.Audit]. It returns an error of kind Invalid if they do not stand behind
// the head. next may be called more than once.
func (s *Store) AppendAudit(ctx context.Context, next func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error)) error {
	return s.write(ctx, "append to the audit log", func(tx pgx.Tx) error {
		if err := hold(ctx, tx, "audit"); err != nil {
			return err
		}
		head, err := auditHead(ctx, tx)
		if err != nil {
			return err
		}
		entries, err := next(head)
		if err != nil {
			return err
		}
		bodies, err := stored.AuditBodies(head, entries)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO audit (sequence, body) SELECT $1 + ord, body FROM unnest($2::text[]) WITH ORDINALITY u(body, ord) ORDER BY ord`, head.Sequence, bodies)
		return err
	})
}

func auditHead(ctx context.Context, from querier) (penumbra.AuditHead, error) {
	var sequence int64
	var body string
	err := from.QueryRow(ctx, `SELECT sequence, body FROM audit ORDER BY sequence DESC LIMIT 1`).Scan(&sequence, &body)
	if errors.Is(err, pgx.ErrNoRows) {
		return penumbra.AuditHead{}, nil
	}
	if err != nil {
		return penumbra.AuditHead{}, err
	}
	e := stored.AuditEntry(sequence, body)
	return stored.AuditHead(&e), nil
}

// AuditHead returns the last entry's head, zero of an empty log.
func (s *Store) AuditHead(ctx context.Context) (penumbra.AuditHead, error) {
	head, err := auditHead(ctx, s.pool)
	if err != nil {
		return head, s.fault("read the head of the audit log", err)
	}
	return head, nil
}

// field returns a text as entries are found by: JSON has no other bytes than UTF-8, and
// the database no NUL.
func field(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
}

// AuditEntries returns the selected entries.
func (s *Store) AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	var f filter
	if q.Principal != "" {
		f.add("(principal = ? OR name = ?)", field(q.Principal), field(q.Principal))
	}
	if prefix, ok := strings.CutSuffix(string(q.Act), "*"); ok {
		f.add("act >= ? AND act < ?", field(prefix), field(prefix+"\U0010FFFF"))
	} else {
		f.where("act", field(string(q.Act)))
	}
	f.where("outcome", field(string(q.Outcome)))
	f.where("stack", field(q.Stack))
	f.where("target", field(q.ID))
	if !q.From.IsZero() {
		f.add("time >= ?", stored.AuditTime(q.From))
	}
	if !q.To.IsZero() {
		f.add("time < ?", stored.AuditTime(q.To))
	}
	if q.After > 0 {
		f.add("sequence > ?", q.After)
	}
	if q.Before > 0 {
		f.add("sequence < ?", q.Before)
	}
	order := "sequence"
	if q.Latest {
		order = "sequence DESC"
	}
	rows, err := s.pool.Query(ctx, "SELECT sequence, body FROM audit "+f.rest(order, q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read the audit log", err)
	}
	out, err := pgx.AppendRows([]penumbra.AuditEntry(nil), rows, func(row pgx.CollectableRow) (penumbra.AuditEntry, error) {
		var sequence int64
		var body string
		err := row.Scan(&sequence, &body)
		return stored.AuditEntry(sequence, body), err
	})
	if err != nil {
		return nil, s.fault("read the audit log", err)
	}
	return out, nil
}
