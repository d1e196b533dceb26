package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Tell stores what was told and the notices that tell it, see [contract.Notices].
func (s *Store) Tell(ctx context.Context, told []penumbra.Told, notices []penumbra.Notice) error {
	if len(told) == 0 && len(notices) == 0 {
		return nil
	}
	return s.write(ctx, "save notices", func(tx pgx.Tx) error {
		for _, x := range told {
			if err := putTold(ctx, tx, x); err != nil {
				return err
			}
		}
		return putAll(ctx, tx, "notices", "id, channel, key, state, created", notices, func(n *penumbra.Notice) []any {
			return []any{text(n.ID), text(n.Channel), text(n.Key), text(n.State), stored.Nanos(n.Created)}
		})
	})
}

func putTold(ctx context.Context, tx pgx.Tx, x penumbra.Told) error {
	if x.Over {
		_, err := tx.Exec(ctx, `DELETE FROM told WHERE channel = $1 AND subject = $2`, text(x.Channel), text(x.Subject))
		return err
	}
	body, err := stored.Encode(x)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO told (channel, subject, body) VALUES ($1, $2, $3)
		ON CONFLICT (channel, subject) DO UPDATE SET body = excluded.body`, text(x.Channel), text(x.Subject), body)
	return err
}

// Told returns what has been told through a channel, by subject.
func (s *Store) Told(ctx context.Context, channel string) ([]penumbra.Told, error) {
	out, err := list[penumbra.Told](ctx, s.pool, "told", "WHERE channel = $1 ORDER BY subject", text(channel))
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
		f.add("state = ANY(?)", texts(q.States))
	}
	out, err := list[penumbra.Notice](ctx, s.pool, "notices", f.rest("created DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read notices", err)
	}
	slices.Reverse(out)
	return out, nil
}

// PruneNotices deletes notices that were sent or folded and are older than a time.
func (s *Store) PruneNotices(ctx context.Context, before time.Time) error {
	return s.exec(ctx, "delete old notices", `DELETE FROM notices WHERE state IN ($1, $2) AND created < $3`,
		string(penumbra.NoticeSent), string(penumbra.NoticeFolded), stored.Nanos(before))
}
