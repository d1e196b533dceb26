package penumbra

import (
	"slices"
	"strings"
	"time"
)

// Account is a person who may sign in, as the store keeps them.
type Account struct {
	ID string `json:"id"` // "user:alice", "oidc:https://id.example|8812"
	// Name is unique among users without regard to case, and never given to another.
	Name string `json:"name"`
	// Password is the hash in the PHC string format, with the parameters it was made
	// with; "" of who cannot sign in by one. No answer and no page has it.
	Password string `json:"-" cbor:"password,omitempty"`
	// Groups are those that the identity provider named at the last sign-in.
	Groups  []string  `json:"groups,omitempty"`
	Grants  []Grant   `json:"grants,omitempty"`
	Created time.Time `json:"created"`
	// Changed is when password, grants or state were last changed.
	Changed  time.Time `json:"changed"`
	SignedIn time.Time `json:"signed_in,omitzero"` // last
	// SessionsFrom is when a session must have begun for it to hold: signing out
	// everywhere moves it.
	SessionsFrom time.Time `json:"sessions_from,omitzero"`
	Disabled     time.Time `json:"disabled,omitzero"` // zero: may sign in
}

// AccountQuery selects users; a field that is empty selects all.
type AccountQuery struct {
	ID, Name string // Name without regard to case
}

// NewAccount is a user to be made.
type NewAccount struct {
	Name     string  `json:"name"`
	Password string  `json:"password,omitempty"`
	Grants   []Grant `json:"grants,omitempty"`
}

// AccountChange is what is to be different of a user; nil leaves as it is.
type AccountChange struct {
	// Password is the new one, Current the old one, which who changes their own has to
	// know.
	Password *string  `json:"password,omitempty"`
	Current  string   `json:"current,omitempty"`
	Grants   *[]Grant `json:"grants,omitempty"`
	Disabled *bool    `json:"disabled,omitempty"`
	// SignOut ends the user's sessions everywhere.
	SignOut bool `json:"sign_out,omitempty"`
}

// Token is a credential of a program, or of a person for a program of theirs. What
// opens is shown once, when it is made.
type Token struct {
	ID string `json:"id"`
	// Name says what it is for. Of a service or a source it is the name under which it
	// acts, unique as those of users are.
	Name  string        `json:"name"`
	Kind  PrincipalKind `json:"kind"`
	Owner string        `json:"owner,omitempty"` // the user's ID, of a person's token
	// Grants are what it may. A person's token has theirs if there are none, and never
	// more than the person has when it is used.
	Grants []Grant `json:"grants,omitempty"`
	// Hash is the SHA-256 of the secret. No answer and no page has it.
	Hash    []byte    `json:"-" cbor:"hash"`
	Made    time.Time `json:"made"`
	By      string    `json:"by"` // the name of who made it
	Expires time.Time `json:"expires,omitzero"`
	Used    time.Time `json:"used,omitzero"` // last, to the minute
	Revoked time.Time `json:"revoked,omitzero"`
}

// TokenQuery selects tokens; a field that is empty selects all.
type TokenQuery struct {
	ID, Owner string
	Name      string // of a service or a source, without regard to case
}

// NewToken is a token to be made.
type NewToken struct {
	Name   string        `json:"name"`
	Kind   PrincipalKind `json:"kind"`
	Grants []Grant       `json:"grants,omitempty"`
	// Lasts is how long it holds, in nanoseconds; 0 for ever.
	Lasts time.Duration `json:"lasts,omitempty"`
}

// MadeToken is a token with what opens, which is nowhere else.
type MadeToken struct {
	Token  Token  `json:"token"`
	Secret string `json:"secret"`
}

// Session is a browser's, as the store keeps it.
type Session struct {
	ID      string    // the hash of what the cookie holds
	Owner   string    // the ID of the principal who signed in
	Data    []byte    // what is known of it
	Expires time.Time // when it may be forgotten
}

// roles in the order of their rights; a sender has none of the others'.
var roles = []Role{Viewer, Operator, Approver, Admin}

// Known reports whether it is one of the roles.
func (r Role) Known() bool { return r == Sender || slices.Contains(roles, r) }

// Includes reports whether it has the rights of another role.
func (r Role) Includes(other Role) bool {
	if r == other {
		return r.Known()
	}
	return slices.Contains(roles, other) && slices.Index(roles, r) > slices.Index(roles, other)
}

// Unbounded reports whether a grant holds everywhere.
func (g Grant) Unbounded() bool {
	return len(g.Stacks) == 0 && len(g.Environments) == 0 && len(g.Types) == 0
}

// IsAdmin reports whether a principal is admin everywhere.
func (p *Principal) IsAdmin() bool {
	return p != nil && slices.ContainsFunc(p.Grants, func(g Grant) bool { return g.Role == Admin && g.Unbounded() })
}

// FoldName is a name as names are told apart: [SamePerson] holds of names that fold
// to the same.
func FoldName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
