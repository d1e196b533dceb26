package sqlite

import (
	"context"
	"database/sql"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// SaveAttention stores an attention, or the new form of a stored one.
func (s *Store) SaveAttention(ctx context.Context, a penumbra.Attention) error {
	return s.write(ctx, "save attention "+a.ID, func(tx *sql.Tx) error {
		return put(ctx, tx, "attentions", "id, created", a, a.ID, stored.Nanos(a.Created))
	})
}

// EndAttention deletes an attention; that there is none is no error.
func (s *Store) EndAttention(ctx context.Context, id string) error {
	return s.write(ctx, "end attention "+id, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM attentions WHERE id = ?`, id)
		return err
	})
}

// Attentions returns all attentions, those that are over too, in the order of
// their creation.
func (s *Store) Attentions(ctx context.Context) ([]penumbra.Attention, error) {
	out, err := list[penumbra.Attention](ctx, s.reader, "attentions", "ORDER BY created, rowid")
	if err != nil {
		return nil, s.fault("read attentions", err)
	}
	return out, nil
}
