package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// AddAccount stores a new account. It returns an error of kind Refused if its ID or
// its name is taken, by a service's or a source's token too.
func (s *Store) AddAccount(ctx context.Context, a penumbra.Account) error {
	return s.write(ctx, "add user "+a.Name, func(tx pgx.Tx) error {
		if err := nameFree(ctx, tx, a.Name); err != nil {
			return err
		}
		there, err := list[penumbra.Account](ctx, tx, "accounts", "WHERE id = $1", text(a.ID))
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return stored.AccountTaken(a.ID)
		}
		return putAccount(ctx, tx, a)
	})
}

func putAccount(ctx context.Context, tx pgx.Tx, a penumbra.Account) error {
	return put(ctx, tx, "accounts", "id, folded", a, text(a.ID), text(penumbra.FoldName(a.Name)))
}

// names is held by who gives one away: names are of two tables.
const names = "names"

// nameFree returns an error if a name is that of an account, or of a token that is not
// revoked. Nobody else gives a name away until the transaction ends.
func nameFree(ctx context.Context, tx pgx.Tx, name string) error {
	if err := hold(ctx, tx, names); err != nil {
		return err
	}
	var taken bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM accounts WHERE folded = $1) OR EXISTS (SELECT FROM tokens WHERE folded = $1 AND live)`,
		text(penumbra.FoldName(name))).Scan(&taken)
	if err == nil && taken {
		return stored.NameTaken(name)
	}
	return err
}

// ChangeAccount stores what change makes of an account, in one transaction, and returns
// it. It returns an error of kind NotFound if there is none, and change's own; ID and
// name stay as they are. change may be called more than once.
func (s *Store) ChangeAccount(ctx context.Context, id string, change func(*penumbra.Account) error) (a penumbra.Account, err error) {
	err = s.write(ctx, "change user "+id, func(tx pgx.Tx) error {
		there, err := list[penumbra.Account](ctx, tx, "accounts", "WHERE id = $1 FOR UPDATE", text(id))
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return stored.NoAccount(id)
		}
		if a, err = stored.ChangeAccount(there[0], change); err != nil {
			return err
		}
		return putAccount(ctx, tx, a)
	})
	return a, err
}

// Accounts returns the selected accounts, by name.
func (s *Store) Accounts(ctx context.Context, q penumbra.AccountQuery) ([]penumbra.Account, error) {
	var f filter
	f.where("id", q.ID)
	f.where("folded", penumbra.FoldName(q.Name))
	out, err := list[penumbra.Account](ctx, s.pool, "accounts", f.rest("folded", 0), f.args...)
	if err != nil {
		return nil, s.fault("read users", err)
	}
	return out, nil
}

// AddToken stores a new token. It returns an error of kind Refused if its ID is taken,
// or the name under which a service or a source is to act.
func (s *Store) AddToken(ctx context.Context, t penumbra.Token) error {
	return s.write(ctx, "add token "+t.ID, func(tx pgx.Tx) error {
		if t.Owner == "" {
			if err := nameFree(ctx, tx, t.Name); err != nil {
				return err
			}
		}
		if err := hold(ctx, tx, "token "+t.ID); err != nil {
			return err
		}
		there, err := list[penumbra.Token](ctx, tx, "tokens", "WHERE id = $1", text(t.ID))
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return stored.TokenTaken(t.ID)
		}
		return putToken(ctx, tx, t)
	})
}

func putToken(ctx context.Context, tx pgx.Tx, t penumbra.Token) error {
	return put(ctx, tx, "tokens", "id, owner, folded, live", t, text(t.ID), text(t.Owner), null(penumbra.FoldName(t.Name), t.Owner == ""), t.Revoked.IsZero())
}

// ChangeToken stores what change makes of a token, in one transaction, and returns it.
// It returns an error of kind NotFound if there is none, and change's own; ID, owner,
// name and hash stay as they are, and a revoked token stays revoked. change may be
// called more than once.
func (s *Store) ChangeToken(ctx context.Context, id string, change func(*penumbra.Token) error) (t penumbra.Token, err error) {
	err = s.write(ctx, "change token "+id, func(tx pgx.Tx) error {
		there, err := list[penumbra.Token](ctx, tx, "tokens", "WHERE id = $1 FOR UPDATE", text(id))
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return stored.NoToken(id)
		}
		if t, err = stored.ChangeToken(there[0], change); err != nil {
			return err
		}
		return putToken(ctx, tx, t)
	})
	return t, err
}

// Tokens returns the selected tokens, revoked ones too, by ID.
func (s *Store) Tokens(ctx context.Context, q penumbra.TokenQuery) ([]penumbra.Token, error) {
	var f filter
	f.where("id", q.ID)
	f.where("owner", q.Owner)
	f.where("folded", penumbra.FoldName(q.Name))
	out, err := list[penumbra.Token](ctx, s.pool, "tokens", f.rest("id", 0), f.args...)
	if err != nil {
		return nil, s.fault("read tokens", err)
	}
	return out, nil
}

// SaveSession stores a session, or a new state of it.
func (s *Store) SaveSession(ctx context.Context, x penumbra.Session) error {
	return s.exec(ctx, "save a session", upsert("sessions", "id, owner, expires, data"), text(x.ID), text(x.Owner), stored.Nanos(x.Expires), some(x.Data))
}

// Session returns a session, expired or not, and an error of kind NotFound if there is
// none.
func (s *Store) Session(ctx context.Context, id string) (penumbra.Session, error) {
	x := penumbra.Session{ID: id}
	var expires int64
	err := s.pool.QueryRow(ctx, `SELECT owner, expires, data FROM sessions WHERE id = $1`, text(id)).Scan(&x.Owner, &expires, &x.Data)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return penumbra.Session{}, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no such session", Remedy: "sign in again"}
	case err != nil:
		return penumbra.Session{}, s.fault("read a session", err)
	}
	x.Owner, x.Expires = untext(x.Owner), stored.Time(expires)
	return x, nil
}

// DeleteSession forgets a session; no error if there is none.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return s.exec(ctx, "end a session", `DELETE FROM sessions WHERE id = $1`, text(id))
}

// EndSessions forgets all sessions of a principal.
func (s *Store) EndSessions(ctx context.Context, owner string) error {
	return s.exec(ctx, "end the sessions of "+owner, `DELETE FROM sessions WHERE owner = $1`, text(owner))
}

// TrimSessions forgets those that expired before a time.
func (s *Store) TrimSessions(ctx context.Context, before time.Time) error {
	return s.exec(ctx, "forget expired sessions", `DELETE FROM sessions WHERE expires < $1`, stored.Nanos(before))
}

// BeginAnswer claims a request unless it is there already, see [contract.Answers].
func (s *Store) BeginAnswer(ctx context.Context, a penumbra.KeptAnswer, forget time.Time) (there *penumbra.KeptAnswer, err error) {
	err = s.write(ctx, "keep a request's key", func(tx pgx.Tx) error {
		there = nil
		if _, err := tx.Exec(ctx, `DELETE FROM answers WHERE begun < $1`, stored.Nanos(forget)); err != nil {
			return err
		}
		// It waits for another process that is claiming the same one.
		kept := penumbra.KeptAnswer{ID: a.ID}
		var claimed bool
		var begun int64
		err := tx.QueryRow(ctx, `INSERT INTO answers (id, digest, begun, status, type, body) VALUES ($1, $2, $3, 0, '', '')
			ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING xmax = 0, digest, begun, status, type, body`, some(a.ID), some(a.Digest), stored.Nanos(a.Begun)).
			Scan(&claimed, &kept.Digest, &begun, &kept.Status, &kept.Type, &kept.Body)
		if err == nil && !claimed {
			kept.Begun, kept.Type, there = stored.Time(begun), untext(kept.Type), &kept
		}
		return err
	})
	return there, err
}

// KeepAnswer stores what a claimed request was answered.
func (s *Store) KeepAnswer(ctx context.Context, a penumbra.KeptAnswer) error {
	return s.exec(ctx, "keep an answer", `UPDATE answers SET status = $1, type = $2, body = $3 WHERE id = $4`, a.Status, text(a.Type), some(a.Body), some(a.ID))
}

// DropAnswer gives a claim up; that there is none is no error.
func (s *Store) DropAnswer(ctx context.Context, id []byte) error {
	return s.exec(ctx, "give a request's key up", `DELETE FROM answers WHERE id = $1`, some(id))
}
