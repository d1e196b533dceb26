// Package proposal answers: how could this drift be resolved, and which way is
// best? It is called with a drift and what is known of it, has each way planned
// by the technology, scores and ranks them, and says in words what would happen
// and how it is undone. It decides nothing and changes nothing.
//
// It guarantees that a proposal's hash names exactly what was planned, that no
// proposal ranks above one that is better in likelihood, risk and complexity at
// once, and that a way that destroys something never ranks first while there is
// one that does not.
package proposal

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Workspace is what proposals need of a technology, for one stack. None of
// its methods changes the code or the world.
type Workspace interface {
	// Plan plans the targets with the code as it is, or in a copy of the code
	// with the patch applied, and saves the plan. Errors keep their kind:
	// Unavailable and Locked are worth another try, any other is told to a
	// person.
	Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error)
	// PatchValues returns the patch after which the code declares the settings;
	// null removes one. A patch without files says that the code declares them
	// already; one with files never holds a secret. It returns an error of kind Refused, with a remedy, if
	// the code cannot be edited so.
	PatchValues(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error)
	// PatchInstance is PatchValues for a copy of the code that is planned and
	// thrown away: it may also single out one of several instances that share
	// their code.
	PatchInstance(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error)
	// PatchIgnore returns the patch after which the technology itself ignores
	// changes at the paths. Errors are those of PatchValues.
	PatchIgnore(ctx context.Context, address penumbra.Address, paths []string) (penumbra.Patch, error)
}

// Evidence is what a proposal rests on.
type Evidence struct {
	Drift    penumbra.Drift
	Resource penumbra.Resource
	// Outcomes are those of past runs, of any kind and type.
	Outcomes []Outcome
	// Dependants are the resources that refer to the drifted one.
	Dependants []penumbra.Address
	// Now is when the proposals are made.
	Now time.Time
	// Dir is the stack's folder and Engine the command ("tofu", "terraform"),
	// both as a person would type them: scripts are written with them.
	Dir    string
	Engine string
}

// Outcome is how a past run of a proposal ended.
type Outcome struct {
	Kind      penumbra.ProposalKind
	Type      string // of the resource
	Succeeded bool   // verified, and not taken back
}
