package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// BeginAnswer claims a request unless it is there already, see [contract.Answers].
func (s *Store) BeginAnswer(ctx context.Context, a penumbra.KeptAnswer, forget time.Time) (*penumbra.KeptAnswer, error) {
	var there *penumbra.KeptAnswer
	err := s.write(ctx, "keep a request's key", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM answers WHERE begun < ?`, stored.Nanos(forget)); err != nil {
			return err
		}
		kept := penumbra.KeptAnswer{ID: a.ID}
		var begun int64
		err := tx.QueryRowContext(ctx, `SELECT digest, begun, status, type, body FROM answers WHERE id = ?`, a.ID).
			Scan(&kept.Digest, &begun, &kept.Status, &kept.Type, &kept.Body)
		switch {
		case err == nil:
			kept.Begun = stored.Time(begun)
			there = &kept
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO answers (id, digest, begun, status, type, body) VALUES (?, ?, ?, 0, '', x'')`, a.ID, a.Digest, stored.Nanos(a.Begun))
		return err
	})
	return there, err
}

// KeepAnswer stores what a claimed request was answered.
func (s *Store) KeepAnswer(ctx context.Context, a penumbra.KeptAnswer) error {
	body := a.Body
	if body == nil {
		body = []byte{}
	}
	return s.write(ctx, "keep an answer", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE answers SET status = ?, type = ?, body = ? WHERE id = ?`, a.Status, a.Type, body, a.ID)
		return err
	})
}

// DropAnswer gives a claim up; that there is none is no error.
func (s *Store) DropAnswer(ctx context.Context, id []byte) error {
	return s.write(ctx, "give a request's key up", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM answers WHERE id = ?`, id)
		return err
	})
}
