package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Keeper makes sure who asks, and keeps accounts and tokens. It is safe for
// concurrent use.
type Keeper struct {
	cfg    Config
	local  []byte // hash of the local secret
	hash   *hasher
	limits *limits
	setup  invitation
}

// invitation is what makes the first admin.
type invitation struct {
	sync.Mutex
	hash  []byte // nil: there is none
	until time.Time
}

// holds reports whether a secret is the invitation's. The lock is held.
func (i *invitation) holds(secret string, now time.Time) bool {
	return i.hash != nil && now.Before(i.until) && subtle.ConstantTimeCompare(i.hash, hashSecret(secret)) == 1
}

// New returns a keeper.
func New(cfg Config) *Keeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Keeper{cfg: cfg, local: hashSecret(cfg.LocalSecret), hash: newHasher(cfg.Hashing), limits: newLimits()}
}

// Authenticate returns the principal whose bearer token a request carries. It returns
// an error of kind Refused if it carries none, or one that opens nothing.
func (k *Keeper) Authenticate(r *http.Request) (*penumbra.Principal, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return nil, refused("the request carries no token", `send one as "Authorization: Bearer ..."; make it with `+"`penumbra token create`")
	}
	return k.Admit(r.Context(), secret)
}

// asker is who asks, as the request's credential said.
func asker(ctx context.Context) (*penumbra.Principal, error) {
	if p := penumbra.PrincipalOf(ctx); p != nil {
		return p, nil
	}
	return nil, refused("nobody has been made sure of", "sign in")
}

func admin(ctx context.Context) (*penumbra.Principal, error) {
	p, err := asker(ctx)
	if err == nil && !p.IsAdmin() {
		return nil, refused(p.Name+" is no admin", "ask one; `penumbra whoami` shows what you may")
	}
	return p, err
}

func principalOf(a *penumbra.Account, via string) *penumbra.Principal {
	return &penumbra.Principal{ID: a.ID, Name: a.Name, Kind: penumbra.PersonPrincipal, Groups: a.Groups, Grants: a.Grants, Via: via}
}

