// Package guard answers one question: what may whoever asks see, and do? A [Service]
// stands before the loop, so that the API, the pages and the verbs all go through it.
// Who asks is the context's principal; what that may is an [Authorizer]'s to say.
//
// It guarantees:
//
//   - Nothing is answered or done that the authorizer does not allow on exactly that
//     stack, environment and type of resource. Lists hold what may be seen, and no more.
//   - Who may not see values sees that there are some: "(hidden)" stands in their place
//     and in that of each text that may have one. A field that nobody has looked at is
//     hidden.
//   - Decisions are in the name of who asks, whatever name a request gives.
//   - What is refused, and each read of values, of what logs and tools say, and of the
//     audit log, is recorded. While that cannot be, none of it is shown.
package guard

import (
	"context"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
)

// An Authorizer says who may do what. Its errors are of kind Refused and say what is
// missing.
type Authorizer interface {
	// Authorize is about one target; a field of it that is empty stands for all.
	Authorize(ctx context.Context, p *penumbra.Principal, act penumbra.Act, t penumbra.Target) error
	// Reach is about whether there can be a target at all, ReachStack within a stack.
	Reach(ctx context.Context, p *penumbra.Principal, act penumbra.Act) error
	ReachStack(ctx context.Context, p *penumbra.Principal, act penumbra.Act, stack string) error
	// Unbounded reports whether all targets are allowed, Typed whether it can depend on
	// a resource's type.
	Unbounded(ctx context.Context, p *penumbra.Principal, act penumbra.Act) bool
	Typed(p *penumbra.Principal) bool
}

// A Recorder keeps the audit log.
type Recorder interface {
	// Record writes an entry; what it is about is not done if it cannot.
	Record(ctx context.Context, e penumbra.AuditEntry) error
	// Count notes what may come in floods. The error says that what was noted before
	// could not be written.
	Count(ctx context.Context, e penumbra.AuditEntry) error
}

// Inner is what a [Service] stands before.
type Inner interface {
	api.Answerer
	api.Informer
	api.Greeter
	// StatusOf returns the status with the counts of what a query includes, and TypeOf
	// a resource's type, "" if there is no such resource.
	StatusOf(ctx context.Context, q penumbra.StatusQuery) (penumbra.Status, error)
	TypeOf(address penumbra.Address) string
	// Expected returns what was held of a setting over time, and what is held of the
	// time ahead.
	Expected(ctx context.Context, address penumbra.Address, path string) ([]penumbra.ExpectedPoint, error)
}

// Service is what the API shows, for who may see and do it.
type Service struct {
	inner Inner
	auth  Authorizer
	audit Recorder
}

var _ api.Service = (*Service)(nil)

// New returns a service before another.
func New(inner Inner, auth Authorizer, audit Recorder) *Service {
	return &Service{inner: inner, auth: auth, audit: audit}
}
