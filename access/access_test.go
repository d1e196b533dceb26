package access

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// cheap makes hashes that a test can afford.
var cheap = Hashing{Memory: 64, Passes: 1, Lanes: 1}

const (
	ownersSecret = "the-owner's-secret-of-the-test"
	password     = "correct horse battery staple"
)

// room is a keeper on a real store, with a clock that a test moves.
type room struct {
	*Keeper
	t     *testing.T
	store *sqlite.Store
	now   time.Time
}

func newRoom(t *testing.T) *room {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "penumbra.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &room{t: t, store: store, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	r.Keeper = New(Config{Store: store, Now: func() time.Time { return r.now }, Local: Owner("olga"), LocalSecret: ownersSecret, Hashing: cheap})
	return r
}

// by is a context of who asks.
func by(t *testing.T, p *penumbra.Principal) context.Context {
	return penumbra.WithPrincipal(t.Context(), p)
}

func (r *room) owner() context.Context {
	p := Owner("olga")
	return by(r.t, &p)
}

// user makes a user and signs them in.
func (r *room) user(name string, grants ...penumbra.Grant) *penumbra.Principal {
	r.t.Helper()
	if _, err := r.AddAccount(r.owner(), penumbra.NewAccount{Name: name, Password: password, Grants: grants}); err != nil {
		r.t.Fatal(err)
	}
	p, err := r.SignIn(r.t.Context(), name, password, "192.0.2.1")
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *room) token(ctx context.Context, n penumbra.NewToken) penumbra.MadeToken {
	r.t.Helper()
	made, err := r.AddToken(ctx, n)
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

func wants(t *testing.T, what string, err error, kind penumbra.ErrorKind) {
	t.Helper()
	if err == nil || penumbra.KindOf(err) != kind {
		t.Errorf("%s: %v (kind %v), want kind %v", what, err, penumbra.KindOf(err), kind)
	}
	var e *penumbra.Error
	if errors.As(err, &e) && e.Remedy == "" {
		t.Errorf("%s: %v has no remedy", what, err)
	}
}

func TestOwnersToken(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for header, ok := range map[string]bool{
		"Bearer " + ownersSecret: true, "bearer " + ownersSecret: true, "": false, "Bearer": false, "Bearer ": false, "Basic " + ownersSecret: false,
		ownersSecret: false, "Bearer " + ownersSecret + "x": false, "Bearer " + TokenPrefix: false, "Bearer pnb_000000000000_": false, "Bearer pnb_000000000000_x": false,
	} {
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("Authorization", header)
		p, err := r.Authenticate(req)
		if ok != (err == nil) || ok && (p.ID != "local:olga" || !p.IsAdmin() || p.Via != ViaLocal) {
			t.Errorf("%q: %+v %v", header, p, err)
		}
		if err != nil && penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%q: %v", header, err)
		}
	}
	unset := New(Config{Store: r.store, Hashing: cheap})
	for _, secret := range []string{"", ownersSecret} {
		if p, err := unset.Admit(t.Context(), secret); err == nil {
			t.Errorf("an empty secret opens for %q: %+v", secret, p)
		}
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	alice := r.user("Alice", penumbra.Grant{Role: penumbra.Approver})
	if alice.ID != "user:alice" || alice.Name != "Alice" || alice.Via != ViaPassword || alice.Kind != penumbra.PersonPrincipal {
		t.Errorf("%+v", alice)
	}
	stored, _ := r.store.Accounts(t.Context(), penumbra.AccountQuery{Name: "alice"})
	if !strings.HasPrefix(stored[0].Password, "$argon2id$v=19$m=64,t=1,p=1$") || !stored[0].SignedIn.Equal(r.now) {
		t.Errorf("%+v", stored[0])
	}
	for name, given := range map[string]string{"alice": password + " ", "ALICE": "", "bob": password, "": password, " ": "", "user:alice": password, "al%": password, "alice ": strings.Repeat("x", 1<<20)} {
		_, err := r.SignIn(t.Context(), name, given, "192.0.2.1")
		wants(t, "sign in as "+name, err, penumbra.Refused)
		if err != nil && !strings.Contains(err.Error(), "do not fit") {
			t.Errorf("%q: it tells too much: %v", name, err)
		}
	}
	if _, err := r.SignIn(t.Context(), " aLiCe ", password, "192.0.2.1"); err != nil {
		t.Errorf("case and space: %v", err)
	}
	off := true
	if _, err := r.ChangeAccount(r.owner(), "alice", penumbra.AccountChange{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	_, err := r.SignIn(t.Context(), "alice", password, "192.0.2.1")
	wants(t, "a disabled user", err, penumbra.Refused)
	if _, err := r.AddAccount(r.owner(), penumbra.NewAccount{Name: "carol"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.SignIn(t.Context(), "carol", "", "192.0.2.1")
	wants(t, "a user without a password", err, penumbra.Refused)
}

func TestHashesAreMadeAnewAtAnotherCost(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.user("alice")
	dearer := New(Config{Store: r.store, Hashing: Hashing{Memory: 128, Passes: 2, Lanes: 1}})
	if _, err := dearer.SignIn(t.Context(), "alice", "wrong", "192.0.2.1"); err == nil {
		t.Fatal("a wrong password opens")
	}
	stored, _ := r.store.Accounts(t.Context(), penumbra.AccountQuery{Name: "alice"})
	if !strings.Contains(stored[0].Password, "$m=64,t=1,p=1$") {
		t.Errorf("a failed sign-in changed the hash to %s", stored[0].Password)
	}
	if _, err := dearer.SignIn(t.Context(), "alice", password, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	stored, _ = r.store.Accounts(t.Context(), penumbra.AccountQuery{Name: "alice"})
	if !strings.Contains(stored[0].Password, "$m=128,t=2,p=1$") {
		t.Errorf("the hash is still %s", stored[0].Password)
	}
	if _, err := dearer.SignIn(t.Context(), "alice", password, "192.0.2.1"); err != nil {
		t.Errorf("with the new hash: %v", err)
	}
}

func TestBadHashes(t *testing.T) {
	t.Parallel()
	for _, hash := range []string{"x", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=64,t=1,p=1$$", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$!"} {
		ok, _, err := newHasher(cheap).check(t.Context(), hash, password)
		if ok {
			t.Errorf("%s opens", hash)
		}
		wants(t, hash, err, penumbra.Damaged)
	}
}

func TestAccountsAreWellFormed(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for what, n := range map[string]penumbra.NewAccount{
		"no name": {}, "a policy's name": {Name: "policy:x"}, "a space": {Name: "al ice"}, "another alphabet": {Name: "аlice"}, "markup": {Name: "<b>"}, "a long name": {Name: strings.Repeat("a", 129)},
		"a short password": {Name: "a", Password: "short"}, "its name for a password": {Name: "alice.wonder", Password: "alice.wonder1"}, "a long password": {Name: "a", Password: strings.Repeat("x", 513)},
		"no role": {Name: "a", Grants: []penumbra.Grant{{}}}, "an unknown role": {Name: "a", Grants: []penumbra.Grant{{Role: "root"}}}, "an empty pattern": {Name: "a", Grants: []penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{" "}}}},
	} {
		_, err := r.AddAccount(r.owner(), n)
		wants(t, what, err, penumbra.Invalid)
	}
	all, err := r.Accounts(r.owner())
	if err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}

func TestAccountsAreAnAdminsMatter(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	alice := r.user("alice", penumbra.Grant{Role: penumbra.Approver, Values: true})
	bounded := r.user("bounded", penumbra.Grant{Role: penumbra.Admin, Stacks: []string{"shop"}})
	other, admin := "another long password", []penumbra.Grant{{Role: penumbra.Admin}}
	off := true
	for _, p := range []*penumbra.Principal{nil, alice, bounded, {Name: "bob", ID: "user:bob", Kind: penumbra.PersonPrincipal}} {
		ctx := by(t, p)
		_, err := r.Accounts(ctx)
		wants(t, "list", err, penumbra.Refused)
		_, err = r.AddAccount(ctx, penumbra.NewAccount{Name: "mallory", Grants: admin})
		wants(t, "add", err, penumbra.Refused)
		for what, c := range map[string]penumbra.AccountChange{"grants": {Grants: &admin}, "disable": {Disabled: &off}} {
			_, err = r.ChangeAccount(ctx, "alice", c)
			wants(t, what, err, penumbra.Refused)
		}
		if p != alice {
			_, err = r.ChangeAccount(ctx, "alice", penumbra.AccountChange{Password: &other, Current: password})
			wants(t, "another's password", err, penumbra.Refused)
		}
	}
	impostor := *alice
	impostor.ID = "local:alice"
	impostor.Grants = nil
	_, err := r.ChangeAccount(by(t, &impostor), "alice", penumbra.AccountChange{Password: &other, Current: password})
	wants(t, "the same name, another account", err, penumbra.Refused)

	_, err = r.ChangeAccount(by(t, alice), "alice", penumbra.AccountChange{Password: &other, Current: "wrong"})
	wants(t, "without the current password", err, penumbra.Refused)
	r.now = r.now.Add(time.Minute)
	changed, err := r.ChangeAccount(by(t, alice), "Alice", penumbra.AccountChange{Password: &other, Current: password})
	if err != nil || !changed.SessionsFrom.Equal(r.now) {
		t.Fatalf("%+v %v", changed, err)
	}
	if _, err := r.SignIn(t.Context(), "alice", other, "192.0.2.1"); err != nil {
		t.Error(err)
	}
	_, err = r.SignIn(t.Context(), "alice", password, "192.0.2.1")
	wants(t, "the old password", err, penumbra.Refused)
	if _, err := r.ChangeAccount(r.owner(), "alice", penumbra.AccountChange{Password: ptr(password), Grants: &admin}); err != nil {
		t.Fatal(err)
	}
	if p, err := r.SignIn(t.Context(), "alice", password, "192.0.2.1"); err != nil || !p.IsAdmin() {
		t.Errorf("%+v %v", p, err)
	}
	_, err = r.ChangeAccount(r.owner(), "nobody", penumbra.AccountChange{})
	wants(t, "nobody", err, penumbra.NotFound)
	_, err = r.ChangeAccount(r.owner(), "", penumbra.AccountChange{})
	wants(t, "no name", err, penumbra.NotFound)
}

func ptr[T any](x T) *T { return &x }

func TestTokens(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	made := r.token(r.owner(), penumbra.NewToken{Name: "ci", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Operator, Stacks: []string{"shop"}}}, Lasts: time.Hour})
	if !strings.HasPrefix(made.Secret, TokenPrefix+made.Token.ID+"_") || len(made.Secret) < 64 || made.Token.By != "olga" {
		t.Errorf("%+v", made)
	}
	if got := penumbra.Redact("Authorization: " + made.Secret); strings.Contains(got, made.Secret[20:]) {
		t.Errorf("a log would show %q", got)
	}
	p, err := r.Admit(t.Context(), made.Secret)
	want := &penumbra.Principal{ID: "token:ci-" + made.Token.ID, Name: "ci", Kind: penumbra.ServicePrincipal, Grants: made.Token.Grants, Via: ViaToken, Credential: made.Token.ID}
	if d := cmp.Diff(want, p); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	for _, secret := range []string{made.Secret + "a", made.Secret[:len(made.Secret)-1], strings.ToUpper(made.Secret), TokenPrefix + made.Token.ID + "_" + strings.Repeat("a", 52), string(made.Token.Hash)} {
		if _, err := r.Admit(t.Context(), secret); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%q: %v", secret, err)
		}
	}
	r.now = r.now.Add(time.Hour - time.Second)
	if _, err := r.Admit(t.Context(), made.Secret); err != nil {
		t.Error(err)
	}
	list, err := r.Tokens(r.owner())
	if err != nil || len(list) != 1 || !list[0].Used.Equal(r.now) {
		t.Errorf("%+v %v", list, err)
	}
	r.now = r.now.Add(time.Second)
	_, err = r.Admit(t.Context(), made.Secret)
	wants(t, "an expired token", err, penumbra.Refused)

	ever := r.token(r.owner(), penumbra.NewToken{Name: "agent", Kind: penumbra.SourcePrincipal})
	p, err = r.Admit(t.Context(), ever.Secret)
	if err != nil || p.Kind != penumbra.SourcePrincipal || len(p.Grants) != 1 || p.Grants[0].Role != penumbra.Sender {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := r.RevokeToken(r.owner(), ever.Token.ID); err != nil {
		t.Fatal(err)
	}
	_, err = r.Admit(t.Context(), ever.Secret)
	wants(t, "a revoked token", err, penumbra.Refused)
}

func TestWhoMayMakeTokens(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	alice := by(t, r.user("alice", penumbra.Grant{Role: penumbra.Operator, Stacks: []string{"shop*"}, Values: true}))
	bob := by(t, r.user("bob"))
	person := penumbra.NewToken{Name: "laptop", Kind: penumbra.PersonPrincipal}
	for what, n := range map[string]penumbra.NewToken{
		"a service's":      {Name: "ci", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Viewer}}},
		"a source's":       {Name: "agent", Kind: penumbra.SourcePrincipal},
		"beyond her stack": {Name: "x", Kind: penumbra.PersonPrincipal, Grants: []penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"bank"}}}},
	} {
		_, err := r.AddToken(alice, n)
		wants(t, what, err, penumbra.Refused)
	}
	_, err := r.AddToken(r.owner(), person)
	wants(t, "the owner has no account", err, penumbra.Refused)
	_, err = r.AddToken(t.Context(), person)
	wants(t, "nobody", err, penumbra.Refused)
	for what, n := range map[string]penumbra.NewToken{
		"no name": {Kind: penumbra.PersonPrincipal}, "the kind system": {Name: "x", Kind: penumbra.SystemPrincipal}, "too short": {Name: "x", Kind: penumbra.PersonPrincipal, Lasts: time.Second},
		"too long": {Name: "x", Kind: penumbra.PersonPrincipal, Lasts: 1 << 62}, "no grant of a service": {Name: "x", Kind: penumbra.ServicePrincipal},
	} {
		_, err := r.AddToken(map[bool]context.Context{true: r.owner(), false: alice}[n.Kind == penumbra.ServicePrincipal], n)
		wants(t, what, err, penumbra.Invalid)
	}
	_, err = r.AddToken(r.owner(), penumbra.NewToken{Name: "Alice", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Viewer}}})
	wants(t, "a service with a person's name", err, penumbra.Refused)
	_, err = r.AddToken(r.owner(), penumbra.NewToken{Name: "OLGA", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Viewer}}})
	wants(t, "a service with the owner's name", err, penumbra.Refused)

	made := r.token(alice, person)
	if list, err := r.Tokens(bob); err != nil || len(list) != 0 {
		t.Errorf("bob sees %+v %v", list, err)
	}
	_, err = r.RevokeToken(bob, made.Token.ID)
	wants(t, "bob revokes alice's", err, penumbra.NotFound)
	if _, err := r.RevokeToken(alice, made.Token.ID); err != nil {
		t.Error(err)
	}
}

