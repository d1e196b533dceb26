package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Tell stores what was told and the notices that tell it, see [contract.Notices].
func (s *Store) Tell(ctx context.Context, told []penumbra.Told, notices []penumbra.Notice) error {
	if len(told) == 0 && len(notices) == 0 {
		return nil
	}
	return s.write(ctx, "save notices", func(tx *sql.Tx) error {
		for _, x := range told {
			if err := putTold(ctx, tx, x); err != nil {
				return err
			}
		}
		for _, n := range notices {
			if err := put(ctx, tx, "notices", "id, channel, key, state, created", n, n.ID, n.Channel, n.Key, string(n.State), stored.Nanos(n.Created)); err != nil {
				return err
			}
		}
		return nil
	})
}

func putTold(ctx context.Context, tx *sql.Tx, x penumbra.Told) error {
	if x.Over {
		_, err := tx.ExecContext(ctx, `DELETE FROM told WHERE channel = ? AND subject = ?`, x.Channel, x.Subject)
		return err
	}
	body, err := stored.Encode(x)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO told (channel, subject, body) VALUES (?, ?, ?)
		ON CONFLICT (channel, subject) DO UPDATE SET body = excluded.body`, x.Channel, x.Subject, body)
	return err
}

// Told returns what has been told through a channel, by subject.
func (s *Store) Told(ctx context.Context, channel string) ([]penumbra.Told, error) {
	out, err := list[penumbra.Told](ctx, s.reader, "told", "WHERE channel = ? ORDER BY subject", channel)
	if err != nil {
		return nil, s.fault("read what was told", err)
	}
	return out, nil
}

// Notices returns the selected notices, the oldest first.
func (s *Store) Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	var f filter
	f.where("id", q.ID)
	f.where("channel", q.Channel)
	f.where("key", q.Key)
	f.behind("created", q.Before, q.BeforeID)
	if len(q.States) > 0 {
		f.conditions = append(f.conditions, "state IN "+tuple(len(q.States)))
		for _, state := range q.States {
			f.args = append(f.args, string(state))
		}
	}
	out, err := list[penumbra.Notice](ctx, s.reader, "notices", f.rest("created DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read notices", err)
	}
	slices.Reverse(out)
	return out, nil
}

// PruneNotices deletes notices that were sent or folded and are older than a time.
func (s *Store) PruneNotices(ctx context.Context, before time.Time) error {
	return s.write(ctx, "delete old notices", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM notices WHERE state IN (?, ?) AND created < ?`,
			string(penumbra.NoticeSent), string(penumbra.NoticeFolded), stored.Nanos(before))
		return err
	})
}
