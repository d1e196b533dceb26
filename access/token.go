package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TokenPrefix is what every token begins with, so that scanners for secrets know it.
const TokenPrefix = "pnb_"

const (
	idBytes   = 6           // of a token's identifier, written in hexadecimal
	usedEvery = time.Minute // how exact a token's last use is kept
	shortest  = time.Minute // a token's life
	longest   = 10 * 366 * 24 * time.Hour
)

// newSecret returns the identifier of a new token and what opens: 260 random bits.
func newSecret() (id, secret string) {
	b := make([]byte, idBytes)
	_, _ = rand.Read(b) // never fails
	id = hex.EncodeToString(b)
	return id, TokenPrefix + id + "_" + strings.ToLower(rand.Text()+rand.Text())
}

// hashSecret is what is stored of a secret. It is long and random, so that one round
// of SHA-256 is enough: there is nothing to guess.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// tokenID returns the identifier that a token names.
func tokenID(secret string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(secret, TokenPrefix)
	if !ok {
		return "", false
	}
	id, random, ok := strings.Cut(rest, "_")
	return id, ok && len(id) == 2*idBytes && random != ""
}

// refused is the one answer to every credential that opens nothing: which part of it
// is wrong helps nobody but who guesses.
func refused(what, remedy string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: what, Remedy: remedy}
}

// Admit returns the principal whose secret it is: that of the machine's owner, or a
// token. It returns an error of kind Refused if it opens nothing.
func (k *Keeper) Admit(ctx context.Context, secret string) (*penumbra.Principal, error) {
	hash := hashSecret(secret)
	if subtle.ConstantTimeCompare(hash, k.local) == 1 && k.cfg.LocalSecret != "" {
		owner := k.cfg.Local
		return &owner, nil
	}
	none := refused("the token opens nothing", "it may be mistyped, revoked or expired: make one with `penumbra token create`")
	id, ok := tokenID(secret)
	if !ok {
		return nil, none
	}
	found, err := k.cfg.Store.Tokens(ctx, penumbra.TokenQuery{ID: id})
	if err != nil {
		return nil, err
	}
	now := k.cfg.Now().UTC()
	if len(found) != 1 || subtle.ConstantTimeCompare(hash, found[0].Hash) != 1 {
		return nil, none
	}
	t := found[0]
	switch {
	case !t.Revoked.IsZero():
		return nil, refused("token "+t.ID+" is revoked", "make another with `penumbra token create`")
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return nil, refused("token "+t.ID+" expired at "+t.Expires.Format(time.RFC3339), "make another with `penumbra token create`")
	}
	p, err := k.holder(ctx, &t)
	if err != nil {
		return nil, err
	}
	if now.Sub(t.Used) >= usedEvery {
		// A disk that is full must not keep out who comes to make room.
		_, _ = k.cfg.Store.ChangeToken(ctx, t.ID, func(t *penumbra.Token) error { t.Used = now; return nil })
	}
	return p, nil
}

// holder is the principal that a token stands for.
func (k *Keeper) holder(ctx context.Context, t *penumbra.Token) (*penumbra.Principal, error) {
	if t.Kind != penumbra.PersonPrincipal {
		return &penumbra.Principal{ID: tokenPrincipal(t), Name: t.Name, Kind: t.Kind, Grants: t.Grants, Via: ViaToken, Credential: t.ID}, nil
	}
	found, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{ID: t.Owner})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 || !found[0].Disabled.IsZero() {
		return nil, refused("the user of token "+t.ID+" may not sign in", "ask an admin")
	}
	p := principalOf(&found[0], ViaToken)
	p.Credential = t.ID
	if len(t.Grants) > 0 {
		p.Grants = Within(p.Grants, t.Grants)
	}
	return p, nil
}

func tokenPrincipal(t *penumbra.Token) string { return "token:" + t.Name + "-" + t.ID }

// Tokens returns the tokens that who asks may see: all of them for an admin, else
// their own.
func (k *Keeper) Tokens(ctx context.Context) ([]penumbra.Token, error) {
	p, err := asker(ctx)
	if err != nil {
		return nil, err
	}
	var q penumbra.TokenQuery
	if !p.IsAdmin() {
		q.Owner = p.ID
	}
	return k.cfg.Store.Tokens(ctx, q)
}

