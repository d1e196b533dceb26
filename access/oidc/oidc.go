// Package oidc answers one question: whom does an OpenID provider vouch for? It sends a
// browser there and reads what it brings back, by the authorization code flow with
// PKCE.
//
// What it guarantees: a sign-in that was not begun here, that comes back in another
// browser, a second time or from another provider is refused, and so is a token that is
// not signed by the provider, for this client, for this sign-in, now.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/penumbra-iac/penumbra"
)

// Config is what is known of a provider.
type Config struct {
	Name     string // of the provider, in addresses and on the page
	Issuer   string
	ClientID string
	Secret   string
	Redirect string // where the provider sends browsers back to
	Scopes   []string
	// NameClaim and GroupsClaim are what a person is called by, and what grants are
	// given by.
	NameClaim, GroupsClaim string
	// AnyEmail takes addresses that the provider does not call verified.
	AnyEmail bool
	// Groups are what each group is granted.
	Groups map[string][]penumbra.Grant
	HTTP   *http.Client // http.DefaultClient if nil
	Now    func() time.Time
}

// Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	cfg Config

	mu      sync.Mutex
	found   *oidc.Provider // nil until it was asked for what it is
	pending map[string]sent
}

// sent is a browser that is away.
type sent struct {
	nonce, verifier string
	until           time.Time
}

const (
	// awayFor is how long a browser may be away, mostAway how many at once.
	awayFor  = 10 * time.Minute
	mostAway = 10_000
	patience = 15 * time.Second // with the provider
)

// algorithms that tokens may be signed with: none that whoever checks could sign with,
// and never "none".
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

// New returns a provider. It is not asked before somebody signs in: one that is away
// must not keep the daemon from starting.
func New(cfg Config) *Provider {
	if cfg.NameClaim == "" {
		cfg.NameClaim = "email"
	}
	if cfg.GroupsClaim == "" {
		cfg.GroupsClaim = "groups"
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: patience}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Provider{cfg: cfg, pending: map[string]sent{}}
}

// Name is what the provider is called.
func (p *Provider) Name() string { return p.cfg.Name }

// discover asks the provider what it is, until it has answered once.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	found := p.found
	p.mu.Unlock()
	if found != nil {
		return found, nil
	}
	// Its keys are fetched with this context for as long as the provider is known.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.cfg.HTTP), p.cfg.Issuer)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "ask " + p.cfg.Issuer + " what it is", Remedy: "try again; if it stays so, check access.oidc.issuer in penumbra.yaml", Err: err}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = found
	return found, nil
}

func (p *Provider) client(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.Secret, RedirectURL: p.cfg.Redirect, Endpoint: found.Endpoint(),
		Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, p.cfg.Scopes...),
	}
}

// Begin returns where to send a browser, and the state that the same browser has to
// bring back. It returns an error of kind Unavailable if the provider does not answer.
func (p *Provider) Begin(ctx context.Context) (to, state string, err error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	now := p.cfg.Now()
	state, away := rand.Text()+rand.Text(), sent{nonce: rand.Text() + rand.Text(), verifier: oauth2.GenerateVerifier(), until: now.Add(awayFor)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) >= mostAway {
		for key, x := range p.pending {
			if now.After(x.until) {
				delete(p.pending, key)
			}
		}
	}
	if len(p.pending) >= mostAway {
		return "", "", &penumbra.Error{Kind: penumbra.Unavailable, What: "too many sign-ins are under way", Remedy: "try again in a few minutes"}
	}
	p.pending[state] = away
	return p.client(found).AuthCodeURL(state, oidc.Nonce(away.nonce), oauth2.S256ChallengeOption(away.verifier)), state, nil
}

// take returns what was sent with a state, once.
func (p *Provider) take(state string) (sent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, ok := p.pending[state]
	delete(p.pending, state)
	return x, ok && p.cfg.Now().Before(x.until)
}

func refused(what string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: what, Remedy: "sign in again from the start"}
}

