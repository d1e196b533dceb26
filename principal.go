package penumbra

import "context"

// PrincipalKind says what sort of a caller a [Principal] is.
type PrincipalKind string

// The kinds of principal.
const (
	PersonPrincipal  PrincipalKind = "person"  // a user who signed in, or a token of their own
	ServicePrincipal PrincipalKind = "service" // a program: CI, an agent, a bot
	SourcePrincipal  PrincipalKind = "source"  // a sender of logs, metrics or observations
	SystemPrincipal  PrincipalKind = "system"  // Penumbra itself
)

// Role is what a principal may do where it is granted; policy says what that is.
type Role string

// The roles, each with the rights of those before it. A sender only sends.
const (
	Sender   Role = "sender"   // send observations, logs and metrics, and see nothing
	Viewer   Role = "viewer"   // see verdicts, drifts and proposals
	Operator Role = "operator" // start reads, propose, acknowledge, snooze
	Approver Role = "approver" // approve, reject, accept, roll back, freeze
	Admin    Role = "admin"    // users, tokens, policies, models, the audit log
)

// Grant is a role within a scope. An empty list is no bound.
type Grant struct {
	Role         Role     `json:"role"`
	Stacks       []string `json:"stacks,omitempty"`       // patterns with *
	Environments []string `json:"environments,omitempty"` // patterns with *
	Types        []string `json:"types,omitempty"`        // patterns with *, of resource types
	// Inputs are those that a sender may send to, patterns with *; of other roles they
	// bound nothing.
	Inputs []string `json:"inputs,omitempty"`
	// Values and Logs say whether settings' values and log records may be seen, and
	// not only that there are some.
	Values bool `json:"values,omitempty"`
	Logs   bool `json:"logs,omitempty"`
}

// Principal is who asks, as its credential says: nobody names themselves.
type Principal struct {
	// ID is stable and unique, the kind of account before its name: "user:alice",
	// "token:ci-4f2a", "oidc:https://id.example|8812".
	ID string `json:"id"`
	// Name is what is recorded with decisions and shown; unique among persons.
	Name   string        `json:"name"`
	Kind   PrincipalKind `json:"kind"`
	Groups []string      `json:"groups,omitempty"`
	Grants []Grant       `json:"grants,omitempty"`
	// Via says which credential it showed: "password", "oidc", "token", "local" for
	// the token file of this machine, "certificate".
	Via string `json:"via,omitempty"`
	// Credential names the token shown, "" of any other credential. Never a secret.
	Credential string `json:"credential,omitempty"`
}

// Act is something that a principal wants to do, as policies name it:
// "drift.read", "proposal.approve", "user.create".
type Act string

// Target is what an act is on; a field is empty where it does not bear on it.
type Target struct {
	Stack       string `json:"stack,omitempty"`
	Environment string `json:"environment,omitempty"`
	Type        string `json:"type,omitempty"` // of the resource
	ID          string `json:"id,omitempty"`   // an address, a drift, a run, a user
}

type principalKey struct{}

// WithPrincipal returns a context that carries who asks.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf returns who asks, nil if nobody has been made sure of.
func PrincipalOf(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}
