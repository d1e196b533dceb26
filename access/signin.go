package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// What the audit log calls it.
const (
	signInAct   penumbra.Act = "session.signin"
	setUpAct    penumbra.Act = "user.setup"
	addUserAct  penumbra.Act = "user.create"
	changeAct   penumbra.Act = "user.change"
	signOutAct  penumbra.Act = "session.end"
	addTokenAct penumbra.Act = "token.create"
	endTokenAct penumbra.Act = "token.revoke"
)

// record adds to the audit log who did something: the principal of the context, or p.
func (k *Keeper) record(ctx context.Context, p *penumbra.Principal, act penumbra.Act, id string, outcome penumbra.AuditOutcome, details map[string]string) error {
	if k.cfg.Audit == nil {
		return nil
	}
	if p == nil {
		p = penumbra.PrincipalOf(ctx)
	}
	e := penumbra.AuditEntry{Act: act, Target: penumbra.Target{ID: id}, Outcome: outcome, Details: details}
	if p != nil {
		e.Principal, e.Name, e.Kind, e.Via = p.ID, p.Name, p.Kind, p.Via
	}
	return k.cfg.Audit.Record(ctx, e)
}

// SignIn returns the principal of a name and its password, asked for from an address.
// It returns an error of kind Refused, the same for a name that is not there, if they
// open nothing, and of kind Unavailable if too many were tried. A hash made at another
// cost than today's is made anew.
func (k *Keeper) SignIn(ctx context.Context, name, password, from string) (*penumbra.Principal, error) {
	name = strings.TrimSpace(name)
	attempt, err := k.limits.begin(penumbra.FoldName(name), from, k.cfg.Now())
	if err != nil {
		return nil, err
	}
	p, err := k.signIn(ctx, name, password)
	if err != nil && penumbra.KindOf(err) == penumbra.Refused {
		return nil, errors.Join(err, k.record(ctx, nil, signInAct, tried(name), penumbra.AuditRefused, map[string]string{"from": from, "with": ViaPassword}))
	}
	if err != nil {
		return nil, err
	}
	attempt.succeeded()
	return p, k.record(ctx, p, signInAct, p.ID, penumbra.AuditDone, map[string]string{"from": from, "with": ViaPassword})
}

// Enter is Admit for a browser that is to have a session of it: it is recorded, and who
// guesses has to wait.
func (k *Keeper) Enter(ctx context.Context, secret, from string) (*penumbra.Principal, error) {
	attempt, err := k.limits.begin("", from, k.cfg.Now()) // nobody has an empty name
	if err != nil {
		return nil, err
	}
	p, err := k.Admit(ctx, secret)
	if err != nil && penumbra.KindOf(err) == penumbra.Refused {
		return nil, errors.Join(err, k.record(ctx, nil, signInAct, "", penumbra.AuditRefused, map[string]string{"from": from, "with": ViaToken}))
	}
	if err != nil {
		return nil, err
	}
	attempt.succeeded()
	return p, k.record(ctx, p, signInAct, p.ID, penumbra.AuditDone, map[string]string{"from": from, "with": p.Via})
}

// tried is the name that somebody gave, as far as it can be one: a password may have
// been typed in its place.
func tried(name string) string {
	if checkName(name) != nil || penumbra.Redact(name) != name {
		return "(no name)"
	}
	return name
}

func (k *Keeper) signIn(ctx context.Context, name, password string) (*penumbra.Principal, error) {
	var a penumbra.Account
	if name != "" { // an empty one selects all
		found, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{Name: name})
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			a = found[0]
		}
	}
	if len(password) > mostPassword {
		password = "" // opens nothing, and costs what any costs
	}
	ok, old, err := k.hash.check(ctx, a.Password, password)
	if err != nil {
		return nil, err
	}
	if !ok || !a.Disabled.IsZero() {
		return nil, refused("name and password do not fit", "type them again, or have an admin set a new password with `penumbra user passwd`")
	}
	hash := a.Password
	if old {
		if hash, err = k.hash.hash(ctx, password); err != nil {
			return nil, err
		}
	}
	checked, now := a.Password, k.cfg.Now().UTC()
	a, err = k.cfg.Store.ChangeAccount(ctx, a.ID, func(a *penumbra.Account) error {
		if a.Password != checked || !a.Disabled.IsZero() { // changed while it was being checked
			return refused("name and password do not fit", "type them again")
		}
		a.Password, a.SignedIn = hash, now
		return nil
	})
	if err != nil {
		return nil, err
	}
	return principalOf(&a, ViaPassword), nil
}