// Finish returns who came back with the query of an answer, to the browser that holds
// a state. It returns an error of kind Refused if anything about it is not as it was
// begun, or nothing is granted to them.
func (p *Provider) Finish(ctx context.Context, state string, query url.Values) (Identity, error) {
	var none Identity
	if state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(query.Get("state"))) != 1 {
		return none, refused("the sign-in was not begun in this browser")
	}
	away, ok := p.take(state)
	if !ok {
		return none, refused("the sign-in is over, or was used before")
	}
	// Another provider's answer may be sent here (RFC 9207).
	if issuer := query.Get("iss"); issuer != "" && issuer != p.cfg.Issuer {
		return none, refused("the answer is not from " + p.cfg.Issuer)
	}
	if query.Has("error") || query.Get("code") == "" {
		return none, refused(fmt.Sprintf("%s refused: %.200q", p.cfg.Name, query.Get("error")+" "+query.Get("error_description")))
	}
	found, err := p.discover(ctx)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.cfg.HTTP), patience)
	defer cancel()
	tokens, err := p.client(found).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(away.verifier))
	if err != nil {
		return none, &penumbra.Error{Kind: penumbra.Refused, What: p.cfg.Name + " gave nothing for the code", Remedy: "sign in again from the start", Err: err}
	}
	raw, _ := tokens.Extra("id_token").(string)
	verifier := found.VerifierContext(oidc.ClientContext(context.WithoutCancel(ctx), p.cfg.HTTP), &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: algorithms, Now: p.cfg.Now})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return none, &penumbra.Error{Kind: penumbra.Refused, What: "the token of " + p.cfg.Name + " does not hold", Remedy: "sign in again from the start", Err: err}
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(away.nonce)) != 1 {
		return none, refused("the token of " + p.cfg.Name + " is of another sign-in")
	}
	claims, err := p.claims(ctx, found, token, tokens)
	if err != nil {
		return none, err
	}
	return p.identify(token, claims)
}

// claims are what is said of the person: in the token, or where the provider is asked.
func (p *Provider) claims(ctx context.Context, found *oidc.Provider, token *oidc.IDToken, tokens *oauth2.Token) (map[string]any, error) {
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "the token of " + p.cfg.Name + " cannot be read", Remedy: "ask who runs it", Err: err}
	}
	if claims[p.cfg.NameClaim] != nil && claims[p.cfg.GroupsClaim] != nil || found.UserInfoEndpoint() == "" {
		return claims, nil
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "ask " + p.cfg.Name + " who it is", Remedy: "sign in again", Err: err}
	}
	if info.Subject != token.Subject { // OpenID Connect Core 5.3.2
		return nil, refused(p.cfg.Name + " speaks of another person")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "what " + p.cfg.Name + " says cannot be read", Remedy: "ask who runs it", Err: err}
	}
	for name, x := range more {
		if claims[name] == nil { // what is signed comes first
			claims[name] = x
		}
	}
	return claims, nil
}

// Identity is whom a provider vouches for.
type Identity struct {
	ID     string // "oidc:ISSUER|SUBJECT"
	Name   string
	Groups []string
	Grants []penumbra.Grant // what its groups are granted; none of who may not be in
}

func (p *Provider) identify(token *oidc.IDToken, claims map[string]any) (Identity, error) {
	name, _ := claims[p.cfg.NameClaim].(string)
	if strings.TrimSpace(name) == "" {
		return Identity{}, refused(fmt.Sprintf("%s says no %s", p.cfg.Name, p.cfg.NameClaim))
	}
	// Who may write any address there would be recorded under anybody's.
	if verified, _ := claims["email_verified"].(bool); p.cfg.NameClaim == "email" && !verified && !p.cfg.AnyEmail {
		return Identity{}, &penumbra.Error{Kind: penumbra.Refused, What: "the address " + name + " is not verified at " + p.cfg.Name,
			Remedy: "verify it there; if the provider verifies all and says so of none, an admin can set access.oidc.unverified_email"}
	}
	who := Identity{ID: "oidc:" + token.Issuer + "|" + token.Subject, Name: name}
	switch groups := claims[p.cfg.GroupsClaim].(type) {
	case string:
		who.Groups = []string{groups}
	case []any:
		for _, g := range groups {
			if text, ok := g.(string); ok {
				who.Groups = append(who.Groups, text)
			}
		}
	}
	slices.Sort(who.Groups)
	who.Groups = slices.Compact(who.Groups)
	for _, g := range who.Groups {
		who.Grants = append(who.Grants, p.cfg.Groups[g]...)
	}
	return who, nil
}
