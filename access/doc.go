// Package access answers one question: who asks? It keeps accounts, tokens and
// sessions, and makes of a credential a [penumbra.Principal]. What a principal may do
// is not its matter, but for accounts and tokens themselves: those of others are an
// admin's alone.
//
// What it guarantees:
//
//   - Nobody names themselves: a principal's name is its credential's.
//   - No password, token or cookie is stored, only hashes of them; what opens is shown
//     once, to who made it.
//   - An unknown name takes as long to refuse as a wrong password.
//   - A token of a person never may more than the person does when it is used.
package access

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Accounts keeps who may sign in.
type Accounts interface {
	// AddAccount stores a new one. It returns an error of kind Refused if its ID or
	// its name is taken.
	AddAccount(ctx context.Context, a penumbra.Account) error
	// ChangeAccount stores what change makes of one, in one transaction. It returns an
	// error of kind NotFound if there is none, and change's own.
	ChangeAccount(ctx context.Context, id string, change func(*penumbra.Account) error) (penumbra.Account, error)
	// Accounts returns the selected ones, by name.
	Accounts(ctx context.Context, q penumbra.AccountQuery) ([]penumbra.Account, error)
}

// Tokens keeps the credentials of programs.
type Tokens interface {
	// AddToken stores a new one. It returns an error of kind Refused if its ID is
	// taken, or the name under which a service or a source is to act.
	AddToken(ctx context.Context, t penumbra.Token) error
	// ChangeToken is to tokens what ChangeAccount is to accounts.
	ChangeToken(ctx context.Context, id string, change func(*penumbra.Token) error) (penumbra.Token, error)
	// Tokens returns the selected ones, revoked ones too.
	Tokens(ctx context.Context, q penumbra.TokenQuery) ([]penumbra.Token, error)
}

// Sessions ends what browsers hold.
type Sessions interface {
	// EndSessions forgets all sessions of a principal, by their ID.
	EndSessions(ctx context.Context, owner string) error
}

// Recorder keeps who did what.
type Recorder interface {
	// Record adds an entry to the audit log. What cannot be recorded is not done.
	Record(ctx context.Context, e penumbra.AuditEntry) error
}

// Store is what is kept.
type Store interface {
	Accounts
	Tokens
	Sessions
}

// Config is what a keeper needs.
type Config struct {
	Store Store
	Now   func() time.Time
	// Local is the owner of the machine, who shows LocalSecret: the token file that only
	// they can read. An empty secret opens nothing.
	Local       penumbra.Principal
	LocalSecret string
	// Audit records sign-ins, refused ones too, and what becomes of accounts and tokens;
	// nil records nothing.
	Audit Recorder
	// Hashing is the cost of passwords; [DefaultHashing] if zero.
	Hashing Hashing
}

// Owner is the principal of who owns the machine: admin of everything.
func Owner(name string) penumbra.Principal {
	return penumbra.Principal{
		ID: "local:" + name, Name: name, Kind: penumbra.PersonPrincipal, Via: ViaLocal,
		Grants: []penumbra.Grant{{Role: penumbra.Admin, Values: true, Logs: true}},
	}
}

// The credentials that a principal may have shown.
const (
	ViaLocal    = "local"
	ViaPassword = "password"
	ViaToken    = "token"
	ViaOIDC     = "oidc"
)