// names that an account or a service may have: what looks alike is the same, and no
// name can stand for a policy ("policy:x").
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$`)

func checkName(name string) error {
	if !names.MatchString(name) {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%.140q is not a name", name),
			Remedy: "write letters of the English alphabet, digits and . _ @ + -, at most 128 of them, a letter or a digit first"}
	}
	return nil
}

// Accounts returns all accounts, by name, to an admin.
func (k *Keeper) Accounts(ctx context.Context) ([]penumbra.Account, error) {
	if _, err := admin(ctx); err != nil {
		return nil, err
	}
	return k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{})
}

// AddAccount makes an account for an admin. Without a password its owner cannot sign
// in until one is set.
func (k *Keeper) AddAccount(ctx context.Context, n penumbra.NewAccount) (penumbra.Account, error) {
	if _, err := admin(ctx); err != nil {
		return penumbra.Account{}, err
	}
	if err := k.record(ctx, nil, addUserAct, tried(strings.TrimSpace(n.Name)), penumbra.AuditDone, map[string]string{"grants": describe(n.Grants)}); err != nil {
		return penumbra.Account{}, err
	}
	a, err := k.addAccount(ctx, n)
	return a, k.failed(ctx, err, addUserAct, tried(strings.TrimSpace(n.Name)))
}

func (k *Keeper) addAccount(ctx context.Context, n penumbra.NewAccount) (penumbra.Account, error) {
	now := k.cfg.Now().UTC()
	a := penumbra.Account{Name: strings.TrimSpace(n.Name), Grants: n.Grants, Created: now, Changed: now}
	if err := checkName(a.Name); err != nil {
		return a, err
	}
	a.ID = "user:" + penumbra.FoldName(a.Name)
	if err := CheckGrants(a.Grants); err != nil {
		return a, err
	}
	if n.Password != "" {
		if err := checkPassword(a.Name, n.Password); err != nil {
			return a, err
		}
		var err error
		if a.Password, err = k.hash.hash(ctx, n.Password); err != nil {
			return a, err
		}
	}
	return a, k.cfg.Store.AddAccount(ctx, a)
}

// named returns the account of a name, or of an ID.
func (k *Keeper) named(ctx context.Context, name string) (penumbra.Account, error) {
	for _, q := range []penumbra.AccountQuery{{Name: name}, {ID: name}} {
		found, err := k.cfg.Store.Accounts(ctx, q)
		if err != nil {
			return penumbra.Account{}, err
		}
		if len(found) == 1 && strings.TrimSpace(name) != "" {
			return found[0], nil
		}
	}
	return penumbra.Account{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("there is no user %q", name), Remedy: "see `penumbra user list`"}
}

// ChangeAccount changes an account, by its name: an admin any, others their own
// password, which they have to know, and their sessions. What changes what somebody
// may ends their sessions.
func (k *Keeper) ChangeAccount(ctx context.Context, name string, c penumbra.AccountChange) (penumbra.Account, error) {
	p, err := asker(ctx)
	if err != nil {
		return penumbra.Account{}, err
	}
	if !p.IsAdmin() && (!penumbra.SamePerson(p.Name, name) || c.Grants != nil || c.Disabled != nil) {
		return penumbra.Account{}, refused(p.Name+" is no admin, and may change their own password alone", "ask an admin")
	}
	a, err := k.named(ctx, name)
	if err != nil {
		return a, err
	}
	own := a.ID == p.ID
	if !own && !p.IsAdmin() { // the same name, and not the same account
		return penumbra.Account{}, refused("that account is not yours", "ask an admin")
	}
	if c.Grants != nil {
		if err := CheckGrants(*c.Grants); err != nil {
			return penumbra.Account{}, err
		}
	}
	hash := ""
	if c.Password != nil {
		if hash, err = k.newPassword(ctx, &a, *c.Password, c.Current, own); err != nil {
			return penumbra.Account{}, err
		}
	}
	before := a.Password
	now := k.cfg.Now().UTC()
	if err := k.record(ctx, nil, changeAct, a.ID, penumbra.AuditDone, changes(&c)); err != nil {
		return penumbra.Account{}, err
	}
	changed, err := k.cfg.Store.ChangeAccount(ctx, a.ID, func(a *penumbra.Account) error {
		if c.Password != nil {
			if own && a.Password != before {
				return &penumbra.Error{Kind: penumbra.Stale, What: "the password was changed meanwhile", Remedy: "sign in again"}
			}
			a.Password = hash
		}
		if c.Grants != nil {
			a.Grants = *c.Grants
		}
		if c.Disabled != nil && *c.Disabled && a.Disabled.IsZero() {
			a.Disabled = now
		} else if c.Disabled != nil && !*c.Disabled {
			a.Disabled = time.Time{}
		}
		a.Changed, a.SessionsFrom = now, now
		return nil
	})
	if err == nil {
		err = k.cfg.Store.EndSessions(ctx, a.ID)
	}
	return changed, k.failed(ctx, err, changeAct, a.ID)
}

// failed records that what was recorded then failed, and returns why.
func (k *Keeper) failed(ctx context.Context, err error, act penumbra.Act, id string) error {
	if err == nil {
		return nil
	}
	return errors.Join(err, k.record(ctx, nil, act, id, penumbra.AuditFailed, map[string]string{"error": err.Error()}))
}

// changes says what a change is, for the audit log.
func changes(c *penumbra.AccountChange) map[string]string {
	out := map[string]string{}
	if c.Password != nil {
		out["password"] = "changed"
	}
	if c.Grants != nil {
		out["grants"] = describe(*c.Grants)
	}
	if c.Disabled != nil {
		out["disabled"] = strconv.FormatBool(*c.Disabled)
	}
	if c.SignOut {
		out["sessions"] = "ended"
	}
	return out
}

// newPassword checks and hashes the new password of an account.
func (k *Keeper) newPassword(ctx context.Context, a *penumbra.Account, password, current string, own bool) (string, error) {
	if strings.HasPrefix(a.ID, "oidc:") {
		return "", refused(a.Name+" signs in at "+strings.TrimPrefix(a.ID, "oidc:"), "change the password there")
	}
	if own {
		ok, _, err := k.hash.check(ctx, a.Password, current)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", refused("the current password is wrong", "give the one that you sign in with")
		}
	}
	if err := checkPassword(a.Name, password); err != nil {
		return "", err
	}
	return k.hash.hash(ctx, password)
}
