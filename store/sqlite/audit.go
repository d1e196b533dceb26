package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// AppendAudit stores the entries that next returns for the head of now, see
// [contract.Audit]. It returns an error of kind Invalid if they do not stand
// behind the head.
func (s *Store) AppendAudit(ctx context.Context, next func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error)) error {
	return s.write(ctx, "append to the audit log", func(tx *sql.Tx) error {
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
		for i, body := range bodies {
			if _, err := tx.ExecContext(ctx, `INSERT INTO audit (sequence, body) VALUES (?, ?)`, entries[i].Sequence, body); err != nil {
				return err
			}
		}
		return nil
	})
}

// rowQuerier is a pool of connections or a transaction.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func auditHead(ctx context.Context, from rowQuerier) (penumbra.AuditHead, error) {
	var sequence int64
	var body string
	err := from.QueryRowContext(ctx, `SELECT sequence, body FROM audit ORDER BY sequence DESC LIMIT 1`).Scan(&sequence, &body)
	if errors.Is(err, sql.ErrNoRows) {
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
	head, err := auditHead(ctx, s.reader)
	if err != nil {
		return head, s.fault("read the head of the audit log", err)
	}
	return head, nil
}

// AuditEntries returns the selected entries.
func (s *Store) AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	var f filter
	if q.Principal != "" {
		f.conditions = append(f.conditions, "(principal = ? OR name = ?)")
		f.args = append(f.args, q.Principal, q.Principal)
	}
	if prefix, ok := strings.CutSuffix(string(q.Act), "*"); ok {
		f.add("act >= ?", prefix)
		f.add("act < ?", prefix+"\U0010FFFF")
	} else {
		f.where("act", string(q.Act))
	}
	f.where("outcome", string(q.Outcome))
	f.where("stack", q.Stack)
	f.where("target", q.ID)
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
	rows, err := s.reader.QueryContext(ctx, "SELECT sequence, body FROM audit "+f.rest(order, q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read the audit log", err)
	}
	defer rows.Close()
	var out []penumbra.AuditEntry
	for rows.Next() {
		var sequence int64
		var body string
		if err := rows.Scan(&sequence, &body); err != nil {
			return nil, s.fault("read the audit log", err)
		}
		out = append(out, stored.AuditEntry(sequence, body))
	}
	if err := rows.Err(); err != nil {
		return nil, s.fault("read the audit log", err)
	}
	return out, nil
}
