package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// AddAccount stores a new account. It returns an error of kind Refused if its ID or
// its name is taken, by a service's or a source's token too.
func (s *Store) AddAccount(ctx context.Context, a penumbra.Account) error {
	return s.write(ctx, "add user "+a.Name, func(tx *sql.Tx) error {
		if err := nameFree(ctx, tx, a.Name); err != nil {
			return err
		}
		there, err := list[penumbra.Account](ctx, tx, "accounts", "WHERE id = ?", a.ID)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return stored.AccountTaken(a.ID)
		}
		return putAccount(ctx, tx, a)
	})
}

func putAccount(ctx context.Context, tx *sql.Tx, a penumbra.Account) error {
	return put(ctx, tx, "accounts", "id, folded", a, a.ID, penumbra.FoldName(a.Name))
}

// nameFree returns an error if a name is that of an account, or of a token that is
// not revoked.
func nameFree(ctx context.Context, tx *sql.Tx, name string) error {
	var taken int
	folded := penumbra.FoldName(name)
	err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM accounts WHERE folded = ?) + (SELECT count(*) FROM tokens WHERE folded = ? AND live = 1)`,
		folded, folded).Scan(&taken)
	if err == nil && taken > 0 {
		return stored.NameTaken(name)
	}
	return err
}

// ChangeAccount stores what change makes of an account, in one transaction, and
// returns it. It returns an error of kind NotFound if there is none, and change's own;
// ID and name stay as they are.
func (s *Store) ChangeAccount(ctx context.Context, id string, change func(*penumbra.Account) error) (a penumbra.Account, err error) {
	err = s.write(ctx, "change user "+id, func(tx *sql.Tx) error {
		there, err := list[penumbra.Account](ctx, tx, "accounts", "WHERE id = ?", id)
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
	out, err := list[penumbra.Account](ctx, s.reader, "accounts", f.rest("folded", 0), f.args...)
	if err != nil {
		return nil, s.fault("read users", err)
	}
	return out, nil
}

// AddToken stores a new token. It returns an error of kind Refused if its ID is
// taken, or the name under which a service or a source is to act.
func (s *Store) AddToken(ctx context.Context, t penumbra.Token) error {
	return s.write(ctx, "add token "+t.ID, func(tx *sql.Tx) error {
		if t.Owner == "" {
			if err := nameFree(ctx, tx, t.Name); err != nil {
				return err
			}
		}
		there, err := list[penumbra.Token](ctx, tx, "tokens", "WHERE id = ?", t.ID)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return stored.TokenTaken(t.ID)
		}
		return putToken(ctx, tx, t)
	})
}

func putToken(ctx context.Context, tx *sql.Tx, t penumbra.Token) error {
	name := sql.NullString{String: penumbra.FoldName(t.Name), Valid: t.Owner == ""}
	return put(ctx, tx, "tokens", "id, owner, folded, live", t, t.ID, t.Owner, name, t.Revoked.IsZero())
}

// ChangeToken stores what change makes of a token, in one transaction, and returns
// it. It returns an error of kind NotFound if there is none, and change's own; ID,
// owner, name and hash stay as they are, and a revoked token stays revoked.
func (s *Store) ChangeToken(ctx context.Context, id string, change func(*penumbra.Token) error) (t penumbra.Token, err error) {
	err = s.write(ctx, "change token "+id, func(tx *sql.Tx) error {
		there, err := list[penumbra.Token](ctx, tx, "tokens", "WHERE id = ?", id)
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
	out, err := list[penumbra.Token](ctx, s.reader, "tokens", f.rest("id", 0), f.args...)
	if err != nil {
		return nil, s.fault("read tokens", err)
	}
	return out, nil
}

// SaveSession stores a session, or a new state of it.
func (s *Store) SaveSession(ctx context.Context, x penumbra.Session) error {
	return s.write(ctx, "save a session", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, owner, expires, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, expires = excluded.expires, data = excluded.data`, x.ID, x.Owner, stored.Nanos(x.Expires), x.Data)
		return err
	})
}

// Session returns a session, expired or not, and an error of kind NotFound if there
// is none.
func (s *Store) Session(ctx context.Context, id string) (penumbra.Session, error) {
	x := penumbra.Session{ID: id}
	var expires int64
	err := s.reader.QueryRowContext(ctx, `SELECT owner, expires, data FROM sessions WHERE id = ?`, id).Scan(&x.Owner, &expires, &x.Data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return penumbra.Session{}, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no such session", Remedy: "sign in again"}
	case err != nil:
		return penumbra.Session{}, s.fault("read a session", err)
	}
	x.Expires = stored.Time(expires)
	return x, nil
}

// DeleteSession forgets a session; no error if there is none.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return s.write(ctx, "end a session", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE id = ?`, id)
		return err
	})
}

// EndSessions forgets all sessions of a principal.
func (s *Store) EndSessions(ctx context.Context, owner string) error {
	return s.write(ctx, "end the sessions of "+owner, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE owner = ?`, owner)
		return err
	})
}

// TrimSessions forgets those that expired before a time.
func (s *Store) TrimSessions(ctx context.Context, before time.Time) error {
	return s.write(ctx, "forget expired sessions", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires < ?`, stored.Nanos(before))
		return err
	})
}