// AddToken makes a token: a person's for who asks, another for an admin. It returns an
// error of kind Invalid if it is not well-formed, and of kind Refused if who asks may
// not have it.
func (k *Keeper) AddToken(ctx context.Context, n penumbra.NewToken) (penumbra.MadeToken, error) {
	var made penumbra.MadeToken
	p, err := asker(ctx)
	if err != nil {
		return made, err
	}
	now := k.cfg.Now().UTC()
	t := penumbra.Token{Name: strings.TrimSpace(n.Name), Kind: n.Kind, Grants: n.Grants, Made: now, By: p.Name}
	if err := checkName(t.Name); err != nil {
		return made, err
	}
	if err := CheckGrants(t.Grants); err != nil {
		return made, err
	}
	switch t.Kind {
	case penumbra.PersonPrincipal:
		err = k.ownToken(ctx, p, &t)
	case penumbra.ServicePrincipal, penumbra.SourcePrincipal:
		err = k.programToken(p, &t)
	default:
		err = &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("a token cannot be of the kind %q", t.Kind), Remedy: "choose person, service or source"}
	}
	if err != nil {
		return made, err
	}
	if n.Lasts != 0 {
		if n.Lasts < shortest || n.Lasts > longest {
			return made, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("a token cannot last for %v", n.Lasts), Remedy: "let it last between a minute and ten years, or for ever"}
		}
		t.Expires = now.Add(n.Lasts)
	}
	if err := k.outlives(ctx, p, &t); err != nil {
		return made, err
	}
	var secret string
	t.ID, secret = newSecret()
	t.Hash = hashSecret(secret)
	details := map[string]string{"name": t.Name, "kind": string(t.Kind), "grants": describe(t.Grants)}
	if err := k.record(ctx, p, addTokenAct, t.ID, penumbra.AuditDone, details); err != nil {
		return made, err
	}
	if err := k.cfg.Store.AddToken(ctx, t); err != nil {
		return made, k.failed(ctx, err, addTokenAct, t.ID)
	}
	return penumbra.MadeToken{Token: t, Secret: secret}, nil
}

// ownToken makes the token one of who asks.
func (k *Keeper) ownToken(ctx context.Context, p *penumbra.Principal, t *penumbra.Token) error {
	found, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{ID: p.ID})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return refused(p.Name+" has no account that a token could be of", "make one with `penumbra user add` and sign in, or make a service's token with --kind service")
	}
	t.Owner = p.ID
	if len(t.Grants) > 0 && len(Within(p.Grants, t.Grants)) == 0 {
		return refused("you have none of what the token is to be granted", "ask for less; `penumbra whoami` shows what you have")
	}
	if len(t.Grants) == 0 && p.Via == ViaToken {
		if t.Grants = p.Grants; len(p.Grants) == 0 { // none would mean all that the person has
			return refused("the token that asks has no grants to pass on", "sign in with your password")
		}
	} else if p.Via == ViaToken {
		t.Grants = Within(p.Grants, t.Grants)
	}
	return nil
}

// programToken makes the token a service's or a source's.
func (k *Keeper) programToken(p *penumbra.Principal, t *penumbra.Token) error {
	if !p.IsAdmin() {
		return refused("only an admin makes tokens of services and sources", "ask one, or make a token of your own with --kind person")
	}
	if penumbra.SamePerson(t.Name, k.cfg.Local.Name) {
		return refused("the name "+t.Name+" is that of the machine's owner", "choose another")
	}
	if len(t.Grants) == 0 && t.Kind == penumbra.SourcePrincipal {
		t.Grants = []penumbra.Grant{{Role: penumbra.Sender}}
	}
	if len(t.Grants) == 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "a service's token needs a grant", Remedy: "say what it may, such as --grant operator:stack=shop"}
	}
	return nil
}

// outlives refuses a token that would last longer than the one that makes it: else a
// stolen one would be worth more than its time.
func (k *Keeper) outlives(ctx context.Context, p *penumbra.Principal, t *penumbra.Token) error {
	if p.Via != ViaToken {
		return nil
	}
	id := p.Credential
	found, err := k.cfg.Store.Tokens(ctx, penumbra.TokenQuery{ID: id})
	if err != nil {
		return err
	}
	if id == "" || len(found) != 1 {
		return refused("the token that asks is not known", "sign in again")
	}
	if until := found[0].Expires; !until.IsZero() && (t.Expires.IsZero() || t.Expires.After(until)) {
		return refused("the new token would outlive the one that makes it, which ends at "+until.Format(time.RFC3339), "let it last shorter, or sign in with your password")
	}
	return nil
}

// RevokeToken ends a token: one's own, or any for an admin.
func (k *Keeper) RevokeToken(ctx context.Context, id string) (penumbra.Token, error) {
	p, err := asker(ctx)
	if err != nil {
		return penumbra.Token{}, err
	}
	now := k.cfg.Now().UTC()
	if err := k.record(ctx, p, endTokenAct, tried(id), penumbra.AuditDone, nil); err != nil {
		return penumbra.Token{}, err
	}
	t, err := k.cfg.Store.ChangeToken(ctx, id, func(t *penumbra.Token) error {
		if !p.IsAdmin() && (t.Owner != p.ID || t.Owner == "") && tokenPrincipal(t) != p.ID {
			// Whether there is another's token is not theirs to know.
			return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no token " + id + " of yours", Remedy: "see `penumbra token list`"}
		}
		if t.Revoked.IsZero() {
			t.Revoked = now
		}
		return nil
	})
	return t, k.failed(ctx, err, endTokenAct, tried(id))
}