// TestPersonsTokensFollowThePerson holds that what a person loses, their tokens lose.
func TestPersonsTokensFollowThePerson(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	alice := by(t, r.user("alice", penumbra.Grant{Role: penumbra.Approver}))
	all := r.token(alice, penumbra.NewToken{Name: "all", Kind: penumbra.PersonPrincipal, Lasts: time.Hour})
	some := r.token(alice, penumbra.NewToken{Name: "some", Kind: penumbra.PersonPrincipal, Grants: []penumbra.Grant{{Role: penumbra.Admin, Stacks: []string{"shop"}, Values: true}}})
	grants := func(secret string) []penumbra.Grant {
		t.Helper()
		p, err := r.Admit(t.Context(), secret)
		if err != nil || p.ID != "user:alice" || p.Name != "alice" || p.Kind != penumbra.PersonPrincipal {
			t.Fatalf("%+v %v", p, err)
		}
		return p.Grants
	}
	if d := cmp.Diff([]penumbra.Grant{{Role: penumbra.Approver}}, grants(all.Secret)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]penumbra.Grant{{Role: penumbra.Approver, Stacks: []string{"shop"}}}, grants(some.Secret)); d != "" {
		t.Error(d)
	}

	// A token makes no token that outlives it, or has more.
	p, _ := r.Admit(t.Context(), all.Secret)
	_, err := r.AddToken(by(t, p), penumbra.NewToken{Name: "x", Kind: penumbra.PersonPrincipal})
	wants(t, "for ever", err, penumbra.Refused)
	_, err = r.AddToken(by(t, p), penumbra.NewToken{Name: "x", Kind: penumbra.PersonPrincipal, Lasts: 2 * time.Hour})
	wants(t, "longer", err, penumbra.Refused)
	r.token(by(t, p), penumbra.NewToken{Name: "x", Kind: penumbra.PersonPrincipal, Lasts: time.Hour})
	p, _ = r.Admit(t.Context(), some.Secret)
	child := r.token(by(t, p), penumbra.NewToken{Name: "child", Kind: penumbra.PersonPrincipal})
	if d := cmp.Diff([]penumbra.Grant{{Role: penumbra.Approver, Stacks: []string{"shop"}}}, grants(child.Secret)); d != "" {
		t.Error(d)
	}

	if _, err := r.ChangeAccount(r.owner(), "alice", penumbra.AccountChange{Grants: &[]penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"s*"}}}}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"shop"}}}, grants(some.Secret)); d != "" {
		t.Error(d)
	}
	if _, err := r.ChangeAccount(r.owner(), "alice", penumbra.AccountChange{Grants: &[]penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"bank"}}}}); err != nil {
		t.Fatal(err)
	}
	p, _ = r.Admit(t.Context(), some.Secret)
	_, err = r.AddToken(by(t, p), penumbra.NewToken{Name: "more", Kind: penumbra.PersonPrincipal})
	wants(t, "a token that has nothing makes one that has all", err, penumbra.Refused)
	if _, err := r.ChangeAccount(r.owner(), "alice", penumbra.AccountChange{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Admit(t.Context(), all.Secret)
	wants(t, "a disabled person's token", err, penumbra.Refused)
}

// ledger is a Recorder that remembers.
type ledger struct {
	entries []penumbra.AuditEntry
	err     error
}

func (l *ledger) Record(_ context.Context, e penumbra.AuditEntry) error {
	l.entries = append(l.entries, e)
	return l.err
}

func TestEverythingIsRecorded(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	log := &ledger{}
	r.cfg.Audit = log
	alice := by(t, r.user("alice", penumbra.Grant{Role: penumbra.Admin, Stacks: []string{"shop"}}))
	_, _ = r.SignIn(t.Context(), "alice", "wrong "+password, "192.0.2.7")
	_, _ = r.SignIn(t.Context(), password, password, "192.0.2.7") // typed in the wrong field
	if _, err := r.Enter(t.Context(), ownersSecret, "192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	_, _ = r.Enter(t.Context(), ownersSecret+"x", "192.0.2.7")
	made := r.token(alice, penumbra.NewToken{Name: "laptop", Kind: penumbra.PersonPrincipal})
	if _, err := r.RevokeToken(alice, made.Token.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ChangeAccount(r.owner(), "alice", penumbra.AccountChange{Password: ptr(password + "!"), Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	_, _ = r.AddAccount(r.owner(), penumbra.NewAccount{Name: "alice"})
	var got []string
	for _, e := range log.entries {
		got = append(got, strings.Join([]string{string(e.Act), e.Principal, e.Target.ID, string(e.Outcome)}, " "))
		for _, detail := range e.Details {
			if strings.Contains(detail, password) || strings.Contains(detail, made.Secret) || strings.Contains(detail, ownersSecret) {
				t.Errorf("a secret is in %+v", e)
			}
		}
	}
	want := []string{
		"user.create local:olga alice done", "session.signin user:alice user:alice done", "session.signin  alice refused", "session.signin  (no name) refused",
		"session.signin local:olga local:olga done", "session.signin   refused",
		"token.create user:alice " + made.Token.ID + " done", "token.revoke user:alice " + made.Token.ID + " done",
		"user.change local:olga user:alice done", "user.create local:olga alice done", "user.create local:olga alice failed",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	log.err = &penumbra.Error{Kind: penumbra.Full, What: "the disk is full", Remedy: "make room"}
	_, err := r.AddAccount(r.owner(), penumbra.NewAccount{Name: "bob"})
	wants(t, "what cannot be recorded", err, penumbra.Full)
	if found, _ := r.store.Accounts(t.Context(), penumbra.AccountQuery{Name: "bob"}); len(found) != 0 {
		t.Error("it was done all the same")
	}
}

func TestReturn(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	alice := r.user("alice", penumbra.Grant{Role: penumbra.Approver})
	began := r.now
	owner := Owner("olga")
	other := Owner("mallory")
	if p, err := r.Return(t.Context(), owner, began); err != nil || !p.IsAdmin() {
		t.Errorf("the owner: %+v %v", p, err)
	}
	forged := penumbra.Principal{ID: "user:alice", Via: "certificate"}
	for what, p := range map[string]penumbra.Principal{"another owner": other, "nobody": {}, "no account": {ID: "user:bob", Via: ViaPassword}, "all accounts": {Via: ViaPassword}, "all tokens": {Via: ViaToken}, "an unknown way": forged} {
		_, err := r.Return(t.Context(), p, began)
		wants(t, what, err, penumbra.Refused)
	}
	made := r.token(by(t, alice), penumbra.NewToken{Name: "x", Kind: penumbra.PersonPrincipal, Grants: []penumbra.Grant{{Role: penumbra.Viewer}}, Lasts: time.Hour})
	shown, _ := r.Admit(t.Context(), made.Secret)
	if p, err := r.Return(t.Context(), *shown, began); err != nil || p.Grants[0].Role != penumbra.Viewer {
		t.Errorf("by token: %+v %v", p, err)
	}
	// What was kept of the rights does not count, only what they are now.
	alice.Grants = []penumbra.Grant{{Role: penumbra.Admin}}
	if p, err := r.Return(t.Context(), *alice, began); err != nil || p.IsAdmin() {
		t.Errorf("by password: %+v %v", p, err)
	}
	r.now = r.now.Add(time.Minute)
	if err := r.SignOut(by(t, alice)); err != nil {
		t.Fatal(err)
	}
	_, err := r.Return(t.Context(), *alice, began)
	wants(t, "signed out", err, penumbra.Refused)
	if _, err := r.Return(t.Context(), *alice, r.now); err != nil {
		t.Errorf("signed in since: %v", err)
	}
	r.now = r.now.Add(time.Hour)
	_, err = r.Return(t.Context(), *shown, began)
	wants(t, "a token that is over", err, penumbra.Refused)
}

func TestFirstAdmin(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	_, err := r.SetUp(t.Context(), "", "alice", password, "192.0.2.1")
	wants(t, "without an invitation", err, penumbra.Refused)
	key, err := r.Invite(t.Context())
	if err != nil || len(key) < 50 || r.Invited(key+"x") || !r.Invited(key) {
		t.Fatalf("%q %v", key, err)
	}
	for what, form := range map[string][3]string{"another key": {key + "x", "alice", password}, "a short password": {key, "alice", "short"}, "none": {key, "alice", ""}, "no name": {key, "", password}} {
		if _, err := r.SetUp(t.Context(), form[0], form[1], form[2], "192.0.2.1"); err == nil {
			t.Errorf("%s makes an admin", what)
		}
	}
	r.now = r.now.Add(setupLife - time.Second)
	p, err := r.SetUp(t.Context(), key, "alice", password, "192.0.2.1")
	if err != nil || !p.IsAdmin() || p.Via != ViaPassword {
		t.Fatalf("%+v %v", p, err)
	}
	_, err = r.SetUp(t.Context(), key, "mallory", password, "192.0.2.1")
	wants(t, "the second time", err, penumbra.Refused)
	if again, err := r.Invite(t.Context()); again != "" || err != nil {
		t.Errorf("another invitation: %q %v", again, err)
	}

	late := newRoom(t)
	key, _ = late.Invite(t.Context())
	late.now = late.now.Add(setupLife)
	_, err = late.SetUp(t.Context(), key, "alice", password, "192.0.2.1")
	wants(t, "too late", err, penumbra.Refused)
	overtaken := newRoom(t)
	key, _ = overtaken.Invite(t.Context())
	overtaken.user("bob")
	_, err = overtaken.SetUp(t.Context(), key, "alice", password, "192.0.2.1")
	wants(t, "after another way", err, penumbra.Refused)
}

func TestWelcome(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	viewer, approver := []penumbra.Grant{{Role: penumbra.Viewer}}, []penumbra.Grant{{Role: penumbra.Approver}}
	alice := penumbra.Account{ID: "oidc:https://id.example|8812", Name: "alice@example.com", Groups: []string{"dba"}, Grants: approver}
	welcome := func(a penumbra.Account) (*penumbra.Principal, error) { return r.Welcome(t.Context(), a, "192.0.2.1") }
	p, err := welcome(alice)
	if err != nil || p.ID != alice.ID || p.Name != alice.Name || p.Via != ViaOIDC || p.Grants[0].Role != penumbra.Approver || p.Groups[0] != "dba" {
		t.Fatalf("%+v %v", p, err)
	}
	made := r.token(by(t, p), penumbra.NewToken{Name: "x", Kind: penumbra.PersonPrincipal})

	// Nobody gets another's name, and nobody takes over a local account.
	for what, a := range map[string]penumbra.Account{
		"her name":         {ID: "oidc:https://id.example|1", Name: "Alice@example.com", Grants: viewer},
		"the owner's name": {ID: "oidc:https://id.example|2", Name: "olga", Grants: viewer},
		"a policy's name":  {ID: "oidc:https://id.example|3", Name: "policy:x", Grants: viewer},
		"a local account":  {ID: "user:alice", Name: "alice", Grants: viewer},
		"no grant":         {ID: "oidc:https://id.example|4", Name: "bob"},
	} {
		_, err := welcome(a)
		wants(t, what, err, penumbra.Refused)
	}
	if all, _ := r.Accounts(r.owner()); len(all) != 1 {
		t.Errorf("%d accounts", len(all))
	}

	// What her groups may holds at the next sign-in, for her tokens too; her name stays.
	alice.Groups, alice.Grants, alice.Name = []string{"staff"}, viewer, "renamed@example.com"
	if p, err = welcome(alice); err != nil || p.Grants[0].Role != penumbra.Viewer || p.Name != "alice@example.com" {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := r.Admit(t.Context(), made.Secret); err != nil || p.Grants[0].Role != penumbra.Viewer {
		t.Errorf("%+v %v", p, err)
	}
	alice.Groups, alice.Grants = nil, nil
	_, err = welcome(alice)
	wants(t, "in no group any more", err, penumbra.Refused)
	if p, err := r.Admit(t.Context(), made.Secret); err != nil || len(p.Grants) != 0 {
		t.Errorf("her token has %+v %v", p, err)
	}
	if _, err := r.ChangeAccount(r.owner(), alice.ID, penumbra.AccountChange{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	alice.Grants = approver
	_, err = welcome(alice)
	wants(t, "disabled", err, penumbra.Refused)
	_, err = r.ChangeAccount(r.owner(), alice.ID, penumbra.AccountChange{Password: ptr(password)})
	wants(t, "a password beside the provider", err, penumbra.Refused)
}