// Return returns who signed in at a time as they are now: what was granted or taken
// since holds. It returns an error of kind Refused if they may not be in any more.
func (k *Keeper) Return(ctx context.Context, p penumbra.Principal, since time.Time) (*penumbra.Principal, error) {
	over := refused("the session is over", "sign in again")
	switch {
	case p.Via == ViaLocal && p.ID == k.cfg.Local.ID && k.cfg.LocalSecret != "":
		owner := k.cfg.Local
		return &owner, nil
	case p.Via == ViaToken:
		found, err := k.cfg.Store.Tokens(ctx, penumbra.TokenQuery{ID: p.Credential})
		if err != nil {
			return nil, err
		}
		if len(found) != 1 || p.Credential == "" {
			return nil, over
		}
		t := found[0]
		if !t.Revoked.IsZero() || !t.Expires.IsZero() && !k.cfg.Now().Before(t.Expires) {
			return nil, over
		}
		return k.holder(ctx, &t)
	case p.Via == ViaPassword || p.Via == ViaOIDC:
		found, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{ID: p.ID})
		if err != nil {
			return nil, err
		}
		if len(found) != 1 || p.ID == "" || !found[0].Disabled.IsZero() || since.Before(found[0].SessionsFrom) {
			return nil, over
		}
		return principalOf(&found[0], p.Via), nil
	}
	return nil, over
}

// SignOut ends all sessions of who asks.
func (k *Keeper) SignOut(ctx context.Context) error {
	p, err := asker(ctx)
	if err != nil {
		return err
	}
	if err := k.record(ctx, p, signOutAct, p.ID, penumbra.AuditDone, map[string]string{"which": "all"}); err != nil {
		return err
	}
	if p.Via == ViaPassword || p.Via == ViaOIDC {
		now := k.cfg.Now().UTC()
		if _, err := k.cfg.Store.ChangeAccount(ctx, p.ID, func(a *penumbra.Account) error { a.SessionsFrom = now; return nil }); err != nil {
			return err
		}
	}
	return k.cfg.Store.EndSessions(ctx, p.ID)
}

// setupLife is how long a link to make the first admin holds.
const setupLife = time.Hour

// Invite returns what makes the first admin, once, within an hour; "" if there is a
// user already.
func (k *Keeper) Invite(ctx context.Context) (string, error) {
	users, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{})
	if err != nil || len(users) > 0 {
		return "", err
	}
	_, secret := newSecret()
	secret = strings.TrimPrefix(secret, TokenPrefix)
	k.setup.Lock()
	defer k.setup.Unlock()
	k.setup.hash, k.setup.until = hashSecret(secret), k.cfg.Now().Add(setupLife)
	return secret, nil
}

// Invited reports whether an invitation still holds.
func (k *Keeper) Invited(secret string) bool {
	k.setup.Lock()
	defer k.setup.Unlock()
	return k.setup.holds(secret, k.cfg.Now())
}

// SetUp makes the first admin with an invitation, and signs them in. It returns an
// error of kind Refused if the invitation is used, over or none, and then, or if name
// or password are none to be had, it still holds for another try.
func (k *Keeper) SetUp(ctx context.Context, secret, name, password, from string) (*penumbra.Principal, error) {
	k.setup.Lock()
	defer k.setup.Unlock()
	none := refused("the link was used, or is over", "start `penumbra serve` again for another, or run `penumbra user add NAME --admin` on its machine")
	if !k.setup.holds(secret, k.cfg.Now()) {
		return nil, none
	}
	if users, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{}); err != nil {
		return nil, err
	} else if len(users) > 0 {
		k.setup.hash = nil
		return nil, none
	}
	if password == "" {
		return nil, checkPassword(name, password)
	}
	if err := k.record(ctx, nil, setUpAct, tried(name), penumbra.AuditDone, map[string]string{"from": from, "with": "the link of the first start"}); err != nil {
		return nil, err
	}
	a, err := k.addAccount(ctx, penumbra.NewAccount{Name: name, Password: password, Grants: k.cfg.Local.Grants})
	if err != nil {
		return nil, err
	}
	k.setup.hash = nil
	return principalOf(&a, ViaPassword), nil
}

// describe writes grants for the audit log.
func describe(grants []penumbra.Grant) string {
	out := make([]string, len(grants))
	for i, g := range grants {
		out[i] = FormatGrant(g)
	}
	return strings.Join(out, " ")
}
